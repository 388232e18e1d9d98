"""Names that promptflow gives to files, kinds and keys."""

from enum import Enum

__path__ = []

CONNECTION_SCRUBBED_VALUE = "******"
CONNECTION_SCRUBBED_VALUE_NO_CHANGE = "<no-change>"
CONNECTION_NAME_PROPERTY = "__connection_name"
CONNECTION_SECRET_KEYS = "__secret_keys"
DEFAULT_ENCODING = "utf-8"
FLOW_DAG_YAML = "flow.dag.yaml"
FLOW_FLEX_YAML = "flow.flex.yaml"
LANGUAGE_KEY = "language"
LINE_NUMBER_KEY = "line_number"
PF_LOGGING_LEVEL = "PF_LOGGING_LEVEL"
PROMPTFLOW_CONNECTIONS = "PROMPTFLOW_CONNECTIONS"
PROMPTY_EXTENSION = ".prompty"


class ConnectionType(str, Enum):
    """Types of connections."""

    _NOT_SET = "NotSet"
    AZURE_OPEN_AI = "AzureOpenAI"
    OPEN_AI = "OpenAI"
    SERVERLESS = "Serverless"
    QDRANT = "Qdrant"
    COGNITIVE_SEARCH = "CognitiveSearch"
    SERP = "Serp"
    AZURE_CONTENT_SAFETY = "AzureContentSafety"
    AZURE_AI_SERVICES = "AzureAIServices"
    FORM_RECOGNIZER = "FormRecognizer"
    WEAVIATE = "Weaviate"
    CUSTOM = "Custom"


class ConnectionAuthMode:
    """How a connection says who it is."""

    KEY = "key"
    MEID_TOKEN = "meid_token"


class CustomStrongTypeConnectionConfigs:
    """Keys under which a custom connection keeps its class."""

    PREFIX = "promptflow.connection."
    TYPE = "custom_type"
    MODULE = "module"
    PACKAGE = "package"
    PACKAGE_VERSION = "package_version"
    PROMPTFLOW_TYPE_KEY = PREFIX + TYPE
    PROMPTFLOW_MODULE_KEY = PREFIX + MODULE
    PROMPTFLOW_PACKAGE_KEY = PREFIX + PACKAGE
    PROMPTFLOW_PACKAGE_VERSION_KEY = PREFIX + PACKAGE_VERSION

    @staticmethod
    def is_custom_key(key):
        """Whether a key is one of them."""
        return key in (
            CustomStrongTypeConnectionConfigs.PROMPTFLOW_TYPE_KEY,
            CustomStrongTypeConnectionConfigs.PROMPTFLOW_MODULE_KEY,
            CustomStrongTypeConnectionConfigs.PROMPTFLOW_PACKAGE_KEY,
            CustomStrongTypeConnectionConfigs.PROMPTFLOW_PACKAGE_VERSION_KEY,
        )


class FlowLanguage:
    """Languages of flows."""

    Python = "python"
    CSharp = "csharp"
    Prompty = "prompty"
