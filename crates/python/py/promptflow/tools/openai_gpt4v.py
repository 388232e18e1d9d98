"""OpenAI models that see."""

from promptflow._core.tool import ToolProvider, tool
from promptflow.connections import OpenAIConnection
from promptflow.contracts.types import PromptTemplate
from promptflow.tools import _vision

__path__ = []


class OpenAI(ToolProvider):
    """The tools of one connection."""

    def __init__(self, connection: OpenAIConnection):
        super().__init__()
        self.connection = connection

    @tool(streaming_option_parameter="stream")
    def chat(
        self,
        prompt: PromptTemplate,
        model: str = "gpt-4-vision-preview",
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
            model,
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
        )
