"""What tools print, told by the call that printed it."""

import contextvars
import io
import sys
import threading
import time

#: The call that runs in this context; None outside of any.
current = contextvars.ContextVar("sluicegate_call", default=None)

# Lines are told at once, so that they are heard even if the process dies of the next statement; whoever prints many is
# heard every 20 ms.
_AT_ONCE = 200
_PAUSE = 0.02
_LONGEST = 1 << 16


class _Pending:
    __slots__ = ("length", "pieces", "told")

    def __init__(self):
        self.pieces = []
        self.length = 0
        self.told = 0


class Tee(io.TextIOBase):
    """stdout or stderr: what a call prints goes to the host with the call's number, the rest to the worker's stderr."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, name, channel, rest, flusher):
        self.name = f"<{name}>"
        self._stream = name
        self._channel = channel
        self._rest = rest
        self._flusher = flusher
        self._pending = {}
        # Reentrant, since a signal handler or a finalizer may print while we do.
        self._lock = threading.RLock()

    def writable(self):
        return True

    def fileno(self):
        return self._rest.fileno()

    def isatty(self):
        return False

    @property
    def buffer(self):
        return _Bytes(self)

    def reconfigure(self, **_):
        """The host reads UTF-8 only."""

    def write(self, text):
        if type(text) is not str:
            if not isinstance(text, str):
                raise TypeError(f"write() argument must be str, not {type(text).__name__}")
            text = str.__str__(text)
        call = current.get()
        if call is None or not self._channel.open:
            self._rest.write(text)
            return len(text)
        with self._lock:
            pending = self._pending.get(call)
            if pending is None:
                pending = self._pending[call] = _Pending()
            pending.pieces.append(text)
            pending.length += len(text)
            if pending.length >= _LONGEST or (pending.told < _AT_ONCE and "\n" in text):
                pending.told += 1
                self._say(call, pending)
                return len(text)
        self._flusher.wake()
        return len(text)

    def flush(self):
        call = current.get()
        if call is None or not self._channel.open:
            try:
                self._rest.flush()
            except (OSError, ValueError):
                pass
            return
        with self._lock:
            pending = self._pending.get(call)
            if pending is not None:
                self._say(call, pending)

    def end(self, call):
        """Tells what a call printed and nobody has told yet; the call has ended."""
        if self._pending:
            with self._lock:
                pending = self._pending.pop(call, None)
                if pending is not None:
                    self._say(call, pending)

    def flush_all(self):
        """Tells what all calls printed."""
        with self._lock:
            for call, pending in list(self._pending.items()):
                self._say(call, pending)

    def after_fork(self):
        self._lock = threading.RLock()
        self._pending = {}

    def _say(self, call, pending):
        if not pending.pieces:
            return
        text = "".join(pending.pieces)
        pending.pieces, pending.length = [], 0
        text = text.encode("utf-8", "replace").decode("utf-8")
        for start in range(0, len(text), _LONGEST):
            piece = text[start : start + _LONGEST]
            self._channel.write({"op": "said", "of": call, "stream": self._stream, "text": piece})


class _Bytes(io.RawIOBase):
    """`sys.stdout.buffer`, for those who print bytes."""

    def __init__(self, tee):
        self._tee = tee

    def writable(self):
        return True

    def write(self, data):
        self._tee.write(bytes(data).decode("utf-8", "replace"))
        return len(data)

    def flush(self):
        self._tee.flush()

    def close(self):
        pass


class _Flusher:
    """A thread, from the first need on, that tells what was printed without a line end or in great numbers."""

    def __init__(self):
        self.tees = ()
        self._event = None

    def wake(self):
        event = self._event
        if event is None:
            event = self._event = threading.Event()
            threading.Thread(target=self._work, args=(event,), daemon=True).start()
        event.set()

    def after_fork(self):
        self._event = None

    def _work(self, event):
        current.set(None)
        while True:
            event.wait()
            event.clear()
            time.sleep(_PAUSE)
            for tee in self.tees:
                tee.flush_all()


def capture(channel):
    """Puts tees in place of stdout and stderr; gives them."""
    rest = sys.stderr
    flusher = _Flusher()
    tees = tuple(Tee(name, channel, rest, flusher) for name in ("stdout", "stderr"))
    flusher.tees = tees
    sys.stdout, sys.stderr = tees
    return tees


def after_fork():
    """Makes the locks new: the thread that held one is not in the fork."""
    for tee in (sys.stdout, sys.stderr):
        if isinstance(tee, Tee):
            tee.after_fork()
            tee._flusher.after_fork()


def inherit_in_threads():
    """Lets threads that a tool starts print, and ask the host, as the tool."""
    start = threading.Thread.start

    def start_in_context(self):
        call = current.get()
        if call is not None:
            run = self.run

            def run_as_call():
                current.set(call)
                run()

            self.run = run_as_call
        return start(self)

    threading.Thread.start = start_in_context
