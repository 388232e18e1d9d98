"""Vectors of texts."""

from enum import Enum
from typing import Union

from promptflow._core.tool import tool
from promptflow.connections import AzureOpenAIConnection, OpenAIConnection
from promptflow.tools import _calls
from promptflow.tools.exception import InvalidConnectionType

__path__ = []


class EmbeddingModel(str, Enum):
    """Models that are offered by name."""

    TEXT_EMBEDDING_ADA_002 = "text-embedding-ada-002"
    TEXT_SEARCH_ADA_DOC_001 = "text-search-ada-doc-001"
    TEXT_SEARCH_ADA_QUERY_001 = "text-search-ada-query-001"


@tool
def embedding(
    connection: Union[AzureOpenAIConnection, OpenAIConnection],
    input: str,
    deployment_name: str = "",
    model: EmbeddingModel = EmbeddingModel.TEXT_EMBEDDING_ADA_002,
):
    """The vector of a text: by a deployment in Azure OpenAI, or by a model of OpenAI."""
    if isinstance(connection, AzureOpenAIConnection):
        return _calls.embedding(connection, deployment_name, input, {"ms-azure-ai-promptflow-called-from": "aoai-tool"})
    if isinstance(connection, OpenAIConnection):
        return _calls.embedding(connection, model, input)
    if isinstance(connection, str):
        return _calls.embedding(connection, deployment_name or model, input)
    raise InvalidConnectionType(
        f"Not Support connection type '{type(connection).__name__}' for embedding api. "
        "Connection type should be in [AzureOpenAIConnection, OpenAIConnection]."
    )
