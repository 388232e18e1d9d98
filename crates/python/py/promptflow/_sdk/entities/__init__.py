"""The same as promptflow.entities."""

import promptflow.entities as _entities
from promptflow import _lazily
from promptflow.entities import _HOMES

__all__ = _entities.__all__


def __getattr__(name):
    return _lazily(__name__, _HOMES, name)
