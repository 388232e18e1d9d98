"""What is experimental in tracing."""

from promptflow.tracing._trace import enrich_prompt_template  # noqa: F401

__path__ = []
