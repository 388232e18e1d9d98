"""Open models at online endpoints: there to be imported; calling them is not offered."""

from enum import Enum

from promptflow._core.tool import ToolProvider, tool
from promptflow.connections import CustomConnection
from promptflow.contracts.types import PromptTemplate
from promptflow.tools.common import render_jinja_template  # noqa: F401

__path__ = []


class API(str, Enum):
    """Kinds of endpoints."""

    CHAT = "chat"
    COMPLETION = "completion"


class OpenModelLLM(ToolProvider):
    """The tool."""

    @tool
    def call(
        self,
        prompt: PromptTemplate,
        api: API,
        endpoint_name: str,
        deployment_name: str = None,
        temperature: float = 1.0,
        max_new_tokens: int = 500,
        top_p: float = 1.0,
        model_kwargs: dict = {},  # noqa: B006 - never changed
        **kwargs,
    ) -> str:
        """Raises, and says what to do instead."""
        from promptflow._absent import not_offered

        raise not_offered("promptflow.tools.open_model_llm", "use an `llm` node with a `serverless` connection to the endpoint")


def get_cloud_connection(connection: CustomConnection = None, **_):
    """Raises, and says what to do instead."""
    from promptflow._absent import not_offered

    raise not_offered("promptflow.tools.open_model_llm", "use an `llm` node with a `serverless` connection to the endpoint")
