"""The client: runs, tests and connections from a program."""

from promptflow import _lazily

__path__ = []

_HOMES = {
    "PFClient": "promptflow._sdk._pf_client",
    "load_connection": "promptflow._sdk._pf_client",
    "load_flow": "promptflow.core._flow",
    "load_run": "promptflow._sdk._pf_client",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    return _lazily(__name__, _HOMES, name)


def __dir__():
    return sorted({*globals(), *_HOMES})
