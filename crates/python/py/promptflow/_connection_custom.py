"""Connections of any fields, and of an author's own classes."""

import sys

from promptflow._connection_base import _Connection, _rest
from promptflow.contracts.types import Secret

_CLASS_KEY = "promptflow.connection.custom_type"
_MODULE_KEY = "promptflow.connection.module"
_PACKAGE_KEY = "promptflow.connection.package"
_PACKAGE_VERSION_KEY = "promptflow.connection.package_version"


class _Typed:
    """A field that a custom connection's class declares: in `secrets` or `configs`, else the class's default."""

    def __init__(self, name, default):
        self.name = name
        self.default = default

    def __get__(self, connection, owner=None):
        if connection is None:
            if self.default:
                return self.default[0]
            return self
        for held in (connection.secrets, connection.configs):
            if self.name in held:
                return held[self.name]
        if self.default:
            return self.default[0]
        raise AttributeError(f"connection '{connection.name}' of class {type(connection).__name__} has no '{self.name}'")

    def __set__(self, connection, value):
        held = connection.secrets if connection._is_secret_field(self.name) else connection.configs
        held[self.name] = value


class CustomStrongTypeConnection(_Connection):
    """The base of an author's own class of connections: its annotations are the fields, those of type Secret are secret."""

    TYPE = "Custom"
    _WORD = "custom"

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in _annotations(cls):
            default = cls.__dict__.get(name)
            setattr(cls, name, _Typed(name, (default,) if name in cls.__dict__ else ()))

    def __init__(self, secrets=None, configs=None, **kwargs):
        configs = dict(configs or {})
        if kwargs.get("custom_type"):
            configs[_CLASS_KEY] = kwargs["custom_type"]
            if kwargs.get("module"):
                configs[_MODULE_KEY] = kwargs["module"]
        self.kwargs = kwargs
        super().__init__(configs=configs, secrets=dict(secrets or {}), **kwargs)
        self.module = kwargs.get("module") or type(self).__module__
        self.custom_type = kwargs.get("custom_type") or type(self).__name__
        self.package = kwargs.get("package")
        self.package_version = kwargs.get("package_version")

    @classmethod
    def _is_secret_field(cls, name):
        for owner in cls.__mro__:
            if owner is CustomStrongTypeConnection:
                return False
            found = _annotations(owner).get(name)
            if found is not None:
                # With `from __future__ import annotations` it is a text, and before the name exists it stands for one.
                found = getattr(found, "__forward_arg__", found)
                return found is Secret or (isinstance(found, str) and found.rpartition(".")[2] == "Secret")
        return False

    def _convert_to_custom(self):
        configs = {**self.configs, _CLASS_KEY: self.custom_type, _MODULE_KEY: self.module}
        if self.package and self.package_version:
            configs.update({_PACKAGE_KEY: self.package, _PACKAGE_VERSION_KEY: self.package_version})
        return CustomConnection(name=self.name, configs=configs, secrets=self.secrets)


class CustomConnection(_Connection):
    """Any names and values: `connection.configs["x"]`, `connection.secrets["y"]`, or `connection.x`."""

    TYPE = "Custom"
    _WORD = "custom"

    def __init__(self, secrets=None, configs=None, **kwargs):
        super().__init__(configs=dict(configs or {}), secrets=dict(secrets or {}), **_rest(kwargs))

    def __getattr__(self, name):
        # While it is copied or unpickled there is neither yet.
        held = self.__dict__
        for part in ("secrets", "configs"):
            values = held.get(part)
            if values is not None and name in values:
                return values[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def is_secret(self, item):
        """Whether the value of that name is a secret."""
        return item in self.secrets

    def _is_custom_strong_type(self):
        return bool(self.configs.get(_CLASS_KEY))

    def _convert_to_custom_strong_type(self, module=None, to_class=None):
        """The same values in the class that the configs name, or that is given."""
        if to_class == type(self).__name__:
            return self
        if self.configs.get(_CLASS_KEY) and self.configs.get(_MODULE_KEY):
            module, to_class = self.configs[_MODULE_KEY], self.configs[_CLASS_KEY]
        if not isinstance(to_class, str) or module is None:
            from promptflow.exceptions import UserErrorException

            error = ValueError(f"Failed to convert to custom strong type connection because of invalid module or class: {module}, {to_class}")
            raise UserErrorException(message=str(error), error=error)
        kind = _custom_class(to_class, module)
        made = kind(configs=self.configs, secrets=self.secrets, name=self.name)
        made._from = self._from
        return made


def _annotations(kind):
    if sys.version_info < (3, 14):
        return kind.__dict__.get("__annotations__") or {}
    import annotationlib

    return annotationlib.get_annotations(kind, format=annotationlib.Format.FORWARDREF)


def _custom_class(name, module):
    """An author's class of connections: in its module, or wherever a tool file has defined it."""
    home = module if not isinstance(module, str) else sys.modules.get(module)
    found = getattr(home, name, None) if home is not None else None
    if isinstance(found, type):
        return found
    # A tool's file is a module of which there are several under one name: look among the classes themselves.
    known = [kind for kind in _subclasses(CustomStrongTypeConnection) if kind.__name__ == name]
    of_module = [kind for kind in known if kind.__module__ == module]
    if of_module:
        return of_module[-1]
    if isinstance(module, str) and module and module != "__pf_main__":
        import importlib

        try:
            found = getattr(importlib.import_module(module), name, None)
        except ModuleNotFoundError:
            found = None
        if isinstance(found, type):
            return found
    if known:
        return known[-1]
    from promptflow.exceptions import UserErrorException

    raise UserErrorException(f"the class {name} of a custom connection is not in the module {module}: check custom_type and module")


def _subclasses(kind):
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)
