"""A dict of facts about what runs, one for each context."""

from contextvars import ContextVar

__path__ = []


class OperationContext(dict):
    """Facts about what runs. sluicegate keeps its own; this one is for code that writes into it."""

    _current = ContextVar("promptflow_operation_context", default=None)

    @classmethod
    def get_instance(cls):
        """The one of this context."""
        found = cls._current.get()
        if found is None:
            found = cls()
            cls._current.set(found)
        return found

    @classmethod
    def set_instance(cls, instance):
        """Puts another in its place."""
        cls._current.set(instance)

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name, value):
        self[name] = value

    def append_user_agent(self, user_agent):
        """Adds to `user_agent`."""
        self["user_agent"] = f"{self.get('user_agent', '')} {user_agent}".strip()

    def get_context_dict(self):
        """A copy as a plain dict."""
        return dict(self)
