"""SerpAPI: there to be imported; its search is not offered."""

from enum import Enum

from promptflow._core.tool import ToolProvider, tool
from promptflow.connections import SerpConnection

__path__ = []


class SafeMode(str, Enum):
    """Whether results are filtered."""

    ACTIVE = "active"
    OFF = "off"


class Engine(str, Enum):
    """Engines that can be searched."""

    GOOGLE = "google"
    BING = "bing"


class SerpAPI(ToolProvider):
    """The tools of one connection."""

    def __init__(self, connection: SerpConnection):
        super().__init__()
        self.connection = connection

    @tool
    def search(self, query: str, location: str = None, safe: SafeMode = SafeMode.OFF, num: int = 10, engine: Engine = Engine.GOOGLE):
        """Raises, and says what to do instead."""
        from promptflow._absent import not_offered

        raise not_offered("promptflow.tools.serpapi", "call https://serpapi.com/search in an `http` node with the connection's key")


@tool
def search(connection: SerpConnection, query: str, location: str = None, safe: SafeMode = SafeMode.OFF, num: int = 10, engine: Engine = Engine.GOOGLE):
    """Raises, and says what to do instead."""
    return SerpAPI(connection).search(query=query, location=location, safe=safe, num=num, engine=engine)
