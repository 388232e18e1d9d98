"""Tools: a file's one function with the `@tool` mark, a package's function, a flex flow's entry."""

import builtins
import os
import sys
import types

from .parameters import kind_of, parameters

MODULE = "__pf_main__"


class LoadError(Exception):
    """A tool that cannot be used, and the original's name for why."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Tool:
    """A loaded tool."""

    def __init__(self, function, owner=None, instance=None):
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.kind = kind_of(function)
        self.is_async = self.kind in ("coroutine", "async_generator")
        self._owner = owner
        # A flex flow's object; of a provider's class one is made for each set of literals.
        self._instance = instance
        self._instances = {}
        self.parameters = parameters(function, bound=owner is not None)
        self.init = None
        if owner is not None:
            init = owner.__init__
            self.init = parameters(init, bound=True) if isinstance(init, types.FunctionType) else []
        self._init_names = {parameter["name"] for parameter in self.init or ()}

    def describe(self):
        """What the host has to know of it."""
        told = {"name": self.name, "kind": self.kind, "parameters": self.parameters}
        if self._owner is not None:
            told["provider"] = self._owner.__name__
            told["init"] = self.init
            told["aggregates"] = hasattr(self._owner, "__aggregate__")
        return told

    def bound(self, sent, inputs):
        """The function to call, and what is left of the inputs for it. `sent` is the inputs' form that travelled."""
        if self._owner is None:
            return self.function, inputs
        if self._instance is not None:
            return getattr(self._instance, self.name), inputs
        from .jsontext import dumps

        init = {name: value for name, value in inputs.items() if name in self._init_names}
        key = dumps({name: sent[name] for name in sorted(init)})
        instance = self._instances.get(key)
        if instance is None:
            instance = self._instances[key] = self._owner(**init)
        own = {name: value for name, value in inputs.items() if name not in self._init_names}
        return getattr(instance, self.name), own


def load_file(path):
    """Loads a file as a module of its own and finds its tool."""
    try:
        module = module_of(path)
    except Exception as error:
        raise _not_loaded(f"Failed to load python module from file '{path}'", error) from error
    functions = [value for value in vars(module).values() if _is_tool(value) and value.__module__ == MODULE]
    unique = list({id(function): function for function in functions}.values())
    methods = []
    for owner in dict.fromkeys(value for value in vars(module).values() if isinstance(value, type)):
        if owner.__module__ == MODULE and _is_provider(owner):
            methods += [(owner, value) for value in vars(owner).values() if _is_tool(value)]
    rule = "Please make sure you have one and only one tool definition in your script."
    if not unique and not methods:
        raise LoadError("NoToolDefined", f"No tool found in the python script. {rule}")
    if len(unique) + len(methods) > 1:
        names = ", ".join([function.__name__ for function in unique] + [method.__name__ for _, method in methods])
        raise LoadError("MultipleToolsDefined", f"Expected 1 but collected {len(unique) + len(methods)} tools: {names}. {rule}")
    if unique:
        return Tool(unique[0])
    owner, method = methods[0]
    return Tool(method, owner)


def load_package(name):
    """Loads a tool by the id of its package: `package.module.function` or `package.module.Class.method`."""
    import importlib

    parts = name.split(".")
    for split in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:split])
        try:
            found = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            # The name's own head is not there, or something that it imports?
            if error.name and (module_name + ".").startswith(error.name + "."):
                continue
            raise
        owner = None
        for part in parts[split:]:
            owner, found = found, getattr(found, part, None)
        if found is None:
            break
        return Tool(found, owner if isinstance(owner, type) else None)
    raise LoadError("PackageToolNotFoundError", f"Package tool '{name}' is not found in the current environment.")


#: Objects of flex flows' classes, by entry and what they were made with.
_objects = {}


def load_entry(entry, key, init, method):
    """Loads what a flex flow names as `module:name`: a function, or a class made with `init`.

    `key` is `init` as text: with the same entry it names the same object. `method` is `__call__`, or `__aggregate__`.
    """
    import importlib

    module_name, _, name = entry.partition(":")
    if not name:
        raise LoadError("InvalidFlowEntry", f"The entry '{entry}' is not of the form module:name.")
    try:
        found = importlib.import_module(module_name.strip())
        for part in name.strip().split("."):
            found = getattr(found, part)
    except Exception as error:
        raise _not_loaded(f"Failed to load python function '{name}' from '{module_name}'", error) from error
    if not isinstance(found, type):
        if method != "__call__":
            raise LoadError("NoToolDefined", f"The entry '{entry}' is a function: it has no '{method}'.")
        return Tool(found)
    function = getattr(found, method, None)
    if function is None:
        raise LoadError("NoToolDefined", f"The class '{name}' of the entry '{entry}' has no '{method}'.")
    instance = _objects.get((entry, key))
    if instance is None:
        instance = _objects[entry, key] = found(**init)
    return Tool(function, found, instance)


def module_of(path):
    """Runs a file as the module `__pf_main__`."""
    module = types.ModuleType(MODULE)
    module.__file__ = path
    module.__builtins__ = builtins
    with open(path, "rb") as file:
        source = file.read()
    code = compile(source, path, "exec", dont_inherit=True)
    # Dataclasses with postponed annotations look their module up while it runs; relative imports are not possible.
    sys.modules[MODULE] = module
    exec(code, module.__dict__)
    return module


def folder_first(folder):
    """The flow's folder is where imports and relative paths begin."""
    os.chdir(folder)
    # Python has put there what the command line asked for: the empty text, which is wherever a tool goes by chdir.
    if sys.path and sys.path[0] == "":
        del sys.path[0]
    sys.path.insert(0, folder)


def _not_loaded(what, error):
    return LoadError("PythonLoadError", f"{what}: ({type(error).__name__}) {error}")


def _is_tool(value):
    return isinstance(value, types.FunctionType) and hasattr(value, "__tool")


def _is_provider(owner):
    return any(base.__name__ == "ToolProvider" and base.__module__.startswith("promptflow") for base in owner.__mro__)
