"""`PFClient`: what it does, the host does, or the program itself."""

import os

from promptflow import _host
from promptflow._absent import not_offered
from promptflow._sdk.entities._run import Run, name_of

__path__ = []


class PFClient:
    """Tests flows, runs them over data, and reads runs back."""

    def __init__(self, **kwargs):
        self._runs = RunOperations()
        self._flows = FlowOperations()
        self._connections = ConnectionOperations()

    def test(self, flow, *, inputs=None, variant=None, node=None, environment_variables=None, init=None, **kwargs):
        """Runs a flow, or one of its nodes, once; gives its outputs."""
        return self._flows.test(flow, inputs=inputs, variant=variant, node=node, environment_variables=environment_variables, init=init)

    def run(
        self,
        flow=None,
        *,
        data=None,
        run=None,
        column_mapping=None,
        variant=None,
        connections=None,
        environment_variables=None,
        name=None,
        display_name=None,
        tags=None,
        resume_from=None,
        code=None,
        init=None,
        stream=False,
        **kwargs,
    ):
        """Runs a flow over a data file, or over another run's lines; gives the run when it has ended. `stream`: progress is seen."""
        return self._runs.create_or_update(
            Run(
                flow=flow,
                data=data,
                run=run,
                column_mapping=column_mapping,
                variant=variant,
                connections=connections,
                environment_variables=environment_variables,
                name=name,
                display_name=display_name,
                tags=tags,
                resume_from=resume_from,
                code=code,
                init=init,
            ),
            stream=stream,
        )

    def stream(self, run, raise_on_error=True):
        """The run; it has ended when `run` returns, so there is nothing to wait for."""
        return self._runs.stream(run, raise_on_error)

    def get_details(self, run, max_results=100, all_results=False):
        """A run's inputs and outputs, a row for each line: a DataFrame if pandas is installed."""
        return self._runs.get_details(run, max_results, all_results)

    def get_metrics(self, run):
        """A run's metrics by name."""
        return self._runs.get_metrics(run)

    def visualize(self, runs, **kwargs):
        """Not offered."""
        raise not_offered("PFClient.visualize", "`sluicegate view` shows runs")

    @property
    def runs(self):
        """Runs."""
        return self._runs

    @property
    def flows(self):
        """Flows."""
        return self._flows

    @property
    def connections(self):
        """Connections."""
        return self._connections

    @property
    def tools(self):
        """Not offered."""
        raise not_offered("PFClient.tools", "`sluicegate check` lists what a flow's tools take")

    @property
    def traces(self):
        """Not offered."""
        raise not_offered("PFClient.traces", "traces go where `OTEL_EXPORTER_OTLP_ENDPOINT` says")


class FlowOperations:
    """What can be done with flows."""

    def test(self, flow, *, inputs=None, variant=None, node=None, environment_variables=None, init=None, **kwargs):
        """Runs a flow, or one of its nodes, once; gives its outputs."""
        fields = {**_flow(flow, None), "inputs": dict(inputs or {})}
        if variant:
            fields["variant"] = str(variant)
        if node:
            fields["node"] = str(node)
        if environment_variables:
            fields["environment_variables"] = _host.plain(environment_variables)
        if init:
            fields["init"] = dict(init)
        return _host.ask("test", **fields)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        raise not_offered(f"PFClient.flows.{name}", f"see `sluicegate help {name}`, if there is such a command")


class RunOperations:
    """What can be done with runs."""

    def create_or_update(self, run, **kwargs):
        """Runs what a Run describes."""
        fields = run._question()
        if "source" in fields and run.flow is None:
            pass
        elif "resume_from" not in fields:
            fields = {**_flow(run.flow, run.code), **fields}
        if kwargs.get("stream"):
            fields["live"] = True
        return run._told(_host.ask("run", **fields))

    def update(self, name, display_name=None, description=None, tags=None, **kwargs):
        """Says something else of a run, for as long as this process lives."""
        from promptflow import _program

        run = self.get(name)
        facts = {"display_name": display_name, "description": description, "tags": tags}
        facts = {key: value for key, value in facts.items() if value is not None}
        _program.remember(run.name, **facts)
        return run._told({**run._about, **facts})

    def delete(self, name, **kwargs):
        """Deletes a run and its outputs."""
        _host.ask("run_delete", run=name_of(name))

    def archive(self, name, **kwargs):
        """The run: there is no archive."""
        return self.get(name)

    def restore(self, name, **kwargs):
        """The run: there is no archive."""
        return self.get(name)

    def get(self, run):
        """A run by its name."""
        return Run()._told(_host.ask("run_get", run=name_of(run)))

    def list(self, max_results=50, **kwargs):
        """The latest runs."""
        return [Run()._told(told) for told in _host.ask("run_list", max_results=max_results)]

    def stream(self, name, raise_on_error=True):
        """The run, its summary printed; raises if it failed."""
        run = name if isinstance(name, Run) and name.status else self.get(name)
        print(run._summary())
        if raise_on_error and run.status in ("Failed", "Canceled"):
            from promptflow._sdk._errors import InvalidRunStatusError

            because = (run._about.get("error") or {}).get("message")
            raise InvalidRunStatusError(f"run '{run.name}' has the status {run.status}" + (f": {because}" if because else ""))
        return run

    def get_details(self, name, max_results=100, all_results=False):
        """A run's inputs and outputs, a row for each line."""
        if not all_results and (not isinstance(max_results, int) or max_results < 1):
            from promptflow._sdk._errors import RunOperationParameterError

            raise RunOperationParameterError(f"'max_results' must be a positive integer, got {max_results!r}")
        from promptflow._sdk._table import table

        fields = {} if all_results else {"max_results": max_results}
        told = _host.ask("run_details", run=name_of(name), **fields)
        return table(told["columns"], told["rows"])

    def get_metrics(self, name):
        """A run's metrics by name."""
        return _host.ask("run_metrics", run=name_of(name))

    def visualize(self, runs, **kwargs):
        """Not offered."""
        raise not_offered("PFClient.runs.visualize", "`sluicegate view` shows runs")

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        raise not_offered(f"PFClient.runs.{name}", "`sluicegate runs` does what can be done with runs")


class ConnectionOperations:
    """What can be done with connections."""

    def get(self, name, with_secrets=False, **kwargs):
        """A connection by its name; its secrets are masked, unless they are asked for."""
        from promptflow.connections import _MASK, _answered

        connection = _answered(_host.ask("connection", name=str(name)))
        if not with_secrets:
            connection.secrets = {key: _MASK for key in connection.secrets}
            connection._from = (connection.name, dict(connection.configs), dict(connection.secrets))
        return connection

    def _get(self, name, with_secrets=True, **kwargs):
        return self.get(name, with_secrets=with_secrets)

    def list(self, max_results=None, all_results=False, **kwargs):
        """The connections that the config names, without their secrets."""
        from promptflow.connections import _answered

        found = [_answered(told) for told in _host.ask("connection_list")]
        return found if max_results is None or all_results else found[:max_results]

    def create_or_update(self, connection, **kwargs):
        """Has the host know a connection until it ends; it is not written to the config."""
        from promptflow.connections import _to_host

        connection._from = None
        told = _to_host(connection)
        if not told.get("name"):
            from promptflow.exceptions import UserErrorException

            raise UserErrorException("a connection needs a name to be kept")
        _host.ask("connection_save", connection=_host.plain(told))
        return connection

    def delete(self, name, **kwargs):
        """Not offered."""
        raise not_offered("PFClient.connections.delete", "take the connection out of the config")


def load_run(source, params_override=None, **kwargs):
    """A run as its file describes it, for `PFClient().runs.create_or_update`."""
    return Run._load(source, params_override)


def load_connection(source, **kwargs):
    """Not offered."""
    raise not_offered("load_connection", "`sluicegate connections import connection.yaml` reads such a file")


def _flow(flow, code):
    """The fields that say which flow: `flow`, the path of a file or folder, or `entry`, a function, and the folder it is in."""
    if flow is None:
        raise ValueError("'flow' is required to create a run.")
    if callable(flow) and not hasattr(flow, "__fspath__"):
        path = getattr(flow, "path", None)
        if path is not None:
            return {"flow": str(path)}
        return _entry(flow, code)
    text = os.fspath(flow)
    if os.path.exists(text):
        return {"flow": os.path.abspath(text)}
    module, _, name = text.partition(":")
    if name and all(part.isidentifier() for part in module.split(".") + name.split(".")):
        return {"entry": text, "code": os.path.abspath(os.fspath(code) if code else ".")}
    from promptflow.exceptions import UserErrorException

    raise UserErrorException(f"Flow path {text} does not exist and it's not a valid entry point.")


def _entry(function, code):
    import sys

    from promptflow.exceptions import UserErrorException

    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    file = getattr(sys.modules.get(module), "__file__", None)
    if name is None or "<" in name or file is None or module in ("__main__", "__pf_main__"):
        raise UserErrorException(
            "a flow that is a Python object has to be a function or a class at the top of a module that can be imported: "
            "give `module:name`, or a flow.flex.yaml with that as its entry"
        )
    folder = os.path.dirname(os.path.abspath(file))
    for _ in range(module.count(".") + (os.path.basename(file) == "__init__.py")):
        folder = os.path.dirname(folder)
    return {"entry": f"{module}:{name}", "code": os.path.abspath(os.fspath(code)) if code else folder}
