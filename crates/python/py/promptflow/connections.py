"""Connections as tools get them: attributes, and a mapping for `dict(connection)` and `f(**connection)`.

Who prints one never sees a secret.
"""

from promptflow._connection_base import _MASK, _Config, _Connection, _rest, _StrongTypeConnection, _unset, _WithToken  # noqa: F401
from promptflow._connection_custom import CustomConnection, CustomStrongTypeConnection

__all__ = [
    "AzureAIServicesConnection",
    "AzureContentSafetyConnection",
    "AzureOpenAIConnection",
    "CognitiveSearchConnection",
    "CustomConnection",
    "CustomStrongTypeConnection",
    "FormRecognizerConnection",
    "OpenAIConnection",
    "QdrantConnection",
    "SerpConnection",
    "ServerlessConnection",
    "WeaviateConnection",
]

__path__ = []


class AzureOpenAIConnection(_WithToken):
    """Azure OpenAI."""

    TYPE = "AzureOpenAI"
    _WORD = "azure_open_ai"
    _CONFIGS = ("api_base", "api_type", "api_version", "auth_mode", "resource_id")

    api_base = _Config("api_base")
    api_type = _Config("api_type")
    api_version = _Config("api_version")
    resource_id = _Config("resource_id")

    def __init__(self, api_base=None, api_key=None, api_type="azure", api_version="2024-02-01", auth_mode="key", **kwargs):
        api_base = api_base or kwargs.pop("azure_endpoint", None)
        configs = {"api_base": api_base, "api_type": api_type, "api_version": api_version, "auth_mode": auth_mode}
        if kwargs.get("resource_id"):
            configs["resource_id"] = kwargs["resource_id"]
        secrets = {"api_key": api_key} if (auth_mode or "key") == "key" else {}
        self._token_provider = kwargs.pop("token_provider", None)
        super().__init__(configs=configs, secrets=secrets, **_rest(kwargs))

    @classmethod
    def from_env(cls, name=None):
        """From AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY and, if set, OPENAI_API_VERSION."""
        import os

        base, key = os.getenv("AZURE_OPENAI_ENDPOINT"), os.getenv("AZURE_OPENAI_API_KEY")
        if base is None or key is None:
            raise _unset(["AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY"], cls)
        version = os.getenv("OPENAI_API_VERSION")
        return cls(api_base=base, api_key=key, name=name, **({"api_version": version} if version else {}))


class OpenAIConnection(_StrongTypeConnection):
    """OpenAI, or whoever speaks as it does."""

    TYPE = "OpenAI"
    _WORD = "open_ai"
    _CONFIGS = ("organization", "base_url")

    organization = _Config("organization")
    base_url = _Config("base_url")

    def __init__(self, api_key=None, organization=None, base_url=None, **kwargs):
        if base_url in ("", "_"):
            base_url = None
        super().__init__(configs={"organization": organization, "base_url": base_url}, secrets={"api_key": api_key}, **_rest(kwargs))

    @classmethod
    def from_env(cls, name=None):
        """From OPENAI_API_KEY and, if set, OPENAI_ORG_ID and OPENAI_BASE_URL."""
        import os

        key = os.getenv("OPENAI_API_KEY")
        if key is None:
            raise _unset(["OPENAI_API_KEY"], cls)
        return cls(api_key=key, organization=os.getenv("OPENAI_ORG_ID"), base_url=os.getenv("OPENAI_BASE_URL"), name=name)


class ServerlessConnection(_StrongTypeConnection):
    """A serverless endpoint."""

    TYPE = "Serverless"
    _WORD = "serverless"
    _CONFIGS = ("api_base",)

    api_base = _Config("api_base")

    def __init__(self, api_key=None, api_base=None, **kwargs):
        super().__init__(configs={"api_base": api_base}, secrets={"api_key": api_key}, **_rest(kwargs))


class SerpConnection(_StrongTypeConnection):
    """SerpAPI."""

    TYPE = "Serp"
    _WORD = "serp"

    def __init__(self, api_key=None, **kwargs):
        super().__init__(secrets={"api_key": api_key}, **_rest(kwargs))


class _EmbeddingStoreConnection(_StrongTypeConnection):
    _CONFIGS = ("api_base",)

    api_base = _Config("api_base")

    def __init__(self, api_key=None, api_base=None, **kwargs):
        kwargs = {"module": "promptflow_vectordb.connections", **_rest(kwargs)}
        super().__init__(configs={"api_base": api_base}, secrets={"api_key": api_key}, **kwargs)


class QdrantConnection(_EmbeddingStoreConnection):
    """Qdrant."""

    TYPE = "Qdrant"
    _WORD = "qdrant"


class WeaviateConnection(_EmbeddingStoreConnection):
    """Weaviate."""

    TYPE = "Weaviate"
    _WORD = "weaviate"


class CognitiveSearchConnection(_WithToken):
    """Azure AI Search, which was called Cognitive Search."""

    TYPE = "CognitiveSearch"
    _WORD = "cognitive_search"
    _CONFIGS = ("api_base", "api_version", "auth_mode")

    api_base = _Config("api_base")
    api_version = _Config("api_version")

    def __init__(self, api_key=None, api_base=None, api_version="2023-11-01", auth_mode="key", **kwargs):
        configs = {"api_base": api_base, "api_version": api_version, "auth_mode": auth_mode}
        secrets = {"api_key": api_key} if (auth_mode or "key") == "key" else {}
        self._token_provider = kwargs.pop("token_provider", None)
        super().__init__(configs=configs, secrets=secrets, **_rest(kwargs))


class AzureAIServicesConnection(_WithToken):
    """Azure AI services."""

    TYPE = "AzureAIServices"
    _WORD = "azure_ai_services"
    _CONFIGS = ("endpoint", "auth_mode")

    endpoint = _Config("endpoint")

    def __init__(self, api_key=None, endpoint=None, auth_mode="key", **kwargs):
        secrets = {"api_key": api_key} if (auth_mode or "key") == "key" else {}
        self._token_provider = kwargs.pop("token_provider", None)
        super().__init__(configs={"endpoint": endpoint, "auth_mode": auth_mode}, secrets=secrets, **_rest(kwargs))


class AzureContentSafetyConnection(_StrongTypeConnection):
    """Azure AI Content Safety."""

    TYPE = "AzureContentSafety"
    _WORD = "azure_content_safety"
    _CONFIGS = ("endpoint", "api_version", "api_type")

    endpoint = _Config("endpoint")
    api_version = _Config("api_version")
    api_type = _Config("api_type")

    def __init__(self, api_key=None, endpoint=None, api_version="2023-10-01", api_type="Content Safety", **kwargs):
        configs = {"endpoint": endpoint, "api_version": api_version, "api_type": api_type}
        super().__init__(configs=configs, secrets={"api_key": api_key}, **_rest(kwargs))


class FormRecognizerConnection(AzureContentSafetyConnection):
    """Azure AI Document Intelligence, which was called Form Recognizer."""

    TYPE = "FormRecognizer"
    _WORD = "form_recognizer"

    def __init__(self, api_key=None, endpoint=None, api_version="2023-07-31", api_type="Form Recognizer", **kwargs):
        super().__init__(api_key=api_key, endpoint=endpoint, api_version=api_version, api_type=api_type, **kwargs)


_KINDS = {
    kind._WORD: kind
    for kind in (
        AzureOpenAIConnection,
        OpenAIConnection,
        ServerlessConnection,
        SerpConnection,
        QdrantConnection,
        WeaviateConnection,
        CognitiveSearchConnection,
        AzureAIServicesConnection,
        AzureContentSafetyConnection,
        FormRecognizerConnection,
        CustomConnection,
    )
}
_Connection.SUPPORTED_TYPES = {kind.TYPE: kind for kind in _KINDS.values()}


def _kind_of(word):
    """The class for a type, as files write it (`azure_open_ai`) or as the package does (`AzureOpenAI`)."""
    folded = (word or "custom").replace("_", "").lower()
    if folded.endswith("connection"):
        folded = folded[: -len("connection")]
    for known, kind in _KINDS.items():
        if known.replace("_", "") == folded:
            return kind
    return None


def _from_host(told):
    """The object for a connection that the host tells: see HOST.md for the form."""
    name = told.get("name")
    secrets = dict(told.get("secrets") or {})
    configs = {**(told.get("values") or {}), **(told.get("configs") or {})}
    kind = _kind_of(told.get("type"))
    if kind is None or kind is CustomConnection or told.get("class"):
        made = CustomConnection(name=name, configs=configs, secrets=secrets)
        if told.get("class"):
            made = made._convert_to_custom_strong_type(told.get("module"), told["class"])
    else:
        for field in kind._SECRETS:
            if field in configs:
                secrets[field] = configs.pop(field)
        given = {field: value for field, value in configs.items() if field in kind._CONFIGS and value is not None}
        made = kind(name=name, **given)
        # What the class does not know is kept all the same.
        made.configs.update({field: value for field, value in configs.items() if field not in kind._CONFIGS})
        made.secrets.update(secrets)
        made._secrets = dict(made.secrets)
    if name:
        made._from = (name, dict(made.configs), dict(made.secrets))
    return made


def _answered(answer):
    """The object for an answer, which the worker may have made already."""
    return answer if isinstance(answer, _Connection) else _from_host(answer)


def _to_host(connection):
    """How the host is told of a connection: by its name if it is the host's own, else with all it holds."""
    if isinstance(connection, str):
        return str.__str__(connection)
    if not isinstance(connection, _Connection):
        from promptflow.exceptions import UserErrorException

        raise UserErrorException(f"a connection, or the name of one, is needed here, not a {type(connection).__name__}")
    if connection._from is not None and connection._from[1:] == (connection.configs, connection.secrets):
        return connection._from[0]
    told = {
        "type": connection._WORD or "custom",
        "configs": {key: value for key, value in connection.configs.items() if value is not None},
        "secrets": {key: value for key, value in connection.secrets.items() if value is not None},
    }
    if connection.name:
        told["name"] = connection.name
    if isinstance(connection, CustomStrongTypeConnection):
        told.update({"class": connection.custom_type, "module": connection.module})
    return told
