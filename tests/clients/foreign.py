"""Holds sluicegate's own client against servers that others wrote: the litellm proxy and aimock.

    python -m pip install -r tests/clients/litellm.txt
    npm install --prefix target/clients/aimock "$(cat tests/clients/aimock.txt)"
    python tests/clients/foreign.py --sluicegate target/debug/sluicegate \\
        --litellm "$(which litellm)" --aimock target/clients/aimock/node_modules/@copilotkit/aimock/dist/aimock-cli.js

Without `--litellm` or `--aimock`, that server's checks are left out. Needs no network and no key of anybody.
"""

import argparse
import json
import pathlib
import tempfile
import time
import traceback

import servers
from project import Project

HERE = pathlib.Path(__file__).absolute().parent
KEY = "sk-test-key"
WRONG = "sk-wrong-key"
CALL = {"city": "Ghent"}
VECTOR = [0.5, -0.25, 0.125]
JSON = {"answer": 42, "words": ["forty", "two"]}
failed = []


def check(name):
    """Runs a check at once; one that fails does not keep the others from running."""

    def decorate(test):
        began = time.monotonic()
        try:
            test()
        except Exception:  # noqa: BLE001
            failed.append(name)
            print(f"NOT {name}\n{traceback.format_exc()}", flush=True)
        else:
            print(f"ok  {name} ({time.monotonic() - began:.1f} s)", flush=True)

    return decorate


def usage(ran):
    """Tokens of the request and of the reply."""
    return ran.report["usage"]["input_tokens"], ran.report["usage"]["output_tokens"]


def check_dialogue(project, name, asks, streamed=True):
    """A reply in one piece and one as it comes: the same output, and the same count of tokens."""
    for flags in [[], ["--stream"]] if streamed else [[]]:
        ran = project.run("ask", name, asks["model"], *flags, question="hello there")
        assert ran.outputs == {"answer": asks["text"]}, ran
        assert "usage" not in asks or usage(ran) == asks["usage"], usage(ran)
        assert (asks["text"] in ran.stderr) == bool(flags), ran.stderr


def check_tools(project, name, model):
    """A tool is called, and its result is understood."""
    for flags in [], ["--stream"]:
        ran = project.run("tools", name, model, *flags, question="what weather in Ghent?")
        call = ran.outputs["call"]
        assert (call["type"], call["function"]["name"]) == ("function", "weather") and call["id"], call
        assert json.loads(call["function"]["arguments"])["city"] == "Ghent", call
        assert "sunny" in ran.outputs["answer"], ran.outputs


def check_schema(project, name, model):
    """A reply by a schema is read as JSON."""
    for flags in [], ["--stream"]:
        ran = project.run("schema", name, model, *flags, question="as JSON")
        assert ran.outputs == JSON, ran.outputs


def check_fails(ran, code, *words, attempts=1):
    """The run failed for this reason, and its error says all the words, in a few lines."""
    assert ran.code == 1, ran
    node = next(node for node in ran.report["nodes"].values() if node["status"] == "failed")
    assert all(word in ran.stderr for word in words), (words, ran.stderr)
    assert KEY not in ran.stderr + ran.stdout and WRONG not in ran.stderr + ran.stdout
    error = ran.stderr[ran.stderr.index("error: ") :]
    assert len(error) < 900 and "panicked" not in ran.stderr, ran.stderr
    repeated = [line for line in ran.stderr.splitlines() if "trying again in" in line]
    assert len(repeated) == attempts - 1, ran.stderr
    assert node["error"]["code"] == code, node["error"]


# --- aimock -----------------------------------------------------------------------------------------------------------

SAYS = "Hello there, from a mock."


def says(user, response, match=None, **more):
    """What aimock replies to a message that holds `user`."""
    return {"match": {"userMessage": user, **(match or {})}, "response": response, **more}


FIXTURES = [
    says("hello", {"content": SAYS, "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}),
    says("weather", {"toolCalls": [{"id": "call_1", "name": "weather", "arguments": CALL}]}, {"hasToolResult": False}),
    says("weather", {"content": "It is sunny in Ghent."}, {"toolResultContains": "sunny"}),
    says("as JSON", {"content": JSON}),
    says("too long", {"content": "It beg", "finishReason": "length"}),
    says("think", {"content": "42", "reasoning": "Six times seven."}),
    says("always busy", {"error": {"message": "Too many of you", "type": "rate_limit_error"}, "status": 429}),
    says("broken", {"error": {"message": "It broke", "type": "server_error"}, "status": 500}),
    says("garbled", {"content": "never seen"}, chaos={"malformedRate": 1}),
    says("hangs up", {"content": "never seen"}, chaos={"disconnectRate": 1}),
    says("cut off", {"content": "one two three " * 9}, chunkSize=4, latency=10, truncateAfterChunks=8),
    {"match": {"inputText": "one two"}, "response": {"embedding": VECTOR}},
]

# Where each connection must have asked: for a conversation, and for vectors.
DATED = "api-version=2025-04-01-preview"
PATHS = {
    "openai": ("/v1/chat/completions", "/v1/embeddings"),
    "openai-responses": ("/v1/responses", "/v1/embeddings"),
    "azure": (
        "/openai/deployments/o4/chat/completions?api-version=2024-10-21",
        "/openai/deployments/o4/embeddings?api-version=2024-10-21",
    ),
    "azure-v1": ("/openai/v1/chat/completions", "/openai/v1/embeddings"),
    "azure-responses": ("/openai/v1/responses", "/openai/v1/embeddings"),
    "azure-dated-responses": (f"/openai/responses?{DATED}", f"/openai/deployments/o4/embeddings?{DATED}"),
    "serverless": (
        "/models/chat/completions?api-version=2024-05-01-preview",
        "/models/embeddings?api-version=2024-05-01-preview",
    ),
    "anthropic": ("/v1/messages", None),
}


def aimock_connections(base):
    shared = {"api_key": "${KEY}", "retry": {"max_attempts": 2, "initial": "10ms"}}
    openai = {"type": "open_ai", "base_url": f"{base}/v1", **shared}
    azure = {"type": "azure_open_ai", "api_base": base, **shared}
    return {
        "openai": openai,
        "openai-responses": {**openai, "api": "responses"},
        "azure": {**azure, "api_version": "2024-10-21"},
        "azure-v1": {**azure, "api": "v1"},
        "azure-responses": {**azure, "api": "responses"},
        "azure-dated-responses": {**azure, "api": "responses", "api_version": "2025-04-01-preview"},
        "serverless": {"type": "serverless", "endpoint": f"{base}/models", **shared},
        "anthropic": {"type": "anthropic", "base_url": base, **shared},
    }


def aimock_checks(sluicegate, base, folder):
    connections = aimock_connections(base)
    strangers = {f"stranger-{name}": {**connection, "api_key": "${WRONG}"} for name, connection in connections.items()}
    project = Project(sluicegate, folder, {**connections, **strangers}, KEY=KEY, WRONG=WRONG)

    def heard():
        """The last request, as aimock kept it: of every API in the words of OpenAI's chat."""
        return servers.get(f"{base}/__aimock/journal", KEY)[-1]

    for name, (chat_path, vector_path) in PATHS.items():
        # aimock shows reasoning only for a model whose name says that it reasons.
        model = "o4"

        @check(f"aimock, {name}: a reply, whole and streamed")
        def _():
            check_dialogue(project, name, {"model": model, "text": SAYS, "usage": (7, 5)})
            asked = heard()
            assert asked["path"] == chat_path, asked["path"]
            assert asked["headers"]["user-agent"].startswith("sluicegate/") and "traceparent" in asked["headers"]
            messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello there"}]
            assert asked["body"]["messages"] == messages, asked
            assert (asked["body"]["model"], asked["body"]["max_tokens"], asked["body"]["stream"]) == (model, 200, True)

        @check(f"aimock, {name}: tools, whole and streamed")
        def _():
            check_tools(project, name, model)
            _, user, calls, result = heard()["body"]["messages"]
            assert user["content"] == "what weather in Ghent?"
            assert calls["tool_calls"][0]["id"] == result["tool_call_id"] == "call_1", calls
            assert result["role"] == "tool" and "sunny" in result["content"], result

        @check(f"aimock, {name}: a reply cut off at its most tokens is an output and a warning")
        def _():
            ran = project.run("ask", name, model, question="too long")
            assert ran.outputs == {"answer": "It beg"}, ran
            assert "warning: node `ask`: the reply was cut off" in ran.stderr, ran

        @check(f"aimock, {name}: thoughts are no part of a reply")
        def _():
            check_dialogue_of_thought(project, name, model)

        @check(f"aimock, {name}: a wrong key, an unknown model, a server that breaks")
        def _():
            def ask(question, connection=name):
                return project.run("ask", connection, model, question=question)

            check_fails(ask("hello", f"stranger-{name}"), "key_refused", "refused the key (401)", "hint: ")
            check_fails(ask("what nobody knows"), "rejected", "(404)", "No fixture matched")
            check_fails(ask("broken"), "server_failed", "(500)", "It broke", attempts=2)
            check_fails(ask("garbled"), "malformed_reply", "no JSON", "chaos")

        @check(f"aimock, {name}: a server that hangs up, before a reply and within it")
        def _():
            check_fails(project.run("ask", name, model, question="hangs up"), "unreachable", base, attempts=2)
            ran = project.run("ask", name, model, "--stream", question="cut off")
            check_fails(ran, "stream_broken", "one two", "the reply broke off")

        if name != "anthropic":

            @check(f"aimock, {name}: a reply by a schema")
            def _():
                check_schema(project, name, model)
                # What aimock understands of the responses API has no formats.
                if "responses" not in name:
                    assert heard()["body"]["response_format"]["json_schema"]["strict"] is True

            @check(f"aimock, {name}: vectors")
            def _():
                ran = project.run("vectors", name, model, texts=["one two", "three"])
                assert ran.outputs == {"vectors": [VECTOR, VECTOR]}, ran.outputs
                assert heard()["path"] == vector_path, heard()["path"]

    for name in "openai", "openai-responses", "anthropic":

        @check(f"aimock, {name}: too many requests are waited for, and then given up")
        def _():
            servers.post(f"{base}/__aimock/error", KEY, {"status": 429, "body": {"message": "Wait a moment"}})
            ran = project.run("ask", name, "o4", question="hello")
            assert ran.outputs == {"answer": SAYS} and "Wait a moment" in ran.stderr, ran
            assert "trying again in" in ran.stderr, ran.stderr
            ran = project.run("ask", name, "o4", question="always busy")
            check_fails(ran, "rate_limited", "Too many of you", attempts=2)


def check_dialogue_of_thought(project, name, model):
    for flags in [], ["--stream"]:
        ran = project.run("ask", name, model, *flags, question="think")
        assert ran.outputs == {"answer": "42"} and "Six times seven" not in ran.stderr, ran


# --- litellm ----------------------------------------------------------------------------------------------------------

PROXY_SAYS = "Hello there, from a proxy."


def litellm_config(upstream):
    """Models that litellm plays itself (`mock_response`), and models that it asks `sluicegate simulate` for."""

    def model(name, model, **parameters):
        return {"model_name": name, "litellm_params": {"model": model, "api_key": "test-key", **parameters}}

    return {
        "model_list": [
            model("parrot", "openai/gpt-4o-mini", mock_response=PROXY_SAYS),
            model("vectors", "openai/text-embedding-3-small", mock_response=VECTOR),
            model("busy", "openai/gpt-4o-mini", mock_response="litellm.RateLimitError"),
            model("broken", "openai/gpt-4o-mini", mock_response="litellm.InternalServerError"),
            model("small", "openai/gpt-4o-mini", mock_response="litellm.ContextWindowExceededError"),
            model("up", "openai/gpt-test", api_base=f"{upstream}/v1"),
            model("up-azure", "azure/gpt-test", api_base=upstream, api_version="2024-10-21"),
            model("up-anthropic", "anthropic/gpt-test", api_base=upstream),
            model("up-modern", "openai/modern", api_base=f"{upstream}/v1"),
            model("up-vectors", "openai/embed-test", api_base=f"{upstream}/v1"),
        ],
        "litellm_settings": {"num_retries": 0, "telemetry": False},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "general_settings": {"master_key": KEY},
    }


def litellm_connections(base):
    shared = {"api_key": "${KEY}", "retry": {"max_attempts": 2, "initial": "10ms"}}
    openai = {"type": "open_ai", "base_url": f"{base}/v1", **shared}
    anthropic = {"type": "anthropic", "base_url": base, **shared}
    return {
        "openai": openai,
        "responses": {**openai, "api": "responses"},
        # Of Azure's paths litellm offers those of deployments.
        "azure": {"type": "azure_open_ai", "api_base": base, "api_version": "2024-10-21", **shared},
        "serverless": {"type": "serverless", "endpoint": base, **shared},
        "anthropic": anthropic,
        "nobody": {"type": "open_ai", "base_url": f"{base}/v1"},
        "stranger": {**openai, "api_key": "${WRONG}"},
        "strange-anthropic": {**anthropic, "api_key": "${WRONG}"},
    }


def litellm_checks(sluicegate, base, folder):
    project = Project(sluicegate, folder, litellm_connections(base), KEY=KEY, WRONG=WRONG)

    for name in "openai", "responses", "azure", "serverless", "anthropic":

        @check(f"litellm, {name}: its own reply, whole and streamed")
        def _():
            # litellm plays no stream of the responses API (it answers 500), and of Anthropic's messages a whole reply
            # in place of one, which must do.
            check_dialogue(project, name, {"model": "parrot", "text": PROXY_SAYS}, streamed=name != "responses")

        for model in "up", "up-azure", "up-anthropic":

            @check(f"litellm, {name}: a reply from behind it, by {model}")
            def _():
                check_dialogue(project, name, {"model": model, "text": "You said hello there"})
                check_tools(project, name, model)
                if name != "anthropic" and model != "up-anthropic":
                    check_schema(project, name, model)

        if name != "anthropic":  # there, litellm calls a filter the reply's end

            @check(f"litellm, {name}: a reply that a content filter stopped")
            def _():
                ran = project.run("ask", name, "up-azure", question="filtered output")
                assert ran.outputs == {"answer": "It began"} and "stopped by a content filter" in ran.stderr, ran
                assert ran.report["nodes"]["ask"]["filter"]["state"] == "output", ran.report

        @check(f"litellm, {name}: an unknown model")
        def _():
            check_fails(project.run("ask", name, "unknown", question="hello"), "rejected", "(400)", "Invalid model name")

        if name != "responses":  # there, litellm says the words in place of the error that they name

            @check(f"litellm, {name}: too many requests, a server that breaks, a prompt that is too long")
            def _():
                def ask(model):
                    return project.run("ask", name, model, question="hello")

                check_fails(ask("busy"), "rate_limited", "mock", attempts=2)
                check_fails(ask("broken"), "server_failed", "(500)", "mock", attempts=2)
                check_fails(ask("small"), "too_long", "shorten the prompt")

        if name != "anthropic":

            @check(f"litellm, {name}: vectors")
            def _():
                ran = project.run("vectors", name, "vectors", texts=["one"])
                assert ran.outputs == {"vectors": [VECTOR]}, ran.outputs
                first, second = project.run("vectors", name, "up-vectors", texts=["a b", "c"]).outputs["vectors"]
                assert len(first) == len(second) == 8 and first != second

    @check("litellm: what the model behind it does not take is learned through it")
    def _():
        ran = project.run("ask", "openai", "up-modern", question="hello there")
        assert ran.outputs == {"answer": "You said hello there"}, ran
        adapted = ran.report["nodes"]["ask"]["adapted"]
        assert [(one["parameter"], one["sent_as"]) for one in adapted] == [("max_tokens", "max_completion_tokens")]
        assert "rename: { max_tokens: max_completion_tokens }" in ran.stderr, ran.stderr

    @check("litellm: no key, a wrong key")
    def _():
        check_fails(project.run("ask", "nobody", "parrot", question="hello"), "key_refused", "refused the key (401)")
        # Without a database litellm cannot look a key up, and says so in place of 401.
        for name in "stranger", "strange-anthropic":
            check_fails(project.run("ask", name, "parrot", question="hello"), "rejected", "(400)", "No connected db")

    @check("litellm: connections test")
    def _():
        ran = project.command("connections", "test", "openai", "--model", "parrot")
        assert ran.code == 0 and PROXY_SAYS in ran.stdout and "parrot" in ran.stdout, ran
        ran = project.command("connections", "test", "nobody", "--model", "parrot")
        assert ran.code == 1 and "connection `nobody` does not work" in ran.stderr, ran


def program(path):
    """A file that is there. Programs run in folders of their own, and so need its whole path."""
    path = pathlib.Path(path).absolute()
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no {path}")
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluicegate", required=True, type=program, help="the program")
    parser.add_argument("--litellm", type=program, help="litellm's program")
    parser.add_argument("--aimock", type=program, help="aimock's script, aimock-cli.js")
    asked = parser.parse_args()
    if not (asked.litellm or asked.aimock):
        parser.error("name a server: --litellm, --aimock, or both")
    began = time.monotonic()
    if asked.aimock:
        with tempfile.TemporaryDirectory() as folder, servers.aimock(asked.aimock, KEY, FIXTURES) as base:
            aimock_checks(asked.sluicegate, base, folder)
    if asked.litellm:
        with (
            tempfile.TemporaryDirectory() as folder,
            servers.simulate(asked.sluicegate, HERE / "upstream.yaml") as upstream,
            servers.litellm(asked.litellm, litellm_config(upstream)) as base,
        ):
            litellm_checks(asked.sluicegate, base, folder)
    took = f"{time.monotonic() - began:.0f} s"
    if failed:
        raise SystemExit(f"{len(failed)} failed in {took}: {'; '.join(failed)}")
    print(f"all well in {took}")


if __name__ == "__main__":
    main()
