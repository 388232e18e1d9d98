"""Azure OpenAI models that see."""

from promptflow._core.tool import ToolProvider, tool
from promptflow.connections import AzureOpenAIConnection
from promptflow.contracts.types import PromptTemplate
from promptflow.tools import _vision

__path__ = []

_HEADERS = {"Content-Type": "application/json", "ms-azure-ai-promptflow-called-from": "aoai-gpt4v-tool"}


def list_deployment_names(subscription_id=None, resource_group_name=None, workspace_name=None, connection=""):
    """Nothing: choices are an editor's matter."""
    return []


class AzureOpenAI(ToolProvider):
    """The tools of one connection."""

    def __init__(self, connection: AzureOpenAIConnection):
        super().__init__()
        self.connection = connection

    @tool(streaming_option_parameter="stream")
    def chat(
        self,
        prompt: PromptTemplate,
        deployment_name: str,
        temperature: float = 1.0,
        top_p: float = 1.0,
        stream: bool = False,
        stop: list = None,
        max_tokens: int = None,
        presence_penalty: float = 0,
        frequency_penalty: float = 0,
        seed: int = None,
        detail: str = "auto",
        **kwargs,
    ) -> str:
        """What the model says of a prompt with images."""
        return _vision.chat(
            self.connection,
            deployment_name,
            prompt,
            kwargs,
            temperature,
            top_p,
            stream,
            stop,
            max_tokens,
            presence_penalty,
            frequency_penalty,
            seed,
            detail,
            _HEADERS,
        )
