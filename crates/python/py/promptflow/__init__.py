"""sluicegate's stand-in for the promptflow package.

What the Python code of a flow imports works with nothing installed: decorators, connections, images and exceptions are
here; what needs a model, a prompty or another flow asks the host (see `_host`, and HOST.md for the questions). A tool file
costs little: everything is imported when it is first used.
"""

import sys

__version__ = "1.18.5+sluicegate"

#: Tells the stand-in from the real package.
__sluicegate__ = True

__all__ = ["PFClient", "ToolProvider", "__version__", "load_flow", "log_flow_metric", "log_metric", "tool"]

_HOMES = {
    "PFClient": "promptflow.client",
    "ToolProvider": "promptflow._core.tool",
    "load_flow": "promptflow.client",
    "log_flow_metric": "promptflow._core.metric_logger",
    "log_metric": "promptflow._core.metric_logger",
    "tool": "promptflow._core.tool",
}

# Those that `import promptflow` alone gives as attributes.
_MODULES = frozenset(("client", "connections", "contracts", "core", "entities", "exceptions", "executor", "tools", "tracing"))


def _lazily(module, homes, name):
    """The value of `name` in the module `module`, taken from its home and kept."""
    home = homes.get(name)
    if home is None:
        raise AttributeError(f"module '{module}' of sluicegate's stand-in has no attribute '{name}'")
    __import__(home)
    value = getattr(sys.modules[home], name)
    setattr(sys.modules[module], name, value)
    return value


def __getattr__(name):
    if name in _MODULES:
        __import__("promptflow." + name)
        return sys.modules["promptflow." + name]
    return _lazily(__name__, _HOMES, name)


def __dir__():
    return sorted({*globals(), *_HOMES, *_MODULES})


class _Absent:
    """The last of the import system's finders: says by name what the stand-in lacks."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith("promptflow.") and getattr(sys.modules.get("promptflow"), "__sluicegate__", False):
            from promptflow._absent import not_found

            raise not_found(name)
        return None


if not any(getattr(finder, "__qualname__", "") == "_Absent" for finder in sys.meta_path):
    sys.meta_path.append(_Absent)
