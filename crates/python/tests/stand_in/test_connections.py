"""Connections: attributes, the mapping, what is printed, and the way from the host and back."""

import copy
import pickle
import unittest

import fake  # noqa: F401
from promptflow import connections
from promptflow.connections import (
    AzureContentSafetyConnection,
    AzureOpenAIConnection,
    CognitiveSearchConnection,
    CustomConnection,
    CustomStrongTypeConnection,
    OpenAIConnection,
    _from_host,
    _to_host,
)
from promptflow.contracts.types import Secret
from promptflow.exceptions import UserErrorException


class MyConnection(CustomStrongTypeConnection):
    api_key: Secret
    api_base: str
    region: str = "north"


AZURE = {
    "type": "azure_open_ai",
    "name": "aoai",
    "values": {"api_base": "https://a", "api_version": "2024-06-01"},
    "secrets": {"api_key": "sk-secret"},
}


class Attributes(unittest.TestCase):
    def test_fields_are_attributes_that_can_be_set(self):
        connection = AzureOpenAIConnection(api_base="https://a", api_key="k", name="n")
        self.assertEqual((connection.api_base, connection.api_key, connection.api_type), ("https://a", "k", "azure"))
        self.assertEqual((connection.api_version, connection.auth_mode, connection.type), ("2024-02-01", "key", "AzureOpenAI"))
        connection.api_version = "2025-01-01"
        connection.api_key = "other"
        self.assertEqual((connection.configs["api_version"], connection.secrets["api_key"]), ("2025-01-01", "other"))

    def test_a_connection_that_signs_in_with_a_token_has_no_key(self):
        connection = AzureOpenAIConnection(api_base="https://a", auth_mode="meid_token", token_provider=lambda: "t")
        self.assertIsNone(connection.api_key)
        self.assertEqual(connection.get_token(), "t")
        self.assertNotIn("api_key", connection.keys())

    def test_defaults_are_the_originals(self):
        self.assertEqual(CognitiveSearchConnection("k", "b").api_version, "2023-11-01")
        self.assertEqual(AzureContentSafetyConnection("k", "e").api_type, "Content Safety")
        self.assertIsNone(OpenAIConnection("k", base_url="_").base_url)

    def test_the_mapping_unpacks(self):
        connection = OpenAIConnection("k", organization="o")
        self.assertEqual(dict(connection), {"organization": "o", "base_url": None, "api_key": "k"})
        self.assertEqual({**connection}, dict(connection))
        self.assertEqual(list(connection), connection.keys())
        self.assertEqual(connection["api_key"], "k")
        self.assertIn("organization", connection)
        with self.assertRaises(KeyError):
            connection["nothing"]

    def test_custom_connections_have_what_they_hold(self):
        connection = CustomConnection(secrets={"key": "k"}, configs={"url": "u"}, name="c")
        self.assertEqual((connection.key, connection.url), ("k", "u"))
        self.assertTrue(connection.is_secret("key"))
        self.assertFalse(hasattr(connection, "other"))
        self.assertEqual({**connection}, {"url": "u", "key": "k"})

    def test_equal_is_who_holds_the_same(self):
        self.assertEqual(OpenAIConnection("k", name="a"), OpenAIConnection("k", name="a"))
        self.assertNotEqual(OpenAIConnection("k"), OpenAIConnection("j"))
        self.assertNotEqual(OpenAIConnection("k"), CustomConnection({"api_key": "k"}))

    def test_copies_are_whole(self):
        for connection in (CustomConnection({"key": "k"}, {"url": "u"}), MyConnection({"api_key": "k"}, {"api_base": "b"}), OpenAIConnection("k")):
            for made in (copy.deepcopy(connection), pickle.loads(pickle.dumps(connection))):
                self.assertEqual(dict(made), dict(connection))

    def test_from_env_names_what_is_not_set(self):
        import os
        from unittest import mock

        with mock.patch.dict(os.environ, {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "u"}, clear=True):
            self.assertEqual(OpenAIConnection.from_env().base_url, "u")
            with self.assertRaisesRegex(UserErrorException, "AZURE_OPENAI_ENDPOINT"):
                AzureOpenAIConnection.from_env()


class Printing(unittest.TestCase):
    def test_no_secret_is_ever_printed(self):
        for connection in (
            AzureOpenAIConnection(api_base="https://a", api_key="sk-secret", name="n"),
            OpenAIConnection("sk-secret"),
            CustomConnection({"key": "sk-secret"}, {"url": "u"}),
            MyConnection({"api_key": "sk-secret"}, {"api_base": "b"}),
            _from_host(AZURE),
        ):
            for text in (repr(connection), str(connection), f"{connection}", str([connection]), str({"c": connection})):
                self.assertNotIn("sk-secret", text)
                self.assertIn("******", text)

    def test_what_is_no_secret_is_printed(self):
        told = repr(AzureOpenAIConnection(api_base="https://a", api_key="k", name="n"))
        self.assertTrue(told.startswith("AzureOpenAIConnection(name='n', api_base='https://a'"), told)


class Custom(unittest.TestCase):
    def test_annotations_are_fields(self):
        connection = MyConnection(secrets={"api_key": "k"}, configs={"api_base": "b"})
        self.assertEqual((connection.api_key, connection.api_base, connection.region), ("k", "b", "north"))
        connection.api_key, connection.api_base = "j", "c"
        self.assertEqual((connection.secrets, connection.configs), ({"api_key": "j"}, {"api_base": "c"}))

    def test_a_field_that_is_not_there_says_so(self):
        with self.assertRaisesRegex(AttributeError, "'n' of class MyConnection has no 'api_base'"):
            MyConnection(secrets={}, name="n").api_base  # noqa: B018

    def test_annotations_may_be_texts(self):
        scope = {"__name__": "postponed"}
        exec(
            "from __future__ import annotations\n"
            "from promptflow.connections import CustomStrongTypeConnection\n"
            "from promptflow.contracts.types import Secret\n"
            "class Late(CustomStrongTypeConnection):\n    token: Secret\n    url: str\n",
            scope,
        )
        late = scope["Late"](secrets={"token": "t"}, configs={"url": "u"})
        late.token = "s"
        self.assertEqual((late.secrets, late.url), ({"token": "s"}, "u"))

    def test_a_custom_connection_becomes_the_class(self):
        plain = CustomConnection({"api_key": "k"}, {"api_base": "b"}, name="c")
        made = plain._convert_to_custom_strong_type(module=__name__, to_class="MyConnection")
        self.assertIs(type(made), MyConnection)
        self.assertEqual((made.api_key, made.name), ("k", "c"))
        back = made._convert_to_custom()
        self.assertEqual(back.configs["promptflow.connection.custom_type"], "MyConnection")
        self.assertEqual(back._convert_to_custom_strong_type().api_base, "b")

    def test_a_class_that_is_nowhere_says_so(self):
        with self.assertRaisesRegex(UserErrorException, "the class Nobody .* module nowhere"):
            CustomConnection({}, {})._convert_to_custom_strong_type(module="nowhere", to_class="Nobody")


class FromTheHost(unittest.TestCase):
    def test_every_type_has_its_class(self):
        for word, name in {
            "azure_open_ai": "AzureOpenAIConnection",
            "open_ai": "OpenAIConnection",
            "serverless": "ServerlessConnection",
            "cognitive_search": "CognitiveSearchConnection",
            "serp": "SerpConnection",
            "azure_content_safety": "AzureContentSafetyConnection",
            "form_recognizer": "FormRecognizerConnection",
            "azure_ai_services": "AzureAIServicesConnection",
            "qdrant": "QdrantConnection",
            "weaviate": "WeaviateConnection",
            "custom": "CustomConnection",
            "AzureOpenAI": "AzureOpenAIConnection",
        }.items():
            made = _from_host({"type": word, "name": "n", "secrets": {"api_key": "k"}})
            self.assertEqual((type(made).__name__, made.name, made["api_key"]), (name, "n", "k"))

    def test_fields_come_from_values_configs_and_secrets(self):
        made = _from_host(AZURE)
        self.assertEqual((made.api_base, made.api_version, made.api_type, made.api_key), ("https://a", "2024-06-01", "azure", "sk-secret"))
        made = _from_host({"type": "open_ai", "name": "o", "values": {"api_key": "k", "extra": 1}})
        self.assertEqual((made.secrets, made["extra"]), ({"api_key": "k"}, 1))

    def test_an_authors_class_is_found_wherever_it_is(self):
        told = {"type": "custom", "name": "c", "class": "MyConnection", "module": __name__, "configs": {"api_base": "b"}, "secrets": {"api_key": "k"}}
        self.assertIs(type(_from_host(told)), MyConnection)
        # Tool files are modules that nobody can import.
        found = _from_host({**told, "module": "__pf_main__"})
        self.assertEqual((type(found), found.api_key), (MyConnection, "k"))

    def test_the_host_gets_the_name_back_while_nothing_was_changed(self):
        made = _from_host(AZURE)
        self.assertEqual(_to_host(made), "aoai")
        made.api_version = "2025-01-01"
        told = _to_host(made)
        self.assertEqual(told["type"], "azure_open_ai")
        self.assertEqual(told["configs"]["api_version"], "2025-01-01")
        self.assertEqual(told["secrets"], {"api_key": "sk-secret"})

    def test_the_host_gets_all_of_a_connection_that_the_author_made(self):
        self.assertEqual(_to_host(OpenAIConnection("k", base_url="u")), {"type": "open_ai", "configs": {"base_url": "u"}, "secrets": {"api_key": "k"}})
        told = _to_host(MyConnection({"api_key": "k"}, {"api_base": "b"}))
        self.assertEqual((told["class"], told["module"]), ("MyConnection", __name__))
        self.assertEqual(_to_host("by_name"), "by_name")
        with self.assertRaises(UserErrorException):
            _to_host(5)

    def test_all_classes_are_exported(self):
        for name in connections.__all__:
            self.assertTrue(name.endswith("Connection") and hasattr(connections, name))


if __name__ == "__main__":
    unittest.main()
