"""Threads that know in which call they run."""

import contextvars
from concurrent.futures import ThreadPoolExecutor

__path__ = []


class ThreadPoolExecutorWithContext(ThreadPoolExecutor):
    """A pool of threads in which traced functions hang below whoever submitted them, and print as its node."""

    def submit(self, fn, /, *args, **kwargs):
        """Runs `fn` in the context of now."""
        return super().submit(contextvars.copy_context().run, fn, *args, **kwargs)
