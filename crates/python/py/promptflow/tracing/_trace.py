"""The decorators of tracing."""

from promptflow import _spans

__path__ = []


def trace(func=None, *, name=None, attributes=None, trace_type=None, **_):
    """Notes each call of a function, with its inputs, its output and its error, below the node that runs.

    Bare and with arguments; functions, methods, coroutines and generators of both kinds. Nothing happens outside of a run.
    """
    kind = getattr(trace_type, "value", trace_type) or "Function"

    def decorate(function):
        return _spans.traced(function, name=name, kind=kind, attributes=attributes)

    return decorate if func is None else decorate(func)


def start_trace(*, resource_attributes=None, collection=None, **kwargs):
    """Nothing to do: a run is traced as the project's config says."""


def _traced(func=None, *, args_to_ignore=None, trace_type=None, name=None):
    """The same as `trace`, under the name that some import."""
    return trace(func, name=name, trace_type=trace_type)


def enrich_prompt_template(template, variables, span=None):
    """Nothing to do: the host notes prompts where it renders them."""
