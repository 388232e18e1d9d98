"""Exceptions of promptflow: a tool raises them to say whose fault it is."""

import builtins
import sys
from enum import Enum

__path__ = []


class ErrorCategory(str, Enum):
    """Whose fault an error is."""

    USER_ERROR = "UserError"
    SYSTEM_ERROR = "SystemError"
    UNKNOWN = "Unknown"


class ErrorTarget(str, Enum):
    """The part in which an error happened."""

    EXECUTOR = "Executor"
    BATCH = "Batch"
    CORE = "Core"
    FLOW_EXECUTOR = "FlowExecutor"
    NODE_EXECUTOR = "NodeExecutor"
    TOOL = "Tool"
    AZURE_RUN_STORAGE = "AzureRunStorage"
    RUNTIME = "Runtime"
    UNKNOWN = "Unknown"
    RUN_TRACKER = "RunTracker"
    RUN_STORAGE = "RunStorage"
    CONTROL_PLANE_SDK = "ControlPlaneSDK"
    SERVING_APP = "ServingApp"
    FLOW_INVOKER = "FlowInvoker"
    FUNCTION_PATH = "FunctionPath"
    EVAL = "Eval"


class PromptflowException(Exception):
    """The base of all of them.

    The text is `message`, or `message_format` filled with the other keyword arguments; `error` is the exception behind it.
    """

    def __init__(
        self,
        message="",
        message_format="",
        target=ErrorTarget.UNKNOWN,
        module=None,
        privacy_info=None,
        **kwargs,
    ):
        self._inner_exception = kwargs.get("error")
        self._target = target
        self._module = module
        self._message_format = message_format
        self._privacy_info = privacy_info
        self._kwargs = kwargs
        if message:
            self._message = str(message)
        elif message_format:
            self._message = message_format.format(**self.message_parameters)
        else:
            self._message = type(self).__name__
        super().__init__(self._message)

    @property
    def message(self):
        """What went wrong, in words."""
        return self._message

    @property
    def message_format(self):
        """The words before they were filled."""
        return self._message_format

    @property
    def message_parameters(self):
        """What the words are filled with; what was not given stands there as `<name>`."""
        if not self._kwargs:
            return {}
        return {name: self._kwargs.get(name, f"<{name}>") for name in self.get_arguments_from_message_format(self.message_format)}

    @property
    def serializable_message_parameters(self):
        """The same as text."""
        return {name: str(value) for name, value in self.message_parameters.items()}

    @property
    def target(self):
        """The part in which it happened, an ErrorTarget."""
        return self._target

    @target.setter
    def target(self, value):
        self._target = value

    @property
    def module(self):
        """The module in which it happened: finer than `target`."""
        return self._module

    @module.setter
    def module(self, value):
        self._module = value

    @property
    def reference_code(self):
        """`target`, or `target/module`."""
        target = self.target.value if isinstance(self.target, ErrorTarget) else self.target
        return f"{target}/{self.module}" if self.module else target

    @property
    def inner_exception(self):
        """The exception behind this one: given as `error`, or by `raise … from …`."""
        return self._inner_exception or self.__cause__

    @property
    def additional_info(self):
        """More about it, a dict; None for most."""
        return None

    @property
    def error_codes(self):
        """`UserError` or `SystemError`, and the names of the classes inside of it."""
        codes = getattr(self, "_error_codes", None)
        if codes is None:
            codes = []
            for kind in type(self).__mro__:
                if kind is PromptflowException:
                    break
                name = kind.__name__
                codes.append(name[: -len("Exception")] if name in ("UserErrorException", "SystemErrorException") else name)
            codes.reverse()
            self._error_codes = codes
        return codes

    def get_arguments_from_message_format(self, message_format):
        """The names in curly braces."""
        import string

        return {name for _, name, _, _ in string.Formatter().parse(message_format or "") if name is not None}

    def __str__(self):
        return self.message


class UserErrorException(PromptflowException):
    """Something that whoever runs the flow can put right."""


class SystemErrorException(PromptflowException):
    """Something that whoever runs the flow cannot help."""


class ValidationException(UserErrorException):
    """Something that does not have the form it should have."""


_made = {}


def _of_name(name, message, codes=()):
    """An exception of the class `name`: one of ours, a built-in one, or one made for the name."""
    kind = _known(name)
    try:
        error = kind(message) if kind is not None else None
    except Exception:  # noqa: BLE001 - a class that wants more than a text
        error = None
    if error is None:
        base = SystemErrorException if codes and codes[0] == "SystemError" else UserErrorException
        kind = _made.get((name, base))
        if kind is None:
            kind = _made[(name, base)] = type(str(name), (base,), {"__module__": __name__, "__doc__": "An error of the host."})
        error = kind(message)
    if isinstance(error, PromptflowException):
        # Not through the constructor: some refuse an empty text, and some make their own of it.
        error._message = message or error._message
        error.args = (error._message,)
        if codes:
            error._error_codes = list(codes)
    return error


def _known(name):
    for home in ("promptflow.exceptions", "promptflow.core._errors", "promptflow.tools.exception", "promptflow._sdk._errors"):
        if home not in sys.modules:
            __import__(home)
        kind = vars(sys.modules[home]).get(name)
        if isinstance(kind, type) and issubclass(kind, PromptflowException):
            return kind
    kind = getattr(builtins, name, None)
    return kind if isinstance(kind, type) and issubclass(kind, Exception) else None
