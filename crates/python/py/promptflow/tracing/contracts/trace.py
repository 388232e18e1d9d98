"""Kinds of spans."""

from enum import Enum

__path__ = []


class TraceType(str, Enum):
    """Kinds of spans."""

    LLM = "LLM"
    TOOL = "Tool"
    FUNCTION = "Function"
    LANGCHAIN = "LangChain"
    FLOW = "Flow"
    EMBEDDING = "Embedding"
    RETRIEVAL = "Retrieval"
    PROMPT = "Prompt"


class Trace:
    """One call, for code that makes them itself."""

    def __init__(self, name=None, type=None, inputs=None, output=None, start_time=None, end_time=None, error=None, children=None, **kwargs):
        self.name = name
        self.type = type
        self.inputs = inputs
        self.output = output
        self.start_time = start_time
        self.end_time = end_time
        self.error = error
        self.children = children
        self.__dict__.update(kwargs)
