"""Who holds the baton runs a synchronous tool."""

import threading
from _collections import deque


class Baton:
    """One synchronous call at a time, since tools were written for that; who wants it gets it in the order of asking.

    A call that waits for the host gives the baton up, so that a worker that waits is not busy: what the host does for the
    call may need this very worker. It is the call's, not the thread's: a tool may ask from threads of its own and wait for
    these.

    Who wants it is a thread that waits at a gate, or a message that waits without one: no thread need be woken for the next
    call if the one that has just ended a call can go on with it.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._holder = None
        self._running = set()
        self._waiting = {}
        # Who wants it: call, gate, message. Nobody, while nobody holds it.
        self._next = deque()
        #: Does what a message wants, in another thread, the baton being its call's already.
        self.start = None

    def take(self, call):
        """Waits until `call` may run; says whether it had to wait."""
        with self._lock:
            if self._holder is None:
                self._holder = call
                self._running.add(call)
                return False
            gate = self._gate_for(call)
        gate.acquire()
        return True

    def take_or_queue(self, call, message):
        """Whether `call` may run now. If not, whoever passes the baton on sees to its message."""
        with self._lock:
            if self._holder is None:
                self._holder = call
                self._running.add(call)
                return True
            self._next.append((call, None, message))
            return False

    def unqueue(self, call):
        """Takes a call out that waits as a message; says whether it was there, and so has not begun."""
        with self._lock:
            for entry in self._next:
                if entry[0] == call and entry[1] is None:
                    self._next.remove(entry)
                    return True
        return False

    def give(self, call):
        """`call` has ended. Gives the message whose turn it is, the baton being its call's already: it is the caller's to do."""
        with self._lock:
            self._running.discard(call)
            if self._next:
                self._open_gates(call)
            return self._pass_on() if self._holder == call else None

    def given_up(self, call):
        """While this is entered, `call` waits for something that is not its own work."""
        return _GivenUp(self, call)

    def waits(self, call):
        """Whether `call` has given the baton up."""
        with self._lock:
            return call in self._waiting

    def _give_up(self, call):
        with self._lock:
            self._waiting[call] = self._waiting.get(call, 0) + 1
            if self._next:
                # Other threads of it go on without: it does not hold the baton while one of them waits.
                self._open_gates(call)
            message = self._pass_on() if self._holder == call else None
        if message is not None:
            self.start(message)

    def _take_back(self, call):
        with self._lock:
            left = self._waiting[call] - 1
            if left:
                self._waiting[call] = left
                return
            del self._waiting[call]
            if call not in self._running or self._holder == call:
                return
            if self._holder is None:
                self._holder = call
                return
            gate = self._gate_for(call)
        gate.acquire()

    def _gate_for(self, call):
        gate = threading.Lock()
        gate.acquire()
        self._next.append((call, gate, None))
        return gate

    def _open_gates(self, call):
        for entry in [entry for entry in self._next if entry[0] == call and entry[1] is not None]:
            self._next.remove(entry)
            entry[1].release()

    def _pass_on(self):
        if not self._next:
            self._holder = None
            return None
        self._holder, gate, message = self._next.popleft()
        self._running.add(self._holder)
        if gate is not None:
            gate.release()
        return message

    def after_fork(self):
        # What waits is the parent's to do.
        self._lock = threading.Lock()
        self._next.clear()


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
