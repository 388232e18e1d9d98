"""The worker: reads what the host wants, and does it."""

import os
import sys
import threading
from _queue import SimpleQueue
from time import monotonic

from . import failures, host, life, output, tools
from .baton import Baton
from .channel import Channel, TooLong
from .jsontext import dumps
from .values import Lost, Values

#: The version of the words that worker and host exchange.
VERSION = 2


class Worker:
    """What one worker holds: its tools, objects and calls."""

    def __init__(self, channel, hello):
        self.channel = channel
        self.values = Values(hello["worker"])
        self.baton = Baton()
        self.baton.start = self._start_waited
        self.tools = {}
        self.link = host.link = host.Link(
            channel, self.values, self.baton, _BUILD, hello.get("tracing", True)
        )
        self.tees = output.capture(channel)
        output.inherit_in_threads()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)
        self._idle = SimpleQueue()
        self._spare = 0
        self._lock = threading.Lock()
        self._loop = None
        self._tasks = {}
        self._to_load = SimpleQueue()
        # The load that runs in the main thread.
        self._loading = None
        # Calls that have not ended, and those of them that nobody waits for.
        self._active = set()
        self._cancelled = set()

    # -- threads -------------------------------------------------------------------------------------------------------

    def run_in_thread(self, work, message):
        """Runs `work` in a thread that waits for work, or in a new one."""
        with self._lock:
            if self._spare > 0:
                self._spare -= 1
                self._idle.put((work, message))
                return
        threading.Thread(target=self._work, args=(work, message), daemon=True).start()

    def _work(self, work, message):
        while True:
            output.current.set(None)
            work(message)
            work = message = None
            with self._lock:
                self._spare += 1
            work, message = self._idle.get()

    def load_for_ever(self):
        """Loads what is to be loaded, in the thread that calls this."""
        while True:
            message = self._to_load.get()
            output.current.set(None)
            self._loading = message["id"]
            self.load(message)
            self._loading = None

    def _load_soon(self, message):
        """Hands a file to the main thread; one that is wanted while that waits for the host goes to another thread."""
        if self._loading is not None and self.baton.waits(self._loading):
            self.run_in_thread(self.load, message)
        else:
            self._to_load.put(message)

    def loop(self):
        """The event loop of asynchronous tools, in its own thread."""
        with self._lock:
            if self._loop is None:
                import asyncio

                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, daemon=True).start()
            return self._loop

    def _after_fork(self):
        self.baton.after_fork()
        output.after_fork()

    # -- answers -------------------------------------------------------------------------------------------------------

    def _done(self, number, value, then=None, took=None):
        """Answers with a value that can travel as it is. `then` is said with it, `took` are the microseconds of a call."""
        self._end(number, 0)
        told = {"op": "done", "re": number, "value": value}
        if took is not None:
            told["took"] = took
        try:
            self.channel.write(told, then)
        except (TooLong, ValueError, MemoryError, RecursionError) as error:
            told = {"op": "failed", "re": number, "error": failures.told(error), "code": _code_of(error)}
            self.channel.write(told, then)

    def _failed(self, number, error, code=None, then=None, took=None):
        self._end(number, error.code if isinstance(error, SystemExit) else 1)
        if code is None:
            code = _code_of(error)
        try:
            told = failures.told(error)
        except Exception as inner:  # noqa: BLE001 - a class that lies about itself
            told = {"type": type(error).__name__, "module": "", "message": f"<it cannot be told: {type(inner).__name__}>"}
        told = {"op": "failed", "re": number, "error": told, "code": code}
        if took is not None:
            told["took"] = took
        self.channel.write(told, then)

    def _end(self, number, status):
        if self.channel.forked:
            # The tool has forked, and this is the child's way out of the tool.
            try:
                sys.stderr.flush()
            finally:
                os._exit(status if isinstance(status, int) else 1)
        for tee in self.tees:
            tee.end(number)
        self.link.end(number)
        self._active.discard(number)
        self._cancelled.discard(number)

    def _take(self, number, message):
        """Waits for the baton. What did not run at once says when it begins: its time is counted from then."""
        if self.baton.take(number) or message["behind"]:
            self.channel.write(_begun(message))

    def _give(self, number):
        following = self.baton.give(number)
        if following is not None:
            self._start_waited(following)

    # -- what the host may want ----------------------------------------------------------------------------------------

    def load(self, message):
        number = message["id"]
        output.current.set(number)
        self._take(number, message)
        try:
            self._stop_if_cancelled(number)
            tool = self.tools.get(message["tool"])
            if tool is None:
                if "file" in message:
                    tool = tools.load_file(message["file"])
                elif "entry" in message:
                    init = message.get("init") or {}
                    arguments = {name: self._in(value) for name, value in init.items()}
                    method = message.get("method", "__call__")
                    tool = tools.load_entry(message["entry"], dumps(init), arguments, method)
                else:
                    tool = tools.load_package(message["package"])
                self.tools[message["tool"]] = tool
            value = self.values.plain(tool.describe())
        except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit too
            self._give(number)
            if isinstance(error, tools.LoadError):
                return self._failed(number, error.__cause__ or error, {"load": error.code, "message": str(error)})
            return self._failed(number, error, _code_of(error) or {"load": type(error).__name__})
        self._give(number)
        self._done(number, value)

    def call(self, message):
        """Begins a call, or lets it wait for its turn; from the thread that reads."""
        number = message["id"]
        tool = self.tools.get(message["tool"])
        if tool is None or (tool.is_async and self._loop is None):
            self.run_in_thread(self._call_first, message)
        elif tool.is_async:
            self._call_async(number, tool, message)
        elif self.baton.take_or_queue(number, message):
            self.run_in_thread(self._call_in_turn, message)

    def _call_first(self, message):
        number = message["id"]
        tool = self.tools.get(message["tool"])
        if tool is None:
            return self._failed(number, tools.LoadError("NoSuchTool", "the tool is not loaded in this worker"), "worker")
        self._call_async(number, tool, message)

    def _start_waited(self, message):
        self.run_in_thread(self._call_waited, message)

    def _call_waited(self, message):
        message["behind"] = 1
        self._call_in_turn(message)

    def _call_in_turn(self, message):
        """Runs a synchronous call, and then those that have come in meanwhile."""
        if message["behind"]:
            self.channel.write(_begun(message))
        while message is not None:
            message = self._call_sync(message)

    def _call_sync(self, message):
        """Runs a synchronous call, which holds the baton. Gives the message of the next, which holds it then."""
        number = message["id"]
        self.link.begin(number, message)
        output.current.set(number)
        began = monotonic()
        try:
            self._stop_if_cancelled(number)
            function, inputs = self.tools[message["tool"]].bound(message["inputs"], self._inputs(message))
            value = function(**inputs)
            if hasattr(value, "__await__"):
                # A plain function that gives a coroutine.
                with self.baton.given_up(number):
                    value = self._await(value, number)
            value = self._out(value)
        except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit too
            took = int((monotonic() - began) * 1e6)
            following = self.baton.give(number)
            self._failed(number, error, None, following and _begun(following), took)
            return following
        took = int((monotonic() - began) * 1e6)
        following = self.baton.give(number)
        # One write for both: the host hears at once that the next has begun.
        self._done(number, value, following and _begun(following), took)
        return following

    def _call_async(self, number, tool, message):
        async def run():
            output.current.set(number)
            try:
                self._stop_if_cancelled(number)
                function, inputs = tool.bound(message["inputs"], self._inputs(message))
                value = function(**inputs)
                if hasattr(value, "__await__"):
                    value = await value
                value = self._out(value)
            except BaseException as error:  # noqa: BLE001
                return self._failed(number, error)
            finally:
                self._tasks.pop(number, None)
            self._done(number, value)

        loop = self.loop()

        self.link.begin(number, message)

        def begin():
            self._tasks[number] = loop.create_task(run())

        loop.call_soon_threadsafe(begin)

    def _await(self, awaitable, number):
        import asyncio

        async def run():
            output.current.set(number)
            task = self._tasks[number] = asyncio.current_task()
            try:
                return await awaitable
            finally:
                if self._tasks.get(number) is task:
                    del self._tasks[number]

        return asyncio.run_coroutine_threadsafe(run(), self.loop()).result()

    def property(self, message):
        """Takes steps into an object: words, keys and indexes."""
        number = message["id"]
        output.current.set(number)
        self._take(number, message)
        try:
            self._stop_if_cancelled(number)
            value = self.values.object(message["handle"])
            for kind, step in message["steps"]:
                if kind == "word" and not isinstance(value, dict):
                    value = getattr(value, step)
                else:
                    value = value[step]
            value = self._out(value)
        except BaseException as error:  # noqa: BLE001
            self._give(number)
            missing = isinstance(error, (KeyError, IndexError, AttributeError, TypeError))
            return self._failed(number, error, "property" if missing else None)
        self._give(number)
        self._done(number, value)

    def drain(self, message):
        """Joins what a generator gives, and tells its pieces on the way."""
        number = message["id"]
        output.current.set(number)
        pieces = []
        self._take(number, message)
        try:
            self._stop_if_cancelled(number)
            for piece in self._pieces(self.values.object(message["handle"]), number):
                text = failures.text(str(piece))
                pieces.append(text)
                if message.get("tell"):
                    self.channel.write({"op": "chunk", "of": number, "text": text})
            value = "".join(pieces)
        except BaseException as error:  # noqa: BLE001
            self._give(number)
            return self._failed(number, error)
        self._give(number)
        self._done(number, value)

    def _pieces(self, iterator, number):
        if hasattr(iterator, "__anext__") and not hasattr(iterator, "__next__"):
            while True:
                try:
                    with self.baton.given_up(number):
                        piece = self._await(iterator.__anext__(), number)
                except StopAsyncIteration:
                    return
                self._stop_if_cancelled(number)
                yield piece
        else:
            for piece in iterator:
                self._stop_if_cancelled(number)
                yield piece

    def literals(self, message):
        """A node's literals as its tool's annotations want them."""
        number = message["id"]
        from . import literals

        try:
            tool = self.tools[message["tool"]]
            known = (tool.init or []) + tool.parameters
            value = self.values.to_wire(literals.coerced(message["node"], known, self._inputs(message)))
        except literals.Invalid as error:
            return self._failed(number, error, "literal")
        except BaseException as error:  # noqa: BLE001
            return self._failed(number, error)
        self._done(number, value)

    def requirements(self, message):
        """What a requirements file asks for and is not installed."""
        number = message["id"]
        try:
            from . import requirements

            value = requirements.missing(message["text"], os.getcwd())
        except BaseException as error:  # noqa: BLE001
            return self._failed(number, error)
        self._done(number, value)

    def cancel(self, message):
        """Nobody waits for a call any more: what can be stopped is stopped. The host sees to the rest."""
        number = message["of"]
        if number not in self._active:
            return
        self._cancelled.add(number)
        if self.baton.unqueue(number):
            # In another thread: this one must go on reading, whatever the host does.
            return self.run_in_thread(self._failed_unbegun, number)
        task = self._tasks.get(number)
        if task is not None:
            self.loop().call_soon_threadsafe(task.cancel)
        self.link.cancel(number)

    def _failed_unbegun(self, number):
        self._failed(number, host.Cancelled())

    def take_back(self, message):
        """Gives a call back to the host that has not begun; what has begun goes on."""
        number = message["of"]
        if self.baton.unqueue(number):
            self._active.discard(number)
            self._cancelled.discard(number)
            self.run_in_thread(self.channel.write, {"op": "returned", "re": number})

    def _stop_if_cancelled(self, number):
        if number in self._cancelled:
            raise host.Cancelled

    # -- values --------------------------------------------------------------------------------------------------------

    def _in(self, value):
        return self.values.from_wire(value, _BUILD)

    def _inputs(self, message):
        return {name: self._in(value) for name, value in message["inputs"].items()}

    def _out(self, value):
        if self.values.image_type is None:
            module = sys.modules.get("promptflow.contracts.multimedia")
            if module is not None:
                self.values.image_type = getattr(module, "Image", None)
        return self.values.to_wire(value)

    # -- the road ------------------------------------------------------------------------------------------------------

    def serve(self):
        """Reads until the host is gone or says goodbye. Returns whether it said so."""
        in_threads = {
            "property": self.property,
            "drain": self.drain,
            "literals": self.literals,
            "requirements": self.requirements,
        }
        while True:
            message = self.channel.read()
            if message is None:
                return False
            operation = message["op"]
            if operation == "call":
                self._active.add(message["id"])
                self.call(message)
                continue
            work = in_threads.get(operation)
            if work is not None:
                self._active.add(message["id"])
                self.run_in_thread(work, message)
            elif operation == "load":
                self._active.add(message["id"])
                self._load_soon(message)
            elif operation in ("answer", "refused", "piece"):
                self.link.answered(message)
            elif operation == "release":
                # Finalizers of user classes run in a thread of their own; this one must go on reading.
                self.run_in_thread(_forget, self.values.take(message["handles"]))
            elif operation == "cancel":
                self.cancel(message)
            elif operation == "take_back":
                self.take_back(message)
            elif operation == "bye":
                return True


def _begun(message):
    return {"op": "begun", "of": message["id"]}


def _forget(objects):
    del objects[:]


def _code_of(error):
    if isinstance(error, TooLong):
        return "too_long"
    if isinstance(error, Lost):
        return "lost"
    if isinstance(error, host.Cancelled):
        return "cancelled"
    return None


def _connection(told):
    """The object of a connection that the host describes."""
    from promptflow.connections import _from_host

    return _from_host(told)


def _assistant(told):
    """An assistant's definition, with its tools loaded."""
    from promptflow.contracts.types import AssistantDefinition

    return AssistantDefinition._from_host(told)


_BUILD = {"$connection": _connection, "$assistant": _assistant}


def main(shape, stand_in):
    """Serves until the host is gone. `shape` is that of the channel; `stand_in` the folder of the stand-in package."""
    channel = Channel.take(shape)
    hello = channel.read()
    if hello is None or hello.get("op") != "hello":
        os._exit(2)
    life.bind(channel)
    sys.path.remove(stand_in)
    os.environ.update(hello.get("variables") or {})
    tools.folder_first(hello["folder"])
    if hello.get("prefer_installed"):
        sys.path.append(stand_in)
    else:
        sys.path.insert(1, stand_in)
    worker = Worker(channel, hello)
    channel.write(
        {
            "op": "ready",
            "version": VERSION,
            "python": ".".join(map(str, sys.version_info[:3])),
            "executable": failures.text(sys.executable or ""),
            "pid": os.getpid(),
        }
    )
    # User code is loaded in the main thread, as libraries expect that set signal handlers or look for the event loop when
    # they are imported; so another thread reads.
    threading.Thread(target=_read, args=(worker,), daemon=True).start()
    worker.load_for_ever()


def _read(worker):
    try:
        if worker.serve():
            life.run_exit_functions()
    finally:
        life.end_all()
