"""PFClient: runs, tests, tables, connections."""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from unittest import mock

from fake import Host, Program
from promptflow import PFClient, _program
from promptflow._sdk._table import Table
from promptflow.client import load_flow, load_run
from promptflow.connections import CustomConnection
from promptflow.entities import Run
from promptflow.exceptions import UserErrorException

# What the program prints of a run: `batch --json`, `runs show --json`, `runs list --json`.
RAN = {"run": "r1", "flow": "f", "status": "completed", "output": "/p/.sluicegate/out/r1/output.jsonl", "input_tokens": 3, "output_tokens": 2}
SHOWN = {
    "run": "r1",
    "flow": "f",
    "status": "completed",
    "started": "2025-01-01T00:00:00Z",
    "data": {"sources": ["/d.jsonl"], "column_mapping": {"q": "${data.q}"}},
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
    "output": "/p/.sluicegate/out/r1/output.jsonl",
}
LISTED = {"run": "r1", "flow": "f", "status": "completed", "lines": {"total": 1}, "started": "2025-01-01T00:00:00Z"}


def a_flow(x):
    return x


class InAFolder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = os.path.realpath(holder.name)
        self.addCleanup(_program._remembered.clear)
        self.data = os.path.join(self.folder, "data.jsonl")
        with open(self.data, "w") as file:
            file.write("{}\n")


class Tests(InAFolder):
    def test_a_flow(self):
        with Host(test={"answer": 1}) as host:
            self.assertEqual(PFClient().test(self.folder, inputs={"q": "x"}), {"answer": 1})
            PFClient().flows.test(flow=self.folder, inputs={"q": 1}, variant="${n.v}", node="n", environment_variables={"A": 1}, init={"k": 2})
        self.assertEqual(host.asked[0], ("test", {"flow": self.folder, "inputs": {"q": "x"}}))
        self.assertEqual(
            host.asked[1][1],
            {"flow": self.folder, "inputs": {"q": 1}, "variant": "${n.v}", "node": "n", "environment_variables": {"A": 1}, "init": {"k": 2}},
        )

    def test_a_flow_that_is_not_there(self):
        with Host(), self.assertRaisesRegex(UserErrorException, "does not exist"):
            PFClient().test("/no/such/flow")


class Runs(InAFolder):
    def ran(self, program, *args, **kwargs):
        """A run, and what the program was told of it."""
        run = PFClient().run(*args, **kwargs)
        ((mode, text),) = program.asked[-1]["files"].values()
        # Values may be secret: nobody else reads them.
        self.assertEqual(mode, "0o600")
        return run, json.loads(text)

    def test_everything_that_can_be_said(self):
        with Program({"batch": RAN}) as program:
            run, told = self.ran(
                program,
                flow=self.folder,
                data=self.data,
                column_mapping={"q": "${data.question}", "n": 5},
                variant="${n.v}",
                connections={"n": {"connection": "c", "deployment_name": "d"}},
                environment_variables={"A": "a secret"},
                name="mine",
                display_name="Mine",
                tags={"a": "b"},
                init={"i": 1},
            )
            words = program.words[0]
        self.assertEqual((run.name, run.status, run._output_path, run.display_name), ("r1", "Completed", "/p/.sluicegate/out/r1", "Mine"))
        self.assertEqual(
            told,
            {
                "flow": self.folder,
                "name": "mine",
                "variant": "${n.v}",
                "data": self.data,
                "column_mapping": {"q": "${data.question}", "n": 5},
                "environment_variables": {"A": "a secret"},
                "connections": {"n": {"connection": "c", "deployment_name": "d"}},
                "init": {"i": 1},
            },
        )
        self.assertNotIn("secret", words)

    def test_on_another_run(self):
        with Program({"batch": RAN}) as program:
            client = PFClient()
            first = client.run(self.folder, data=self.data)
            _, second = self.ran(program, self.folder, run=first, column_mapping={"a": "${run.outputs.a}"})
            third = client.runs.create_or_update(Run(flow=self.folder, run="other", description="d"))
            places = [asked["directory"] for asked in program.asked]
        self.assertEqual(second, {"flow": self.folder, "run": "r1", "column_mapping": {"a": "${run.outputs.a}"}})
        self.assertEqual(third.description, "d")
        # The run is found where it was kept.
        self.assertEqual(places, [program.folder, "/p", program.folder])

    def test_resumed(self):
        with Program({"batch": RAN}) as program:
            PFClient().run(resume_from="r1", name="r1")
            self.assertTrue(program.words[0].startswith("batch --resume r1 --failed "), program.words)
        with self.assertRaisesRegex(ValueError, "data"):
            PFClient().run(resume_from="r0", data=self.data)
        over = (2, "", "error: all lines of run `r1` are over\n")
        with Program({"batch": over, "runs show": SHOWN}):
            self.assertEqual(PFClient().run(resume_from="r1").status, "Completed")

    def test_of_a_function(self):
        with Program({"batch": RAN}) as program:
            _, told = self.ran(program, a_flow, data=self.data)
            _, other = self.ran(program, "module.sub:name", data=self.data, code=self.folder)
        self.assertEqual(os.path.dirname(told["flow"]), os.path.dirname(os.path.abspath(__file__)))
        self.assertTrue(told["flow"].endswith(".flex.yaml") and not os.path.exists(told["flow"]))
        self.assertEqual(os.path.dirname(other["flow"]), self.folder)
        with self.assertRaisesRegex(UserErrorException, "module:name"):
            PFClient().run(lambda x: x, data=self.data)

    def test_what_is_missing(self):
        with Program({}) as program:
            with self.assertRaisesRegex(ValueError, "data or run"):
                PFClient().run(self.folder)
            with self.assertRaises(FileNotFoundError):
                PFClient().run(self.folder, data="/no/data.jsonl")
            with self.assertRaisesRegex(ValueError, "'flow' is required"):
                PFClient().run(data=self.data)
            with self.assertRaisesRegex(UserErrorException, "names of connections"):
                PFClient().run(self.folder, data=self.data, connections={"n": {"connection": CustomConnection({"k": "s"}, name="c")}})
            self.assertEqual(program.asked, [])

    def test_reading_back(self):
        single = {**LISTED, "run": "s", "lines": None}
        with Program({"runs show": SHOWN, "runs list": [single, LISTED, {**LISTED, "run": "r0"}], "runs metrics": {"accuracy": 1.0}, "runs delete": {}}) as program:
            client = PFClient()
            run = client.runs.get("r1")
            self.assertEqual((run.status, run.created_on, run.data), ("Completed", "2025-01-01T00:00:00Z", "/d.jsonl"))
            self.assertEqual((run.properties["system_metrics"]["total_tokens"], run.properties["output_path"]), (5, "/p/.sluicegate/out/r1"))
            self.assertEqual((run._to_dict()["name"], run._to_dict()["flow"]), ("r1", "f"))
            self.assertEqual((client.get_metrics(run), [run.name for run in client.runs.list(max_results=1)]), ({"accuracy": 1.0}, ["r1"]))
            self.assertEqual(client.runs.archive(run).name, "r1")
            self.assertEqual(client.runs.update("r1", display_name="better").display_name, "better")
            client.runs.delete("r1")
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                self.assertIs(client.stream(run), run)
        self.assertIn('Run name: "r1"', printed.getvalue())

    def test_a_failed_run_is_an_error_of_stream(self):
        with Program({"runs show": {**SHOWN, "status": "failed"}}), contextlib.redirect_stdout(io.StringIO()):
            with self.assertRaisesRegex(UserErrorException, "r1.*Failed"):
                PFClient().stream("r1")
            self.assertEqual(PFClient().stream("r1", raise_on_error=False).status, "Failed")

    def check_refused(self, kind, words, code=2):
        with Program({"": (code, "", "a warning\n" + words + "\n\n1 problem\n")}):
            with self.assertRaises(UserErrorException if code == 2 else Exception) as raised:
                PFClient().run(self.folder, data=self.data)
        self.assertEqual((type(raised.exception).__name__, str(raised.exception)), (kind, words))

    def test_the_programs_words_are_raised_in_the_originals_classes(self):
        self.check_refused("RunNotFoundError", "error: there is no run `x`\n  hint: look")
        self.check_refused("RunExistsError", "error: the run `x` exists already")
        self.check_refused("InputMappingError", "error[data::unknown_column]: input `q` is mapped to …")
        self.check_refused("EmptyInputsData", "error: there are no rows to run")
        self.check_refused("UserErrorException", "error: `--x` is no flag")
        self.check_refused("SystemErrorException", "error: the disk is full", code=1)

    def test_a_run_that_runs_itself_ends(self):
        with Program({}) as program, mock.patch.dict(os.environ, {"SLUICEGATE_NESTED": "8"}):
            with self.assertRaisesRegex(UserErrorException, "run itself"):
                PFClient().run(self.folder, data=self.data)
            self.assertEqual(program.asked, [])

    def test_a_runs_file(self):
        path = os.path.join(self.folder, "run.yaml")
        with open(path, "w") as file:
            file.write('{"$schema": "s", "flow": ".", "data": "data.jsonl", "column_mapping": {"q": "${data.q}"}}')
        run = load_run(path, params_override=[{"name": "n", "column_mapping.x": 1}])
        self.assertEqual((run.flow, run.data, run.name), (self.folder, self.data, "n"))
        self.assertEqual(run.column_mapping, {"q": "${data.q}", "x": 1})
        with open(path, "w") as file:
            file.write("flow: .\ndata: data.jsonl\n")
        # Nothing that is installed reads YAML: the program does.
        with mock.patch.dict(sys.modules, {"yaml": None, "ruamel": None, "ruamel.yaml": None}), Program({"batch": RAN}) as program:
            PFClient().runs.create_or_update(load_run(path, params_override=[{"name": "n"}]))
            self.assertTrue(program.words[0].startswith(f"batch --file {path} --name n "), program.words)

    def test_what_is_not_offered_says_what_to_do(self):
        with Host():
            client = PFClient()
            for call, words in (
                (lambda: client.visualize("r"), "sluicegate view"),
                (lambda: client.runs.share("r"), "PFClient.runs.share"),
                (lambda: client.flows.save(a_flow, "p"), "PFClient.flows.save"),
                (lambda: client.tools, "sluicegate check"),
            ):
                with self.assertRaisesRegex(UserErrorException, words):
                    call()


class WithoutAHost(InAFolder):
    """A script of the user's own."""

    report = {"status": "completed", "outputs": {"answer": 1}, "logs": {"n": {"stdout": "printed\n", "stderr": ""}}}

    def setUp(self):
        super().setUp()
        with open(os.path.join(self.folder, "flow.dag.yaml"), "w") as file:
            file.write("nodes: []\n")

    def test_flows_run_by_the_program(self):
        with Program({"run": self.report}) as program, contextlib.redirect_stdout(io.StringIO()) as printed:
            self.assertEqual(load_flow(self.folder)(q="x"), {"answer": 1})
            self.assertEqual(PFClient().test(self.folder, inputs={"q": "y"}, environment_variables={"TEST_A": 1}, init={"k": 2}), {"answer": 1})
            asked = program.asked
        self.assertEqual(printed.getvalue(), "printed\n" * 2)
        self.assertEqual([json.loads(one["stdin"]) for one in asked], [{"q": "x"}, {"q": "y"}])
        self.assertEqual(asked[0]["words"], ["run", os.path.join(self.folder, "flow.dag.yaml"), "--json", "--inputs", "-"])
        self.assertEqual((asked[1]["variables"]["TEST_A"], [json.loads(text) for _, text in asked[1]["files"].values()]), ("1", [{"k": 2}]))

    def test_an_image_goes_as_flows_read_it(self):
        from promptflow.contracts.multimedia import Image

        with Program({"run": self.report}) as program, contextlib.redirect_stdout(io.StringIO()):
            PFClient().test(self.folder, inputs={"i": Image(b"abc", "image/png")})
            self.assertEqual(json.loads(program.asked[0]["stdin"]), {"i": {"data:image/png;base64": "YWJj"}})

    def test_a_node_that_fails(self):
        failed = {"status": "failed", "error": {"message": "m"}, "nodes": {"a": {"error": None}, "n": {"error": {"message": "no", "hint": "try"}}}}
        with Program({"run": (1, json.dumps(failed), "")}), self.assertRaises(UserErrorException) as raised:
            load_flow(self.folder)()
        self.assertEqual(str(raised.exception), "Execution failure in 'n': no (try)")
        self.assertEqual(type(raised.exception).__name__, "ToolExecutionError")

    def test_what_needs_a_host_is_told_by_name(self):
        from promptflow.tools.common import render_jinja_template

        for call, words in (
            (lambda: PFClient().connections.get("c"), "PFClient\\(\\).connections.*inside of a flow only"),
            (lambda: render_jinja_template("{{x}}", x=1), "render_jinja_template.*load_flow"),
        ):
            with Program({}), self.assertRaisesRegex(UserErrorException, words):
                call()

    def test_without_a_program_it_is_told_how_to_start(self):
        with mock.patch.dict(os.environ, {"SLUICEGATE_PROGRAM": "", "PATH": "/nowhere"}):
            with self.assertRaisesRegex(UserErrorException, "sluicegate python SCRIPT"):
                PFClient().test(self.folder)


class Details(unittest.TestCase):
    lines = [
        {"line_number": 1, "status": "completed", "inputs": {"q": "y"}, "outputs": {"a": None}},
        {"line_number": 0, "status": "completed", "inputs": {"q": "x"}, "outputs": {"a": 1}},
    ]
    columns = ["inputs.q", "inputs.line_number", "outputs.a"]

    def details(self, lines=lines, **arguments):
        # As if pandas were not installed, wherever the test runs.
        with Program({"runs lines": lines}) as program, mock.patch.dict(sys.modules, {"pandas": None}):
            return PFClient().get_details("r1", **arguments), program.words[0]

    def test_how_much_is_asked_for(self):
        self.assertEqual(self.details()[1], "runs lines --details --json --limit 100 r1")
        self.assertEqual(self.details(all_results=True)[1], "runs lines --details --json r1")
        with self.assertRaises(UserErrorException):
            PFClient().get_details("r1", max_results=0)

    def test_lines_that_failed_have_no_outputs(self):
        failed = {"line_number": 2, "status": "failed", "inputs": {"q": "z"}, "outputs": None}
        table, _ = self.details([*self.lines, failed])
        self.assertEqual(table["outputs.a"], [1, None, "(Failed)"])
        table, _ = self.details([failed])
        self.assertEqual(table.to_dict("records"), [{"inputs.q": "z", "inputs.line_number": 2, "outputs.output": "(Failed)"}])
        self.assertEqual(len(self.details([])[0]), 0)

    def test_a_table_without_pandas(self):
        table, _ = self.details()
        self.assertIsInstance(table, Table)
        self.assertEqual((len(table), table.shape, table.columns), (2, (2, 3), self.columns))
        self.assertEqual((table["inputs.q"].tolist(), table["outputs.a"].mean()), (["x", "y"], 1.0))
        self.assertEqual((table[["inputs.q"]].columns, table.head(1).shape, table.tail(1)["inputs.q"]), (["inputs.q"], (1, 3), ["y"]))
        self.assertEqual([row["inputs.q"] for _, row in table.iterrows()], ["x", "y"])
        self.assertEqual(table.iloc[1], {"inputs.q": "y", "inputs.line_number": 1, "outputs.a": None})
        self.assertEqual(table.to_dict("list")["outputs.a"], [1, None])
        self.assertEqual(table.to_dict()["inputs.q"], {0: "x", 1: "y"})
        self.assertEqual(table.to_json(lines=True).splitlines()[0], '{"inputs.q": "x", "inputs.line_number": 0, "outputs.a": 1}')
        self.assertIn("inputs.q", str(table))
        self.assertEqual(str(table).splitlines()[0].split(), ["inputs.q", "inputs.line_number", "outputs.a"])
        self.assertTrue("inputs.q" in table and list(table) == table.columns and not table.empty)
        with self.assertRaises(KeyError):
            table["nothing"]

    def test_a_data_frame_with_it(self):
        made = []
        pandas = mock.Mock(DataFrame=lambda rows, columns: made.append((rows, columns)) or "frame")
        with Program({"runs lines": self.lines}), mock.patch.dict(sys.modules, {"pandas": pandas}):
            self.assertEqual(PFClient().get_details(Run(name="r1")), "frame")
        self.assertEqual(made, [([["x", 0, 1], ["y", 1, None]], self.columns)])


class Connections(unittest.TestCase):
    told = {"type": "open_ai", "name": "o", "configs": {"base_url": "u"}, "secrets": {"api_key": "sk-secret"}}

    def test_get_masks_secrets_unless_they_are_asked_for(self):
        with Host(connection=self.told) as host:
            masked = PFClient().connections.get("o")
            whole = PFClient().connections.get("o", with_secrets=True)
        self.assertEqual((masked.api_key, masked.base_url, whole.api_key), ("******", "u", "sk-secret"))
        self.assertEqual(host.asked[0], ("connection", {"name": "o"}))

    def test_the_worker_may_have_made_the_object(self):
        with Host(connection={"$connection": self.told}):
            self.assertEqual(PFClient().connections.get("o", with_secrets=True).api_key, "sk-secret")

    def test_list(self):
        with Host(connection_list=[{**self.told, "secrets": {"api_key": "******"}}]):
            self.assertEqual([connection.name for connection in PFClient().connections.list()], ["o"])

    def test_save(self):
        with Host(connection_save=None) as host:
            PFClient().connections.create_or_update(CustomConnection({"k": "s"}, {"c": 1}, name="mine"))
            with self.assertRaisesRegex(UserErrorException, "needs a name"):
                PFClient().connections.create_or_update(CustomConnection({"k": "s"}))
        self.assertEqual(host.asked, [("connection_save", {"connection": {"type": "custom", "name": "mine", "configs": {"c": 1}, "secrets": {"k": "s"}}})])


if __name__ == "__main__":
    unittest.main()
