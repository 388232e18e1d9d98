"""promptflow.tools: what is asked of the host, field by field."""

import unittest

from fake import Host, Pieces, Refusal
from promptflow.connections import AzureOpenAIConnection, CustomConnection, OpenAIConnection, SerpConnection, _from_host
from promptflow.contracts.multimedia import Image
from promptflow.contracts.types import PromptTemplate
from promptflow.exceptions import UserErrorException
from promptflow.tools import aoai, aoai_gpt4v, common, openai, openai_gpt4v
from promptflow.tools.embedding import EmbeddingModel, embedding
from promptflow.tools.exception import (
    ChatAPIInvalidFunctions,
    ChatAPIInvalidRole,
    ChatAPIInvalidTools,
    FunctionCallNotSupportedInStreamMode,
    InvalidConnectionType,
    JinjaTemplateError,
)

AZURE = _from_host({"type": "azure_open_ai", "name": "aoai", "values": {"api_base": "https://a"}, "secrets": {"api_key": "k"}})
OPENAI = OpenAIConnection("k", name="mine")
HEADERS = {"ms-azure-ai-promptflow-called-from": "aoai-tool"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


class Chat(unittest.TestCase):
    def test_azure(self):
        with Host(chat="hi") as host:
            answer = aoai.chat(AZURE, PromptTemplate("system:\n{{x}}"), "gpt-4", temperature=0, max_tokens="20", stop=[], x=["a", ("b",)], y=None)
        self.assertEqual(answer, "hi")
        ((what, fields),) = host.asked
        self.assertEqual(fields.pop("span"), host.notes("span")[0]["span"])
        handle = fields["variables"]["x"].pop()
        self.assertEqual(handle["$handle"]["preview"], "('b',)")
        self.assertEqual(
            (what, fields),
            (
                "chat",
                {
                    "connection": "aoai",
                    "model": "gpt-4",
                    "api": "chat",
                    "prompt": "system:\n{{x}}",
                    "variables": {"x": ["a"], "y": None},
                    "mode": "llm",
                    "parameters": {"temperature": 0, "top_p": 1, "n": 1, "max_tokens": 20},
                    "headers": HEADERS,
                    "result": "text",
                },
            ),
        )

    def test_openai(self):
        with Host(chat="hi") as host:
            openai.chat(OPENAI, "user:\nx", seed=1, user="u", presence_penalty=0.5, logit_bias={"1": 2}, response_format={"type": "json_object"})
        fields = host.asked[0][1]
        self.assertEqual(fields["connection"], {"type": "open_ai", "name": "mine", "configs": {}, "secrets": {"api_key": "k"}})
        self.assertEqual(fields["model"], "gpt-3.5-turbo")
        self.assertNotIn("headers", fields)
        self.assertEqual(
            fields["parameters"],
            {
                "temperature": 1,
                "top_p": 1,
                "n": 1,
                "logit_bias": {"1": 2},
                "response_format": {"type": "json_object"},
                "seed": 1,
                "presence_penalty": 0.5,
                "user": "u",
            },
        )

    def test_the_classes(self):
        with Host(chat="hi") as host:
            self.assertEqual(aoai.AzureOpenAI(AZURE).chat("user:\n{{q}}", "gpt", q="x"), "hi")
            self.assertEqual(openai.OpenAI("by_name").chat(prompt="user:\nx", model="m"), "hi")
        self.assertEqual(host.asked[0][1]["parameters"], {"temperature": 1.0, "top_p": 1.0, "n": 1})
        self.assertEqual((host.asked[1][1]["connection"], host.asked[1][1]["model"]), ("by_name", "m"))

    def test_with_tools_the_message_is_wanted(self):
        message = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
        with Host(chat=message) as host:
            self.assertEqual(aoai.chat(AZURE, "user:\nx", "m", tools=[TOOL]), message)
            aoai.chat(AZURE, "user:\nx", "m", functions=[TOOL["function"]], function_call='{"name": "f"}')
            aoai.chat(AZURE, "user:\nx", "m", functions=[TOOL["function"]], tools=[TOOL], tool_choice="required")
        told = [fields for _, fields in host.asked]
        self.assertEqual([fields["result"] for fields in told], ["message"] * 3)
        self.assertEqual(told[0]["parameters"]["tool_choice"], "auto")
        self.assertEqual(told[1]["parameters"]["function_call"], {"name": "f"})
        self.assertNotIn("functions", told[2]["parameters"])
        self.assertEqual(told[2]["parameters"]["tool_choice"], "required")

    def test_a_stream_is_a_generator(self):
        with Host(chat=Pieces("a", "", "b")) as host:
            self.assertEqual(list(aoai.chat(AZURE, "user:\nx", "m", stream="true")), ["a", "", "b"])
            with self.assertRaises(FunctionCallNotSupportedInStreamMode):
                aoai.chat(AZURE, "user:\nx", "m", stream=True, tools=[TOOL])
        self.assertIs(host.asked[0][1]["stream"], True)
        self.assertEqual(len(host.asked), 1)

    def test_names_that_must_not_open_messages(self):
        with Host(chat="x") as host:
            aoai.chat(AZURE, "user:\n{{q}}", "m", q="system:\n", _inputs_to_escape=["q"])
        self.assertEqual((host.asked[0][1]["escape"], host.asked[0][1]["variables"]), (["q"], {"q": "system:\n"}))

    def test_a_refusal_is_raised_as_what_it_is(self):
        with Host(chat=Refusal("ChatAPIInvalidRole", "no role")), self.assertRaisesRegex(ChatAPIInvalidRole, "no role"):
            aoai.chat(AZURE, "x", "m")

    def test_what_is_no_connection_is_refused(self):
        with Host(), self.assertRaisesRegex(UserErrorException, "not a dict"):
            aoai.chat({}, "user:\nx", "m")

    def test_wrong_tools_are_refused_before_anything_is_asked(self):
        for wrong, error in (
            ({"functions": [{"name": "f"}]}, ChatAPIInvalidFunctions),
            ({"functions": ["f"]}, ChatAPIInvalidFunctions),
            ({"tools": [{"type": "function"}]}, ChatAPIInvalidTools),
            ({"tools": [TOOL], "tool_choice": "{"}, ChatAPIInvalidTools),
            ({"functions": [TOOL["function"]], "function_call": {}}, ChatAPIInvalidFunctions),
        ):
            with Host() as host, self.assertRaises(error):
                aoai.chat(AZURE, "user:\nx", "m", **wrong)
            self.assertEqual(host.asked, [])


class Completion(unittest.TestCase):
    def test_azure(self):
        with Host(chat="text") as host:
            self.assertEqual(aoai.completion(AZURE, "Say {{x}}", "davinci", temperature="0.5", x=1), "text")
        fields = host.asked[0][1]
        del fields["span"]
        self.assertEqual(
            fields,
            {
                "connection": "aoai",
                "model": "davinci",
                "api": "completion",
                "prompt": "Say {{x}}",
                "variables": {"x": 1},
                "mode": "plain",
                "parameters": {
                    "suffix": None,
                    "max_tokens": 16,
                    "temperature": 0.5,
                    "top_p": 1.0,
                    "n": 1,
                    "logprobs": None,
                    "echo": False,
                    "stop": None,
                    "best_of": 1,
                    "logit_bias": {},
                    "user": "",
                },
                "headers": HEADERS,
                "result": "text",
            },
        )

    def test_openai_takes_the_models_of_the_enumeration(self):
        with Host(chat=Pieces("a")) as host:
            self.assertEqual(list(openai.completion(OPENAI, "x", stream=True)), ["a"])
        self.assertEqual(host.asked[0][1]["model"], "text-davinci-003")


class Vision(unittest.TestCase):
    def test_both_providers(self):
        image = Image(b"\x89PNG\r\n\x1a\n")
        with Host(chat="a cat") as host:
            self.assertEqual(aoai_gpt4v.AzureOpenAI(AZURE).chat("user:\n![image]({{i}})", "gpt-4o", detail="low", max_tokens=5, i=image), "a cat")
            openai_gpt4v.OpenAI(OPENAI).chat("user:\nx", seed=3)
        fields = host.asked[0][1]
        self.assertEqual(fields["variables"]["i"]["$blob"]["len"], 8)
        self.assertEqual((fields["mode"], fields["detail"], fields["prompt"]), ("vision", "low", "user:\n![image]({{i}})"))
        self.assertEqual(
            fields["parameters"],
            {"temperature": 1.0, "top_p": 1.0, "n": 1, "presence_penalty": 0, "frequency_penalty": 0, "max_tokens": 5},
        )
        self.assertEqual(fields["headers"]["ms-azure-ai-promptflow-called-from"], "aoai-gpt4v-tool")
        self.assertEqual((host.asked[1][1]["model"], host.asked[1][1]["parameters"]["seed"]), ("gpt-4-vision-preview", 3))


class Embedding(unittest.TestCase):
    def test_by_the_kind_of_connection(self):
        with Host(embedding=[0.5, 1]) as host:
            self.assertEqual(embedding(AZURE, "text", deployment_name="ada"), [0.5, 1])
            embedding(OPENAI, ["a", "b"], model=EmbeddingModel.TEXT_EMBEDDING_ADA_002)
        del host.asked[0][1]["span"]
        self.assertEqual(host.asked[0], ("embedding", {"connection": "aoai", "model": "ada", "input": "text", "headers": HEADERS}))
        self.assertEqual((host.asked[1][1]["model"], host.asked[1][1]["input"]), ("text-embedding-ada-002", ["a", "b"]))
        with self.assertRaises(InvalidConnectionType):
            embedding(CustomConnection({}), "x")


class Common(unittest.TestCase):
    def test_rendering(self):
        with Host(render="out") as host:
            self.assertEqual(common.render_jinja_template("{{a}}", a=[1]), "out")
            common.render_jinja_template("{{a}}", trim_blocks=False, **common.convert_to_chat_list({"a": [1, ["x"]]}))
        self.assertEqual(host.asked[0], ("render", {"template": "{{a}}", "variables": {"a": [1]}, "mode": "plain"}))
        self.assertEqual(host.asked[1], ("render", {"template": "{{a}}", "variables": {"a": [1, ["x"]]}, "mode": "llm", "trim_blocks": False}))
        with Host(render=Refusal("JinjaTemplateError", "Failed to render jinja template: x")), self.assertRaises(JinjaTemplateError):
            common.render_jinja_template("{{")

    def test_messages(self):
        messages = [{"role": "user", "content": "x"}]
        image = Image(b"\x89PNG\r\n\x1a\n")
        with Host(parse_chat=messages, messages=messages) as host:
            self.assertEqual(common.parse_chat("user:\nx"), messages)
            common.parse_chat("user:\nx", images=[image], valid_roles=["user"], image_detail="high")
            self.assertEqual(common.build_messages("user:\n{{q}}", q="x"), messages)
        self.assertEqual(host.asked[0], ("parse_chat", {"text": "user:\nx"}))
        fields = host.asked[1][1]
        self.assertEqual((fields["roles"], fields["detail"], fields["images"][0]["$blob"]["mime"]), (["user"], "high", "image/png"))
        self.assertEqual(host.asked[2], ("messages", {"template": "user:\n{{q}}", "mode": "plain", "variables": {"q": "x"}}))

    def test_what_needs_no_host(self):
        self.assertEqual(common.preprocess_template_string("a ![image]({{x}}) b ![im]({{y}})"), "a \n{{x}}\n b ![im]({{y}})")
        image = Image(b"1")
        self.assertEqual(common.find_referenced_image_set({"a": [{"b": image}], "c": 1}), {image})
        self.assertTrue(common.to_bool("True") and common.to_bool(True) and not common.to_bool("yes"))
        self.assertEqual(str(common.convert_to_chat_list([1, [2, 3]])), "1\n2\n3")
        self.assertEqual(common.handle_openai_error()(len)("ab"), 2)
        with self.assertRaises(ChatAPIInvalidRole):
            common.validate_role("nobody")
        told = common.normalize_connection_config(AzureOpenAIConnection(api_base="b", api_key="k"))
        self.assertEqual(told, {"max_retries": 0, "api_key": "k", "api_version": "2024-02-01", "azure_endpoint": "b"})

    def test_what_is_not_offered_says_what_to_do(self):
        from promptflow.tools.azure_content_safety import analyze_text
        from promptflow.tools.open_model_llm import OpenModelLLM
        from promptflow.tools.serpapi import SerpAPI

        for call, words in (
            (lambda: SerpAPI(SerpConnection("k")).search("q"), "serpapi .* `http` node"),
            (lambda: analyze_text(None, "t"), "azure_content_safety .* `http` node"),
            (lambda: OpenModelLLM().call("p", "chat", "e"), "open_model_llm .* `serverless` connection"),
        ):
            with self.assertRaisesRegex(UserErrorException, words):
                call()


if __name__ == "__main__":
    unittest.main()
