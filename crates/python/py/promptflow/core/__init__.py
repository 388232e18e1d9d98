"""Tools, metrics, prompties and flows as functions."""

from promptflow import __version__, _lazily

__all__ = [
    "AsyncFlow",
    "AsyncPrompty",
    "AzureOpenAIModelConfiguration",
    "Flow",
    "ModelConfiguration",
    "OpenAIModelConfiguration",
    "Prompty",
    "ToolProvider",
    "__version__",
    "log_flow_metric",
    "log_metric",
    "tool",
]

_HOMES = {
    "AsyncFlow": "promptflow.core._flow",
    "AsyncPrompty": "promptflow.core._flow",
    "AzureOpenAIModelConfiguration": "promptflow.core._model_configuration",
    "Flow": "promptflow.core._flow",
    "ModelConfiguration": "promptflow.core._model_configuration",
    "OpenAIModelConfiguration": "promptflow.core._model_configuration",
    "Prompty": "promptflow.core._flow",
    "ToolProvider": "promptflow._core.tool",
    "log_flow_metric": "promptflow._core.metric_logger",
    "log_metric": "promptflow._core.metric_logger",
    "tool": "promptflow._core.tool",
}


def __getattr__(name):
    return _lazily(__name__, _HOMES, name)


def __dir__():
    return sorted({*globals(), *_HOMES})
