"""A project with small flows, and `sluicegate` as a person runs it there."""

import dataclasses
import json
import pathlib
import subprocess
import time

from servers import clean_environment

ASK = """\
inputs:
  question: { type: string }
outputs:
  answer: { type: string, reference: "${ask.output}" }
nodes:
- name: ask
  type: llm
  source: { type: code, path: ask.jinja2 }
  inputs: { temperature: 0, max_tokens: 200, question: "${inputs.question}" }
"""

ASK_TEMPLATE = """\
system:
Be brief.
user:
{{question}}
"""

# A model calls a tool, and is asked again with what the tool said.
TOOLS = """\
inputs:
  question: { type: string }
outputs:
  call: { type: object, reference: "${call.output}" }
  answer: { type: string, reference: "${answer.output.content}" }
nodes:
- name: ask
  type: llm
  source: { type: code, path: ask.jinja2 }
  inputs: &weather
    max_tokens: 200
    question: ${inputs.question}
    tools:
    - type: function
      function:
        name: weather
        description: The weather in a city
        parameters: { type: object, properties: { city: { type: string } }, required: [city] }
- name: call
  type: expression
  inputs: { message: "${ask.output}" }
  expression: message.tool_calls[0]
- name: answer
  type: llm
  source: { type: code, path: answer.jinja2 }
  inputs: { <<: *weather, call: "${call.output}" }
"""

TOOLS_ANSWER = """\
system:
Be brief.
user:
{{question}}
assistant:
## tool_calls:
[{{call}}]
tool:
## tool_call_id:
{{call.id}}
## content:
sunny
"""

SCHEMA = """\
---
name: schema
model:
  api: chat
  parameters:
    max_tokens: 200
    response_format:
      type: json_schema
      json_schema:
        name: answer
        strict: true
        schema:
          type: object
          properties: { answer: { type: integer }, words: { type: array, items: { type: string } } }
          required: [answer, words]
          additionalProperties: false
inputs:
  question: { type: string }
outputs:
  answer: { type: int }
  words: { type: list }
---
user:
{{question}}
"""

VECTORS = """\
inputs:
  texts: { type: list }
outputs:
  vectors: { type: list, reference: "${embed.output}" }
nodes:
- name: embed
  type: embedding
  inputs: { input: "${inputs.texts}" }
"""

FLOWS = {
    "ask": {"flow.dag.yaml": ASK, "ask.jinja2": ASK_TEMPLATE},
    "tools": {"flow.dag.yaml": TOOLS, "ask.jinja2": ASK_TEMPLATE, "answer.jinja2": TOOLS_ANSWER},
    "schema": {"schema.prompty": SCHEMA},
    "vectors": {"flow.dag.yaml": VECTORS},
}


@dataclasses.dataclass
class Ran:
    """What came of a command."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def report(self):
        """What `--json` printed."""
        return json.loads(self.stdout)

    @property
    def outputs(self):
        """The flow's outputs; the command must have succeeded."""
        assert self.code == 0, f"exit code {self.code}\n{self.stdout}\n{self.stderr}"
        return self.report["outputs"]


class Project:
    """A folder with flows and connections. `connections` maps a name to its settings, which may hold `${VARIABLES}`."""

    def __init__(self, sluicegate, folder, connections, **variables):
        self.sluicegate, self.folder, self.variables = sluicegate, pathlib.Path(folder), variables
        for flow, files in FLOWS.items():
            for name, text in files.items():
                self.write(f"flows/{flow}/{name}", text)
        # YAML takes JSON as it is. One section for each flow and connection.
        sections = {}
        for flow, files in FLOWS.items():
            prompty = next((f"/{name}" for name in files if name.endswith(".prompty")), "")
            sections[flow] = {"flow_path": f"flows/{flow}{prompty}"}
            for name in connections:
                sections[f"{flow}_{name}"] = {"connection_name": name, "deployment_name": "${MODEL}"}
        self.write("config/config.yaml", json.dumps({"connections": connections, "flow_configs": sections}, indent=1))

    def write(self, name, text):
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def command(self, *arguments, **variables):
        """Runs `sluicegate` in this project."""
        began = time.monotonic()
        done = subprocess.run(
            [self.sluicegate, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            env=clean_environment(self.folder, NO_COLOR="1", **self.variables, **variables),
        )
        return Ran(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def run(self, flow, connection, model, *flags, **inputs):
        """Runs a flow by a connection."""
        self.write("inputs.json", json.dumps(inputs))
        arguments = ["run", flow, "--environment_name", connection, "--inputs", "inputs.json", "--json", *flags]
        return self.command(*arguments, MODEL=model)
