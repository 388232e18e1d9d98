"""A host for tests: the worker's real link, with a channel that answers at once and remembers what was asked."""

import itertools
import os
import sys

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
