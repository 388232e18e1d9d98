//! A project in the shape of prompt flow's templates.

use sluicegate_testkit::project::Project;

const CONFIG: &str = "# Azure ML configuration.
aistudio_config:
  subscription_id: ${SUBSCRIPTION_ID}
  resource_group_name: ${RESOURCE_GROUP_NAME}
  project_name: ${PROJECT_NAME}

# Azure OpenAI configuration.
aoai_config:
  aoai_api_base: ${AOAI_BASE_ENDPOINT}
  aoai_api_type: azure
  aoai_api_version: 2023-07-01-preview
  aoai_api_key: ${AOAI_API_KEY}

# flow config names are formatted as <flow_name>_<environment>
flow_configs:
  entities_pr:
    standard_flow_path: flows/entities/standard
    deployment_name: gpt-35-turbo
    connection_name: aoai
    data_path: data/entities.jsonl
    eval_data_path: data/entities_eval.jsonl
    bing_endpoint: https://api.bing.microsoft.com/
    column_mapping:
      text: ${data.text}
      entity_type: ${data.entity_type}

  entities_dev:
    standard_flow_path: flows/entities/standard
    deployment_name: gpt-35-turbo
    data_path: data/entities.jsonl

deployment_configs:
  entities_online_dev:
    endpoint_name: entities
";

const ENTITIES: &str = "inputs:
  text: { type: string, default: The CEO and the CFO met. }
  entity_type: { type: string, default: job title }
outputs:
  answer: { type: string, reference: \"${extract.output}\" }
nodes:
- name: extract
  type: llm
  source: { type: code, path: extract.jinja2 }
  inputs: { deployment_name: gpt-35-turbo, max_tokens: 64, text: \"${inputs.text}\", entity_type: \"${inputs.entity_type}\" }
  provider: AzureOpenAI
  connection: aoai
  api: chat
  module: promptflow.tools.aoai
";

const SUMMARY: &str = "inputs:
  question: { type: string, is_chat_input: true }
  chat_history: { type: list, is_chat_history: true }
outputs:
  answer: { type: string, reference: \"${answer.output}\", is_chat_output: true }
nodes:
- name: search
  type: python
  source: { type: code, path: search.py }
  inputs: { connection: search, question: \"${inputs.question}\" }
- name: answer
  type: llm
  source: { type: code, path: answer.jinja2 }
  inputs: { model: gpt-4o, question: \"${inputs.question}\", found: \"${search.output}\", chat_history: \"${inputs.chat_history}\" }
  provider: OpenAI
  connection: chat
  api: chat
";

pub(super) const EVALUATE: &str = "import argparse
from promptflow.core import AzureOpenAIModelConfiguration
from promptflow.evals.evaluate import evaluate
from promptflow.evals.evaluators import GroundednessEvaluator, ViolenceEvaluator
from mlops.config import MLOpsConfig
from src.evaluators.match_evaluator import MatchEvaluator
from src.evaluators.steps import StepsEvaluator


def main():
    parser = argparse.ArgumentParser(\"config_parameters\")
    parser.add_argument(\"--environment_name\", type=str, required=True)
    args = parser.parse_args()
    config = MLOpsConfig(environment=args.environment_name)
    flow_config = config.get_flow_config(flow_name=\"entities\")
    model_config = AzureOpenAIModelConfiguration(azure_endpoint=\"x\")
    match = MatchEvaluator()
    data_eval_path = flow_config['eval_data_path']
    results = evaluate(
        data=data_eval_path,
        target=lambda text: text,
        evaluators={
            \"match\": match,
            \"groundedness\": GroundednessEvaluator(model_config),
            \"steps\": StepsEvaluator(),
            \"violence\": ViolenceEvaluator(),
        },
        evaluator_config={
            \"match\": {\"response\": \"${target.answer}\", \"ground_truth\": \"${data.results}\"},
            \"groundedness\": {\"column_mapping\": {\"answer\": \"${run.outputs.answer}\", \"context\": \"${data.text}\"}},
            \"steps\": {\"result_string\": \"${target.answer}\"},
        },
    )
    print(results)
";

const RUN: &str = "import argparse
from promptflow.client import PFClient, load_flow
from promptflow.entities import AzureOpenAIConnection
from mlops.config import MLOpsConfig

parser = argparse.ArgumentParser()
parser.add_argument(\"--environment_name\")
parser.add_argument(\"--visualize\", action=\"store_true\")
config = MLOpsConfig().get_flow_config(flow_name=\"entities\")
pf = PFClient()
pf.connections.create_or_update(AzureOpenAIConnection(name=\"aoai\", api_key=\"\", api_base=\"\"))
run = pf.run(flow=config[\"standard_flow_path\"], data=config[\"data_path\"])
pf.stream(run)
";

const SEARCH: &str = "from promptflow.core import tool
from promptflow.connections import CustomConnection
from promptflow.integrations.langchain import PromptFlowCallbackHandler


@tool
def search(connection: CustomConnection, question: str) -> str:
    return question
";

const RUN_FILE: &str = "$schema: https://azuremlschemas.azureedge.net/promptflow/latest/Run.schema.json
flow: ../summary
data: ../../data/entities.jsonl
column_mapping:
  question: ${data.text}
  chat_history: []
environment_variables:
  SEARCH_KEY: ${search.key}
resources:
  instance_type: Standard_D2
";

const PULL_REQUEST: &str = "name: pr
on:
  pull_request:
env:
  AOAI_API_KEY: ${{ secrets.AOAI_API_KEY }}
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: Install
        run: pip install -r requirements.txt
      - name: Flows
        run: |
          pf connection create --file connections/aoai.yaml --set api_key=$AOAI_API_KEY
          pf flow test --flow flows/entities/standard --inputs text='a b' entity_type=city
          pf config set trace.destination=local
      - name: Batch
        run: pf run create --flow flows/entities/standard --data data/entities.jsonl \\
             --column-mapping text='${data.text}' --stream && pf run show-metrics -n my_run
      - name: Evaluate
        shell: bash
        run: |
          python -m flows.${{ inputs.model_type }}.evaluate.evaluate \\
            --environment_name ${{ inputs.exec_environment }}
      - name: Other
        run: python -m pytest tests
";

/// The project: a DAG flow, a chat flow with Python and OpenAI, a flex flow, two prompties, connections, scripts, pipelines.
pub(super) fn template() -> Project {
    Project::new()
        .file("config/config.yaml", CONFIG)
        .file("flows/entities/standard/flow.dag.yaml", ENTITIES)
        .file("flows/entities/standard/extract.jinja2", "system:\nFind every {{entity_type}}.\nuser:\n{{text}}\n")
        .file("flows/entities/evaluate/evaluate.py", EVALUATE)
        .file("flows/summary/flow.dag.yaml", SUMMARY)
        .file(
            "flows/summary/answer.jinja2",
            "system:\n{{found}}\n{% for turn in chat_history %}\nuser:\n{{turn.inputs.question}}\n{% endfor %}\nuser:\n{{question}}\n",
        )
        .file("flows/summary/search.py", SEARCH)
        .file("flows/flex/flow.flex.yaml", "entry: extract:Extract\n")
        .file("flows/flex/extract.py", "class Extract:\n    def __call__(self, text: str):\n        return text\n")
        .file("flows/flex/part.prompty", "---\nname: part\ninputs: { q: { type: string } }\n---\nuser:\n{{q}}\n")
        .file(
            "prompts/chat.prompty",
            "---\nname: chat\nmodel:\n  api: chat\n  configuration: { type: azure_openai, connection: aoai, azure_deployment: gpt-4o }\ninputs: { q: { type: string } }\n---\nuser:\n{{q}}\n",
        )
        .file("flows/runs/run.yml", RUN_FILE)
        .file("connections/aoai.yaml", "$schema: https://x/AzureOpenAIConnection.schema.json\nname: aoai\ntype: azure_open_ai\napi_key: <user-input>\napi_base: \"\"\napi_version: 2023-07-01-preview\n")
        .file("connections/search.yml", "name: search\ntype: custom\nconfigs: { endpoint: https://search.example.com }\nsecrets: { key: \"${env:SEARCH_KEY}\" }\n")
        .file("mlops/run_entities.py", RUN)
        .file("data/entities.jsonl", "{\"text\": \"a\"}\n")
        .file("data/entities_eval.jsonl", "{\"text\": \"a\", \"results\": \"b\"}\n")
        .file(".env.sample", "SUBSCRIPTION_ID=\nAOAI_BASE_ENDPOINT=\nAOAI_API_KEY=\n")
        .file(".github/workflows/pr.yml", PULL_REQUEST)
        .file("azure-pipelines.yml", "steps:\r\n- script: python -m flows.entities.evaluate.evaluate --environment_name $(ENV)\r\n")
}
