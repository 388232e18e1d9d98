"""Short plain forms of values, for spans: bounded, never raising, and without secrets."""

_LONGEST_TEXT = 8192
_MOST_ITEMS = 64
_DEEPEST = 6
_BUDGET = 32768


def of(value):
    """A JSON-able form of `value`, of some 32 KiB at most."""
    return _Preview().of(value, 0)


def of_inputs(function, args, kwargs):
    """The arguments of a call by their names, without `self`."""
    code = getattr(_innermost(function), "__code__", None)
    names = code.co_varnames[: code.co_argcount] if code is not None else ()
    preview, told = _Preview(), {}
    for index, value in enumerate(args):
        name = names[index] if index < len(names) else f"args[{index - len(names)}]"
        if not (index == 0 and name in ("self", "cls")):
            told[name] = preview.of(value, 1)
    for name, value in kwargs.items():
        told[name] = preview.of(value, 1)
    return told


def _innermost(function):
    for _ in range(32):
        function = getattr(function, "__wrapped__", None) or function
    return function


class _Preview:
    def __init__(self):
        self.left = _BUDGET

    def of(self, value, depth):
        try:
            return self._of(value, depth)
        except Exception as error:  # noqa: BLE001 - whatever a class of the author's raises
            return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"

    def _of(self, value, depth):
        if value is None or type(value) is bool:
            return value
        if type(value) is int:
            return value if -(1 << 63) <= value < 1 << 63 else self._text(_digits(value))
        if type(value) is float:
            return value if value - value == 0 else str(value)
        kind = type(value)
        if any(base.__name__ == "Secret" and base.__module__.startswith("promptflow") for base in kind.__mro__):
            return "******"
        if hasattr(value, "secrets") and hasattr(value, "configs"):
            return {"type": kind.__name__, "name": value.name}
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, (bytes, bytearray)):
            return str(value) if kind.__str__ is not bytes.__str__ and kind is not bytearray else f"<{len(value)} bytes>"
        if depth >= _DEEPEST or self.left <= 0:
            return "..."
        if isinstance(value, dict):
            return self._map(value, depth)
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._list(value, depth)
        if hasattr(value, "__next__") or hasattr(value, "__anext__"):
            return f"<{kind.__name__}>"
        fields = getattr(kind, "__dataclass_fields__", None)
        if fields is not None:
            return self._map({name: getattr(value, name, None) for name in fields}, depth)
        return self._text(str(value))

    def _map(self, value, depth):
        told = {}
        for index, (key, item) in enumerate(list(value.items())):
            if index >= _MOST_ITEMS or self.left <= 0:
                told["..."] = f"{len(value) - index} more"
                break
            told[self._text(str(key))] = self.of(item, depth + 1)
        return told

    def _list(self, value, depth):
        told = []
        for index, item in enumerate(list(value)):
            if index >= _MOST_ITEMS or self.left <= 0:
                told.append(f"... {len(value) - index} more")
                break
            told.append(self.of(item, depth + 1))
        return told

    def _text(self, text):
        longest = min(_LONGEST_TEXT, max(self.left, 0))
        self.left -= min(len(text), longest) + 8
        return text if len(text) <= longest else text[:longest] + f"... ({len(text)} characters)"


def _digits(value):
    try:
        return str(value)
    except ValueError:
        return f"<int of {value.bit_length()} bits>"
