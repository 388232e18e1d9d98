"""Registering tools: here nothing has to be registered, packages are found by their entry points."""

__all__ = [
    "collect_package_tools",
    "register_api_method",
    "register_apis",
    "register_builtin_method",
    "register_builtins",
    "register_connections",
]

__path__ = []


def register_apis(cls):
    """Nothing to do; gives the class back."""
    return cls


def register_builtin_method(method):
    """Nothing to do; gives the method back."""
    return method


def register_api_method(method):
    """Nothing to do; gives the method back."""
    return method


def register_builtins(cls):
    """Nothing to do; gives the class back."""
    return cls


def register_connections(connection_classes):
    """Nothing to do: connection classes are found by their names."""
    return connection_classes


def collect_package_tools(keys=None):
    """The tools that installed packages name by the entry point group `package_tools`."""
    from importlib.metadata import entry_points

    found = entry_points()
    group = found.select(group="package_tools") if hasattr(found, "select") else found.get("package_tools", [])
    tools = {}
    for point in group:
        for name, about in point.load()().items():
            if keys is None or name in keys:
                tools[name] = about
    return tools
