"""Errors of prompties and connections."""

from promptflow.exceptions import ErrorTarget, SystemErrorException, UserErrorException
from promptflow.tools.exception import (  # noqa: F401 - the same classes under both names
    ChatAPIFunctionRoleInvalidFormat,
    ChatAPIInvalidFunctions,
    ChatAPIInvalidTools,
    ChatAPIToolRoleInvalidFormat,
    ExceedMaxRetryTimes,
    JinjaTemplateError,
    LLMError,
    ToolValidationError,
    WrappedOpenAIError,
)

__path__ = []


class CoreError(UserErrorException):
    """What goes wrong in the core."""

    def __init__(self, message="", target=ErrorTarget.CORE, **kwargs):
        super().__init__(message, target=target, **kwargs)


class CoreInternalError(SystemErrorException):
    """What should not go wrong in the core."""


class ChatAPIInvalidRoleError(CoreError):
    """A prompty's text that has no message, or one of no known role."""


class InvalidConnectionError(CoreError):
    """A connection that cannot be used here."""


class InvalidOutputKeyError(CoreError):
    """A declared output that the model's JSON does not have."""


class InvalidSampleError(CoreError):
    """A prompty's sample that cannot be read."""


class MissingRequiredInputError(CoreError):
    """Inputs that have no default and were not given."""


class RequiredEnvironmentVariablesNotSetError(CoreError):
    """Environment variables that a connection is made of."""

    def __init__(self, env_vars=(), cls_name="", message="", **kwargs):
        super().__init__(message or f"Required environment variables {list(env_vars)} to build {cls_name} not set.", **kwargs)


class UnknownConnectionType(CoreError):
    """A type of connection that nobody knows."""
