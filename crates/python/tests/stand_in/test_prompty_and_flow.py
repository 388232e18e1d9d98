"""Prompties and flows as functions: what is asked, and what comes of the answers."""

import asyncio
import os
import tempfile
import unittest
from pathlib import Path

import fake
from fake import Host, Pieces, Refusal
from promptflow.connections import OpenAIConnection, _from_host
from promptflow.contracts.multimedia import Image
from promptflow.core import (
    AsyncFlow,
    AsyncPrompty,
    AzureOpenAIModelConfiguration,
    Flow,
    OpenAIModelConfiguration,
    Prompty,
)
from promptflow.core._errors import InvalidConnectionError, MissingRequiredInputError
from promptflow.entities import FlowContext
from promptflow.exceptions import UserErrorException, ValidationException
from promptflow.tracing import trace

PROMPTY = "---\nname: Greet\nmodel:\n  api: chat\n---\nsystem:\nSay {{what}}.\n"
ABOUT = {"name": "Greet", "api": "chat", "response": "first", "streams": False, "inputs": {"what": {"type": "string"}}, "outputs": {}, "sample": None}


class InAFolder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name).resolve()

    def file(self, name, text=""):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path


class Prompties(InAFolder):
    def setUp(self):
        super().setUp()
        self.path = self.file("greet.prompty", PROMPTY)

    def test_loading_asks_nothing(self):
        prompty = Prompty.load(self.path)
        self.assertEqual((prompty.path, prompty.code, prompty._template), (self.path, self.folder, "system:\nSay {{what}}.\n"))

    def test_a_call_asks_what_it_is_once_and_then_for_the_answer(self):
        with Host(prompty_load=ABOUT, prompty="hello") as host:
            prompty = Prompty.load(source=str(self.path))
            self.assertEqual((prompty(what="hi"), prompty(what="ho")), ("hello", "hello"))
        self.assertEqual(
            host.asked,
            [
                ("prompty_load", {"path": str(self.path)}),
                ("prompty", {"path": str(self.path), "inputs": {"what": "hi"}}),
                ("prompty", {"path": str(self.path), "inputs": {"what": "ho"}}),
            ],
        )
        self.assertEqual(prompty.name, "Greet")

    def test_a_relative_path_is_that_of_the_time_of_loading(self):
        before = os.getcwd()
        os.chdir(self.folder)
        try:
            prompty = Prompty.load("greet.prompty")
        finally:
            os.chdir(before)
        self.assertEqual(prompty.path, self.path)

    def test_what_is_given_goes_over_the_front_matter(self):
        configuration = AzureOpenAIModelConfiguration(azure_deployment="gpt", azure_endpoint="https://a", api_key="k")
        with Host(prompty_load=ABOUT, prompty="x") as host:
            prompty = Prompty.load(self.path, model={"configuration": configuration, "parameters": {"max_tokens": 5}}, sample={"what": 1})
            prompty()
        overrides = {
            "sample": {"what": 1},
            "model": {
                "configuration": {"type": "azure_openai", "azure_deployment": "gpt", "azure_endpoint": "https://a", "api_key": "k"},
                "parameters": {"max_tokens": 5},
            },
        }
        self.assertEqual(host.asked[0], ("prompty_load", {"path": str(self.path), "overrides": overrides}))
        self.assertEqual(host.asked[1], ("prompty", {"path": str(self.path), "overrides": overrides, "inputs": {}}))

    def test_a_connection_may_be_an_object(self):
        of_host = _from_host({"type": "open_ai", "name": "o", "secrets": {"api_key": "k"}})
        for connection, told in (
            (of_host, "o"),
            (OpenAIConnection("k"), {"type": "open_ai", "configs": {}, "secrets": {"api_key": "k"}}),
        ):
            with Host(prompty_load=ABOUT, prompty="x") as host:
                Prompty.load(self.path, model={"configuration": {"connection": connection, "model": "m"}})(what=1)
            self.assertEqual(host.asked[0][1]["overrides"]["model"]["configuration"], {"connection": told, "model": "m"})

    def test_images_and_objects_travel_as_they_do_between_nodes(self):
        with Host(prompty_load=ABOUT, prompty="x") as host:
            Prompty.load(self.path)(image=Image(b"\x89PNG\r\n\x1a\n"), history=[{"a": 1}], odd=(1, 2))
        inputs = host.asked[1][1]["inputs"]
        self.assertEqual(inputs["image"]["$blob"]["mime"], "image/png")
        self.assertEqual(inputs["history"], [{"a": 1}])
        self.assertEqual(inputs["odd"]["$handle"]["preview"], "(1, 2)")

    def test_a_stream_is_a_generator_of_pieces(self):
        with Host(prompty_load={**ABOUT, "streams": True}, prompty=Pieces("a", "b")) as host:
            answer = Prompty.load(self.path)(what="hi")
            self.assertEqual(list(answer), ["a", "b"])
        self.assertEqual(host.asked[1], ("prompty", {"path": str(self.path), "inputs": {"what": "hi"}, "stream": True}))

    def test_a_stream_of_whole_replies_has_their_form(self):
        with Host(prompty_load={**ABOUT, "streams": True, "response": "all"}, prompty=Pieces("a", "b")):
            chunks = list(Prompty.load(self.path)(what="hi"))
        self.assertEqual([chunk.choices[0].delta.content for chunk in chunks], ["a", "b"])

    def test_a_whole_reply_has_attributes(self):
        reply = {"model": "m", "choices": [{"message": {"role": "assistant", "content": "c"}}], "usage": {"total_tokens": 3}}
        with Host(prompty_load={**ABOUT, "response": "all"}, prompty=reply):
            answer = Prompty.load(self.path)(what="hi")
        self.assertEqual((answer.choices[0].message.content, answer.usage.total_tokens, answer["model"]), ("c", 3, "m"))
        self.assertIsNone(answer.choices[0].message.tool_calls)
        self.assertEqual(type(answer.model_dump()["choices"][0]), dict)
        with self.assertRaises(AttributeError):
            answer.nothing  # noqa: B018

    def test_rendering_and_counting(self):
        with Host(prompty_render="[{'role': 'system'}]", prompty_tokens=12) as host:
            prompty = Prompty.load(self.path)
            self.assertEqual((prompty.render(what="hi"), prompty.estimate_token_count(what="hi")), ("[{'role': 'system'}]", 12))
        fields = {"path": str(self.path), "inputs": {"what": "hi"}}
        self.assertEqual(host.asked, [("prompty_render", fields), ("prompty_tokens", fields)])

    def test_a_refusal_is_raised_by_the_call_also_of_a_stream(self):
        for streams in (False, True):
            with Host(prompty_load={**ABOUT, "streams": streams}, prompty=Refusal("MissingRequiredInputError", "Missing required inputs: ['what']")):
                with self.assertRaisesRegex(MissingRequiredInputError, "what"):
                    Prompty.load(self.path)()

    def test_what_cannot_be_a_prompty_is_refused_at_once(self):
        with self.assertRaisesRegex(UserErrorException, "does not exist"):
            Prompty.load(self.folder / "none.prompty")
        with self.assertRaisesRegex(UserErrorException, "with .prompty extension"):
            Prompty.load(self.file("a.txt"))
        with self.assertRaisesRegex(UserErrorException, "Illegal formatting of prompty"):
            Prompty.load(self.file("b.prompty", "no front matter"))
        with self.assertRaisesRegex(UserErrorException, "keyword arguments"):
            Prompty.load(self.path)("hi")

    def test_awaited(self):
        async def call(prompty):
            return await prompty(what="hi")

        async def gather(prompty):
            return [piece async for piece in await prompty(what="hi")]

        with Host(prompty_load=ABOUT, prompty="hello") as host:
            self.assertEqual(asyncio.run(call(AsyncPrompty.load(self.path))), "hello")
        self.assertEqual([what for what, _ in host.asked], ["prompty_load", "prompty"])
        with Host(prompty_load={**ABOUT, "streams": True}, prompty=Pieces("a", "b")):
            self.assertEqual(asyncio.run(gather(AsyncPrompty.load(self.path))), ["a", "b"])
        with Host(prompty_load={**ABOUT, "streams": True, "response": "all"}, prompty=Pieces("a")):
            self.assertEqual(asyncio.run(gather(AsyncPrompty.load(self.path)))[0].choices[0].delta.content, "a")
        with Host(prompty_load=ABOUT, prompty=Refusal("UserErrorException", "no")), self.assertRaisesRegex(UserErrorException, "no"):
            asyncio.run(call(AsyncPrompty.load(self.path)))

    def test_what_the_host_does_hangs_below_the_traced_function(self):
        @trace
        def ask(prompty):
            return prompty(what="hi")

        with Host(prompty_load=ABOUT, prompty="x") as host:
            ask(Prompty.load(self.path))
        self.assertEqual(host.asked[1][1]["span"], host.notes("span")[0]["span"])


class Configurations(unittest.TestCase):
    def test_no_secret_is_printed(self):
        self.assertNotIn("sk-secret", repr(OpenAIModelConfiguration(model="m", api_key="sk-secret")))

    def test_a_connection_and_its_fields_exclude_each_other(self):
        self.assertEqual(OpenAIModelConfiguration(model="m", connection="c")._told(), {"type": "openai", "model": "m", "connection": "c"})
        with self.assertRaisesRegex(InvalidConnectionError, "also api_key"):
            AzureOpenAIModelConfiguration(azure_deployment="d", api_key="k", connection="c")

    def test_they_are_dataclasses(self):
        from dataclasses import asdict

        told = asdict(AzureOpenAIModelConfiguration(azure_deployment="d", azure_endpoint="e"))
        self.assertEqual((told["azure_deployment"], told["azure_endpoint"], told["api_key"]), ("d", "e", None))


class Flows(InAFolder):
    def setUp(self):
        super().setUp()
        self.path = self.file("f/flow.dag.yaml", "inputs: {}\n")

    def test_a_call_gives_the_outputs(self):
        with Host(flow={"output": {"answer": "a"}}) as host:
            flow = Flow.load(self.path.parent)
            self.assertEqual(flow(question="q", n=1), {"answer": "a"})
            result = flow.invoke({"question": "q"})
        self.assertEqual((result.output, result.run_info.status), ({"answer": "a"}, "Completed"))
        self.assertEqual(host.asked[0], ("flow", {"path": str(self.path), "inputs": {"question": "q", "n": 1}}))
        self.assertEqual((flow.path, flow.code, flow.name), (self.path, self.path.parent, "f"))

    def test_the_context_goes_with_it(self):
        with Host(flow={"output": {}}) as host:
            flow = Flow.load(self.path)
            flow.context = FlowContext(
                connections={"node": {"connection": OpenAIConnection("k", name="c"), "deployment_name": "d"}},
                overrides={"nodes.node.inputs.n": 2},
                variant="${node.v1}",
                streaming=True,
            )
            flow()
        self.assertEqual(
            host.asked[0][1],
            {
                "path": str(self.path),
                "inputs": {},
                "connections": {
                    "node": {"connection": {"type": "open_ai", "name": "c", "configs": {}, "secrets": {"api_key": "k"}}, "deployment_name": "d"}
                },
                "overrides": {"nodes.node.inputs.n": 2},
                "variant": "${node.v1}",
            },
        )
        with self.assertRaises(UserErrorException):
            flow.context = {}

    def test_connections_may_be_given_with_a_call(self):
        with Host(flow={"output": {}}) as host:
            Flow.load(self.path).invoke({}, connections={"c": OpenAIConnection("k")})
        self.assertEqual(host.asked[0][1]["connections"]["c"]["type"], "open_ai")

    def test_awaited(self):
        async def call():
            return await AsyncFlow.load(self.path)(a=1)

        with Host(flow={"output": {"b": 2}}):
            self.assertEqual(asyncio.run(call()), {"b": 2})

    def test_load_flow_and_what_it_finds(self):
        from promptflow.client import load_flow

        self.assertIs(type(load_flow(self.path.parent)), Flow)
        self.assertIs(type(load_flow(str(self.path), is_async_flow=True)), AsyncFlow)
        prompty = self.file("g.prompty", PROMPTY)
        self.assertIs(type(load_flow(prompty)), Prompty)
        self.assertIs(type(load_flow(prompty, is_async_flow=True)), AsyncPrompty)
        flex = self.file("x/flow.flex.yaml", "entry: a:b\n")
        with Host(flow={"output": 1}) as host:
            self.assertEqual(load_flow(flex.parent, init={"k": 1})(a=2), 1)
        self.assertEqual(host.asked[0][1], {"path": str(flex), "inputs": {"a": 2}, "init": {"k": 1}})

    def test_what_cannot_be_a_flow_is_refused_at_once(self):
        with self.assertRaisesRegex(UserErrorException, "does not exist"):
            Flow.load(self.folder / "nothing")
        with self.assertRaisesRegex(UserErrorException, "flow.dag.yaml does not exist"):
            Flow.load(self.folder)
        self.file("f/flow.flex.yaml")
        with self.assertRaisesRegex(ValidationException, "Multiple files"):
            Flow.load(self.path.parent)
        with self.assertRaisesRegex(UserErrorException, "Source must be"):
            Flow.load(self.file("a.txt"))
        with self.assertRaisesRegex(UserErrorException, "keyword arguments"):
            Flow.load(self.path)(1)

    def test_a_failure_inside_is_an_error_of_the_user(self):
        with fake.Host(flow=Refusal("ToolExecutionError", "Execution failure in 'n': (ValueError) no", ["UserError", "ToolExecutionError"])):
            with self.assertRaisesRegex(UserErrorException, "Execution failure in 'n'"):
                Flow.load(self.path)()


if __name__ == "__main__":
    unittest.main()
