"""Exceptions as the host hears of them."""

import os

#: Frames of these files are ours, not the user's: this package, and the stand-in package beside it.
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LONGEST_MESSAGE = 1 << 20
_LONGEST_TRACEBACK = 1 << 18


def told(error):
    """An exception as plain data: its class, message, traceback without our own frames, and where it was raised."""
    frames = _frames(error)
    kind = type(error)
    out = {
        "type": kind.__name__,
        "module": text(str(kind.__module__)),
        "message": message_of(error),
        "traceback": _traceback(error),
        "codes": codes(error),
    }
    if frames:
        filename, line, function = frames[-1]
        out.update(file=text(filename), line=line, function=text(function))
    elif isinstance(error, SyntaxError) and isinstance(error.filename, str):
        out.update(file=text(error.filename), line=error.lineno or 0)
    if isinstance(error, ModuleNotFoundError) and isinstance(error.name, str):
        out["missing"] = text(error.name.partition(".")[0])
    return out


def codes(error):
    """`UserError` or `SystemError` and the class, for exceptions that say so themselves."""
    for kind in type(error).__mro__:
        if kind.__name__ == "UserErrorException":
            return ["UserError", type(error).__name__]
        if kind.__name__ == "SystemErrorException":
            return ["SystemError", type(error).__name__]
    return []


def message_of(error):
    """`str(error)`, whatever that does."""
    try:
        said = str(error)
    except BaseException as inner:  # noqa: BLE001 - whatever a `__str__` raises
        said = f"<its message cannot be made: {type(inner).__name__}>"
    return text(said[:_LONGEST_MESSAGE])


def text(value):
    """Text that UTF-8 can hold."""
    return value.encode("utf-8", "replace").decode("utf-8")


def _frames(error):
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith((_OURS, "<frozen")):
            frames.append((code.co_filename, trace.tb_lineno, code.co_name))
        trace = trace.tb_next
    return frames


def _traceback(error):
    chain = []
    seen = set()
    while error is not None and id(error) not in seen and len(chain) < 20:
        seen.add(id(error))
        if error.__cause__ is not None:
            chain.append((error, "The above exception was the direct cause of the following exception:"))
            error = error.__cause__
        elif error.__context__ is not None and not error.__suppress_context__:
            chain.append((error, "During handling of the above exception, another exception occurred:"))
            error = error.__context__
        else:
            chain.append((error, None))
            error = None
    parts = []
    for error, between in reversed(chain):
        if between is not None and parts:
            parts.append(f"\n{between}\n\n")
        parts.append(_told_one(error))
    return text("".join(parts)[-_LONGEST_TRACEBACK:])


def _told_one(error):
    import linecache

    frames = _frames(error)
    lines = ["Traceback (most recent call last):\n"] if frames else []
    shown = frames if len(frames) <= 40 else frames[:20] + [None] + frames[-20:]
    for frame in shown:
        if frame is None:
            lines.append(f"  ... {len(frames) - 40} frames\n")
            continue
        filename, line, function = frame
        lines.append(f'  File "{filename}", line {line}, in {function}\n')
        source = linecache.getline(filename, line).strip()
        if source:
            lines.append(f"    {source}\n")
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    message = message_of(error)
    lines.append(f"{name}: {message}\n" if message else f"{name}\n")
    for inner in getattr(error, "exceptions", ()) or ():
        if isinstance(inner, BaseException):
            lines.append(f"  + {type(inner).__name__}: {message_of(inner)}\n")
    return "".join(lines)
