"""`log_metric`: numbers about a whole run."""

import sys

__path__ = []

_listeners = []


def log_metric(key, value, variant_id=None):
    """Notes a metric of the run; what the host keeps are those of aggregation nodes."""
    for listener in list(_listeners):
        listener(key, value) if _takes_two(listener) else listener(key, value, variant_id)
    link = getattr(sys.modules.get("sluicegate_worker.host"), "link", None)
    if link is None:
        return
    from promptflow import _host

    fields = {"key": str(key), "value": _host.plain(value)}
    if variant_id is not None:
        fields["variant_id"] = str(variant_id)
    link.note("metric", **fields)


log_flow_metric = log_metric


def add_metric_logger(logger_func):
    """Has `logger_func` hear of each metric too."""
    if logger_func not in _listeners:
        _listeners.append(logger_func)


def remove_metric_logger(logger_func):
    """Takes back `add_metric_logger`."""
    if logger_func in _listeners:
        _listeners.remove(logger_func)


def _takes_two(listener):
    import inspect

    return len(inspect.signature(listener).parameters) == 2
