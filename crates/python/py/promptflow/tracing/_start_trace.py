"""`start_trace` under its own module's name."""

from promptflow.tracing._trace import start_trace  # noqa: F401

__path__ = []
