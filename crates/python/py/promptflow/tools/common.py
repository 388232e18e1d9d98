"""What the tools share, and tools of others import: rendering, messages, checks."""

import json
import re

from promptflow.contracts.multimedia import ChatInputList
from promptflow.tools.exception import (  # noqa: F401 - some import them from here
    ChatAPIInvalidFunctions,
    ChatAPIInvalidRole,
    ChatAPIInvalidTools,
    FunctionCallNotSupportedInStreamMode,
    JinjaTemplateError,
    LLMError,
    ListDeploymentsError,
    ParseConnectionError,
    WrappedOpenAIError,
)

__path__ = []

VALID_ROLES = ["system", "user", "assistant", "function", "tool"]
GPT4V_VERSION = "vision-preview"

_IMAGE = re.compile(r"!\[(\s*image\s*)\]\(\{\{(\s*[^\s{}]+\s*)\}\}\)")


class PromptResult(str):
    """Rendered text, as prompt nodes give it."""


def render_jinja_template(prompt, trim_blocks=True, keep_trailing_newline=True, escape_dict=None, **kwargs):
    """Renders a template. The host does it, by the rules of prompt nodes."""
    from promptflow import _host
    from promptflow.tools import _calls

    fields = {"template": str.__str__(prompt), "variables": _calls.variables_of(kwargs), "mode": _mode(kwargs)}
    if not trim_blocks:
        fields["trim_blocks"] = False
    if not keep_trailing_newline:
        fields["keep_trailing_newline"] = False
    return _host.ask("render", **fields)


def parse_chat(chat_str, images=None, valid_roles=None, image_detail="auto", escape_dict=None):
    """The messages of rendered text: a list of dicts with `role` and `content`."""
    from promptflow import _host

    fields = {"text": str.__str__(chat_str)}
    if images:
        fields["images"] = list(images)
        fields["detail"] = str(image_detail)
    if valid_roles:
        fields["roles"] = [str(role) for role in valid_roles]
    return _host.ask("parse_chat", **fields)


def build_messages(prompt, images=None, image_detail="auto", detail=None, **kwargs):
    """Renders a chat template and gives its messages."""
    from promptflow import _host
    from promptflow.tools import _calls

    variables = dict(kwargs)
    fields = {"template": str.__str__(prompt), "mode": _mode(variables)}
    escaped = variables.pop("_inputs_to_escape", None)
    if escaped:
        fields["escape"] = [str(name) for name in escaped]
    fields["variables"] = _calls.variables_of(variables)
    if images:
        fields["images"] = list(images)
        fields["detail"] = str(detail or image_detail)
    return _host.ask("messages", **fields)


def convert_to_chat_list(obj):
    """Lists, at any depth, as lists that print an item on each line."""
    if isinstance(obj, dict):
        return {key: convert_to_chat_list(value) for key, value in obj.items()}
    if isinstance(obj, list):
        return ChatInputList(convert_to_chat_list(item) for item in obj)
    return obj


def find_referenced_image_set(kwargs):
    """The images among values, at any depth."""
    from promptflow.contracts.multimedia import Image

    found = set()
    for value in kwargs.values():
        add_referenced_images_to_set(value, found, Image)
    return found


def add_referenced_images_to_set(value, image_set, image_type):
    """Adds the images in a value to a set."""
    if isinstance(value, image_type):
        image_set.add(value)
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            add_referenced_images_to_set(item, image_set, image_type)


def preprocess_template_string(template_string):
    """A template with `![image]({{x}})` as `{{x}}` on a line of its own."""
    return _IMAGE.sub(lambda found: f"\n{{{{{found.group(2)}}}}}\n", template_string)


def handle_openai_error(tries=100, delay=8.0, **_):
    """A decorator that gives the function back: retries and errors are the host's."""

    def decorate(function):
        return function

    return decorate


def to_bool(value):
    """Whether it is true, also as text."""
    return str(value).lower() == "true"


def validate_role(role, valid_roles=None, **_):
    """Raises for a role that no message may have."""
    roles = list(valid_roles or VALID_ROLES)
    if role not in roles:
        known = ",".join(f"'{known}:\\n'" for known in roles)
        raise ChatAPIInvalidRole(f"a chat prompt has lines that begin messages: {known}. '{role}' is none of them")


def validate_functions(functions):
    """Raises for functions that the API would not take."""
    if not isinstance(functions, (list, tuple)) or len(functions) == 0:
        raise ChatAPIInvalidFunctions(f"functions cannot be an empty list. {_FUNCTION_HELP}")
    for index, function in enumerate(functions):
        _check_function(function, f"function {index}", ChatAPIInvalidFunctions)


def validate_tools(tools):
    """Raises for tools that the API would not take."""
    if not isinstance(tools, (list, tuple)) or len(tools) == 0:
        raise ChatAPIInvalidTools(f"tools cannot be an empty list. {_TOOL_HELP}")
    for index, tool in enumerate(tools):
        what = f"tool {index}"
        if not isinstance(tool, dict):
            raise ChatAPIInvalidTools(f"{what} '{tool}' is not a dict. {_TOOL_HELP}")
        for key in ("type", "function"):
            if key not in tool:
                raise ChatAPIInvalidTools(f"{what} '{tool}' does not have '{key}' property. {_TOOL_HELP}")
        _check_function(tool["function"], what, ChatAPIInvalidTools)


def process_function_call(function_call):
    """What is sent as `function_call`: `auto` if nothing is given, JSON text as what it says."""
    return _choice(function_call, ("auto", "none"), "function_call", lambda choice: "name" in choice, ChatAPIInvalidFunctions)


def process_tool_choice(tool_choice):
    """What is sent as `tool_choice`: `auto` if nothing is given, JSON text as what it says."""

    def complete(choice):
        return "type" in choice and isinstance(choice.get("function"), dict) and "name" in choice["function"]

    return _choice(tool_choice, ("auto", "none", "required"), "tool_choice", complete, ChatAPIInvalidTools)


def post_process_chat_api_response(completion, stream, functions=None, tools=None):
    """The text, the message or the pieces of a reply of the openai package's."""
    if stream:
        if functions or tools:
            raise FunctionCallNotSupportedInStreamMode("Function calling has not been supported by stream mode yet.")

        def pieces():
            for part in completion:
                if part.choices:
                    yield getattr(part.choices[0].delta, "content", None) or ""

        return pieces()
    message = completion.choices[0].message
    if functions or tools:
        return completion.model_dump()["choices"][0]["message"]
    return getattr(message, "content", "")


def normalize_connection_config(connection):
    """What the openai package's clients are made of."""
    from promptflow.connections import AzureOpenAIConnection, OpenAIConnection, ServerlessConnection

    if isinstance(connection, AzureOpenAIConnection):
        told = {"max_retries": 0, "api_version": connection.api_version, "azure_endpoint": connection.api_base}
        if connection.api_key:
            return {**told, "api_key": connection.api_key}
        return {**told, "azure_ad_token_provider": connection.get_token}
    if isinstance(connection, OpenAIConnection):
        return {"max_retries": 0, "api_key": connection.api_key, "organization": connection.organization, "base_url": connection.base_url}
    if isinstance(connection, ServerlessConnection):
        suffix = "/v1"
        base = connection.api_base or ""
        return {"max_retries": 0, "api_key": connection.api_key, "base_url": base if base.endswith(suffix) else base.rstrip("/") + suffix}
    from promptflow.tools.exception import InvalidConnectionType

    usable = "AzureOpenAIConnection, OpenAIConnection or ServerlessConnection"
    raise InvalidConnectionType(f"a {type(connection).__name__} cannot be used to call a model: {usable} can")


def init_azure_openai_client(connection):
    """A client of the openai package, which has to be installed. What it sends does not go through the host."""
    return _openai().AzureOpenAI(**normalize_connection_config(connection))


def init_openai_client(connection):
    """A client of the openai package, which has to be installed. What it sends does not go through the host."""
    return _openai().OpenAI(**normalize_connection_config(connection))


def list_deployment_connections(*_, **__):
    """Nothing: deployments are an editor's matter."""
    return None


def _openai():
    try:
        import openai
    except ImportError:
        from promptflow.exceptions import UserErrorException

        raise UserErrorException("this needs the openai package: pip install openai; promptflow.tools.aoai and .openai need no package") from None
    return openai


def _mode(variables):
    """Whether lists print an item on each line: they do if the caller has made them such."""
    return "llm" if any(isinstance(value, ChatInputList) for value in variables.values()) else "plain"


_FUNCTION = '{"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}'
_FUNCTION_HELP = f"Here is a valid function example: {_FUNCTION}."
_TOOL_HELP = f'Here is a valid tool example: {{"type": "function", "function": {_FUNCTION}}}.'


def _check_function(function, what, error):
    if not isinstance(function, dict):
        raise error(f"{what} '{function}' is not a dict. {_FUNCTION_HELP}")
    for key in ("name", "parameters"):
        if key not in function:
            raise error(f"{what} '{function}' does not have '{key}' property. {_FUNCTION_HELP}")
    parameters = function["parameters"]
    if not isinstance(parameters, dict):
        raise error(f"{what} '{function['name']}' parameters '{parameters}' should be described as a JSON Schema object. {_FUNCTION_HELP}")
    for key in ("type", "properties"):
        if key not in parameters:
            raise error(f"{what} '{function['name']}' parameters '{parameters}' does not have '{key}' property. {_FUNCTION_HELP}")
    if parameters["type"] != "object":
        raise error(f"{what} '{function['name']}' parameters 'type' should be 'object'. {_FUNCTION_HELP}")
    if not isinstance(parameters["properties"], dict):
        raise error(f"{what} '{function['name']}' parameters 'properties' should be described as a JSON Schema object. {_FUNCTION_HELP}")


def _choice(value, words, what, complete, error):
    if value is None or value == "":
        return "auto"
    if value in words if isinstance(value, str) else False:
        return value
    if isinstance(value, (str, bytes)):
        try:
            value = json.loads(value)
        except ValueError:
            raise error(f"{what} parameter '{value}' is an invalid json.") from None
    if not isinstance(value, dict):
        raise error(f"{what} parameter '{value}' must be a dict, but not {type(value)}.")
    if not complete(value):
        raise error(f"{what} parameter '{value}' must name a function.")
    return value
