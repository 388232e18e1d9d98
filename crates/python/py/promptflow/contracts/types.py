"""Types that say what a parameter is."""

__path__ = []


class Secret(str):
    """A parameter, or a field of a connection, that must not be shown."""

    def set_secret_name(self, name):
        """Remembers under which name the secret is kept."""
        self.secret_name = name


class PromptTemplate(str):
    """A parameter that is a template."""


class FilePath(str):
    """A parameter that is the path of a file."""


class AssistantDefinition:
    """An assistant: its model, its instructions, and its tools as they are written."""

    def __init__(self, model="", instructions="", tools=None):
        self.model = model
        self.instructions = instructions
        self.tools = [] if tools is None else tools
        self._tool_invoker = None

    @staticmethod
    def deserialize(data):
        """An assistant from its parts in a dict."""
        return AssistantDefinition(data.get("model", ""), data.get("instructions", ""), data.get("tools", []))

    @classmethod
    def _from_host(cls, told):
        """An assistant that the host read, with its tools loaded: `model`, `instructions`, `tools`, and the `folder` of their paths."""
        from promptflow.executor._assistant_tool_invoker import AssistantToolInvoker

        definition = cls.deserialize(told)
        definition._tool_invoker = AssistantToolInvoker.load(definition.tools, told.get("folder") or ".")
        return definition

    def serialize(self):
        """The parts in a dict."""
        return {"model": self.model, "instructions": self.instructions, "tools": self.tools}

    def init_tool_invoker(self):
        """Loads the tools, if the host has not; gives who calls them."""
        if self._tool_invoker is None:
            from promptflow.executor._assistant_tool_invoker import AssistantToolInvoker

            self._tool_invoker = AssistantToolInvoker.load(self.tools, ".")
        return self._tool_invoker

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return self.serialize() == other.serialize()

    __hash__ = None

    def __repr__(self):
        return f"AssistantDefinition(model={self.model!r}, instructions={self.instructions!r}, tools={self.tools!r})"


class AttrDict(dict):
    """A dict whose keys are attributes too."""

    def __getattr__(self, key):
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{key}'") from None

    def __setattr__(self, key, value):
        self[key] = value
