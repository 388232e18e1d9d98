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

            fields["connections"] = _plain_connections(self.connections)
        if self.init:
            fields["init"] = dict(self.init)
        return fields

    def _told(self, told):
        """Takes over what the host tells of the run."""
        self._about = told
        for key in ("name", "status", "display_name", "description", "tags", "properties", "created_on", "end_time", "data", "flow", "run"):
            if told.get(key) is not None:
                setattr(self, key, told[key])
        self._output_path = told.get("output_path")
        return self

    def _to_dict(self, **_):
        return {**self._about, "name": self.name, "status": self.status}


def name_of(run):
    """A run's name, of the run or of the name."""
    name = run.name if isinstance(run, Run) else run
    if not name:
        raise ValueError("a run, or the name of one, is needed")
    return str(name)
