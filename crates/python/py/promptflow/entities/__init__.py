"""Connections, runs and the settings of flows and tools."""

from promptflow import _lazily

_HOMES = {
    **dict.fromkeys(
        (
            "AzureAIServicesConnection",
            "AzureContentSafetyConnection",
            "AzureOpenAIConnection",
            "CognitiveSearchConnection",
            "CustomConnection",
            "CustomStrongTypeConnection",
            "FormRecognizerConnection",
            "OpenAIConnection",
            "QdrantConnection",
            "SerpConnection",
            "ServerlessConnection",
            "WeaviateConnection",
        ),
        "promptflow.connections",
    ),
    "AsyncFlow": "promptflow.core._flow",
    "DynamicList": "promptflow._core._tool_settings",
    "Flow": "promptflow.core._flow",
    "FlowContext": "promptflow.core._flow",
    "InputSetting": "promptflow._core._tool_settings",
    "Prompty": "promptflow.core._flow",
    "Run": "promptflow._sdk.entities._run",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    return _lazily(__name__, _HOMES, name)


def __dir__():
    return sorted({*globals(), *_HOMES})
