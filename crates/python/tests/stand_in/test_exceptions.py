"""Exceptions: how they are made, and how the host's refusals become them."""

import unittest

import fake
from promptflow import _host
from promptflow.exceptions import ErrorTarget, PromptflowException, SystemErrorException, UserErrorException, ValidationException
from promptflow.tools.exception import ChatAPIInvalidRole, WrappedOpenAIError
from sluicegate_worker import failures


def refused(type, message, codes=None):
    with fake.Host(render=fake.Refusal(type, message, codes)):
        try:
            _host.ask("render")
        except Exception as error:
            return error
    return None


class Making(unittest.TestCase):
    def test_a_message(self):
        error = UserErrorException("no")
        self.assertEqual((str(error), error.message, error.target, error.reference_code), ("no", "no", ErrorTarget.UNKNOWN, "Unknown"))
        self.assertEqual(str(UserErrorException(message="no", target=ErrorTarget.TOOL)), "no")
        self.assertEqual(str(UserErrorException()), "UserErrorException")

    def test_a_format(self):
        error = ValidationException(message_format="{a} is not {b}", a=1, target=ErrorTarget.TOOL, module="m")
        self.assertEqual(str(error), "1 is not <b>")
        self.assertEqual((error.message_parameters, error.message_format), ({"a": 1, "b": "<b>"}, "{a} is not {b}"))
        self.assertEqual((error.serializable_message_parameters["a"], error.reference_code), ("1", "Tool/m"))

    def test_the_exception_behind_it(self):
        cause = KeyError("k")
        self.assertIs(UserErrorException("no", error=cause).inner_exception, cause)
        try:
            try:
                raise cause
            except KeyError as error:
                raise SystemErrorException("no") from error
        except SystemErrorException as error:
            self.assertIs(error.inner_exception, cause)

    def test_codes_are_the_classes(self):
        class Mine(ValidationException):
            pass

        self.assertEqual(Mine("no").error_codes, ["UserError", "ValidationException", "Mine"])
        self.assertEqual(SystemErrorException("no").error_codes, ["SystemError"])
        self.assertEqual(PromptflowException("no").error_codes, [])
        self.assertEqual(WrappedOpenAIError(ValueError("x")).error_codes, ["UserError", "OpenAIError", "ValueError"])

    def test_the_worker_tells_whose_fault_it_is(self):
        self.assertEqual(failures.codes(ChatAPIInvalidRole("no")), ["UserError", "ChatAPIInvalidRole"])
        self.assertEqual(failures.codes(SystemErrorException("no"))[0], "SystemError")


class Refusals(unittest.TestCase):
    def test_a_class_of_the_package(self):
        for name, module in {
            "UserErrorException": "promptflow.exceptions",
            "ChatAPIInvalidRole": "promptflow.tools.exception",
            "ChatAPIInvalidRoleError": "promptflow.core._errors",
            "MissingRequiredInputError": "promptflow.core._errors",
            "JinjaTemplateError": "promptflow.tools.exception",
            "WrappedOpenAIError": "promptflow.tools.exception",
            "RequiredEnvironmentVariablesNotSetError": "promptflow.core._errors",
        }.items():
            error = refused(name, "the words")
            self.assertEqual((type(error).__name__, type(error).__module__, str(error)), (name, module, "the words"))
            self.assertIsInstance(error, UserErrorException)

    def test_a_built_in_class(self):
        error = refused("TimeoutError", "too long")
        self.assertEqual((type(error), str(error)), (TimeoutError, "too long"))

    def test_one_that_wants_more_than_words(self):
        error = refused("UnicodeDecodeError", "bad")
        self.assertEqual((type(error).__name__, str(error)), ("UnicodeDecodeError", "bad"))
        self.assertIsInstance(error, UserErrorException)

    def test_nothing_that_would_end_the_worker(self):
        for name in ("SystemExit", "KeyboardInterrupt", "GeneratorExit"):
            error = refused(name, "x")
            self.assertIsInstance(error, UserErrorException)
            self.assertEqual(type(error).__name__, name)

    def test_a_name_that_nobody_knows(self):
        error = refused("ToolExecutionError", "Execution failure in 'n'", ["UserError", "ToolExecutionError"])
        self.assertIsInstance(error, UserErrorException)
        self.assertEqual((type(error).__name__, error.error_codes), ("ToolExecutionError", ["UserError", "ToolExecutionError"]))
        self.assertIs(type(refused("ToolExecutionError", "again")), type(error))
        self.assertIsInstance(refused("StoreIsFull", "x", ["SystemError", "StoreIsFull"]), SystemErrorException)

    def test_no_words_at_all(self):
        self.assertEqual(str(refused("UserErrorException", "")), "UserErrorException")

    def test_the_hosts_machinery_is_not_in_the_way(self):
        error = refused("UserErrorException", "no")
        self.assertTrue(error.__suppress_context__ or error.__context__ is None)


class Outside(unittest.TestCase):
    def test_without_a_host_it_says_how_to_run(self):
        with self.assertRaisesRegex(UserErrorException, "inside of a flow only"):
            _host.ask("render")


if __name__ == "__main__":
    unittest.main()
