"""What packages of tools import."""

from promptflow import _lazily

_HOMES = {
    "AbstractCacheManager": "promptflow._core.cache_manager",
    "CacheManager": "promptflow._core.cache_manager",
    "OperationContext": "promptflow.tracing._operation_context",
    "ToolInvoker": "promptflow._core.tool",
    "ToolProvider": "promptflow._core.tool",
    "collect_package_tools": "promptflow._core.tools_manager",
    "enable_cache": "promptflow._core.cache_manager",
    "log_metric": "promptflow._core.metric_logger",
    "register_api_method": "promptflow._core.tools_manager",
    "register_apis": "promptflow._core.tools_manager",
    "register_builtin_method": "promptflow._core.tools_manager",
    "register_builtins": "promptflow._core.tools_manager",
    "register_connections": "promptflow._core.tools_manager",
    "render_jinja_template": "promptflow.tools.common",
    "tool": "promptflow._core.tool",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    return _lazily(__name__, _HOMES, name)


def __dir__():
    return sorted({*globals(), *_HOMES})
