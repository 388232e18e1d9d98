"""The program's words and the original's: runs, lines and errors, from one to the other. Nothing here is run."""

import json
import os
import re
import sys

__path__ = []

_STATUSES = {
    "completed": "Completed",
    "failed": "Failed",
    "damaged": "Failed",
    "interrupted": "Canceled",
    "running": "Running",
}

FAILED = "(Failed)"

# The original's exceptions, by what the program calls its problems and by its words.
_BY_CODE = (
    (r"error\[data::(unknown_column|unmapped_input|unknown_source|unknown_input|missing_column|no_reference|no_run|no_data)\]", "InputMappingError"),
    (r"there are no rows to run|error\[data::empty_folder\]", "EmptyInputsData"),
    (r"rows are no inputs|error\[data::", "InputsMappingError"),
    (r"there is no run `|no runs are kept here", "RunNotFoundError"),
    (r"the run `[^`]*` exists already", "RunExistsError"),
    (r"is being written by", "RunOperationError"),
    (r"error\[(yaml|flow)::", "ValidationException"),
    (r"unknown_connection|has no connection|no connection `", "GetConnectionError"),
)


def run_told(told):
    """A run as the stand-in tells it, of what `batch`, `runs show` and `runs list` print."""
    tokens = [told.get("input_tokens"), told.get("output_tokens")]
    usage = told.get("usage") or {"input_tokens": tokens[0], "output_tokens": tokens[1]}
    total = usage.get("total_tokens")
    if total is None and any(isinstance(count, (int, float)) for count in tokens):
        total = sum(count for count in tokens if isinstance(count, (int, float)))
    properties = {"system_metrics": _without_none(
        {
            "total_tokens": total,
            "prompt_tokens": usage.get("input_tokens"),
            "completion_tokens": usage.get("output_tokens"),
            "duration": None if told.get("duration_ms") is None else told["duration_ms"] / 1000,
            "cost_usd": told.get("cost_usd"),
        }
    )}
    for key in ("environment", "trace_id", "lines"):
        if told.get(key) is not None:
            properties[key] = told[key]
    output = told.get("output")
    folder = os.path.dirname(output) if isinstance(output, str) else None
    if folder:
        properties["output_path"] = folder
    error = told.get("error")
    data = told.get("data") if isinstance(told.get("data"), dict) else {}
    sources = data.get("sources") or []
    return _without_none(
        {
            "name": told["run"],
            "status": _STATUSES.get(told.get("status"), told.get("status")),
            "display_name": told.get("display_name") or told["run"],
            "flow": told.get("flow"),
            "data": sources[0] if len(sources) == 1 else (sources or None),
            "column_mapping": data.get("column_mapping") or None,
            "properties": properties,
            "created_on": told.get("started"),
            "end_time": told.get("finished"),
            "output_path": folder,
            "metrics": told.get("metrics"),
            "error": error if isinstance(error, dict) else ({"message": error} if error else None),
        }
    )


def lines_as_table(lines):
    """Columns and rows of lines: `inputs.x`, `inputs.line_number`, `outputs.y`. A line that failed has no outputs."""
    lines = sorted(lines, key=lambda line: line["line_number"])
    inputs, outputs = {}, {}
    for line in lines:
        inputs.update(dict.fromkeys(line.get("inputs") or ()))
        outputs.update(dict.fromkeys(_outputs(line) or ()))
    # As the original, which does not know the outputs' names then.
    if not outputs and lines:
        outputs["output"] = None
    inputs.pop("line_number", None)
    columns = [f"inputs.{name}" for name in inputs] + ["inputs.line_number"] + [f"outputs.{name}" for name in outputs]
    rows = []
    for line in lines:
        given, gave = line.get("inputs") or {}, _outputs(line)
        row = [given.get(name) for name in inputs] + [line["line_number"]]
        rows.append(row + [FAILED if gave is None else gave.get(name) for name in outputs])
    return {"columns": columns, "rows": rows}


def _outputs(line):
    return line.get("outputs") if line.get("status", "completed") == "completed" else None


def refusal(words, code, said):
    """What to raise when the program has refused or failed: its own words, in the original's class."""
    from promptflow.exceptions import _of_name

    text = _error_of(said) or f"`sluicegate {words[0]}` ended with exit code {code} and said nothing"
    for pattern, name in _BY_CODE:
        if re.search(pattern, text):
            return _of_name(name, text, ["UserError", name])
    if code == 2 or code < 0 or code == 130:
        return _of_name("UserErrorException", text)
    return _of_name("SystemErrorException", text, ["SystemError"])


def _error_of(said):
    """The program's error, of all that it has said: from the first line that begins one."""
    lines = said.splitlines()
    for place, line in enumerate(lines):
        if re.match(r"(\x1b\[[0-9;]*m)*error\b", line):
            lines = lines[place:]
            break
    return "\n".join(line for line in lines if not re.fullmatch(r"\d+ problems?", line)).strip()


def run_failure(report):
    """What to raise for a run of one input that failed: the words that a host has for it."""
    from promptflow.exceptions import _of_name

    error = report.get("error") or {}
    message = error.get("message") or "the flow did not end"
    hint = error.get("hint")
    for path, node in (report.get("nodes") or {}).items():
        failed = node.get("error")
        if failed:
            message, hint = f"Execution failure in '{path}': {failed.get('message')}", failed.get("hint")
            name = "ToolExecutionError"
            break
    else:
        name = "UserErrorException"
    return _of_name(name, f"{message} ({hint})" if hint else message, ["UserError", name])


def plain_json(value):
    """`value` as JSON: an image as the map that flows read, subclasses as what they extend."""
    from promptflow import _host

    if isinstance(value, dict):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_json(item) for item in value]
    if isinstance(value, bytes):
        multimedia = sys.modules.get("promptflow.contracts.multimedia")
        if multimedia is not None and isinstance(value, multimedia.PFBytes):
            return value.to_base64(with_type=True, dict_type=True)
    plain = _host.plain(value)
    if isinstance(plain, bytes):
        from promptflow.exceptions import UserErrorException

        raise UserErrorException("bytes cannot be given to a flow: give an Image, or text")
    return plain


class InPrivateFile:
    """A map in a file that nobody else may read, for as long as it is entered."""

    def __init__(self, content, ending):
        self._text = json.dumps(plain_json(content), ensure_ascii=False)
        self._ending = ending
        self._path = None

    def __enter__(self):
        import tempfile

        handle, self._path = tempfile.mkstemp(prefix="sluicegate-", suffix=self._ending)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(self._text)
        return self._path

    def __exit__(self, *_):
        try:
            os.remove(self._path)
        except OSError:
            pass


def _without_none(told):
    return {key: value for key, value in told.items() if value is not None}
