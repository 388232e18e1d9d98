"""Entities of a text, as a function."""

from clean_up import clean_up
from promptflow.core import Prompty
from promptflow.tracing import trace


@trace
def extract(entity_type: str, text: str) -> dict:
    """Asks the prompty, and cleans up what it says."""
    ask = Prompty.load(source="entity_extraction.prompty")
    return {"answer": clean_up(ask(entity_type=entity_type, text=text))}
