"""Calls of models by way of the host. What is sent is what promptflow-tools sends."""

from promptflow import _host
from promptflow.connections import _to_host

__path__ = []


def chat(connection, model, prompt, variables, parameters, *, stream=False, mode="llm", result="text", headers=None, detail=None):
    """Renders a chat prompt, sends its messages, and gives the text, the message or a generator of pieces."""
    fields = _fields(connection, model, "chat", prompt, variables, parameters, mode, headers)
    fields["result"] = result
    if detail is not None:
        fields["detail"] = str(detail)
    if stream:
        return _host.pieces("chat", **fields)
    return _host.ask("chat", **fields)


def completion(connection, model, prompt, variables, parameters, *, stream=False, headers=None):
    """Renders a prompt, sends it to the completion API, and gives the text or a generator of pieces."""
    fields = _fields(connection, model, "completion", prompt, variables, parameters, "plain", headers)
    fields["result"] = "text"
    if stream:
        return _host.pieces("chat", **fields)
    return _host.ask("chat", **fields)


def embedding(connection, model, input, headers=None):
    """The vector of a text; of a list of texts that of the first, as the original has it."""
    fields = {"connection": _host.plain(_to_host(connection)), "model": _text(model), "input": _host.plain(input)}
    if headers:
        fields["headers"] = headers
    return _host.ask("embedding", **fields)


def variables_of(variables):
    """What a template may use, with the kinds of lists that print in their own way made plain."""
    return {name: _plain_lists(value) for name, value in variables.items()}


def _fields(connection, model, api, prompt, variables, parameters, mode, headers):
    variables = dict(variables)
    escaped = variables.pop("_inputs_to_escape", None)
    fields = {
        "connection": _host.plain(_to_host(connection)),
        "model": _text(model),
        "api": api,
        "prompt": str.__str__(prompt),
        "variables": variables_of(variables),
        "mode": mode,
        "parameters": _host.plain(parameters),
    }
    if escaped:
        fields["escape"] = [str(name) for name in escaped]
    if headers:
        fields["headers"] = headers
    return fields


def _plain_lists(value):
    if isinstance(value, list):
        return [_plain_lists(item) for item in value]
    if type(value) is dict:
        return {key: _plain_lists(item) for key, item in value.items()}
    if isinstance(value, str) and type(value) is not str:
        return str.__str__(value)
    return value


def _text(model):
    """A model's name; enumerations of names are taken too."""
    return str(getattr(model, "value", model) or "")
