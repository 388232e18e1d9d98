"""Which packages of a requirements file are not installed.

Presence is checked, not versions: who asks wants to know why an import will fail.
"""

import os
import re
import sys

#: What the stand-in package takes the place of.
PROVIDED = {
    "promptflow",
    "promptflow-azure",
    "promptflow-core",
    "promptflow-devkit",
    "promptflow-tools",
    "promptflow-tracing",
}

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*([^;#]*?)\s*(?:;\s*(.*?))?\s*$")


def missing(text, folder):
    """The names, as written, of what `text` requires and is not installed. `folder`: where `-r other.txt` is looked for."""
    installed = _installed()
    out = []
    for name in _required(text, folder, set()):
        normal = _normal(name)
        if normal in installed or normal in PROVIDED or name in out or _has_metadata(name):
            continue
        out.append(name)
    return out


def _required(text, folder, seen):
    text = text.lstrip("\ufeff").replace("\\\r\n", " ").replace("\\\n", " ")
    for line in text.splitlines():
        line = re.sub(r"(^|\s)#.*$", "", line).strip()
        nested = re.match(r"(?:-r|--requirement)[\s=]*(.+)$", line)
        if nested:
            path = os.path.join(folder, nested.group(1).strip())
            if path not in seen and len(seen) < 50:
                seen.add(path)
                try:
                    with open(path, encoding="utf-8", errors="replace") as file:
                        inner = file.read()
                except OSError:
                    continue
                yield from _required(inner, os.path.dirname(path), seen)
            continue
        # Options, paths and bare addresses name nothing that could be looked up.
        if not line or line.startswith(("-", ".", "/")) or re.match(r"[A-Za-z+]+://|[A-Za-z]:[\\/]|git\+", line):
            continue
        line = re.sub(r"\s--(?:hash|config-settings|global-option)\b.*$", "", line)
        match = _NAME.match(line)
        if match is None or not re.match(r"$|[=<>!~@(]", match.group(2)):
            continue
        if match.group(3) and not _applies(match.group(3)):
            continue
        yield match.group(1)


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed():
    """Names from the folders that installers leave: much cheaper than to read their metadata."""
    names = set()
    for entry in sys.path:
        try:
            found = os.listdir(entry or ".")
        except OSError:
            continue
        for file in found:
            stem, ending = os.path.splitext(file)
            if ending in (".dist-info", ".egg-info", ".egg-link"):
                names.add(_normal(stem.partition("-")[0]))
    return names


def _has_metadata(name):
    import importlib.metadata

    try:
        importlib.metadata.distribution(name)
    except Exception:  # noqa: BLE001 - whatever a finder of somebody's raises
        return False
    return True


_MARKER = re.compile(r"""\s*([a-z_.]+)\s*(==|!=|<=|>=|<|>|~=|in\b|not\s+in\b)\s*(['"])(.*?)\3\s*$""")


def _applies(marker):
    """Whether an environment marker holds here; what is too hard to tell does not apply."""
    try:
        return any(
            all(_holds(part) for part in re.split(r"\band\b", either)) for either in re.split(r"\bor\b", marker)
        )
    except ValueError:
        return False


def _holds(comparison):
    match = _MARKER.match(comparison.strip().strip("()"))
    if match is None:
        raise ValueError
    name, operator, _, wanted = match.groups()
    import platform

    here = {
        "python_version": lambda: "%d.%d" % sys.version_info[:2],
        "python_full_version": platform.python_version,
        "sys_platform": lambda: sys.platform,
        "platform_system": platform.system,
        "platform_machine": platform.machine,
        "os_name": lambda: os.name,
        "platform_python_implementation": platform.python_implementation,
        "implementation_name": lambda: sys.implementation.name,
        "extra": lambda: "",
    }.get(name)
    if here is None:
        raise ValueError
    value = here()
    if operator == "in":
        return value in wanted
    if operator.startswith("not"):
        return value not in wanted
    if name.startswith("python"):
        value, wanted = _version(value), _version(wanted)
    if operator == "~=":
        return value >= wanted and value[: len(wanted) - 1] == wanted[:-1]
    return {
        "==": value == wanted,
        "!=": value != wanted,
        "<": value < wanted,
        ">": value > wanted,
        "<=": value <= wanted,
        ">=": value >= wanted,
    }[operator]


def _version(text):
    return [int(part) for part in re.findall(r"\d+", text)]
