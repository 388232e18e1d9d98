"""What a function takes, without the weight of `inspect`."""

import builtins
import types


def innermost(function):
    """The function that decorators have wrapped."""
    seen = 0
    while hasattr(function, "__wrapped__") and seen < 32:
        function = function.__wrapped__
        seen += 1
    return function


def kind_of(function):
    """`function`, `coroutine`, `generator` or `async_generator`."""
    # A decorator may make a coroutine of what is none; what it wraps tells the rest.
    flags = 0
    for candidate in (function, innermost(function)):
        code = getattr(candidate, "__code__", None)
        if code is None:
            call = getattr(type(candidate), "__call__", None)
            code = getattr(call, "__code__", None)
        flags |= code.co_flags if code is not None else 0
    if flags & 0x200:
        return "async_generator"
    if flags & 0x80:
        return "coroutine"
    if flags & 0x20:
        return "generator"
    return "function"


def parameters(function, bound=False):
    """What a function takes: for each parameter its name, type, whether it must be given, and a simple default.

    `bound`: the first one is the object itself. A last parameter of type `rest` stands for `**kwargs`.
    """
    function = innermost(function)
    if not hasattr(function, "__code__"):
        call = getattr(type(function), "__call__", None)
        if not hasattr(call, "__code__"):
            return []
        function, bound = call, True
    code = function.__code__
    names = list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    positional = names[: code.co_argcount]
    defaults = dict(zip(reversed(positional), reversed(function.__defaults__ or ())))
    defaults.update(function.__kwdefaults__ or {})
    if bound and names:
        names = names[1:]
    annotations = _annotations(function)
    out = []
    for name in names:
        told = {"name": name, "required": name not in defaults}
        told.update(type_of(annotations.get(name)))
        default = defaults.get(name)
        if type(default) in (bool, int, float, str):
            told["default"] = default
        out.append(told)
    if code.co_flags & 0x08:
        rest = code.co_varnames[code.co_argcount + code.co_kwonlyargcount + (1 if code.co_flags & 0x04 else 0)]
        out.append({"name": rest, "type": "rest", "required": False})
    return out


def _annotations(function):
    try:
        found = dict(getattr(function, "__annotations__", None) or {})
    except Exception:  # noqa: BLE001 - since Python 3.14 they are made when asked for
        return {}
    for name, annotation in found.items():
        if isinstance(annotation, str):
            try:
                found[name] = eval(annotation, dict(vars(builtins)), function.__globals__)  # noqa: S307 - the author's own code
            except Exception:  # noqa: BLE001 - a name that only a type checker knows
                found[name] = None
    return found


_SIMPLE = {int: "int", float: "double", bool: "bool", str: "string", list: "list", dict: "object"}
_OURS = {
    "Image": "image",
    "AssistantDefinition": "assistant_definition",
    "Secret": "secret",
    "PromptTemplate": "prompt_template",
    "FilePath": "file_path",
}


def type_of(annotation):
    """A parameter's type in the original's words, and for connections the names of their classes.

    What is not annotated takes anything (`object`); a default does not make a type.
    """
    if _hashable(annotation) and annotation in _SIMPLE:
        return {"type": _SIMPLE[annotation]}
    origin = getattr(annotation, "__origin__", None)
    if _hashable(origin) and origin in _SIMPLE:
        return {"type": _SIMPLE[origin]}
    arguments = getattr(annotation, "__args__", None)
    if arguments and (str(origin) == "typing.Union" or type(annotation).__name__ in ("UnionType", "Union")):
        some = [argument for argument in arguments if argument is not type(None)]
        if len(some) == 1:
            return type_of(some[0])
        kinds = [type_of(argument) for argument in some]
        if all(kind["type"] == "connection" for kind in kinds):
            return {"type": "connection", "classes": [name for kind in kinds for name in kind["classes"]]}
        return {"type": "object"}
    if isinstance(annotation, type):
        names = [base.__name__ for base in annotation.__mro__]
        if "Enum" in names:
            return {"type": "enum", "values": [str(member.value) for member in annotation]}
        if any(str(base.__module__).startswith("promptflow") for base in annotation.__mro__):
            name = annotation.__name__
            if "CustomStrongTypeConnection" in names:
                strong = name != "CustomStrongTypeConnection"
                return {"type": "connection", "classes": [name], "custom": strong, "module": annotation.__module__}
            if name.endswith("Connection"):
                return {"type": "connection", "classes": [name]}
            if name in _OURS:
                return {"type": _OURS[name]}
    return {"type": "object"}


def _hashable(value):
    try:
        hash(value)
    except TypeError:
        return False
    return True
