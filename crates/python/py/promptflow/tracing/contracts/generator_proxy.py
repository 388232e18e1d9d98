"""An iterator that remembers what it gave."""

__path__ = []


class GeneratorProxy:
    """Gives what a generator gives; `items` is what it gave."""

    def __init__(self, generator):
        self._generator = generator
        self._items = []

    def __iter__(self):
        return self

    def __next__(self):
        item = next(self._generator)
        self._items.append(item)
        return item

    @property
    def items(self):
        """What it gave until now."""
        return self._items


class AsyncGeneratorProxy:
    """The same for an asynchronous generator."""

    def __init__(self, generator):
        self._generator = generator
        self._items = []

    def __aiter__(self):
        return self

    async def __anext__(self):
        item = await self._generator.__anext__()
        self._items.append(item)
        return item

    @property
    def items(self):
        """What it gave until now."""
        return self._items


def generate_from_proxy(proxy):
    """A generator of a proxy's items."""
    yield from proxy
