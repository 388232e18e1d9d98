"""Prompties and flows as functions. The host reads and runs them; here is what a program holds in its hands."""

import re
from pathlib import Path

from promptflow import _host

__path__ = []

_PROMPTY = re.compile(r"-{3,}\n(.*)-{3,}\n(.*)", re.DOTALL)


class FlowContext:
    """How a flow runs when it is called: other connections, other values, another variant."""

    def __init__(self, *, connections=None, variant=None, overrides=None, streaming=None):
        self.connections = connections or {}
        self.variant = variant
        self.overrides = overrides or {}
        self.streaming = streaming

    def _to_dict(self):
        return {"connections": self.connections, "variant": self.variant, "overrides": self.overrides, "streaming": self.streaming}

    def __eq__(self, other):
        return isinstance(other, FlowContext) and self._to_dict() == other._to_dict()

    __hash__ = None

    def _told(self):
        """The fields of a question that say the same."""
        told = {}
        if self.connections:
            told["connections"] = _plain_connections(self.connections)
        if self.overrides:
            told["overrides"] = _host.plain(self.overrides)
        if self.variant:
            told["variant"] = str(self.variant)
        return told


class LineResult:
    """What one call of a flow gave."""

    def __init__(self, output, status="Completed"):
        self.output = output
        self.run_info = _RunInfo(output, status)
        self.node_run_infos = {}
        self.aggregation_inputs = {}

    def __repr__(self):
        return f"LineResult(output={self.output!r})"


class _RunInfo:
    def __init__(self, output, status):
        self.status = status
        self.output = output
        self.error = None


class FlowBase:
    """A file that can be called."""

    def __init__(self, *, code, path, data=None, **kwargs):
        self._data = data or {}
        self._code = Path(code).resolve()
        self._path = Path(path).resolve()
        self._context = FlowContext()

    @property
    def code(self):
        """The folder in which it runs."""
        return self._code

    @property
    def path(self):
        """Its file."""
        return self._path

    @property
    def name(self):
        """The folder's name, or a prompty's own."""
        return self._code.name

    @property
    def context(self):
        """How it runs when it is called."""
        return self._context

    @context.setter
    def context(self, value):
        if not isinstance(value, FlowContext):
            raise _user_error(f"context must be a FlowContext object, got {type(value)} instead.")
        self._context = value

    def __repr__(self):
        return f"{type(self).__name__}({str(self._path)!r})"


class Flow(FlowBase):
    """A flow: `Flow.load("path")(question="…")` gives its outputs."""

    def __init__(self, *, code, path, data=None, **kwargs):
        super().__init__(code=code, path=path, data=data)
        self._init = kwargs.get("init")

    @classmethod
    def load(cls, source, raise_error=True, **kwargs):
        """Finds a flow's file: a folder, a `.yaml` or a `.prompty`. It is read when it is called."""
        path = _flow_file(source)
        if path.suffix == ".prompty":
            return (AsyncPrompty if issubclass(cls, AsyncFlow) else Prompty).load(path, **kwargs)
        return cls(code=path.parent, path=path, **kwargs)

    def __call__(self, *args, **kwargs):
        if args:
            raise _user_error("Flow can only be called with keyword arguments.")
        return self.invoke(kwargs).output

    def invoke(self, inputs, connections=None, **kwargs):
        """Runs the flow; a LineResult."""
        return _line_result(_host.ask("flow", **self._question(inputs, connections)))

    def _question(self, inputs, connections):
        fields = {"path": str(self._path), "inputs": dict(inputs or {}), **self._context._told()}
        if connections:
            fields["connections"] = {**fields.get("connections", {}), **_plain_connections(connections)}
        if self._init:
            fields["init"] = dict(self._init)
        return fields


class AsyncFlow(Flow):
    """A flow that is awaited: `await AsyncFlow.load("path")(question="…")`."""

    async def __call__(self, *args, **kwargs):
        if args:
            raise _user_error("Flow can only be called with keyword arguments.")
        return (await self.invoke(kwargs)).output

    async def invoke(self, inputs, *, connections=None, **kwargs):
        """Runs the flow; a LineResult."""
        return _line_result(await _host.ask_async("flow", **self._question(inputs, connections)))


class Prompty(FlowBase):
    """A prompty: `Prompty.load("x.prompty")(question="…")` gives what the model says."""

    def __init__(self, path, model=None, **kwargs):
        path = Path(path)
        super().__init__(code=path.parent, path=path)
        self._template = _template_of(path)
        self._overrides = dict(kwargs)
        if model:
            self._overrides["model"] = model
        self._known = None

    @classmethod
    def load(cls, source, raise_error=True, **kwargs):
        """A prompty's file. `model` and other keyword arguments go over what its front matter says."""
        path = Path(source)
        if not path.exists():
            raise _user_error(f"Source {path.absolute().as_posix()} does not exist")
        if path.suffix != ".prompty":
            raise _user_error("Source must be a file with .prompty extension.")
        return cls(path, **kwargs)

    def __call__(self, *args, **kwargs):
        question = self._question(args, kwargs)
        about = self._about()
        if about.get("streams"):
            found = _host.pieces("prompty", **question)
            return _chunks(found) if about.get("response") == "all" else found
        return self._answered(about, _host.ask("prompty", **question))

    def render(self, *args, **kwargs):
        """The messages that would be sent, as text."""
        return _host.ask("prompty_render", **self._question(args, kwargs))

    def estimate_token_count(self, *args, **kwargs):
        """How many tokens the messages take, about."""
        return _host.ask("prompty_tokens", **self._question(args, kwargs))

    @property
    def name(self):
        """Its own name, or its file's."""
        return self._about().get("name") or self._path.stem

    @property
    def _inputs(self):
        return self._about().get("inputs") or {}

    @property
    def _outputs(self):
        return self._about().get("outputs") or {}

    @property
    def _sample(self):
        return self._about().get("sample")

    def _load_question(self):
        fields = {"path": str(self._path)}
        if self._overrides:
            fields["overrides"] = _host.plain(_plain_overrides(self._overrides))
        return fields

    def _question(self, args, inputs):
        if args:
            raise _user_error("Prompty can only be called with keyword arguments.")
        return {**self._load_question(), "inputs": dict(inputs)}

    def _about(self):
        # Asked at the first call: loading at a module's top costs nothing, and needs no host.
        if self._known is None:
            self._known = _host.ask("prompty_load", **self._load_question())
        return self._known

    @staticmethod
    def _answered(about, answer):
        if about.get("response") == "all":
            from promptflow.core._api_object import ApiObject

            return ApiObject.of(answer)
        return answer


class AsyncPrompty(Prompty):
    """A prompty that is awaited: `await AsyncPrompty.load("x.prompty")(question="…")`."""

    async def __call__(self, *args, **kwargs):
        question = self._question(args, kwargs)
        if self._known is None:
            self._known = await _host.ask_async("prompty_load", **self._load_question())
        about = self._known
        if about.get("streams"):
            found = await _host.pieces_async("prompty", **question)
            return _chunks_async(found) if about.get("response") == "all" else found
        return self._answered(about, await _host.ask_async("prompty", **question))


def load_flow(source, is_async_flow=None, **kwargs):
    """A flow or a prompty, to be called."""
    return (AsyncFlow if is_async_flow else Flow).load(source, **kwargs)


def _user_error(message):
    from promptflow.exceptions import UserErrorException

    return UserErrorException(message)


def _flow_file(source):
    path = Path(source)
    if not path.exists():
        raise _user_error(f"Source {path.absolute().as_posix()} does not exist")
    if path.is_dir():
        names = ("flow.dag.yaml", "flow.dag.yml", "flow.flex.yaml", "flow.flex.yml")
        found = [path / name for name in names if (path / name).is_file()]
        if not found:
            raise _user_error(f"Flow file {(path / names[0]).absolute().as_posix()} does not exist")
        if len(found) > 1:
            from promptflow.exceptions import ValidationException

            raise ValidationException(f"Multiple files {', '.join(file.name for file in found)} exist in {path.absolute().as_posix()}")
        return found[0]
    if path.suffix not in (".yaml", ".yml", ".prompty"):
        raise _user_error("Source must be a directory or a 'flow.dag.yaml' file or a prompty file")
    return path


def _template_of(path):
    with open(path, encoding="utf-8") as file:
        found = _PROMPTY.search(file.read())
    if found is None:
        raise _user_error(
            "Illegal formatting of prompty. A prompty has two parts: between lines of dashes YAML that says which model "
            "and connection, and after them the template of the prompt."
        )
    return found.group(2)


def _plain_connections(connections):
    """`{node: {connection: name or object, …}}`, or `{name: object}`, as the host reads it."""
    from promptflow.connections import _Connection, _to_host

    def plain(value):
        if isinstance(value, _Connection):
            return _to_host(value)
        if isinstance(value, dict):
            return {str(key): plain(item) for key, item in value.items()}
        return value

    return _host.plain(plain(connections))


def _plain_overrides(value):
    """Overrides of a front matter, with configurations and connections as their parts."""
    if isinstance(value, dict):
        return {str(key): _plain_overrides(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain_overrides(item) for item in value]
    if hasattr(value, "_told") and hasattr(value, "_kind"):
        return _plain_overrides(value._told())
    if hasattr(value, "secrets") and hasattr(value, "configs"):
        from promptflow.connections import _to_host

        return _to_host(value)
    return value


def _line_result(answer):
    return LineResult(answer.get("output"), answer.get("status") or "Completed")


def _chunks(found):
    from promptflow.core._api_object import chunk

    for piece in found:
        yield chunk(piece)


async def _chunks_async(found):
    from promptflow.core._api_object import chunk

    async for piece in found:
        yield chunk(piece)
