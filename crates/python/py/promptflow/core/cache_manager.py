"""Caching under its older name."""

from promptflow._core.cache_manager import *  # noqa: F403

__path__ = []
