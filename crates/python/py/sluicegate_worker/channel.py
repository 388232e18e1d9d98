"""The channel to the host: frames of a length (4 bytes, big-endian) and JSON.

Where there are Unix sockets, stdin is a socket that goes both ways, and stdout the reading end of a pipe into which the
host writes nothing: when that ends, the host is dead (see `life`). Elsewhere stdin and stdout are two pipes. Either way
only until `open` has moved them out of the way: then whatever prints, in Python, in C or in a subprocess, prints to stderr.
"""

import os
import threading

from . import life
from .jsontext import dumps, loads

#: The longest message, in bytes.
LONGEST = 1 << 30


class TooLong(Exception):
    """A message that is longer than a frame may be."""


class Channel:
    """Frames to and from the host. Any thread may write; one reads."""

    def __init__(self, incoming, outgoing, life):
        self._incoming = incoming
        self._outgoing = outgoing
        self._lock = threading.Lock()
        #: The pipe that ends with the host; None where there is none.
        self.life = life
        #: Whether this process may still speak: not after a fork, and not without a host.
        self.open = True
        #: Whether this is a fork of the worker, not the worker.
        self.forked = False

    @classmethod
    def take(cls, shape):
        """Takes stdin and stdout for the channel, and gives user code others in their place."""
        # What dup gives is not inherited by subprocesses.
        if shape == "socket":
            incoming, life = os.dup(0), os.dup(1)
            outgoing = incoming
        else:
            if os.name == "nt":
                import msvcrt

                msvcrt.setmode(0, os.O_BINARY)
                msvcrt.setmode(1, os.O_BINARY)
            incoming, outgoing, life = os.dup(0), os.dup(1), None
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        channel = cls(os.fdopen(incoming, "rb", 1 << 16), outgoing, life)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=channel._forget)
        return channel

    def _forget(self):
        # A fork must not speak for its parent, nor keep the channel open when its parent is dead.
        self.open = False
        self.forked = True
        self._lock = threading.Lock()
        for descriptor in {self._incoming.fileno(), self._outgoing, self.life}:
            try:
                if descriptor is not None:
                    os.close(descriptor)
            except OSError:
                pass

    def read(self):
        """The next message; None when the host is gone."""
        try:
            head = self._incoming.read(4)
            if len(head) < 4:
                return None
            length = int.from_bytes(head, "big")
            body = self._incoming.read(length)
        except OSError:
            return None
        if len(body) < length:
            return None
        return loads(body.decode("utf-8", "replace"))

    def write(self, message, then=None):
        """Sends a message, and another one with it. Raises TooLong, or ValueError for what JSON cannot hold; then nothing was
        sent."""
        body = dumps(message).encode("ascii")
        length = len(body)
        if length > LONGEST:
            raise TooLong(f"the value takes {length} bytes; at most {LONGEST} can be handed over")
        head = length.to_bytes(4, "big")
        tail = b""
        if then is not None:
            tail = dumps(then).encode("ascii")
            tail = len(tail).to_bytes(4, "big") + tail
        if length < 1 << 16:
            pieces = (memoryview(head + body + tail),)
        else:
            pieces = (memoryview(head), memoryview(body), memoryview(tail))
        with self._lock:
            if not self.open:
                return
            for piece in pieces:
                while piece:
                    try:
                        written = os.write(self._outgoing, piece[: 1 << 20])
                    except OSError:
                        # The host is gone, or the tool has closed what is not its own: nobody could hear us again.
                        life.end_all()
                    piece = piece[written:]
