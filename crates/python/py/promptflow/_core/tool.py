"""`@tool`, and the base class of tools that are methods."""

from abc import ABC

from promptflow import _lazily, _spans

__path__ = []

STREAMING_OPTION_PARAMETER_ATTR = "_streaming_option_parameter"
INPUTS_TO_ESCAPE_PARAM_KEY = "_inputs_to_escape"

_HOMES = {
    "DynamicList": "promptflow._core._tool_settings",
    "GeneratedBy": "promptflow._core._tool_settings",
    "InputSetting": "promptflow._core._tool_settings",
    "ToolInvoker": "promptflow._core._tool_settings",
    "ToolType": "promptflow._core._tool_settings",
}

_TYPES = ("llm", "python", "csharp", "prompt", "_action", "custom_llm")


def __getattr__(name):
    return _lazily(__name__, _HOMES, name)


def tool(
    func=None,
    *,
    name=None,
    description=None,
    type=None,
    input_settings=None,
    streaming_option_parameter=None,
    **kwargs,
):
    """Makes a function a tool. With arguments and without; functions, methods, coroutines and generators."""
    if type is not None and type not in _TYPES:
        from promptflow.exceptions import UserErrorException

        raise UserErrorException(f"Tool type {type} is not supported yet.")

    def mark(function):
        marked = _spans.traced(function, own=True)
        inner = marked.__func__ if isinstance(marked, (staticmethod, classmethod)) else marked
        # The names are the original's: loaders look for them.
        inner.__tool = None
        inner.__name = name
        inner.__description = description
        inner.__type = type
        inner.__input_settings = input_settings
        inner.__extra_info = kwargs
        if isinstance(streaming_option_parameter, str) and streaming_option_parameter:
            setattr(inner, STREAMING_OPTION_PARAMETER_ATTR, streaming_option_parameter)
        return marked

    return mark if func is None else mark(func)


class ToolProvider(ABC):
    """The base class of tools that are methods: what `__init__` takes is part of each tool's inputs."""

    _instance_init_params = None

    def __new__(cls, *args, **kwargs):
        code = getattr(cls.__init__, "__code__", None)
        names = code.co_varnames[1 : code.co_argcount] if code is not None else ()
        cls._instance_init_params = {**dict(zip(names, args)), **kwargs}
        return super().__new__(cls)

    def __init__(self):
        self._init_params = self._instance_init_params

    @classmethod
    def get_initialize_inputs(cls):
        """The parameters of `__init__` by name."""
        import inspect

        return {name: about for name, about in inspect.signature(cls.__init__).parameters.items() if name != "self"}

    @classmethod
    def get_required_initialize_inputs(cls):
        """The parameters of `__init__` that have no default."""
        return {name: about for name, about in cls.get_initialize_inputs().items() if about.default is about.empty}
