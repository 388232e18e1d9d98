"""Holds `sluicegate simulate` against the official Python clients.

    python -m pip install -r tests/clients/requirements.txt
    python tests/clients/simulate.py target/debug/sluicegate

Or with the address of one that serves tests/clients/simulate.yaml already.
"""

import atexit
import contextlib
import json
import math
import pathlib
import sys
import time

import openai
import servers
from openai import AzureOpenAI, OpenAI
from pydantic import BaseModel

BASE = sys.argv[1].rstrip("/")
if not BASE.startswith("http"):
    server = contextlib.ExitStack()
    atexit.register(server.close)
    script = pathlib.Path(__file__).with_suffix(".yaml")
    BASE = server.enter_context(servers.simulate(pathlib.Path(BASE).absolute(), script.absolute()))
KEY = "test-key"
USER = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello over there"}]
SAID = "You said hello over there"
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    },
}


class Answer(BaseModel):
    answer: int
    words: list[str]


def user(text):
    return [{"role": "user", "content": text}]


def check(name):
    def decorate(test):
        test()
        print(f"ok  {name}")

    return decorate


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


client = OpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0)


def chat(messages, **more):
    return client.chat.completions.create(model="gpt-test", messages=messages, **more)


@check("openai: chat")
def _():
    reply = chat(USER)
    assert reply.choices[0].message.content == SAID and reply.choices[0].finish_reason == "stop"
    assert reply.model == "gpt-test" and reply.object == "chat.completion" and reply.id.startswith("chatcmpl-")
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0
    assert abs(reply.created - time.time()) < 60
    assert reply._request_id
    assert len(chat(USER, n=3).choices) == 3


@check("openai: chat with parts, an image among them")
def _():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    reply = chat([{"role": "user", "content": [{"type": "text", "text": "look"}, image]}])
    assert reply.choices[0].message.content == "You said look"


@check("openai: chat, streamed")
def _():
    chunks = list(chat(USER, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[0].choices[0].delta.content == ""
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    assert pieces == ["You ", "said ", "hello ", "over ", "there"], pieces
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


@check("openai: chat, streamed with usage")
def _():
    chunks = list(chat(USER, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])


@check("openai: tools, whole, streamed and answered")
def _():
    question = user("what weather in Ghent?")
    reply = chat(question, tools=[TOOL])
    call = reply.choices[0].message.tool_calls[0]
    assert reply.choices[0].finish_reason == "tool_calls" and reply.choices[0].message.content is None
    assert call.function.name == "weather" and json.loads(call.function.arguments) == {"city": "Ghent", "days": 2}
    with client.chat.completions.stream(model="gpt-test", messages=question, tools=[TOOL]) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_completion().choices[0].message.tool_calls[0]
    assert "tool_calls.function.arguments.delta" in kinds and "tool_calls.function.arguments.done" in kinds
    assert (streamed.id, streamed.function.arguments) == (call.id, call.function.arguments)
    answered = [*question, reply.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    assert chat(answered).choices[0].message.content == "It is sunny: take no umbrella."


@check("openai: json_schema, parsed")
def _():
    reply = client.chat.completions.parse(model="gpt-test", messages=user("as JSON"), response_format=Answer)
    assert reply.choices[0].message.parsed == Answer(answer=42, words=["forty", "two"])
    with client.chat.completions.stream(model="gpt-test", messages=user("as JSON"), response_format=Answer) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.parsed.answer == 42


@check("openai: refusal, length, reasoning and cached tokens")
def _():
    assert chat(user("refused")).choices[0].message.refusal == "I cannot help with that."
    with client.chat.completions.stream(model="gpt-test", messages=user("refused")) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.refusal == "I cannot help with that."
    reply = chat(user("thinks too long"))
    assert reply.choices[0].finish_reason == "length" and reply.choices[0].message.content == ""
    assert reply.usage.completion_tokens_details.reasoning_tokens == 64
    assert reply.usage.prompt_tokens_details.cached_tokens == 4


@check("openai: completions, whole and streamed")
def _():
    reply = client.completions.create(model="gpt-test", prompt="once upon")
    assert reply.choices[0].text == "You said once upon" and reply.object == "text_completion"
    chunks = client.completions.create(model="gpt-test", prompt="once upon", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "You said once upon"


@check("openai: responses")
def _():
    reply = client.responses.create(model="gpt-test", instructions="Be brief.", input="hello over there")
    assert reply.output_text == SAID and reply.status == "completed" and reply.instructions == "Be brief."
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens
    reply = client.responses.create(model="gpt-test", input=USER, metadata={"a": "b"}, temperature=0.5)
    assert reply.output_text == SAID and reply.metadata == {"a": "b"} and reply.temperature == 0.5
    parsed = client.responses.parse(model="gpt-test", input="as JSON", text_format=Answer)
    assert parsed.output_parsed == Answer(answer=42, words=["forty", "two"])
    refused = client.responses.create(model="gpt-test", input="refused").output[0].content[0]
    assert refused.type == "refusal" and refused.refusal == "I cannot help with that."
    thinks = client.responses.create(model="gpt-test", input="thinks too long")
    assert thinks.status == "incomplete" and thinks.incomplete_details.reason == "max_output_tokens"
    assert [item.type for item in thinks.output] == ["reasoning"] and thinks.output_text == ""
    assert thinks.usage.output_tokens_details.reasoning_tokens == 64


@check("openai: responses, tools")
def _():
    tools = [{"type": "function", **TOOL["function"]}]
    question = [{"role": "user", "content": "what weather in Ghent?"}]
    reply = client.responses.create(model="gpt-test", input=question, tools=tools)
    call = reply.output[0]
    assert call.type == "function_call" and call.name == "weather" and reply.tools[0].name == "weather"
    assert json.loads(call.arguments) == {"city": "Ghent", "days": 2}
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    answered = client.responses.create(model="gpt-test", input=[*question, *reply.output, output], tools=tools)
    assert answered.output_text == "It is sunny: take no umbrella."


@check("openai: responses, streamed events")
def _():
    events = list(client.responses.create(model="gpt-test", input="hello over there", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds == (
        ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
        + ["response.output_text.delta"] * 5
        + ["response.output_text.done", "response.content_part.done", "response.output_item.done"]
        + ["response.completed"]
    ), kinds
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == SAID
    assert events[-1].response.output_text == SAID
    with client.responses.stream(model="gpt-test", input="as JSON", text_format=Answer) as stream:
        for event in stream:
            pass
        assert stream.get_final_response().output_parsed.answer == 42
    tools = [{"type": "function", **TOOL["function"]}]
    with client.responses.stream(model="gpt-test", input="weather in Ghent", tools=tools) as stream:
        deltas = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        final = stream.get_final_response().output[0]
    assert json.loads("".join(deltas)) == json.loads(final.arguments) == {"city": "Ghent", "days": 2}
    with client.responses.stream(model="gpt-test", input="refused") as stream:
        assert [e.refusal for e in stream if e.type == "response.refusal.done"] == ["I cannot help with that."]


@check("openai: embeddings, base64 and float")
def _():
    def embed(texts, **more):
        return client.embeddings.create(model="embed-test", input=texts, **more)

    packed = embed(["one two", "two one", "other"])
    plain = embed(["one two", "two one", "other"], encoding_format="float")
    vectors = [item.embedding for item in packed.data]
    assert [len(vector) for vector in vectors] == [8, 8, 8] and packed.usage.prompt_tokens > 0
    assert [item.index for item in plain.data] == [0, 1, 2]
    for vector, item in zip(vectors, plain.data):
        assert all(abs(a - b) < 1e-6 for a, b in zip(vector, item.embedding))
        assert math.isclose(sum(number * number for number in vector), 1, abs_tol=1e-5)
    assert vectors[0] == vectors[1] != vectors[2]
    assert len(embed("one", dimensions=3).data[0].embedding) == 3
    assert len(embed([[1, 2], [3]]).data) == 2 and len(embed([1, 2]).data) == 1


@check("openai: models")
def _():
    assert [model.id for model in client.models.list()] == ["gpt-test", "embed-test", "busy", "small"]
    assert client.models.retrieve("gpt-test").id == "gpt-test"
    assert raises(openai.NotFoundError, lambda: client.models.retrieve("nobody")).code == "model_not_found"


@check("openai: errors")
def _():
    stranger = OpenAI(base_url=f"{BASE}/v1", api_key="wrong", max_retries=0)
    refused = raises(openai.AuthenticationError, lambda: stranger.chat.completions.create(model="gpt-test", messages=USER))
    assert refused.code == "invalid_api_key" and "wrong" not in str(refused)
    unknown = raises(openai.NotFoundError, lambda: client.chat.completions.create(model="nobody", messages=USER))
    assert unknown.code == "model_not_found"
    bad = raises(openai.BadRequestError, lambda: chat(USER, max_tokens=5))
    assert (bad.code, bad.param, bad.type) == ("unsupported_parameter", "max_tokens", "invalid_request_error")
    assert raises(openai.BadRequestError, lambda: chat([])).param == "messages"
    for stream in [False, True]:
        filtered = raises(openai.BadRequestError, lambda: chat(user("filtered input"), stream=stream))
        assert filtered.code == "content_filter" and filtered.param == "prompt"
        results = filtered.body["innererror"]["content_filter_result"]
        assert results["hate"] == {"filtered": True, "severity": "high"}
        assert results["jailbreak"] == {"filtered": True, "detected": True}
        assert results["violence"] == {"filtered": False, "severity": "safe"}
    assert chat(user("filtered output")).choices[0].finish_reason == "content_filter"
    raises(openai.APIError, lambda: list(chat(user("cut me"), stream=True)))


@check("openai: 429 and 503 are waited for")
def _():
    patient = OpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=2)
    limited = raises(
        openai.RateLimitError,
        lambda: client.chat.completions.create(model="busy", messages=user(f"at {time.time()}")),
    )
    assert limited.response.headers["retry-after"] == "1" and limited.response.headers["retry-after-ms"] == "1000"
    assert limited.code == "rate_limit_exceeded" and limited.body["message"] == "slow down"
    start = time.monotonic()
    reply = patient.chat.completions.create(model="busy", messages=user(f"later at {time.time()}"))
    assert reply.choices[0].finish_reason == "stop" and 0.9 < time.monotonic() - start < 5
    assert patient.chat.completions.create(model="gpt-test", messages=user("fetch")).choices[0].finish_reason == "stop"


azure = AzureOpenAI(azure_endpoint=BASE, api_key=KEY, api_version="2024-10-21", max_retries=0)


@check("azure openai: chat by deployment, with annotations")
def _():
    reply = azure.chat.completions.create(model="gpt-test", messages=USER)
    assert reply.choices[0].message.content == SAID
    assert reply.prompt_filter_results[0]["content_filter_results"]["hate"]["severity"] == "safe"
    fixed = AzureOpenAI(
        azure_endpoint=BASE, azure_deployment="gpt-test", api_key=KEY, api_version="2024-10-21", max_retries=0
    )
    assert fixed.chat.completions.create(model="whatever", messages=USER).model == "gpt-test"


@check("azure openai: streams begin without a choice")
def _():
    chunks = list(azure.chat.completions.create(model="gpt-test", messages=USER, stream=True))
    assert chunks[0].choices == [] and chunks[0].prompt_filter_results
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == SAID


@check("azure openai: responses, embeddings, completions, errors")
def _():
    assert azure.responses.create(model="gpt-test", input="hello over there").output_text == SAID
    assert len(azure.embeddings.create(model="embed-test", input="text").data[0].embedding) == 8
    assert azure.completions.create(model="gpt-test", prompt="once").choices[0].text == "You said once"
    unknown = raises(openai.NotFoundError, lambda: azure.chat.completions.create(model="nobody", messages=USER))
    assert unknown.code == "DeploymentNotFound"
    filtered = raises(
        openai.BadRequestError, lambda: azure.chat.completions.create(model="gpt-test", messages=user("filtered input"))
    )
    assert filtered.code == "content_filter"
    assert filtered.body["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    stopped = azure.chat.completions.create(model="gpt-test", messages=user("filtered output")).choices[0]
    assert stopped.finish_reason == "content_filter" and stopped.content_filter_results["violence"]["filtered"]
    token = AzureOpenAI(
        azure_endpoint=BASE, azure_ad_token_provider=lambda: KEY, api_version="2024-10-21", max_retries=0
    )
    assert token.chat.completions.create(model="gpt-test", messages=USER).choices


@check("azure openai: v1 paths")
def _():
    modern = OpenAI(base_url=f"{BASE}/openai/v1/", api_key=KEY, max_retries=0)
    assert modern.chat.completions.create(model="gpt-test", messages=USER).choices[0].message.content == SAID
    assert modern.responses.create(model="gpt-test", input="hello over there").output_text == SAID
    assert len(modern.embeddings.create(model="embed-test", input="text").data[0].embedding) == 8
    assert modern.models.list().data[0].id == "gpt-test"


def inference():
    from azure.ai.inference import ChatCompletionsClient, EmbeddingsClient
    from azure.ai.inference.models import ChatCompletionsToolDefinition, FunctionDefinition, SystemMessage, UserMessage
    from azure.core.credentials import AzureKeyCredential
    from azure.core.exceptions import HttpResponseError

    messages = [SystemMessage("Be brief."), UserMessage("hello over there")]

    def connect(kind, key=KEY, path=""):
        return kind(endpoint=f"{BASE}{path}", credential=AzureKeyCredential(key), retry_total=0)

    for path in ["", "/models"]:
        client = connect(ChatCompletionsClient, path=path)

        @check(f"azure-ai-inference{path}: chat, stream, tools, info")
        def _():
            reply = client.complete(messages=messages, model="gpt-test")
            assert reply.choices[0].message.content == SAID and reply.usage.total_tokens > 0
            assert reply.choices[0].finish_reason == "stop"
            updates = list(client.complete(messages=messages, model="gpt-test", stream=True))
            text = "".join(update.choices[0].delta.content or "" for update in updates if update.choices)
            assert text == SAID
            function = FunctionDefinition(name="weather", parameters=TOOL["function"]["parameters"])
            tools = [ChatCompletionsToolDefinition(function=function)]
            reply = client.complete(messages=[UserMessage("weather in Ghent")], model="gpt-test", tools=tools)
            assert json.loads(reply.choices[0].message.tool_calls[0].function.arguments)["city"] == "Ghent"
            info = client.get_model_info()
            assert info.model_name == "gpt-test" and info.model_type == "chat-completion"

        @check(f"azure-ai-inference{path}: embeddings")
        def _():
            embeddings = connect(EmbeddingsClient, path=path)
            reply = embeddings.embed(input=["one two", "two one"], model="embed-test")
            assert reply.data[0].embedding == reply.data[1].embedding and len(reply.data[0].embedding) == 8
            assert len(embeddings.embed(input=["one"], model="embed-test", dimensions=4).data[0].embedding) == 4

    @check("azure-ai-inference: errors")
    def _():
        def status(call):
            error = raises(HttpResponseError, call)
            return error.status_code, error.error.code

        client, stranger = connect(ChatCompletionsClient), connect(ChatCompletionsClient, "wrong")
        assert status(lambda: stranger.complete(messages=messages, model="gpt-test")) == (401, "invalid_api_key")
        assert status(lambda: client.complete(messages=messages, model="nobody")) == (404, "model_not_found")
        filtered = [UserMessage("filtered input")]
        assert status(lambda: client.complete(messages=filtered, model="gpt-test")) == (400, "content_filter")


inference()
print("all well")
