"""The tools that promptflow-tools brings: those that ask a model go through the host."""

from promptflow import _lazily

_HOMES = {
    "AzureOpenAI": "promptflow.tools.aoai",
    "OpenAI": "promptflow.tools.openai",
    "OpenModelLLM": "promptflow.tools.open_model_llm",
    "SerpAPI": "promptflow.tools.serpapi",
}

_MODULES = frozenset(("aoai", "aoai_gpt4v", "azure_content_safety", "common", "embedding", "open_model_llm", "openai", "openai_gpt4v", "serpapi"))


def __getattr__(name):
    if name in _MODULES:
        from sys import modules

        __import__("promptflow.tools." + name)
        return modules["promptflow.tools." + name]
    return _lazily(__name__, _HOMES, name)


def __dir__():
    return sorted({*globals(), *_HOMES, *_MODULES})
