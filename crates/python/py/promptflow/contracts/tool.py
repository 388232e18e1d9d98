"""Kinds of tools and of values."""

from enum import Enum

from promptflow._core.tool import ToolType  # noqa: F401
from promptflow.contracts.types import AssistantDefinition, FilePath, PromptTemplate, Secret  # noqa: F401

__path__ = []


class ValueType(str, Enum):
    """Types of inputs and outputs."""

    INT = "int"
    DOUBLE = "double"
    BOOL = "bool"
    STRING = "string"
    SECRET = "secret"
    PROMPT_TEMPLATE = "prompt_template"
    LIST = "list"
    OBJECT = "object"
    FILE_PATH = "file_path"
    IMAGE = "image"
    ASSISTANT_DEFINITION = "assistant_definition"
