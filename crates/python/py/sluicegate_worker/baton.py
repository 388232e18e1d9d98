"""Who holds the baton runs a synchronous tool."""

import threading


class Baton:
    """One synchronous call at a time, since tools were written for that.

    A call that waits for the host gives the baton up, so that a worker that waits is not busy: what the host does for the
    call may need this very worker. It is the call's, not the thread's: a tool may ask from threads of its own and wait for
    these.
    """

    def __init__(self):
        self._changed = threading.Condition(threading.Lock())
        self._holder = None
        self._running = set()
        self._waiting = {}

    def take(self, call):
        """Waits until `call` may run."""
        with self._changed:
            while self._holder is not None:
                self._changed.wait()
            self._holder = call
            self._running.add(call)

    def give(self, call):
        """`call` has ended."""
        with self._changed:
            self._running.discard(call)
            if self._holder == call:
                self._holder = None
                self._changed.notify_all()

    def given_up(self, call):
        """While this is entered, `call` waits for something that is not its own work."""
        return _GivenUp(self, call)

    def waits(self, call):
        """Whether `call` has given the baton up."""
        with self._changed:
            return call in self._waiting

    def _give_up(self, call):
        with self._changed:
            self._waiting[call] = self._waiting.get(call, 0) + 1
            if self._holder == call:
                self._holder = None
                self._changed.notify_all()

    def _take_back(self, call):
        with self._changed:
            left = self._waiting[call] - 1
            if left:
                self._waiting[call] = left
                return
            del self._waiting[call]
            while call in self._running and call not in self._waiting and self._holder != call:
                if self._holder is None:
                    self._holder = call
                    return
                self._changed.wait()

    def after_fork(self):
        self._changed = threading.Condition(threading.Lock())


class _GivenUp:
    def __init__(self, baton, call):
        self._baton = baton
        self._call = call

    def __enter__(self):
        if self._call is not None:
            self._baton._give_up(self._call)

    def __exit__(self, *_):
        if self._call is not None:
            self._baton._take_back(self._call)
