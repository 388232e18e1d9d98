"""Entities of a text, as a class."""

from clean_up import clean_up
from promptflow.core import Prompty
from promptflow.tracing import trace


class EntityExtraction:
    """Finds at most `most` entities."""

    def __init__(self, most: int = 100):
        self.most = most
        self.ask = Prompty.load(source="entity_extraction.prompty")

    @trace
    def __call__(self, entity_type: str, text: str) -> dict:
        found = clean_up(self.ask(entity_type=entity_type, text=text))
        return {"answer": found[: self.most]}
