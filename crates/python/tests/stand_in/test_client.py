"""PFClient: runs, tests, tables, connections."""

import os
import sys
import tempfile
import unittest
from unittest import mock

from fake import Host, Refusal
from promptflow import PFClient
from promptflow._sdk._table import Table
from promptflow.client import load_run
from promptflow.connections import CustomConnection
from promptflow.entities import Run
from promptflow.exceptions import UserErrorException

RUN = {"name": "r1", "status": "Completed", "output_path": "/runs/r1", "created_on": "2025-01-01T00:00:00Z"}


def a_flow(x):
    return x


class InAFolder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = os.path.realpath(holder.name)
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
    def test_everything_that_can_be_said(self):
        with Host(run=RUN) as host:
            run = PFClient().run(
                flow=self.folder,
                data=self.data,
                column_mapping={"q": "${data.question}", "n": 5},
                variant="${n.v}",
                connections={"n": {"connection": CustomConnection({"k": "s"}, name="c")}},
                environment_variables={"A": "${c.k}"},
                name="mine",
                display_name="Mine",
                tags={"a": "b"},
                init={"i": 1},
                stream=True,
            )
        self.assertEqual((run.name, run.status, run._output_path), ("r1", "Completed", "/runs/r1"))
        self.assertEqual(
            host.asked[0],
            (
                "run",
                {
                    "flow": self.folder,
                    "name": "mine",
                    "display_name": "Mine",
                    "variant": "${n.v}",
                    "tags": {"a": "b"},
                    "data": self.data,
                    "column_mapping": {"q": "${data.question}", "n": 5},
                    "environment_variables": {"A": "${c.k}"},
                    "connections": {"n": {"connection": {"type": "custom", "name": "c", "configs": {}, "secrets": {"k": "s"}}}},
                    "init": {"i": 1},
                },
            ),
        )

    def test_on_another_run(self):
        with Host(run=RUN) as host:
            client = PFClient()
            first = client.run(self.folder, data=self.data)
            client.run(self.folder, run=first, column_mapping={"a": "${run.outputs.a}"})
            client.runs.create_or_update(Run(flow=self.folder, run="other", description="d"))
        self.assertEqual(host.asked[1][1], {"flow": self.folder, "run": "r1", "column_mapping": {"a": "${run.outputs.a}"}})
        self.assertEqual(host.asked[2][1], {"flow": self.folder, "run": "other", "description": "d"})

    def test_resumed(self):
        with Host(run=RUN) as host:
            PFClient().run(resume_from="r0", name="r1")
        self.assertEqual(host.asked[0][1], {"name": "r1", "resume_from": "r0"})
        with Host(), self.assertRaisesRegex(ValueError, "data"):
            PFClient().run(resume_from="r0", data=self.data)

    def test_of_a_function(self):
        with Host(run=RUN) as host:
            PFClient().run(a_flow, data=self.data)
            PFClient().run("module.sub:name", data=self.data, code=self.folder)
        self.assertEqual((host.asked[0][1]["entry"], host.asked[0][1]["code"]), (f"{__name__}:a_flow", os.path.dirname(os.path.abspath(__file__))))
        self.assertEqual((host.asked[1][1]["entry"], host.asked[1][1]["code"]), ("module.sub:name", self.folder))
        with Host(), self.assertRaisesRegex(UserErrorException, "module:name"):
            PFClient().run(lambda x: x, data=self.data)

    def test_what_is_missing(self):
        with Host() as host:
            with self.assertRaisesRegex(ValueError, "data or run"):
                PFClient().run(self.folder)
            with self.assertRaises(FileNotFoundError):
                PFClient().run(self.folder, data="/no/data.jsonl")
            with self.assertRaisesRegex(ValueError, "'flow' is required"):
                PFClient().run(data=self.data)
        self.assertEqual(host.asked, [])

    def test_reading_back(self):
        with Host(run_get=RUN, run_list=[RUN], run_metrics={"accuracy": 1.0}) as host:
            client = PFClient()
            run = client.runs.get("r1")
            self.assertEqual((run.status, client.get_metrics(run), client.runs.list(max_results=3)[0].name), ("Completed", {"accuracy": 1.0}, "r1"))
            self.assertIs(client.stream(run), run)
        self.assertEqual(host.asked, [("run_get", {"run": "r1"}), ("run_metrics", {"run": "r1"}), ("run_list", {"max_results": 3})])

    def test_a_failed_run_is_an_error_of_stream(self):
        with Host(run_get={**RUN, "status": "Failed"}):
            with self.assertRaisesRegex(UserErrorException, "r1.*Failed"):
                PFClient().stream("r1")
            self.assertEqual(PFClient().stream("r1", raise_on_error=False).status, "Failed")

    def test_a_run_that_is_not_there(self):
        with Host(run_get=Refusal("RunNotFoundError", "run 'x' is not there")), self.assertRaisesRegex(UserErrorException, "not there"):
            PFClient().runs.get("x")

    def test_what_is_not_offered_says_what_to_do(self):
        with Host():
            client = PFClient()
            for call, words in (
                (lambda: client.visualize("r"), "sluicegate view"),
                (lambda: client.runs.archive("r"), "PFClient.runs.archive"),
                (lambda: client.flows.save(a_flow, "p"), "PFClient.flows.save"),
                (lambda: client.tools, "sluicegate check"),
                (lambda: load_run("run.yaml"), "pf run create --file"),
            ):
                with self.assertRaisesRegex(UserErrorException, words):
                    call()


class Details(unittest.TestCase):
    told = {"columns": ["inputs.line_number", "inputs.q", "outputs.a"], "rows": [[0, "x", 1], [1, "y", None]]}

    def details(self, **arguments):
        # As if pandas were not installed, wherever the test runs.
        with Host(run_details=self.told) as host, mock.patch.dict(sys.modules, {"pandas": None}):
            found = PFClient().get_details("r1", **arguments)
        return found, host.asked[0]

    def test_how_much_is_asked_for(self):
        self.assertEqual(self.details()[1], ("run_details", {"run": "r1", "max_results": 100}))
        self.assertEqual(self.details(all_results=True)[1], ("run_details", {"run": "r1"}))
        with Host(), self.assertRaises(UserErrorException):
            PFClient().get_details("r1", max_results=0)

    def test_a_table_without_pandas(self):
        table, _ = self.details()
        self.assertIsInstance(table, Table)
        self.assertEqual((len(table), table.shape, table.columns), (2, (2, 3), self.told["columns"]))
        self.assertEqual((table["inputs.q"].tolist(), table["outputs.a"].mean()), (["x", "y"], 1.0))
        self.assertEqual((table[["inputs.q"]].columns, table.head(1).shape, table.tail(1)["inputs.q"]), (["inputs.q"], (1, 3), ["y"]))
        self.assertEqual([row["inputs.q"] for _, row in table.iterrows()], ["x", "y"])
        self.assertEqual(table.iloc[1], {"inputs.line_number": 1, "inputs.q": "y", "outputs.a": None})
        self.assertEqual(table.to_dict("list")["outputs.a"], [1, None])
        self.assertEqual(table.to_dict()["inputs.q"], {0: "x", 1: "y"})
        self.assertEqual(table.to_json(lines=True).splitlines()[0], '{"inputs.line_number": 0, "inputs.q": "x", "outputs.a": 1}')
        self.assertIn("inputs.q", str(table))
        self.assertTrue("inputs.q" in table and list(table) == table.columns and not table.empty)
        with self.assertRaises(KeyError):
            table["nothing"]

    def test_a_data_frame_with_it(self):
        made = []
        pandas = mock.Mock(DataFrame=lambda rows, columns: made.append((rows, columns)) or "frame")
        with Host(run_details=self.told), mock.patch.dict(sys.modules, {"pandas": pandas}):
            self.assertEqual(PFClient().get_details(Run(name="r1")), "frame")
        self.assertEqual(made, [(self.told["rows"], self.told["columns"])])


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
