"""Errors of the tools."""

from promptflow.exceptions import ErrorTarget, SystemErrorException, UserErrorException

__path__ = []


class ToolValidationError(UserErrorException):
    """A tool that was given what it cannot take."""

    def __init__(self, message="", **kwargs):
        super().__init__(message, **{"target": ErrorTarget.TOOL, **kwargs})


class LLMError(UserErrorException):
    """A call of a model that failed for a reason of its own."""

    def __init__(self, message="", **kwargs):
        super().__init__(message, **{"target": ErrorTarget.TOOL, **kwargs})


class WrappedOpenAIError(UserErrorException):
    """What an OpenAI endpoint refused; made of a message, or of an exception of the openai package."""

    def __init__(self, ex="", **kwargs):
        kwargs.pop("message", None)
        super().__init__(str(ex), **{"target": ErrorTarget.TOOL, **kwargs})
        self._ex = ex

    @property
    def error_codes(self):
        """`UserError`, `OpenAIError` and the class of the openai package, if it came from there."""
        codes = self.__dict__.get("_error_codes")
        if codes is None:
            inner = type(self._ex).__name__ if isinstance(self._ex, BaseException) else type(self).__name__
            codes = ["UserError", "OpenAIError", inner]
        return codes


class ExceedMaxRetryTimes(WrappedOpenAIError):
    """A call that failed as often as it may."""


class JinjaTemplateError(ToolValidationError):
    """A template that cannot be rendered."""


class ChatAPIInvalidRole(ToolValidationError):
    """A chat prompt without messages, or with one of no known role."""


class ChatAPIFunctionRoleInvalidFormat(ToolValidationError):
    """A function's message that is not of its form."""


class ChatAPIToolRoleInvalidFormat(ToolValidationError):
    """A tool's message that is not of its form."""


class ChatAPIInvalidFunctions(ToolValidationError):
    """Functions for the model that are not of their form."""


class ChatAPIInvalidTools(ToolValidationError):
    """Tools for the model that are not of their form."""


class ChatAPIAssistantRoleInvalidFormat(ToolValidationError):
    """An assistant's message that is not of its form."""


class FunctionCallNotSupportedInStreamMode(ToolValidationError):
    """Functions or tools together with streaming."""


class InvalidConnectionType(ToolValidationError):
    """A connection of a type that the tool cannot use."""


class ListDeploymentsError(ToolValidationError):
    """Deployments that could not be listed."""


class ParseConnectionError(ToolValidationError):
    """A connection's resource id that cannot be read."""


class SerpAPIUserError(UserErrorException):
    """What SerpAPI refused."""


class SerpAPISystemError(SystemErrorException):
    """What went wrong at SerpAPI."""


class OpenModelLLMOnlineEndpointError(UserErrorException):
    """What an online endpoint refused."""


class OpenModelLLMUserError(UserErrorException):
    """What an open model was asked wrongly."""


class OpenModelLLMKeyValidationError(ToolValidationError):
    """A connection of an open model that lacks a key."""


class AzureContentSafetyInputValueError(UserErrorException):
    """What Azure Content Safety cannot take."""


class AzureContentSafetySystemError(SystemErrorException):
    """What went wrong at Azure Content Safety."""
