"""A run over data: what is to run, and what has."""

import os

from promptflow import _host

__path__ = []


class Run:
    """A run: described before it begins, told of when it has ended."""

    def __init__(
        self,
        flow=None,
        name=None,
        data=None,
        variant=None,
        run=None,
        column_mapping=None,
        display_name=None,
        description=None,
        tags=None,
        environment_variables=None,
        connections=None,
        properties=None,
        init=None,
        resume_from=None,
        code=None,
        **kwargs,
    ):
        self.flow = flow
        self.name = name
        self.data = data
        self.variant = variant
        self.run = run
        self.column_mapping = column_mapping
        self.display_name = display_name
        self.description = description
        self.tags = tags or {}
        self.environment_variables = environment_variables or {}
        self.connections = connections or {}
        self.properties = properties or {}
        self.init = init
        self.resume_from = resume_from
        self.code = code
        self.status = None
        self.created_on = None
        self.end_time = None
        self._output_path = None
        # A run's file that only the program can read.
        self._source = None
        self._about = {}

    def __repr__(self):
        return f"Run(name={self.name!r}, status={self.status!r})"

    def _question(self):
        """The fields of the question that begins it, besides the flow's."""
        fields = {}
        for key in ("name", "display_name", "description", "variant"):
            if getattr(self, key):
                fields[key] = str(getattr(self, key))
        if self.tags:
            fields["tags"] = _host.plain(self.tags)
        if self.resume_from:
            given = [key for key in ("flow", "data", "run", "column_mapping", "variant", "connections", "environment_variables") if getattr(self, key)]
            if given:
                raise ValueError(f"'resume_from' is not supported to be used with the following parameters: {', '.join(given)}.")
            return {**fields, "resume_from": name_of(self.resume_from)}
        if self._source:
            return self._question_of_source(fields)
        if not self.run and not self.data:
            raise ValueError("at least one of data or run must be provided")
        if self.data:
            path = os.fspath(self.data)
            if not os.path.exists(path):
                raise FileNotFoundError(f"data path {path} does not exist")
            fields["data"] = os.path.abspath(path)
        if self.run:
            fields["run"] = name_of(self.run)
        if self.column_mapping:
            fields["column_mapping"] = _host.plain(self.column_mapping)
        if self.environment_variables:
            fields["environment_variables"] = _host.plain(self.environment_variables)
        if self.connections:
            from promptflow.core._flow import _plain_connections

            fields["connections"] = _named_only(_plain_connections(self.connections), "connections")
        if self.init:
            from promptflow.core._flow import _plain_overrides

            fields["init"] = _named_only(_plain_overrides(dict(self.init)), "init")
        return fields

    def _question_of_source(self, fields):
        given = [key for key in ("connections", "environment_variables", "init") if getattr(self, key)]
        if given:
            from promptflow.exceptions import UserErrorException

            raise UserErrorException(f"{', '.join(given)} cannot be changed here: install PyYAML, so that {self._source} is read, or write them into it")
        fields["source"] = self._source
        if self.data:
            fields["data"] = os.path.abspath(os.fspath(self.data))
        if self.run:
            fields["run"] = name_of(self.run)
        if self.column_mapping:
            fields["column_mapping"] = _host.plain(self.column_mapping)
        return fields

    @classmethod
    def _load(cls, source, params_override=None):
        """A run's file, with values over what it says: `[{"name": "x"}]`."""
        from promptflow.exceptions import UserErrorException

        path = os.path.abspath(os.fspath(source))
        if not os.path.isfile(path):
            raise UserErrorException(f"No such file or directory: {path}")
        told = _read_yaml(path)
        if told is not None and not isinstance(told, dict):
            raise UserErrorException(f"{path} is no map of a run's fields: flow, data, column_mapping and so on")
        fields = {str(key): value for key, value in (told or {}).items() if not str(key).startswith("$")}
        for key in ("flow", "data"):
            if isinstance(fields.get(key), str):
                fields[key] = _beside(path, fields[key])
        for change in params_override or []:
            for key, value in change.items():
                first, _, rest = key.partition(".")
                if rest:
                    fields[first] = {**(fields.get(first) or {}), rest: value}
                else:
                    fields[key] = value
        run = cls(**fields)
        if told is None:
            run._source = path
        return run

    def _told(self, told):
        """Takes over what the host tells of the run."""
        self._about = told
        for key in ("name", "status", "display_name", "description", "tags", "properties", "created_on", "end_time", "data", "flow", "run", "column_mapping"):
            if told.get(key) is not None:
                setattr(self, key, told[key])
        self._output_path = told.get("output_path")
        return self

    @property
    def _end_time(self):
        return self.end_time

    @property
    def _created_on(self):
        return self.created_on

    def _summary(self):
        """What is printed of a run that has ended."""
        duration = ((self.properties or {}).get("system_metrics") or {}).get("duration")
        return (
            "======= Run Summary =======\n\n"
            f'Run name: "{self.name}"\nRun status: "{self.status}"\nStart time: "{self.created_on or ""}"\n'
            f'Duration: "{"" if duration is None else duration}"\nOutput path: "{self._output_path or ""}"\n'
        )

    def _to_dict(self, **_):
        told = {key: getattr(self, key) for key in _SHOWN}
        for key in ("flow", "data", "run"):
            if told[key] is not None and not isinstance(told[key], str):
                told[key] = name_of(told[key]) if key == "run" else _path_or_name(told[key])
        told["output_path"] = self._output_path
        always = ("name", "status", "display_name", "tags", "properties")
        return {key: value for key, value in told.items() if key in always or value not in (None, {})}


_SHOWN = (
    "name",
    "status",
    "display_name",
    "description",
    "created_on",
    "end_time",
    "flow",
    "data",
    "run",
    "column_mapping",
    "variant",
    "tags",
    "properties",
)


def _path_or_name(value):
    if hasattr(value, "__fspath__"):
        return os.fspath(value)
    return getattr(value, "__name__", None) or str(getattr(value, "path", value))


def _named_only(told, where):
    """Refuses what is secret: it would be written down with the run."""

    def has_secret(value):
        if isinstance(value, dict):
            return bool(value.get("secrets") or value.get("api_key")) or any(map(has_secret, value.values()))
        return isinstance(value, list) and any(map(has_secret, value))

    if has_secret(told):
        from promptflow.exceptions import UserErrorException

        raise UserErrorException(
            f"`{where}` of a run takes the names of connections, not connections with their keys, which would be written down with the run: "
            "describe the connection in config/config.yaml, its key as ${NAME}, and give its name"
        )
    return told


def _beside(file, path):
    """A path of a run's file, which counts from there."""
    if "://" in path or path.startswith("azureml:"):
        return path
    return os.path.normpath(os.path.join(os.path.dirname(file), path[len("file:") :] if path.startswith("file:") else path))


def _read_yaml(path):
    """A YAML file's content; None if nothing that is installed reads YAML."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        import yaml

        return yaml.safe_load(text)
    except ImportError:
        pass
    try:
        from ruamel.yaml import YAML

        return YAML(typ="safe", pure=True).load(text)
    except ImportError:
        pass
    import json

    try:
        return json.loads(text)
    except ValueError:
        return None


def name_of(run):
    """A run's name, of the run or of the name."""
    name = run.name if isinstance(run, Run) else run
    if not name:
        raise ValueError("a run, or the name of one, is needed")
    return str(name)
