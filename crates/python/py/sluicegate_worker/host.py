"""Asking the host: what the stand-in package cannot do itself (models, prompties, flows, connections) lives there once.

For the stand-in package: `link.ask(what, **fields)`, `link.ask_async`, `link.stream`, `link.note("span"|"metric", …)`,
`link.call()` (the running call's node, line and trace), `link.tracing` (whether spans are wanted). A refusal is raised as
`Refused`; the stand-in package makes of it the exception that the host names.
"""

import itertools
import threading

from . import output

#: The worker's link to its host; None outside of a worker.
link = None

_CANCELLED = {"type": "Cancelled"}


class Refused(Exception):
    """The host could not do what was asked. `told` is its error: type, message, codes."""

    def __init__(self, told):
        super().__init__(told.get("message", ""))
        self.told = told


class Cancelled(BaseException):
    """Nobody waits for this call any more."""


def waiting():
    """While this is entered, the running call waits for something that is not its own work."""
    return link.baton.given_up(output.current.get())


class Link:
    """Questions to the host, from any thread."""

    def __init__(self, channel, values, baton, build, tracing):
        self.channel = channel
        self.values = values
        self.baton = baton
        self.tracing = tracing
        self._build = build
        self._numbers = itertools.count(1)
        self._waiting = {}
        self._calls = {}
        self._lock = threading.Lock()

    # -- for the stand-in package --------------------------------------------------------------------------------------

    def call(self):
        """What the host said of the running call: `node`, `line`, `trace`; empty outside of any."""
        return self._calls.get(output.current.get()) or {}

    def ask(self, what, on_chunk=None, **fields):
        """Asks, and waits; meanwhile other tools may run here."""
        waiter = self._send(what, fields, on_chunk)
        try:
            with self.baton.given_up(waiter.of):
                waiter.done.wait()
        except BaseException:
            self._forget(waiter)
            raise
        return self._answer(waiter)

    async def ask_async(self, what, **fields):
        """Asks, and lets the event loop go on meanwhile."""
        import asyncio

        loop = asyncio.get_running_loop()
        future = loop.create_future()
        waiter = self._send(what, fields)
        waiter.notify(lambda: loop.call_soon_threadsafe(lambda: future.done() or future.set_result(None)))
        try:
            await future
        except BaseException:
            self._forget(waiter)
            raise
        return self._answer(waiter)

    def stream(self, what, **fields):
        """Asks for an answer in pieces: gives them as they come. The generator's value is the answer."""
        from _queue import SimpleQueue

        pieces = SimpleQueue()
        fields["stream"] = True
        waiter = self._send(what, fields, pieces.put)
        waiter.notify(lambda: pieces.put(None))
        try:
            while True:
                with waiting():
                    piece = pieces.get()
                if piece is None:
                    return self._answer(waiter)
                yield piece
        finally:
            self._forget(waiter)

    async def stream_async(self, what, **fields):
        """Asks for an answer in pieces: gives them as they come."""
        import asyncio

        loop = asyncio.get_running_loop()
        pieces = asyncio.Queue()
        fields["stream"] = True
        waiter = self._send(what, fields, lambda text: loop.call_soon_threadsafe(pieces.put_nowait, text))
        waiter.notify(lambda: loop.call_soon_threadsafe(pieces.put_nowait, None))
        try:
            while True:
                piece = await pieces.get()
                if piece is None:
                    self._answer(waiter)
                    return
                yield piece
        finally:
            self._forget(waiter)

    def note(self, op, **fields):
        """Tells the host something about the running call (`span`, `metric`). What is no JSON is told as text."""
        call = output.current.get()
        if call is not None:
            told = {name: self.values.plain(value) for name, value in fields.items()}
            self.channel.write({"op": op, "of": call, "note": told})

    # -- for the worker ------------------------------------------------------------------------------------------------

    def begin(self, number, about):
        self._calls[number] = about

    def end(self, number):
        self._calls.pop(number, None)

    def cancel(self, call):
        """Wakes whoever waits for the host on behalf of a call."""
        with self._lock:
            numbers = [number for number, waiter in self._waiting.items() if waiter.of == call]
            waiters = [self._waiting.pop(number) for number in numbers]
        for waiter in waiters:
            waiter.finish(None, _CANCELLED)

    def answered(self, message):
        """The host's answer, its refusal or a piece of an answer, from the thread that reads."""
        number = message["re"]
        with self._lock:
            if message["op"] == "piece":
                waiter = self._waiting.get(number)
            else:
                waiter = self._waiting.pop(number, None)
        if waiter is None:
            return
        if message["op"] == "piece":
            if waiter.on_chunk is not None:
                waiter.on_chunk(message.get("text", ""))
        elif message["op"] == "refused":
            waiter.finish(None, message.get("error") or {"type": "Exception", "message": "the host refused"})
        else:
            waiter.finish(message.get("value"), None)

    def _send(self, what, fields, on_chunk=None):
        if not self.channel.open:
            raise RuntimeError("a fork of the worker cannot ask the host")
        number = next(self._numbers)
        call = output.current.get()
        waiter = _Waiter(number, call, on_chunk)
        told = {name: self.values.to_wire(value) for name, value in fields.items()}
        with self._lock:
            self._waiting[number] = waiter
        try:
            self.channel.write({"op": "ask", "id": number, "of": call or 0, "what": what, "fields": told})
        except BaseException:
            with self._lock:
                self._waiting.pop(number, None)
            raise
        return waiter

    def _forget(self, waiter):
        with self._lock:
            known = self._waiting.pop(waiter.number, None)
        if known is not None:
            self.channel.write({"op": "unask", "id": waiter.number, "of": waiter.of or 0})

    def _answer(self, waiter):
        if waiter.error is _CANCELLED:
            raise Cancelled
        if waiter.error is not None:
            raise Refused(waiter.error)
        return self.values.from_wire(waiter.value, self._build)


class _Waiter:
    def __init__(self, number, of, on_chunk):
        self.number = number
        self.of = of
        self.on_chunk = on_chunk
        self.done = threading.Event()
        self.value = None
        self.error = None
        self._callback = None
        self._lock = threading.Lock()

    def notify(self, callback):
        with self._lock:
            if not self.done.is_set():
                self._callback = callback
                return
        callback()

    def finish(self, value, error):
        with self._lock:
            self.value, self.error = value, error
            self.done.set()
            callback = self._callback
        if callback is not None:
            callback()
