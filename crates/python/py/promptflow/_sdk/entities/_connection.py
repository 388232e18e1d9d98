"""Connections under the client's name."""

from promptflow.connections import *  # noqa: F403
from promptflow.connections import _Connection  # noqa: F401

__path__ = []
