"""Where a prompty's model lives, as an object."""

from dataclasses import asdict, dataclass, field
from typing import Optional

__path__ = []


class ModelConfiguration:
    """What the configurations have in common."""

    _kind = None
    _of_the_model = ()

    def _check(self):
        given = [name for name, value in asdict(self).items() if value and name != "connection" and name not in self._of_the_model]
        if self.connection and given:
            from promptflow.core._errors import InvalidConnectionError

            raise InvalidConnectionError(f"a model configuration names a connection and also {', '.join(given)}: one or the other")

    def _told(self):
        """The `configuration` of a prompty's front matter that says the same."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__ if getattr(self, name) is not None}
        return {"type": self._kind, **told}


@dataclass
class AzureOpenAIModelConfiguration(ModelConfiguration):
    """A deployment in Azure OpenAI."""

    azure_deployment: str
    azure_endpoint: Optional[str] = None
    api_version: Optional[str] = None
    api_key: Optional[str] = field(default=None, repr=False)
    organization: Optional[str] = None
    connection: Optional[str] = None

    _kind = "azure_openai"
    _of_the_model = ("azure_deployment",)

    def __post_init__(self):
        self._type = "AzureOpenAI"
        self._check()


@dataclass
class OpenAIModelConfiguration(ModelConfiguration):
    """A model of OpenAI, or of whoever speaks as it does."""

    model: str
    base_url: Optional[str] = None
    api_key: Optional[str] = field(default=None, repr=False)
    organization: Optional[str] = None
    connection: Optional[str] = None

    _kind = "openai"
    _of_the_model = ("model",)

    def __post_init__(self):
        self._type = "OpenAI"
        self._check()
