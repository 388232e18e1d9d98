"""Tells what Python files say, by their syntax trees alone: nothing of them is imported or run.

Reads a JSON list of paths; writes a line of JSON for each, in order."""
import ast
import json
import sys
import warnings

DEEPEST = 6
MOST_CALLS = 300


def dotted(node):
    """`a.b.c` as a list of names, and whether its head is a call: `A().b`."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if isinstance(node, ast.Call):
        head, _ = dotted(node.func)
        return (head + names[::-1], True) if head else ([], False)
    if isinstance(node, ast.Name):
        return [node.id] + names[::-1], False
    return [], False


class File:
    def __init__(self, tree):
        self.imports = {}
        self.values = {}
        nodes = list(ast.walk(tree))
        for node in nodes:
            if isinstance(node, ast.Import):
                for name in node.names:
                    self.imports[name.asname or name.name.split(".")[0]] = name.name if name.asname else name.name.split(".")[0]
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                for name in node.names:
                    self.imports[name.asname or name.name] = module + "." + name.name
            elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                self.values[node.targets[0].id] = node.value
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                self.values[node.target.id] = node.value
        self.nodes = nodes
        self.modules = sorted(
            {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
            | {
                "." * node.level + (node.module or "") + "." + name.name
                for node in nodes
                if isinstance(node, ast.ImportFrom)
                for name in node.names
            }
        )

    def full(self, node, depth=0):
        """The full name of what is called: variables lead to the class that they were made of."""
        names, _ = dotted(node)
        if not names:
            return ""
        head = names[0]
        value = self.values.get(head)
        if isinstance(value, ast.Call) and head not in self.imports and depth < DEEPEST:
            made_of = self.full(value.func, depth + 1)
            if made_of:
                return ".".join([made_of] + names[1:])
        return ".".join([self.imports.get(head, head)] + names[1:])

    def told(self, node, depth=0):
        """A value as far as it can be told without running anything."""
        if depth > DEEPEST or node is None:
            return None
        if isinstance(node, ast.Constant):
            return {"value": node.value} if isinstance(node.value, (str, int, float, bool, type(None))) else None
        if isinstance(node, ast.Name):
            return self.told(self.values.get(node.id), depth + 1)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            return {"key": node.slice.value}
        if isinstance(node, ast.Dict):
            entries = {}
            for key, value in zip(node.keys, node.values):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    entries[key.value] = self.told(value, depth + 1)
            return {"map": entries}
        if isinstance(node, ast.Call):
            arguments = [self.told(argument, depth + 1) for argument in node.args]
            name = self.full(node.func)
            if name.endswith((".get", ".getenv")) and arguments and isinstance(arguments[0], dict) and "value" in arguments[0]:
                return {"key": str(arguments[0]["value"])}
            return {"class": name, "arguments": arguments}
        return None

    def facts(self):
        facts = {"modules": self.modules, "calls": [], "flags": [], "flow_names": [], "tools": []}
        for node in self.nodes:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for decorator in node.decorator_list:
                    target = decorator.func if isinstance(decorator, ast.Call) else decorator
                    if self.full(target).split(".")[-1] == "tool":
                        facts["tools"].append(node.name)
            if not isinstance(node, ast.Call):
                continue
            name = self.full(node.func)
            keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
            flow = self.told(keywords.get("flow_name"))
            if isinstance(flow, dict) and isinstance(flow.get("value"), str):
                facts["flow_names"].append(flow["value"])
            if name.endswith(".add_argument"):
                for argument in node.args:
                    if isinstance(argument, ast.Constant) and str(argument.value).startswith("--"):
                        facts["flags"].append(str(argument.value))
            if name.startswith(("promptflow.", "azure.ai.")) and len(facts["calls"]) < MOST_CALLS:
                facts["calls"].append(
                    {
                        "call": name,
                        "line": node.lineno,
                        "arguments": {key: self.told(value) for key, value in keywords.items()},
                        "positional": [self.told(argument) for argument in node.args],
                    }
                )
        return facts


def read(path):
    try:
        with open(path, "rb") as file:
            source = file.read()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return File(ast.parse(source, path)).facts()
    except SyntaxError as error:
        return {"error": "line %s: %s" % (error.lineno, error.msg)}
    except Exception as error:
        return {"error": "%s: %s" % (type(error).__name__, error)}


for path in json.loads(sys.stdin.read()):
    sys.stdout.write(json.dumps(read(path)) + "\n")
    sys.stdout.flush()
