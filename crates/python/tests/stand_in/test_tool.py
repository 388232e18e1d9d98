"""`@tool` in its forms, and how the worker finds what it marks."""

import asyncio
import inspect
import os
import tempfile
import unittest
from abc import abstractmethod

import fake
from promptflow._core.tool import DynamicList, GeneratedBy, InputSetting, ToolInvoker, ToolProvider, tool
from promptflow._internal import enable_cache, register_apis, register_builtin_method
from promptflow.core import log_metric
from promptflow.exceptions import UserErrorException
from sluicegate_worker import tools


@tool
def plain(a: int, b="x", *, c: str = None, **rest) -> str:
    """Adds up."""
    return f"{a}{b}{c}{sorted(rest)}"


@tool(name="n", description="d", type="python", input_settings={"a": 1}, streaming_option_parameter="s", icon="i")
def dressed(a):
    return a


@tool
async def later(a):
    return a + 1


@tool
def some(n):
    yield from range(n)


@tool()
async def some_later(n):
    for number in range(n):
        yield number


def load(source):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "t.py")
        with open(path, "w") as file:
            file.write(source)
        return tools.load_file(path)


class Forms(unittest.TestCase):
    def test_it_works_bare_and_with_arguments(self):
        self.assertEqual(plain(1, c="y", z=1), "1xy['z']")
        self.assertEqual(dressed(3), 3)
        self.assertEqual(asyncio.run(later(1)), 2)
        self.assertEqual(list(some(3)), [0, 1, 2])

        async def gather():
            return [number async for number in some_later(2)]

        self.assertEqual(asyncio.run(gather()), [0, 1])

    def test_it_keeps_what_the_function_is(self):
        self.assertEqual((plain.__name__, plain.__doc__, plain.__module__), ("plain", "Adds up.", __name__))
        self.assertEqual(str(inspect.signature(plain)), "(a: int, b='x', *, c: str = None, **rest) -> str")
        self.assertTrue(inspect.iscoroutinefunction(later))
        self.assertTrue(inspect.isfunction(plain))

    def test_it_leaves_the_originals_marks(self):
        marks = ("__tool", "__name", "__description", "__type", "__input_settings", "__extra_info", "__original_function")
        self.assertTrue(all(hasattr(plain, mark) for mark in marks))
        values = [getattr(dressed, mark) for mark in marks[:6]]
        self.assertEqual(values, [None, "n", "d", "python", {"a": 1}, {"icon": "i"}])
        self.assertEqual(dressed._streaming_option_parameter, "s")
        self.assertFalse(hasattr(plain, "_streaming_option_parameter"))

    def test_an_unknown_type_is_refused(self):
        with self.assertRaisesRegex(UserErrorException, "Tool type odd is not supported yet."):
            tool(type="odd")(lambda: 1)

    def test_static_and_class_methods_stay_such(self):
        class Owner:
            @tool
            @staticmethod
            def still(a):
                return a

            @tool
            @classmethod
            def of_class(cls, a):
                return cls.__name__ + a

        self.assertEqual((Owner.still("a"), Owner().of_class("b")), ("a", "Ownerb"))


class TheWorker(unittest.TestCase):
    def test_it_finds_the_one_tool_of_a_file(self):
        loaded = load("from promptflow.core import tool\n@tool\ndef f(x: int, y=2): return x + y\n")
        self.assertEqual(loaded.function(1), 3)
        told = loaded.describe()
        self.assertEqual((told["name"], told["kind"]), ("f", "function"))
        self.assertEqual([(about["name"], about["type"], about["required"]) for about in told["parameters"]], [("x", "int", True), ("y", "object", False)])

    def test_it_knows_their_kinds(self):
        for source, kind in {
            "async def f(): return 1": "coroutine",
            "def f(): yield 1": "generator",
            "async def f(): yield 1": "async_generator",
        }.items():
            self.assertEqual(load(f"from promptflow import tool\n@tool()\n{source}\n").describe()["kind"], kind)

    def test_it_reads_what_parameters_are(self):
        loaded = load(
            "from typing import Union\n"
            "from promptflow.core import tool\n"
            "from promptflow.connections import AzureOpenAIConnection, OpenAIConnection, CustomStrongTypeConnection\n"
            "from promptflow.contracts.types import Secret, FilePath, PromptTemplate, AssistantDefinition\n"
            "from promptflow.contracts.multimedia import Image\n"
            "class Mine(CustomStrongTypeConnection):\n    key: Secret\n"
            "@tool\n"
            "def f(a: Union[AzureOpenAIConnection, OpenAIConnection], b: Mine, c: Image, d: Secret, e: FilePath, g: PromptTemplate, h: AssistantDefinition): pass\n"
        )
        kinds = [about["type"] for about in loaded.describe()["parameters"]]
        self.assertEqual(kinds, ["connection", "connection", "image", "secret", "file_path", "prompt_template", "assistant_definition"])
        self.assertEqual(loaded.describe()["parameters"][0]["classes"], ["AzureOpenAIConnection", "OpenAIConnection"])
        self.assertEqual(loaded.describe()["parameters"][1]["classes"], ["Mine"])

    def test_it_makes_the_provider_of_a_method(self):
        loaded = load(
            "from promptflow.core import tool, ToolProvider\n"
            "class P(ToolProvider):\n"
            "    def __init__(self, a: int, b=2):\n        super().__init__()\n        self.a = a\n"
            "    @tool\n    def f(self, x): return self.a + x\n"
        )
        inputs = {"a": 1, "x": 5}
        function, inputs = loaded.bound(inputs, inputs)
        self.assertEqual(function(**inputs), 6)
        self.assertEqual(function.__self__._init_params, {"a": 1})

    def test_it_loads_the_tools_of_the_package(self):
        for name, parameters in {
            "promptflow.tools.aoai_gpt4v.AzureOpenAI.chat": {"prompt", "deployment_name", "detail"},
            "promptflow.tools.openai_gpt4v.OpenAI.chat": {"prompt", "model"},
            "promptflow.tools.embedding.embedding": {"connection", "input"},
            "promptflow.tools.serpapi.SerpAPI.search": {"query"},
            "promptflow.tools.azure_content_safety.analyze_text": {"text"},
        }.items():
            told = tools.load_package(name).describe()
            self.assertLessEqual(parameters, {about["name"] for about in told["parameters"]}, name)
        with self.assertRaises(tools.LoadError) as raised:
            tools.load_package("promptflow.tools.nothing.f")
        self.assertEqual(raised.exception.code, "PackageToolNotFoundError")


class Providers(unittest.TestCase):
    def test_they_know_their_own_inputs(self):
        class P(ToolProvider):
            def __init__(self, a, b=2):
                super().__init__()

        made = P(1, b=3)
        self.assertEqual(made._init_params, {"a": 1, "b": 3})
        self.assertEqual((list(P.get_initialize_inputs()), list(P.get_required_initialize_inputs())), (["a", "b"], ["a"]))

        class Q(P):
            def __init__(self, c):
                super().__init__(1)

        self.assertEqual(list(Q.get_initialize_inputs()), ["c"])

    def test_they_may_be_abstract(self):
        class P(ToolProvider):
            @abstractmethod
            def f(self): ...

        with self.assertRaises(TypeError):
            P()


class Settings(unittest.TestCase):
    def test_they_are_kept(self):
        def choices(prefix="", n=2):
            return []

        setting = InputSetting(dynamic_list=DynamicList(function=choices, input_mapping={"prefix": "p"}), is_multi_select=True, ui_hints={})
        self.assertEqual((setting.is_multi_select, setting._kwargs), (True, {"ui_hints": {}}))
        self.assertEqual(setting.dynamic_list.func_kwargs[0], {"name": "prefix", "optional": True, "default": "", "reference": "${inputs.p}"})
        made = GeneratedBy(function=choices, reverse_function=choices, input_settings={"n": InputSetting()})
        self.assertEqual(made.reverse_func_path, made.func_path)

    def test_registering_and_caching_do_nothing(self):
        self.assertIs(register_builtin_method(plain), plain)
        self.assertIs(register_apis(ToolProvider), ToolProvider)

        @enable_cache(lambda **_: "")
        def f():
            return 1

        self.assertEqual(f(), 1)
        self.assertIsNone(ToolInvoker.active_instance())


class Metrics(unittest.TestCase):
    def test_a_metric_is_noted(self):
        class Strange(float):
            pass

        with fake.Host() as host:
            log_metric("accuracy", 0.5)
            log_metric("count", 3, variant_id="v1")
            log_metric("strange", Strange(1.5))
            log_metric("none", float("nan"))
        self.assertEqual(
            host.notes("metric"),
            [
                {"key": "accuracy", "value": 0.5},
                {"key": "count", "value": 3, "variant_id": "v1"},
                {"key": "strange", "value": 1.5},
                {"key": "none", "value": {"$float": "nan"}},
            ],
        )
        self.assertEqual(host.channel.notes[0]["of"], host.call)

    def test_nothing_happens_outside_of_a_run_but_to_who_listens(self):
        from promptflow._core.metric_logger import add_metric_logger, remove_metric_logger

        heard = []

        def listen(key, value):
            heard.append((key, value))

        add_metric_logger(listen)
        log_metric("a", 1)
        remove_metric_logger(listen)
        log_metric("b", 2)
        self.assertEqual(heard, [("a", 1)])


if __name__ == "__main__":
    unittest.main()
