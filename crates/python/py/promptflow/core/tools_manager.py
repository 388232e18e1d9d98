"""Registering under its older name."""

from promptflow._core.tools_manager import *  # noqa: F403

__path__ = []
