"""An assistant's definition, and who calls its tools."""

import os
import tempfile
import unittest

from fake import Host
from promptflow.contracts.types import AssistantDefinition, AttrDict
from promptflow.exceptions import UserErrorException
from promptflow.executor._assistant_tool_invoker import AssistantToolInvoker

ECHO = '''
from enum import Enum
from promptflow.core import tool
from promptflow.connections import CustomConnection

class Mood(str, Enum):
    GOOD = "good"
    BAD = "bad"

@tool
def echo(message: str, times: int, connection: CustomConnection, mood: Mood = Mood.GOOD):
    """This tool echoes
    the message back.

    :param message: The message to echo.
    :type message: str
    :param times: How often
        it is said.
    """
    return message * times + connection.suffix
'''


class Assistants(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        with open(os.path.join(holder.name, "echo.py"), "w") as file:
            file.write(ECHO)
        self.told = {
            "model": "gpt",
            "instructions": "Help.",
            "tools": [
                {"type": "code_interpreter"},
                {
                    "type": "function",
                    "tool_type": "python",
                    "source": {"type": "code", "path": "echo.py"},
                    "predefined_inputs": {"connection": "c"},
                },
            ],
            "folder": holder.name,
        }

    def test_its_tools_are_loaded_and_told_and_called(self):
        with Host(connection={"type": "custom", "name": "c", "configs": {"suffix": "!"}, "secrets": {}}) as host:
            definition = AssistantDefinition._from_host(self.told)
        self.assertEqual(host.asked, [("connection", {"name": "c"})])
        invoker = definition._tool_invoker
        self.assertEqual((definition.model, definition.serialize()["instructions"], len(invoker._assistant_tools)), ("gpt", "Help.", 2))
        told = invoker.to_openai_tools()
        self.assertEqual(told[0], {"type": "code_interpreter"})
        self.assertEqual(
            told[1],
            {
                "type": "function",
                "function": {
                    "name": "echo",
                    "description": "This tool echoes the message back.",
                    "parameters": {
                        "type": "object",
                        "properties": {
                            "message": {"description": "The message to echo.", "type": "string"},
                            "times": {"description": "How often it is said.", "type": "number"},
                            "mood": {"description": "", "type": "string", "enum": ["good", "bad"]},
                        },
                        "required": ["message", "times"],
                    },
                },
            },
        )
        self.assertEqual(invoker.invoke_tool("echo", {"message": "a", "times": 2}), "aa!")
        self.assertIs(AssistantToolInvoker.init(definition), invoker)

    def test_what_cannot_be_a_tool_is_refused(self):
        for wrong in ({"type": "odd"}, {"type": "function", "tool_type": "llm"}, {"type": "function", "source": {"type": "code"}}):
            with self.assertRaises(UserErrorException):
                AssistantToolInvoker.init([wrong])

    def test_definitions_are_equal_by_what_they_hold(self):
        self.assertEqual(AssistantDefinition("m", "i", []), AssistantDefinition.deserialize({"model": "m", "instructions": "i"}))
        self.assertIn("model='m'", repr(AssistantDefinition("m")))

    def test_a_dict_with_attributes(self):
        attributes = AttrDict(a=1)
        attributes.b = 2
        self.assertEqual((attributes.a, attributes), (1, {"a": 1, "b": 2}))
        with self.assertRaises(AttributeError):
            attributes.c  # noqa: B018


class Loggers(unittest.TestCase):
    def test_they_write_to_what_standard_output_is_then(self):
        import contextlib
        import io

        from promptflow._utils.logger_utils import LoggerFactory, get_logger

        logger, text = get_logger("mine"), io.StringIO()
        with contextlib.redirect_stdout(text):
            logger.info("said")
            logger.debug("not said")
        self.assertRegex(text.getvalue(), r"^\d{4}-.* mine +INFO +said\n$")
        self.assertEqual(LoggerFactory.get_logger("other").name, "other")


if __name__ == "__main__":
    unittest.main()
