"""Connections under their older name."""

from promptflow.connections import *  # noqa: F403
from promptflow.connections import _Connection, _StrongTypeConnection  # noqa: F401

__path__ = []
