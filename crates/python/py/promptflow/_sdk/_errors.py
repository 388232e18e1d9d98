"""Errors of runs."""

from promptflow.exceptions import ErrorTarget, UserErrorException

__path__ = []


class SDKError(UserErrorException):
    """What goes wrong in the client."""

    def __init__(self, message="", target=ErrorTarget.CONTROL_PLANE_SDK, **kwargs):
        super().__init__(message, target=target, **kwargs)


class RunExistsError(SDKError):
    """A run of that name is there."""


class RunNotFoundError(SDKError):
    """There is no run of that name."""


class InvalidRunStatusError(SDKError):
    """A run that has failed, or has not ended."""


class RunOperationParameterError(SDKError):
    """What is asked of a run makes no sense."""


class RunOperationError(SDKError):
    """What is asked of a run cannot be done now."""
