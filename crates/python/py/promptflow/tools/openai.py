"""OpenAI: `chat`, `completion`, and the class with both."""

from enum import Enum

from promptflow._core.tool import ToolProvider, tool
from promptflow.connections import OpenAIConnection
from promptflow.contracts.types import PromptTemplate
from promptflow.tools import _calls, _parameters

__path__ = []


class Engine(str, Enum):
    """Models of the completion API."""

    TEXT_DAVINCI_001 = "text-davinci-001"
    TEXT_DAVINCI_002 = "text-davinci-002"
    TEXT_DAVINCI_003 = "text-davinci-003"
    TEXT_CURIE_001 = "text-curie-001"
    TEXT_BABBAGE_001 = "text-babbage-001"
    TEXT_ADA_001 = "text-ada-001"
    CODE_CUSHMAN_001 = "code-cushman-001"
    CODE_DAVINCI_002 = "code-davinci-002"


class OpenAI(ToolProvider):
    """The tools of one connection."""

    def __init__(self, connection: OpenAIConnection):
        super().__init__()
        self.connection = connection

    @tool
    def completion(
        self,
        prompt: PromptTemplate,
        model: Engine = Engine.TEXT_DAVINCI_003,
        suffix: str = None,
        max_tokens: int = 16,
        temperature: float = 1.0,
        top_p: float = 1.0,
        n: int = 1,
        stream: bool = False,
        logprobs: int = None,
        echo: bool = False,
        stop: list = None,
        presence_penalty: float = None,
        frequency_penalty: float = None,
        best_of: int = 1,
        logit_bias: dict = {},  # noqa: B006 - never changed
        user: str = "",
        **kwargs,
    ):
        """The text that completes the prompt; with `stream` a generator of its pieces."""
        parameters = _parameters.of_completion(
            suffix, max_tokens, temperature, top_p, n, logprobs, echo, stop, presence_penalty, frequency_penalty, best_of, logit_bias, user
        )
        return _calls.completion(
            self.connection, model, prompt, kwargs, parameters, stream=_parameters.to_bool(stream)
        )

    @tool
    def chat(
        self,
        prompt: PromptTemplate,
        model: str = "gpt-3.5-turbo",
        temperature: float = 1.0,
        top_p: float = 1.0,
        n: int = 1,
        stream: bool = False,
        stop: list = None,
        max_tokens: int = None,
        presence_penalty: float = None,
        frequency_penalty: float = None,
        logit_bias: dict = {},  # noqa: B006
        user: str = "",
        function_call: object = None,
        functions: list = None,
        tool_choice: object = None,
        tools: list = None,
        response_format: object = None,
        seed: int = None,
        **kwargs,
    ):
        """What the model says; its whole message if it was given functions or tools; with `stream` a generator of pieces."""
        parameters = _parameters.of_chat(
            temperature,
            top_p,
            n,
            stop,
            max_tokens,
            presence_penalty,
            frequency_penalty,
            logit_bias,
            user,
            function_call,
            functions,
            tool_choice,
            tools,
            response_format,
            seed,
        )
        stream, result = _parameters.form_of_result(stream, functions, tools)
        return _calls.chat(self.connection, model, prompt, kwargs, parameters, stream=stream, result=result)


@tool
def completion(
    connection: OpenAIConnection,
    prompt: PromptTemplate,
    model: Engine = Engine.TEXT_DAVINCI_003,
    suffix: str = None,
    max_tokens: int = 16,
    temperature: float = 1.0,
    top_p: float = 1,
    n: int = 1,
    stream: bool = False,
    logprobs: int = None,
    echo: bool = False,
    stop: list = None,
    presence_penalty: float = None,
    frequency_penalty: float = None,
    best_of: int = 1,
    logit_bias: dict = {},  # noqa: B006
    user: str = "",
    **kwargs,
):
    """The text that completes the prompt."""
    parameters = _parameters.of_completion(
        suffix, max_tokens, temperature, top_p, n, logprobs, echo, stop, presence_penalty, frequency_penalty, best_of, logit_bias, user
    )
    return _calls.completion(connection, model, prompt, kwargs, parameters, stream=_parameters.to_bool(stream))


@tool
def chat(
    connection: OpenAIConnection,
    prompt: PromptTemplate,
    model: str = "gpt-3.5-turbo",
    temperature: float = 1,
    top_p: float = 1,
    n: int = 1,
    stream: bool = False,
    stop: list = None,
    max_tokens: int = None,
    presence_penalty: float = None,
    frequency_penalty: float = None,
    logit_bias: dict = {},  # noqa: B006
    user: str = "",
    function_call: object = None,
    functions: list = None,
    tool_choice: object = None,
    tools: list = None,
    response_format: object = None,
    seed: int = None,
    **kwargs,
):
    """What the model says."""
    parameters = _parameters.of_chat(
        temperature,
        top_p,
        n,
        stop,
        max_tokens,
        presence_penalty,
        frequency_penalty,
        logit_bias,
        user,
        function_call,
        functions,
        tool_choice,
        tools,
        response_format,
        seed,
    )
    stream, result = _parameters.form_of_result(stream, functions, tools)
    return _calls.chat(connection, model, prompt, kwargs, parameters, stream=stream, result=result)
