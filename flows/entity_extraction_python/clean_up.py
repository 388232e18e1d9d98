"""The list that a model's untidy answer means."""

from typing import List

from promptflow.core import tool


@tool
def clean_up(reply: str) -> List[str]:
    """Splits at commas, strips blanks, dots and quotes, drops what is empty."""
    entities = [entity.strip(' \t\n."') for entity in reply.split(",")]
    return [entity for entity in entities if entity]
