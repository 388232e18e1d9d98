"""Azure Content Safety: there to be imported; its analysis is not offered."""

from enum import Enum

from promptflow._core.tool import tool
from promptflow.connections import AzureContentSafetyConnection

__path__ = []


class TextCategorySensitivity(str, Enum):
    """How strict a category is."""

    DISABLE = "disable"
    LOW_SENSITIVITY = "low_sensitivity"
    MEDIUM_SENSITIVITY = "medium_sensitivity"
    HIGH_SENSITIVITY = "high_sensitivity"


@tool
def analyze_text(
    connection: AzureContentSafetyConnection,
    text: str,
    hate_category: TextCategorySensitivity = TextCategorySensitivity.MEDIUM_SENSITIVITY,
    sexual_category: TextCategorySensitivity = TextCategorySensitivity.MEDIUM_SENSITIVITY,
    self_harm_category: TextCategorySensitivity = TextCategorySensitivity.MEDIUM_SENSITIVITY,
    violence_category: TextCategorySensitivity = TextCategorySensitivity.MEDIUM_SENSITIVITY,
):
    """Raises, and says what to do instead."""
    from promptflow._absent import not_offered

    raise not_offered("promptflow.tools.azure_content_safety", "call {endpoint}/contentsafety/text:analyze in an `http` node with the connection's key")
