"""Generators as they travel: read by whoever is given one, each from the beginning.

A generator can be read once. Here the flow's output and two other nodes may want it, so what it gave is kept.
"""

import types

from . import host


def is_lazy(value):
    """Whether a value is read piece by piece."""
    return hasattr(value, "__next__") or hasattr(value, "__anext__")


def kept(value):
    """What is kept of a value: a generator with what it gave, everything else as it is."""
    kind = type(value)
    if kind is types.GeneratorType:
        return Source(value)
    if kind is types.AsyncGeneratorType:
        return AsyncSource(value)
    return value


def given(value):
    """What a call is given of a kept value."""
    kind = type(value)
    if kind is Source:
        return GeneratorProxy(value)
    if kind is AsyncSource:
        return AsyncGeneratorProxy(value)
    return value


class _Kept:
    def __init__(self, generator):
        self._generator = generator
        self._pieces = []
        self._ended = False
        self._error = None

    def _end(self, error):
        self._ended, self._error, self._generator = True, error, None


class Source(_Kept):
    """A generator and what it gave so far."""

    def __init__(self, generator):
        import threading

        super().__init__(generator)
        self._lock = threading.Lock()

    def piece(self, position):
        """The piece at a position; raises StopIteration after the last, and again whatever the generator raised."""
        if position >= len(self._pieces):
            if not self._lock.acquire(False):
                # Whoever has it may need the baton to go on.
                with host.waiting():
                    self._lock.acquire()
            try:
                while position >= len(self._pieces):
                    if self._ended:
                        raise StopIteration if self._error is None else self._error
                    try:
                        self._pieces.append(next(self._generator))
                    except StopIteration:
                        self._end(None)
                    except BaseException as error:  # noqa: BLE001 - told again to who reads next
                        self._end(error)
            finally:
                self._lock.release()
        return self._pieces[position]


class AsyncSource(_Kept):
    """An asynchronous generator and what it gave so far; read on the event loop only."""

    _lock = None

    async def piece(self, position):
        """The piece at a position; raises StopAsyncIteration after the last."""
        if self._lock is None:
            import asyncio

            self._lock = asyncio.Lock()
        async with self._lock:
            while position >= len(self._pieces):
                if self._ended:
                    raise StopAsyncIteration if self._error is None else self._error
                try:
                    self._pieces.append(await self._generator.__anext__())
                except StopAsyncIteration:
                    self._end(None)
                except Exception as error:  # noqa: BLE001
                    self._end(error)
        return self._pieces[position]


class GeneratorProxy:
    """A generator of another call."""

    def __init__(self, source):
        self._source = source
        self._position = 0

    def __iter__(self):
        return self

    def __next__(self):
        piece = self._source.piece(self._position)
        self._position += 1
        return piece

    def close(self):
        """Others may still read it."""


class AsyncGeneratorProxy:
    """An asynchronous generator of another call."""

    def __init__(self, source):
        self._source = source
        self._position = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        piece = await self._source.piece(self._position)
        self._position += 1
        return piece

    async def aclose(self):
        """Others may still read it."""
