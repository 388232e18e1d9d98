"""A worker of sluicegate: loads Python tools and calls them for a host that speaks over a channel.

Standard library only, and little of it at the start: what a tool does not need is not imported. What user code and the
stand-in package may use is `sluicegate_worker.host`.
"""

import sys

if sys.dont_write_bytecode:
    from . import bytecode

    bytecode.keep()

from .worker import main  # noqa: E402

__all__ = ["main"]
