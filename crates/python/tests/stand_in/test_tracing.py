"""`@trace`: spans, how they nest, and that nobody notices them outside of a run."""

import asyncio
import functools
import inspect
import threading
import unittest

import fake
from promptflow.connections import CustomConnection
from promptflow.contracts.multimedia import Image
from promptflow.contracts.types import Secret
from promptflow.core import tool
from promptflow.tracing import ThreadPoolExecutorWithContext, start_trace, trace
from promptflow.tracing.contracts.trace import TraceType


@trace
def inner(a, b=2):
    return a + b


@trace(name="outermost", attributes={"kind": "test"})
def outer(a):
    return inner(a) + inner(a, b=3)


@trace
async def inner_later(a):
    await asyncio.sleep(0)
    return a


@trace
async def outer_later():
    return await asyncio.gather(inner_later(1), inner_later(2))


@trace
def counted(n):
    for number in range(n):
        inner(number)
        yield str(number)
    return "end"


@trace
async def counted_later(n):
    for number in range(n):
        yield await inner_later(number)


@trace
def broken(a):
    raise ValueError("no")


class Greeter:
    @trace
    def greet(self, who):
        return f"hello {who}"

    @staticmethod
    @trace
    def still(a):
        return a

    @trace
    def __call__(self, a):
        return a


@tool
def node(a):
    return helper(a) + inner(a)


@tool
def helper(a):
    return a


def spans(host):
    """Each span as (name, name of its parent, output or error)."""
    notes = host.notes("span")
    names = {note["span"]: note["name"] for note in notes}
    ends = {note["span"]: note.get("output", note.get("error")) for note in notes if note["phase"] == "end"}
    return [(note["name"], names.get(note["parent"]), ends.get(note["span"])) for note in notes if note["phase"] == "begin"]


class Nesting(unittest.TestCase):
    def test_a_call_inside_of_a_call_is_below_it(self):
        with fake.Host() as host:
            self.assertEqual(outer(1), 7)
        self.assertEqual(spans(host), [("outermost", None, 7), ("inner", "outermost", 3), ("inner", "outermost", 4)])
        begin = host.notes("span")[0]
        self.assertEqual((begin["phase"], begin["span_type"], begin["inputs"], begin["attributes"]), ("begin", "Function", {"a": 1}, {"kind": "test"}))
        self.assertRegex(begin["span"], "^[0-9a-f]{16}$")
        self.assertIsNone(begin["parent"])
        self.assertEqual(host.notes("span")[1]["inputs"], {"a": 1})
        self.assertEqual(host.notes("span")[3]["inputs"], {"a": 1, "b": 3})

    def test_after_a_call_the_next_is_beside_it(self):
        with fake.Host() as host:
            inner(1)
            with self.assertRaises(ValueError):
                broken(1)
            inner(2)
        self.assertEqual([parent for _, parent, _ in spans(host)], [None, None, None])

    def test_tasks_nest_each_in_its_own(self):
        with fake.Host() as host:
            self.assertEqual(asyncio.run(outer_later()), [1, 2])
        self.assertEqual(spans(host), [("outer_later", None, [1, 2]), ("inner_later", "outer_later", 1), ("inner_later", "outer_later", 2)])

    def test_a_generators_span_lasts_as_long_as_it_gives(self):
        with fake.Host() as host:
            iterator = counted(2)
            self.assertEqual(host.notes("span"), [])
            first = next(iterator)
            beside = inner(10)
            rest = list(iterator)
        self.assertEqual((first, beside, rest), ("0", 12, ["1"]))
        self.assertEqual(spans(host), [("counted", None, ["01"]), ("inner", "counted", 2), ("inner", None, 12), ("inner", "counted", 3)])

    def test_a_generator_gets_what_is_sent_and_thrown(self):
        @trace
        def echo():
            got = yield "ready"
            try:
                yield got
            except KeyError:
                yield "caught"

        with fake.Host() as host:
            iterator = echo()
            self.assertEqual([next(iterator), iterator.send("x"), iterator.throw(KeyError("k"))], ["ready", "x", "caught"])
            iterator.close()
        self.assertEqual(spans(host)[0][0], "echo")
        self.assertEqual(host.notes("span")[-1]["phase"], "end")

    def test_a_generators_value_stays(self):
        def taken():
            return (yield from counted(1))

        with fake.Host():
            iterator = taken()
            next(iterator)
            with self.assertRaises(StopIteration) as stopped:
                next(iterator)
        self.assertEqual(stopped.exception.value, "end")

    def test_asynchronous_generators_too(self):
        async def gather():
            return [number async for number in counted_later(2)]

        with fake.Host() as host:
            self.assertEqual(asyncio.run(gather()), [0, 1])
        self.assertEqual(spans(host), [("counted_later", None, [0, 1]), ("inner_later", "counted_later", 0), ("inner_later", "counted_later", 1)])

    def test_threads_of_the_pool_with_context_nest(self):
        @trace
        def fan():
            with ThreadPoolExecutorWithContext(max_workers=2) as pool:
                return sorted(pool.map(inner, [1, 2]))

        with fake.Host() as host:
            self.assertEqual(fan(), [3, 4])
        self.assertEqual(sorted(name or "" for _, name, _ in spans(host)), ["", "fan", "fan"])

    def test_a_plain_thread_is_right_below_the_node(self):
        from sluicegate_worker import output

        def run():
            output.current.set(host.call)
            inner(1)

        with fake.Host() as host:

            @trace
            def fan():
                thread = threading.Thread(target=run)
                thread.start()
                thread.join()

            fan()
        self.assertEqual([parent for name, parent, _ in spans(host) if name == "inner"], [None])


def by_the_worker(function, *arguments):
    """Calls a tool as the worker does."""
    scope = {"__name__": "sluicegate_worker.worker"}
    exec("def call(function, arguments):\n    return function(*arguments)\nasync def later(function, arguments):\n    return await function(*arguments)\n", scope)
    if inspect.iscoroutinefunction(function):
        return asyncio.run(scope["later"](function, arguments))
    return scope["call"](function, arguments)


class Tools(unittest.TestCase):
    def test_the_nodes_own_call_has_the_hosts_span_and_others_have_one(self):
        for _ in range(2):
            with fake.Host() as host:
                self.assertEqual(by_the_worker(node, 1), 4)
            self.assertEqual(spans(host), [("helper", None, 1), ("inner", None, 3)])

    def test_an_asynchronous_node_too(self):
        @tool
        async def later(a):
            return await inner_later(a)

        with fake.Host() as host:
            self.assertEqual(by_the_worker(later, 1), 1)
        self.assertEqual(spans(host), [("inner_later", None, 1)])

    def test_a_node_that_is_no_tool_has_spans_for_all_its_tools(self):
        def entry(a):
            return helper(a) + helper(a)

        with fake.Host() as host:
            self.assertEqual(by_the_worker(entry, 1), 2)
        self.assertEqual([name for name, _, _ in spans(host)], ["helper", "helper"])

    def test_a_host_that_wants_no_spans_gets_none(self):
        with fake.Host() as host:
            host.link.tracing = False
            outer(1)
        self.assertEqual(host.notes("span"), [])
        with fake.Host() as host:
            host.link.begin(host.call, {"trace": False})
            outer(1)
        self.assertEqual(host.notes("span"), [])


class Forms(unittest.TestCase):
    def test_methods(self):
        with fake.Host() as host:
            greeter = Greeter()
            self.assertEqual((greeter.greet("you"), Greeter.still(1), greeter(2)), ("hello you", 1, 2))
        self.assertEqual([name for name, _, _ in spans(host)], ["Greeter.greet", "Greeter.still", "Greeter"])
        self.assertEqual(host.notes("span")[0]["inputs"], {"who": "you"})

    def test_what_is_no_function(self):
        with fake.Host() as host:
            self.assertEqual(trace(functools.partial(inner, 1), name="part")(b=5), 6)
        self.assertEqual(spans(host), [("part", None, 6), ("inner", "part", 6)])

    def test_other_kinds(self):
        with fake.Host() as host:
            trace(trace_type=TraceType.RETRIEVAL)(lambda: 1)()
        self.assertEqual(host.notes("span")[0]["span_type"], "Retrieval")

    def test_it_keeps_what_the_function_is(self):
        self.assertEqual((outer.__name__, str(inspect.signature(inner))), ("outer", "(a, b=2)"))
        self.assertTrue(inspect.iscoroutinefunction(outer_later))
        self.assertTrue(hasattr(inner, "__original_function"))

    def test_nothing_happens_outside_of_a_run(self):
        start_trace(collection="c", resource_attributes={"a": 1})
        self.assertEqual((outer(1), list(counted(2)), asyncio.run(outer_later())), (7, ["0", "1"], [1, 2]))
        with self.assertRaisesRegex(ValueError, "no"):
            broken(1)


class Previews(unittest.TestCase):
    def noted(self, *values):
        @trace
        def show(*args):
            return args

        with fake.Host() as host:
            show(*values)
        return host.notes("span")[1]["output"]

    def test_errors_are_told(self):
        with fake.Host() as host, self.assertRaises(ValueError):
            broken(1)
        self.assertEqual(host.notes("span")[1]["error"], {"type": "ValueError", "message": "no"})

    def test_secrets_are_not(self):
        connection = CustomConnection({"key": "sk-secret"}, {"url": "u"}, name="c")
        told = self.noted(Secret("sk-secret"), connection, {"in": connection})
        self.assertEqual(told, ["******", {"type": "CustomConnection", "name": "c"}, {"in": {"type": "CustomConnection", "name": "c"}}])

    def test_whatever_it_is_has_a_short_form(self):
        class Bad:
            def __str__(self):
                raise RuntimeError("x")

        told = self.noted(Bad(), float("nan"), 10**30, b"abc", Image(b"\x89PNG\r\n\x1a\n"), {1: 2}, (1,), iter([1]), object)
        self.assertEqual(told[0], "<Bad that cannot be shown: RuntimeError>")
        self.assertEqual(told[1:4], ["nan", str(10**30), "<3 bytes>"])
        self.assertRegex(told[4], r"^Image\([0-9a-f]{8}\)$")
        self.assertEqual(told[5:8], [{"1": 2}, [1], "<list_iterator>"])

    def test_it_is_bounded(self):
        import json

        deep = []
        for _ in range(200):
            deep = [deep]
        told = self.noted("x" * 10**6, list(range(10**5)), {str(n): "y" * 1000 for n in range(1000)}, deep)
        self.assertLess(len(json.dumps(told)), 100_000)
        self.assertIn("1000000 characters", told[0])

    def test_a_loop_of_references_ends(self):
        circle = []
        circle.append(circle)
        self.assertTrue(self.noted(circle))


if __name__ == "__main__":
    unittest.main()
