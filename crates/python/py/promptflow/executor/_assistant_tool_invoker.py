"""The tools of an assistant: what the API is told of them, and who calls them."""

import functools
import os
import re

from promptflow.exceptions import UserErrorException

__path__ = []

# What the API calls the types of parameters.
to_json_type_mapping = {
    "int": "number",
    "double": "number",
    "bool": "boolean",
    "string": "string",
    "list": "array",
    "object": "object",
}

_KINDS = ("code_interpreter", "function", "retrieval", "file_search")


class InvalidAssistantTool(UserErrorException):
    """A tool of an assistant that cannot be used."""


class ResolvedAssistantTool:
    """A tool: its name, what the API is told of it, and its function."""

    def __init__(self, name, openai_definition, func):
        self.name = name
        self.openai_definition = openai_definition
        self.func = func


AssistantTool = ResolvedAssistantTool


class AssistantToolInvoker:
    """Calls the tools of an assistant by their names."""

    def __init__(self, tools):
        self._assistant_tools = tools

    @classmethod
    def init(cls, tools, working_dir=None):
        """From an assistant's definition, or the list of its tools."""
        found = getattr(tools, "_tool_invoker", None)
        if found is not None:
            return found
        return cls.load(getattr(tools, "tools", tools), working_dir or ".")

    @classmethod
    def load(cls, definitions, folder):
        """Loads the files that the definitions name, which are relative to `folder`."""
        tools = [_resolved(definition, str(folder)) for definition in definitions]
        return cls({tool.name: tool for tool in tools})

    def invoke_tool(self, func_name, kwargs):
        """Calls a tool."""
        return self._assistant_tools[func_name].func(**kwargs)

    def to_openai_tools(self):
        """What the API is told of the tools."""
        return [tool.openai_definition for tool in self._assistant_tools.values()]


def _resolved(definition, folder):
    kind = definition.get("type")
    if kind not in _KINDS:
        raise InvalidAssistantTool(f"an assistant's tool has the type '{kind}'; it may be {', '.join(_KINDS)}")
    if kind != "function":
        return ResolvedAssistantTool(kind, {"type": kind}, None)
    if definition.get("tool_type", "python") != "python":
        raise InvalidAssistantTool(f"an assistant's tool has the tool_type '{definition['tool_type']}'; only python is supported")
    source = definition.get("source") or {}
    loaded = _loaded(source, folder)
    predefined = dict(definition.get("predefined_inputs") or {})
    function, parameters = loaded.function, [about for about in loaded.describe()["parameters"] if about["type"] != "rest"]
    for about in parameters:
        name = about["name"]
        if about["type"] == "connection" and isinstance(predefined.get(name), str):
            predefined[name] = _connection(predefined[name])
    openable = [about for about in parameters if about["name"] not in predefined and about["type"] != "connection"]
    told = _definition(function, openable)
    called = functools.partial(function, **predefined) if predefined else function
    return ResolvedAssistantTool(function.__name__, told, called)


def _loaded(source, folder):
    try:
        from sluicegate_worker import tools
    except ImportError:
        raise UserErrorException("an assistant's tools are loaded by a worker: run the flow with `sluicegate run FLOW`") from None

    if source.get("type", "code") == "package":
        if not source.get("tool"):
            raise InvalidAssistantTool("the source of an assistant's package tool has no `tool`")
        return tools.load_package(source["tool"])
    if source.get("type", "code") != "code" or not source.get("path"):
        raise InvalidAssistantTool("the source of an assistant's tool needs `type: code` and a `path`, or `type: package` and a `tool`")
    return tools.load_file(os.path.join(os.path.abspath(folder), source["path"]))


def _connection(name):
    from promptflow import _host
    from promptflow.connections import _answered

    return _answered(_host.ask("connection", name=name))


def _definition(function, parameters):
    description, about = _docstring(function.__doc__ or "")
    properties = {}
    for parameter in parameters:
        name = parameter["name"]
        told = {"description": about.get(name, ""), "type": to_json_type_mapping.get(parameter["type"], "string")}
        if parameter["type"] == "enum":
            told["enum"] = parameter["values"]
        properties[name] = told
    required = [parameter["name"] for parameter in parameters if parameter["required"]]
    return {
        "type": "function",
        "function": {
            "name": function.__name__,
            "description": description,
            "parameters": {"type": "object", "properties": properties, "required": required},
        },
    }


def _docstring(text):
    """What a docstring says of the function, and of each parameter (`:param name: …`)."""
    text = "\n".join(line.strip() for line in text.strip().splitlines())
    found = re.search(r":(?:param|type) ", text)
    if found is None:
        return text, {}
    about = {}
    for part in re.finditer(r":param *(\w+): *(.*?)(?=\n:|\Z)", text[found.start() :], re.DOTALL):
        about[part.group(1)] = re.sub(r"\s+", " ", part.group(2)).strip()
    return re.sub(r"\s+", " ", text[: found.start()].strip()), about
