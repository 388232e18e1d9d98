"""An iterator that remembers what it gave."""

from promptflow.tracing.contracts.generator_proxy import GeneratorProxy

__path__ = []


class IteratorProxy(GeneratorProxy):
    """Gives what an iterator gives; `items` is what it gave."""
