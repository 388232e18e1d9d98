"""Spans: what `@trace` notes of a call, and of the calls inside of it.

The host makes the node's span; those here hang below it. Outside of a worker all of this is transparent.
"""

import os
import sys
from contextvars import ContextVar

# (number of the worker's call, open span): None where no traced function runs.
_place = ContextVar("promptflow_place", default=None)

_COROUTINE, _GENERATOR, _ASYNC_GENERATOR = 0x80, 0x20, 0x200


def open_span():
    """The span that is open here; None right below the node's."""
    place = _place.get()
    return place[1] if place is not None and place[0] == _call() else None


def traced(function, name=None, kind="Function", own=False, attributes=None):
    """`function`, with a span for each call of it.

    With `own`, a call that comes from the worker is the node itself, which has its span already.
    """
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(traced(function.__func__, name, kind, own, attributes))
    about = _About(function, name, kind, own, attributes)
    flags = _flags(function)
    if flags & _ASYNC_GENERATOR:

        def wrapped(*args, **kwargs):
            return _async_pieces(about, args, kwargs, function(*args, **kwargs))

    elif flags & _COROUTINE:

        async def wrapped(*args, **kwargs):
            span = about.begin(args, kwargs)
            if span is None:
                return await function(*args, **kwargs)
            token = _place.set(span.place)
            try:
                value = await function(*args, **kwargs)
            except BaseException as error:
                span.failed(error)
                raise
            finally:
                _place.reset(token)
            span.ended(value)
            return value

    elif flags & _GENERATOR:

        def wrapped(*args, **kwargs):
            return _pieces(about, args, kwargs, function(*args, **kwargs))

    else:

        def wrapped(*args, **kwargs):
            span = about.begin(args, kwargs)
            if span is None:
                return function(*args, **kwargs)
            token = _place.set(span.place)
            try:
                value = function(*args, **kwargs)
            except BaseException as error:
                span.failed(error)
                raise
            finally:
                _place.reset(token)
            span.ended(value)
            return value

    _look_like(wrapped, function)
    wrapped.__original_function = function
    return wrapped


_KEPT = ("__module__", "__name__", "__qualname__", "__doc__", "__type_params__") + (
    ("__annotate__",) if sys.version_info >= (3, 14) else ("__annotations__",)
)


def _look_like(wrapped, function):
    """What `functools.wraps` does, without functools: not every worker has it loaded."""
    for name in _KEPT:
        try:
            setattr(wrapped, name, getattr(function, name))
        except AttributeError:
            pass
    wrapped.__dict__.update(getattr(function, "__dict__", ()))
    wrapped.__wrapped__ = function


def _link():
    return getattr(sys.modules.get("sluicegate_worker.host"), "link", None)


def _call():
    """The number of the worker's call that runs here; None outside of one."""
    current = getattr(sys.modules.get("sluicegate_worker.output"), "current", None)
    return current.get() if current is not None else None


def _flags(function):
    code = getattr(function, "__code__", None)
    if code is not None:
        return code.co_flags
    import functools
    import inspect

    call = function if isinstance(function, functools.partial) else getattr(function, "__call__", function)
    if inspect.iscoroutinefunction(call):
        return _COROUTINE
    if inspect.isasyncgenfunction(call):
        return _ASYNC_GENERATOR
    return _GENERATOR if inspect.isgeneratorfunction(call) else 0


class _About:
    """What is the same for every call of a traced function."""

    __slots__ = ("attributes", "function", "kind", "name", "own")

    def __init__(self, function, name, kind, own, attributes):
        self.function = function
        self.kind = kind
        self.own = own
        self.attributes = attributes
        if not name:
            name = getattr(function, "__qualname__", None) or type(function).__qualname__
            name = name.rpartition("<locals>.")[2]
            if name.endswith(".__call__"):
                name = name[: -len(".__call__")]
        self.name = name

    def begin(self, args, kwargs):
        """Opens a span; None if none is wanted here."""
        link = _link()
        if link is None:
            return None
        number = _call()
        if number is None:
            return None
        if self.own and sys._getframe(2).f_globals.get("__name__", "").startswith("sluicegate_worker."):
            # The worker itself calls it: it is the node.
            return None
        if not link.tracing or link.call().get("trace") is False:
            return None
        place = _place.get()
        span = _Span(link, self, number, place[1] if place is not None and place[0] == number else None)
        try:
            from promptflow import _preview

            span.note(phase="begin", inputs=_preview.of_inputs(self.function, args, kwargs))
        except Exception:  # noqa: BLE001 - a span never disturbs what it tells of
            pass
        return span


class _Span:
    __slots__ = ("about", "id", "link", "parent", "place")

    def __init__(self, link, about, number, parent):
        self.link = link
        self.about = about
        self.id = os.urandom(8).hex()
        self.parent = parent
        self.place = (number, self.id)

    def note(self, **fields):
        about = self.about
        if about.attributes:
            from promptflow import _preview

            fields["attributes"] = _preview.of(dict(about.attributes))
        self.link.note("span", span=self.id, parent=self.parent, name=about.name, span_type=about.kind, **fields)

    def ended(self, value):
        try:
            from promptflow import _preview

            self.note(phase="end", output=_preview.of(value))
        except Exception:  # noqa: BLE001
            pass

    def failed(self, error):
        try:
            from promptflow import _preview

            told = {"type": type(error).__name__, "message": _preview.of(str(error))}
            self.note(phase="end", error=told)
        except Exception:  # noqa: BLE001
            pass


def _pieces(about, args, kwargs, inner):
    span = about.begin(args, kwargs)
    if span is None:
        return (yield from inner)
    told, step, argument = [], inner.send, None
    while True:
        # Set only while the body runs: a generator shares its context with whoever iterates it.
        token = _place.set(span.place)
        try:
            piece = step(argument)
        except StopIteration as end:
            span.ended(told)
            return end.value
        except BaseException as error:
            span.failed(error)
            raise
        finally:
            _place.reset(token)
        _keep(told, piece)
        try:
            step, argument = inner.send, (yield piece)
        except GeneratorExit:
            inner.close()
            span.ended(told)
            raise
        except BaseException as error:
            step, argument = inner.throw, error


async def _async_pieces(about, args, kwargs, inner):
    span = about.begin(args, kwargs)
    if span is None:
        async for piece in inner:
            yield piece
        return
    told, step, argument = [], inner.asend, None
    while True:
        token = _place.set(span.place)
        try:
            piece = await step(argument)
        except StopAsyncIteration:
            span.ended(told)
            return
        except BaseException as error:
            span.failed(error)
            raise
        finally:
            _place.reset(token)
        _keep(told, piece)
        try:
            step, argument = inner.asend, (yield piece)
        except GeneratorExit:
            await inner.aclose()
            span.ended(told)
            raise
        except BaseException as error:
            step, argument = inner.athrow, error


def _keep(told, piece):
    """Pieces of text are one text; of other pieces the first are kept."""
    if type(piece) is str and told and type(told[-1]) is str and len(told[-1]) < 8192:
        told[-1] += piece
    elif len(told) < 64:
        told.append(piece)
