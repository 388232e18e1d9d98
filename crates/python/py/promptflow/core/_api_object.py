"""An API's whole reply, with the attributes that the openai package's objects have."""

__path__ = []


class ApiObject(dict):
    """A reply's JSON whose keys are attributes too: `reply.choices[0].message.content`."""

    @classmethod
    def of(cls, value):
        """`value` with every dict in it as such an object."""
        if isinstance(value, dict):
            return cls({key: cls.of(item) for key, item in value.items()})
        if isinstance(value, list):
            return [cls.of(item) for item in value]
        return value

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            if name.startswith("__"):
                raise AttributeError(name) from None
            if name in ("content", "tool_calls", "function_call", "refusal", "usage", "finish_reason", "system_fingerprint"):
                # Replies leave out what is null.
                return None
            raise AttributeError(f"the reply has no '{name}'") from None

    def model_dump(self, **_):
        """The reply as plain dicts and lists."""
        return _plain(self)

    to_dict = dict_ = model_dump

    def model_dump_json(self, indent=None, **_):
        """The reply as JSON text."""
        import json

        return json.dumps(self, indent=indent)


def chunk(text):
    """A piece of a stream in the form of the API's."""
    return ApiObject.of({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
