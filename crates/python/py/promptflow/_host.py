"""Asking the host. Models, templates, prompties and flows live there once; this is the way to them.

What is about runs is asked of the program itself, and so is all that a script asks which no host has started (`_program`).
The questions, their fields and their answers are written down in HOST.md.
"""

import sys

_END = object()


def link():
    """The worker's link to its host; raises outside of a worker."""
    found = getattr(sys.modules.get("sluicegate_worker.host"), "link", None)
    if found is None:
        from promptflow.exceptions import UserErrorException

        raise UserErrorException(
            "this part of sluicegate's stand-in for promptflow needs its host, and no host started this program: "
            "run the flow with `sluicegate run FLOW`, where Python tools may call it"
        )
    if found.values.image_type is None:
        # The class of images was loaded after the worker had looked for it.
        multimedia = sys.modules.get("promptflow.contracts.multimedia")
        if multimedia is not None:
            found.values.image_type = multimedia.Image
    return found


def ask(what, **fields):
    """The host's answer; its refusal is raised as the class that it names."""
    if _is_for_the_program(what):
        return _program(what, fields)
    try:
        return link().ask(what, **_placed(fields))
    except Exception as error:
        raise _refusal(error) from None


async def ask_async(what, **fields):
    """The host's answer, while the event loop goes on."""
    if _is_for_the_program(what):
        import asyncio

        return await asyncio.to_thread(_program, what, fields)
    try:
        return await link().ask_async(what, **_placed(fields))
    except Exception as error:
        raise _refusal(error) from None


def pieces(what, **fields):
    """An iterator over an answer's pieces. Waits for the first, so that a refusal comes from the call, not from the loop."""
    if _is_for_the_program(what):
        return iter((_program(what, fields),))
    iterator = link().stream(what, **_placed(fields))
    return _rest(_next(iterator), iterator)


async def pieces_async(what, **fields):
    """An asynchronous iterator over an answer's pieces; waits for the first."""
    if _is_for_the_program(what):
        return _rest_async(_program(what, fields), _Over())
    iterator = link().stream_async(what, **_placed(fields))
    return _rest_async(await _next_async(iterator), iterator)


def plain(value):
    """`value` for what the host has to read itself: subclasses lose their class, what is no JSON is an error."""
    if value is None or type(value) in (bool, str, int, float):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    enum = sys.modules.get("enum")
    if enum is not None and isinstance(value, enum.Enum):
        return plain(value.value)
    # PromptTemplate, numpy's float64 and their like are what they extend.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes):
        return value
    if hasattr(value, "__fspath__"):
        return plain(value.__fspath__())
    if hasattr(value, "item") and not getattr(value, "shape", ()):
        return plain(value.item())
    from promptflow.exceptions import UserErrorException

    raise UserErrorException(f"a {type(value).__name__} cannot be given to the host here: only text, numbers, lists and dicts")


def _is_for_the_program(what):
    return what == "run" or what.startswith("run_") or getattr(sys.modules.get("sluicegate_worker.host"), "link", None) is None


def _program(what, fields):
    from promptflow import _program

    return _program.answer(what, fields)


class _Over:
    """An asynchronous iterator that has nothing left."""

    async def __anext__(self):
        raise StopAsyncIteration

    async def aclose(self):
        """There is nothing to close."""


def _placed(fields):
    """The fields with the span that is open here, so that what the host does hangs below it."""
    from promptflow import _spans

    span = _spans.open_span()
    return fields if span is None else {**fields, "span": span}


def _next(iterator):
    try:
        return next(iterator, _END)
    except Exception as error:
        raise _refusal(error) from None


async def _next_async(iterator):
    try:
        return await iterator.__anext__()
    except StopAsyncIteration:
        return _END
    except Exception as error:
        raise _refusal(error) from None


def _rest(piece, iterator):
    try:
        while piece is not _END:
            yield piece
            piece = _next(iterator)
    finally:
        iterator.close()


async def _rest_async(piece, iterator):
    try:
        while piece is not _END:
            yield piece
            piece = await _next_async(iterator)
    finally:
        await iterator.aclose()


def _refusal(error):
    """What to raise for an error of the link: a refusal as the class that it names, anything else as it is."""
    refused = getattr(sys.modules.get("sluicegate_worker.host"), "Refused", None)
    if refused is None or not isinstance(error, refused):
        return error
    from promptflow.exceptions import _of_name

    told = error.told
    return _of_name(told.get("type") or "UserErrorException", str(told.get("message") or ""), told.get("codes") or [])
