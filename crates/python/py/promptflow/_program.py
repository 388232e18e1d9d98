"""The program itself as a child process: for what is about runs, and for a script that no host has started.

The host (or `sluicegate python`) says by variables where the program is, and in which folder and environment it is to work.
What is asked and answered is written down in HOST.md. Values go to the program by stdin or a private file, never by its
command line, which others can read.
"""

import json
import os
import sys

from promptflow._program_words import InPrivateFile, lines_as_table, plain_json, refusal, run_failure, run_told

__path__ = []

_DEPTH = "SLUICEGATE_NESTED"
# A flow that runs a batch over itself would never end.
_DEEPEST = 8

_MAY_FAIL = ("--on-bad-line", "fail-line", "--max-failures", "100%")

# What this process has been told of its runs, by their names: a run's record does not keep all of it.
_remembered = {}


def is_about_runs(what):
    """Whether a question is about runs: it is the program's, whether there is a host or not."""
    return what == "run" or what.startswith("run_")


def answer(what, fields):
    """The program's answer to a question of HOST.md."""
    fields.pop("span", None)
    known = _ANSWERS.get(what)
    if known is None:
        raise _alone(what)
    return known(**fields)


def remember(run, /, **facts):
    """Keeps what is said of a run as long as this process lives."""
    _remembered.setdefault(run, {}).update(facts)


def forget(run):
    """The run is gone."""
    _remembered.pop(run, None)


# -- questions ---------------------------------------------------------------------------------------------------------


def _run(resume_from=None, live=False, **fields):
    began = _now()
    about = {key: fields.pop(key) for key in ("display_name", "description", "tags") if key in fields}
    source = fields.pop("source", None)
    place = _place_of(resume_from or fields.get("run"))
    how = ("--json", "--progress", "lines" if live else "none")
    if resume_from:
        if fields.get("name") not in (None, resume_from):
            sys.stderr.write(f"the run goes on under its own name, {resume_from}, not as {fields['name']}\n")
        words = ["batch", "--resume", resume_from, "--failed", "--max-failures", "100%", *how]
        try:
            told = _json_of(words, place=place, live=live, ends=_RUN_ENDS)
        except Exception as error:
            if "all lines of run" not in str(error):
                raise
            return _run_get(resume_from)
    elif source:
        words = ["batch", "--file", source, *_flags(fields), *_MAY_FAIL, *how]
        told = _json_of(words, place=place, live=live, ends=_RUN_ENDS)
    else:
        with _FlowFile(fields) as flow:
            said = {key: fields[key] for key in _RUN_FILE if key in fields}
            with InPrivateFile({**said, "flow": flow}, ".yaml") as file:
                told = _json_of(["batch", "--file", file, *_MAY_FAIL, *how], place=place, live=live, ends=_RUN_ENDS)
    about.update({key: fields[key] for key in ("flow", "data", "run", "column_mapping") if key in fields})
    found = {"created_on": began, "end_time": _now(), **run_told(told)}
    remember(found["name"], **{**found, **about, "place": _root_of(told.get("output"))})
    return _with_memory(found)


def _now():
    import datetime

    return datetime.datetime.now(datetime.timezone.utc).isoformat()


# How a batch may have ended that has something to tell.
_RUN_ENDS = (0, 1, 13, 130)
_MOST_RUNS = 100_000
_RUN_FILE = ("name", "data", "run", "column_mapping", "variant", "connections", "environment_variables", "init")


def _run_get(run):
    return _with_memory(run_told(_json_of(["runs", "show", "--json", run], place=_place_of(run))))


def _run_list(max_results=50):
    # Runs of one input are among those that the program lists; here they are none.
    found = _json_of(["runs", "list", "--json", "--limit", str(_MOST_RUNS)])
    found = [row for row in found if row.get("lines", ...) is not None]
    return [_with_memory(run_told(row)) for row in found[:max_results]]


def _run_details(run, max_results=None):
    most = [] if max_results is None else ["--limit", str(max_results)]
    return lines_as_table(_json_of(["runs", "lines", "--details", "--json", *most, run], place=_place_of(run)))


def _run_metrics(run):
    try:
        found = _json_of(["runs", "metrics", "--json", run], place=_place_of(run))
    except Exception:
        known = _remembered.get(run, {}).get("metrics")
        if known is None:
            raise
        return dict(known)
    inner = found.get("metrics")
    return inner if isinstance(inner, dict) else found


def _run_delete(run):
    _text_of(["runs", "delete", "--yes", run], place=_place_of(run))
    forget(run)


def _flow(path, inputs=None, connections=None, overrides=None, variant=None, init=None):
    if connections:
        raise _not_alone("`connections` of a flow that is called", "name them in the flow's section of config/config.yaml")
    words = []
    for key, value in (overrides or {}).items():
        words += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
    outputs = _outputs_of(path, inputs, words, variant, init)
    return {"output": outputs, "status": "Completed"}


def _test(inputs=None, variant=None, node=None, environment_variables=None, init=None, **fields):
    with _FlowFile(fields) as flow:
        words = ["--node", node] if node else []
        outputs = _outputs_of(flow, inputs, words, variant, init, environment_variables)
    return outputs["output"] if node and set(outputs) == {"output"} else outputs


def _prompty_load(path, overrides=None):
    if overrides:
        raise _not_alone("a prompty with another model or other parameters than its file names", "write them into the file")
    return {}


def _prompty(path, inputs=None, overrides=None):
    outputs = _outputs_of(path, inputs, [], None, None)
    return outputs["output"] if set(outputs) == {"output"} else outputs


def _outputs_of(flow, inputs, words, variant, init, variables=None):
    words = ["run", flow, "--json", "--inputs", "-", *words]
    if variant:
        words += ["--variant", variant]
    given = json.dumps(plain_json(inputs or {}))
    if not init:
        report = _json_of(words, given=given, variables=variables, ends=(0, 1))
    else:
        with InPrivateFile(init, ".json") as file:
            report = _json_of([*words, "--init", file], given=given, variables=variables, ends=(0, 1))
    for stream, out in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        for said in (report.get("logs") or {}).values():
            out.write(said.get(stream) or "")
    if report.get("status") != "completed":
        raise run_failure(report)
    return report.get("outputs") or {}


_ANSWERS = {
    "flow": _flow,
    "prompty": _prompty,
    "prompty_load": _prompty_load,
    "run": _run,
    "run_delete": _run_delete,
    "run_details": _run_details,
    "run_get": _run_get,
    "run_list": _run_list,
    "run_metrics": _run_metrics,
    "test": _test,
}

_NAMES = {
    "chat": "a model's reply (`aoai.chat`, `openai.chat` and their like)",
    "connection": "`PFClient().connections`",
    "connection_list": "`PFClient().connections`",
    "connection_save": "`PFClient().connections`",
    "embedding": "an embedding",
    "image": "fetching an image from its address",
    "messages": "`build_messages`",
    "parse_chat": "`parse_chat`",
    "prompty_render": "`Prompty.render`",
    "prompty_tokens": "`Prompty.estimate_token_count`",
    "render": "`render_jinja_template`",
}


def _alone(what):
    return _not_alone(
        _NAMES.get(what, f"`{what}`"),
        "put it into a node of a flow; `load_flow(FOLDER)(x=1)`, `PFClient().test(FOLDER, inputs={…})` and "
        "`PFClient().run(FOLDER, data=FILE)` run that flow from here",
    )


def _not_alone(what, instead):
    from promptflow.exceptions import UserErrorException

    return UserErrorException(f"{what}: that works inside of a flow only, where sluicegate is its host, not in a script; {instead}")


class _FlowFile:
    """The path of a flow; a function or class gets a file of its own for as long as it runs."""

    def __init__(self, fields):
        self._fields = fields
        self._made = None

    def __enter__(self):
        entry, folder = self._fields.get("entry"), self._fields.get("code")
        if entry is None:
            return _moved(self._fields["flow"])
        import tempfile

        try:
            handle, self._made = tempfile.mkstemp(prefix="flow.", suffix=".flex.yaml", dir=_moved(folder))
        except OSError as error:
            from promptflow.exceptions import UserErrorException

            raise UserErrorException(
                f"`{entry}` needs a flow file in {folder}, which cannot be written ({error}): write a flow.flex.yaml with `entry: {entry}`, and give its folder"
            ) from None
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"entry": entry}, file)
        return self._made

    def __exit__(self, *_):
        if self._made is not None:
            try:
                os.remove(self._made)
            except OSError:
                pass


def _flags(fields):
    """What is said over a run's file."""
    words = [_moved(fields["flow"])] if "flow" in fields else []
    for key in ("data", "run", "variant", "name"):
        if key in fields:
            words += [f"--{key}", fields[key]]
    if fields.get("column_mapping"):
        words.append("--column-mapping")
        words += [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in fields["column_mapping"].items()]
    return words


# -- the process -------------------------------------------------------------------------------------------------------


def _json_of(words, given=None, place=None, variables=None, live=False, ends=(0,)):
    """What the program prints, as JSON; its refusal is raised."""
    code, out, said = _done(words, given, place, variables, live)
    if code in ends and out.strip():
        return json.loads(out)
    raise refusal(words, code, said)


def _text_of(words, place=None):
    code, out, said = _done(words, None, place, None, False)
    if code != 0:
        raise refusal(words, code, said)
    return out


def _done(words, given, place, variables, live):
    """Runs the program: its exit code, stdout and stderr. With `live`, its stderr is seen as it comes."""
    import subprocess

    program, directory = _program(), place or os.environ.get("SLUICEGATE_DIRECTORY") or os.getcwd()
    environment = {**os.environ, **{str(name): str(value) for name, value in (variables or {}).items()}}
    environment[_DEPTH] = str(_depth() + 1)
    trace = _trace()
    if trace:
        environment["TRACEPARENT"] = trace
    stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
    with _waiting():
        command = [program, "--no-color", "-C", directory, *words]
        try:
            child = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        except OSError as error:
            from promptflow.exceptions import UserErrorException

            raise UserErrorException(f"the program `{program}` does not start: {error}") from None
        with child:
            try:
                return _talked(child, given, live)
            except BaseException as error:
                _end(child, isinstance(error, KeyboardInterrupt))
                raise


def _talked(child, given, live):
    import threading

    said = []

    def listen():
        for line in child.stderr:
            said.append(line.decode("utf-8", "replace"))
            if live:
                sys.stderr.write(said[-1])

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    if given is not None:
        try:
            child.stdin.write(given.encode("utf-8"))
            child.stdin.close()
        except OSError:
            # It has ended before it read all: its exit code says why.
            pass
    out = child.stdout.read().decode("utf-8", "replace")
    code = child.wait()
    listener.join()
    if not live and code == 0:
        # Warnings are worth to be seen.
        sys.stderr.write("".join(line for line in said if not _is_summary(line)))
    return code, out, "".join(said)


def _is_summary(line):
    return " lines completed" in line or line.startswith("deleted run ")


def _end(child, by_terminal):
    """Ends the program in order: it keeps what is done. A terminal's Ctrl-C has reached it already."""
    import subprocess

    try:
        if not by_terminal:
            child.terminate()
        child.wait(10)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()


def _program():
    found = os.environ.get("SLUICEGATE_PROGRAM")
    if not found and not _in_worker():
        import shutil

        found = shutil.which("sluicegate")
    if found:
        if _depth() >= _DEEPEST:
            from promptflow.exceptions import UserErrorException

            raise UserErrorException(f"{_DEEPEST} runs inside of one another: does a flow run itself?")
        return found
    from promptflow.exceptions import UserErrorException

    raise UserErrorException(
        "this part of sluicegate's stand-in for promptflow runs the program, and nothing tells where the program `sluicegate` is: "
        "start the script by `sluicegate python SCRIPT`, or put the program on PATH"
    )


def _depth():
    text = os.environ.get(_DEPTH, "0")
    return int(text) if text.isdigit() else 0


def _link():
    return getattr(sys.modules.get("sluicegate_worker.host"), "link", None)


def _in_worker():
    return _link() is not None


def _waiting():
    """In a worker: other tools may run while the program does."""
    if not _in_worker():
        import contextlib

        return contextlib.nullcontext()
    return sys.modules["sluicegate_worker.host"].waiting()


def _trace():
    link = _link()
    return link.call().get("trace") if link is not None else None


# -- places ------------------------------------------------------------------------------------------------------------


def _place_of(run):
    """The folder from which a run is found; None: where the program works anyway."""
    return _remembered.get(run, {}).get("place") if isinstance(run, str) else None


def _root_of(output):
    """The project that keeps a run, by where its outputs are; None if that does not tell."""
    store = os.path.dirname(os.path.dirname(os.path.dirname(output))) if output else ""
    return os.path.dirname(store) if os.path.basename(store) == ".sluicegate" else None


def _moved(path):
    """A path that leads into the copy of a merged flow, as it is in the project."""
    moved = os.environ.get("SLUICEGATE_MOVED")
    if not moved or not path:
        return path
    real = os.path.realpath(path)
    best = None
    for here, there in json.loads(moved):
        inside = real == here or real.startswith(here + os.sep)
        if inside and (best is None or len(here) > len(best[0])):
            best = (here, there)
    return path if best is None else os.path.normpath(best[1] + real[len(best[0]) :])


def _with_memory(found):
    known = {key: value for key, value in _remembered.get(found["name"], {}).items() if key != "place" and value is not None}
    return {**known, **found, **{key: known[key] for key in _OURS if key in known}}


# What the author's words say better than the record does.
_OURS = ("flow", "data", "run", "display_name", "description", "tags")
