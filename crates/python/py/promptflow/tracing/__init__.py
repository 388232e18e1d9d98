"""`@trace`: spans for an author's own functions."""

from promptflow import __version__, _lazily

_HOMES = {
    "ThreadPoolExecutorWithContext": "promptflow.tracing._context_utils",
    "start_trace": "promptflow.tracing._trace",
    "trace": "promptflow.tracing._trace",
}

__all__ = ["ThreadPoolExecutorWithContext", "__version__", "start_trace", "trace"]


def __getattr__(name):
    return _lazily(__name__, _HOMES, name)


def __dir__():
    return sorted({*globals(), *_HOMES})
