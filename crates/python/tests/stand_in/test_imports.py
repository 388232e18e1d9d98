"""Everything that people import, each line in a Python of its own."""

import subprocess
import sys
import unittest

from fake import PY

LINES = """
import promptflow
import promptflow as pf; pf.tool; pf.core.tool; pf.connections.CustomConnection; pf.__version__
from promptflow import tool
from promptflow import tool, log_metric, ToolProvider, log_flow_metric
from promptflow import PFClient, load_flow
from promptflow import __version__
from promptflow.core import tool
from promptflow.core import tool, ToolProvider
from promptflow.core import tool, log_metric
from promptflow.core import Prompty, AsyncPrompty, Flow, AsyncFlow
from promptflow.core import AzureOpenAIModelConfiguration, OpenAIModelConfiguration, ModelConfiguration
from promptflow.core._connection import AzureOpenAIConnection
from promptflow.core._flow import Prompty
from promptflow.core._model_configuration import AzureOpenAIModelConfiguration
from promptflow.core._errors import MissingRequiredInputError
from promptflow.core.tools_manager import register_builtin_method
from promptflow.core.cache_manager import enable_cache
from promptflow._core.tool import tool, ToolProvider, InputSetting, DynamicList, GeneratedBy, ToolType
from promptflow._core.metric_logger import log_metric, add_metric_logger
from promptflow._core.tools_manager import register_apis, register_builtin_method
from promptflow._core.cache_manager import enable_cache
from promptflow._internal import tool, ToolProvider, register_apis, register_builtin_method, enable_cache, register_connections
from promptflow.tracing import trace, start_trace
from promptflow.tracing import ThreadPoolExecutorWithContext
from promptflow.tracing._trace import _traced
from promptflow.tracing._operation_context import OperationContext
from promptflow.tracing.contracts.trace import Trace, TraceType
from promptflow.tracing.contracts.generator_proxy import GeneratorProxy
from promptflow.connections import AzureOpenAIConnection, OpenAIConnection
from promptflow.connections import CustomConnection, CustomStrongTypeConnection, CognitiveSearchConnection
from promptflow.connections import SerpConnection, AzureContentSafetyConnection, FormRecognizerConnection
from promptflow.connections import QdrantConnection, WeaviateConnection, ServerlessConnection, AzureAIServicesConnection
from promptflow.contracts.types import Secret, PromptTemplate, FilePath, AssistantDefinition
from promptflow.contracts.multimedia import Image, PFBytes, Text, ChatInputList
from promptflow.contracts.tool import ToolType, ValueType
from promptflow.exceptions import PromptflowException, UserErrorException, SystemErrorException, ValidationException, ErrorTarget
from promptflow.entities import InputSetting, DynamicList
from promptflow.entities import FlowContext, Run
from promptflow.entities import AzureOpenAIConnection, OpenAIConnection, CustomConnection, SerpConnection, CognitiveSearchConnection
from promptflow._sdk.entities import CustomConnection, AzureOpenAIConnection, CustomStrongTypeConnection, Run
from promptflow._sdk.entities._connection import CustomConnection
from promptflow._utils.logger_utils import get_logger
from promptflow._utils.multimedia_utils import ImageProcessor
from promptflow._constants import ConnectionType, CustomStrongTypeConnectionConfigs
from promptflow.executor._assistant_tool_invoker import AssistantToolInvoker
from promptflow.client import PFClient, load_flow
from promptflow.tools import aoai, openai; aoai.chat; openai.OpenAI
from promptflow.tools.aoai import chat, completion, AzureOpenAI
from promptflow.tools.openai import chat, completion, OpenAI
from promptflow.tools.embedding import embedding
from promptflow.tools.common import parse_chat, render_jinja_template
from promptflow.tools.common import handle_openai_error, build_messages, convert_to_chat_list, find_referenced_image_set, to_bool
from promptflow.tools.common import preprocess_template_string, ChatInputList, PromptResult, init_azure_openai_client, init_openai_client
from promptflow.tools.exception import ChatAPIInvalidRole, WrappedOpenAIError, LLMError, JinjaTemplateError, InvalidConnectionType
from promptflow.tools.serpapi import SerpAPI
from promptflow.tools.aoai_gpt4v import AzureOpenAI
from promptflow.tools.openai_gpt4v import OpenAI
from promptflow.tools.azure_content_safety import analyze_text
from promptflow.tools.open_model_llm import OpenModelLLM
from promptflow.tools.template_rendering import render_template_jinja2
"""

REFUSED = {
    "import promptflow.azure": "promptflow.azure is not in sluicegate's stand-in",
    "from promptflow.azure import PFClient": "promptflow.azure is not in sluicegate's stand-in",
    "import promptflow.anything": "promptflow.anything is not in sluicegate's stand-in",
    "from promptflow import anything": "promptflow.anything is not in sluicegate's stand-in",
    "from promptflow.core import Anything": "promptflow.core.Anything is not in sluicegate's stand-in",
    "from promptflow.connections import NewConnection": "promptflow.connections.NewConnection is not in sluicegate's stand-in",
    "from promptflow.tools.aoai import Anything": "promptflow.tools.aoai.Anything is not in sluicegate's stand-in",
    "from promptflow.integrations.langchain import PromptFlowCallbackHandler": "LangChain",
    "from promptflow.evals.evaluate import evaluate": "promptflow.evals",
}


def run(code):
    # Isolated: no environment, no user's packages, no other folder on the path.
    script = f"import sys; sys.path.insert(0, {PY!r})\n{code}\n"
    return subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True)


class Imports(unittest.TestCase):
    def test_each_line_works_with_nothing_installed(self):
        for line in LINES.strip().splitlines():
            with self.subTest(line=line):
                done = run(line)
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_what_is_not_there_says_so_by_name_and_what_to_do(self):
        for line, words in REFUSED.items():
            with self.subTest(line=line):
                done = run(f"try:\n    {line}\nexcept ImportError as error:\n    print(error)")
                self.assertEqual(done.stderr, "")
                self.assertIn(words, done.stdout)
                self.assertIn("prefer_installed: true", done.stdout)

    def test_an_optional_import_may_fail_as_usual(self):
        done = run("import importlib\ntry:\n    importlib.import_module('promptflow.rag')\nexcept ModuleNotFoundError:\n    print('none')")
        self.assertEqual(done.stdout, "none\n")

    def test_a_missing_attribute_is_an_attribute_error(self):
        done = run("import promptflow.core, promptflow.connections as c; print(hasattr(promptflow.core, 'x'), hasattr(c, 'x'))")
        self.assertEqual(done.stdout, "False False\n", done.stderr)

    def test_star_imports_work(self):
        done = run("from promptflow.connections import *; from promptflow.core import *; print(tool, CustomConnection)")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_tool_file_pulls_in_little(self):
        code = "import sluicegate_worker.worker\nbefore = set(sys.modules)\nfrom promptflow.core import tool\nprint(*sorted(set(sys.modules) - before))"
        done = run(code)
        ours = {"promptflow", "promptflow.core", "promptflow._core", "promptflow._core.tool", "promptflow._spans"}
        # Of the standard library nothing that the worker has not imported anyway.
        self.assertEqual(set(done.stdout.split()), ours, done.stderr)

    def test_our_module_openai_is_not_the_package_of_that_name(self):
        done = run("import promptflow.tools.openai as ours\nimport importlib.util\nprint(importlib.util.find_spec('openai'))")
        self.assertEqual(done.stdout, "None\n", done.stderr)
