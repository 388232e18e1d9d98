"""A host for tests: the worker's real link, with a channel that answers at once and remembers what was asked; and a program."""

import itertools
import json
import os
import sys
import tempfile
from unittest import mock

PY = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "py"))
if PY not in sys.path:
    sys.path.insert(0, PY)

from sluicegate_worker import host, output, values, worker  # noqa: E402
from sluicegate_worker.baton import Baton  # noqa: E402


class Channel:
    """Answers each question with what the test has set for it: a value, pieces, a refusal, or a function of the fields."""

    open = True
    forked = False

    def __init__(self):
        self.link = None
        self.answers = {}
        self.asked = []
        self.notes = []

    def write(self, message):
        if message["op"] != "ask":
            self.notes.append(message)
            return
        self.asked.append(message)
        answer = self.answers[message["what"]]
        if callable(answer):
            answer = answer(message["fields"])
        number = message["id"]
        if isinstance(answer, Refusal):
            self.link.answered({"op": "refused", "re": number, "error": answer.told})
            return
        if isinstance(answer, Pieces):
            for text in answer.texts:
                self.link.answered({"op": "piece", "re": number, "text": text})
            answer = None
        self.link.answered({"op": "answer", "re": number, "value": answer})


class Refusal:
    """The host says no."""

    def __init__(self, type, message, codes=None):
        self.told = {"type": type, "message": message}
        if codes is not None:
            self.told["codes"] = codes


class Pieces:
    """The host answers in pieces."""

    def __init__(self, *texts):
        self.texts = texts


class Host:
    """A host while a test runs; `call` is the number of the worker's call."""

    _calls = itertools.count(1000)

    def __init__(self, call=None, **answers):
        self.channel = Channel()
        self.channel.answers = answers
        self.values = values.Values("w1")
        self.link = host.Link(self.channel, self.values, Baton(), worker._BUILD, True)
        self.channel.link = self.link
        # As in a worker: no number comes twice.
        self.call = next(self._calls) if call is None else call

    def __enter__(self):
        host.link = self.link
        self._token = output.current.set(self.call)
        return self

    def __exit__(self, *_):
        output.current.reset(self._token)
        host.link = None

    @property
    def asked(self):
        """The questions: their kinds and fields."""
        return [(message["what"], message["fields"]) for message in self.channel.asked]

    def notes(self, op):
        """The notes of a kind."""
        return [note["note"] for note in self.channel.notes if note["op"] == op]


_PROGRAM = """#!{python}
import json, os, sys
folder = {folder!r}
words = sys.argv[sys.argv.index("-C") + 2 :]
asked = {{"words": words, "directory": sys.argv[sys.argv.index("-C") + 1], "stdin": sys.stdin.read(), "files": {{}}}}
asked["variables"] = {{name: value for name, value in os.environ.items() if name.startswith(("SLUICEGATE_", "TEST_"))}}
for word in words:
    if word.endswith((".yaml", ".json")) and os.path.isfile(word):
        asked["files"][word] = [oct(os.stat(word).st_mode & 0o777), open(word).read()]
with open(folder + "/asked", "a") as log:
    log.write(json.dumps(asked) + chr(10))
for prefix, (code, out, said) in json.load(open(folder + "/answers")):
    if words[: len(prefix)] == prefix:
        sys.stdout.write(out)
        sys.stderr.write(said)
        sys.exit(code)
sys.exit("error: nothing was to be asked: " + repr(words))
"""


class Program:
    """A program in sluicegate's place while a test runs: answers by its first words, and remembers what it was asked."""

    def __init__(self, answers):
        self._answers = [
            (words.split(), answer if isinstance(answer, tuple) else (0, json.dumps(answer), "")) for words, answer in answers.items()
        ]

    def __enter__(self):
        self._holder = tempfile.TemporaryDirectory()
        self.folder = os.path.realpath(self._holder.name)
        path = os.path.join(self.folder, "program")
        with open(path, "w") as file:
            file.write(_PROGRAM.format(python=sys.executable, folder=self.folder))
        os.chmod(path, 0o755)
        with open(os.path.join(self.folder, "answers"), "w") as file:
            json.dump(self._answers, file)
        self._variables = mock.patch.dict(os.environ, {"SLUICEGATE_PROGRAM": path, "SLUICEGATE_DIRECTORY": self.folder})
        self._variables.__enter__()
        return self

    def __exit__(self, *_):
        self._variables.__exit__(None, None, None)
        self._holder.cleanup()

    @property
    def asked(self):
        """What it was started with, one after the other."""
        path = os.path.join(self.folder, "asked")
        if not os.path.exists(path):
            return []
        with open(path) as file:
            return [json.loads(line) for line in file]

    @property
    def words(self):
        """The command lines."""
        return [" ".join(asked["words"]) for asked in self.asked]
