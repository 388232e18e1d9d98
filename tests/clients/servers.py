"""Servers for the checks beside this file: each on a free port of this machine, stopped when the checks end."""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

PATIENCE = 120  # seconds until a server must answer; a Python proxy may take its time on a busy machine
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(url, key, data=None):
    """What a server answers to one who shows the key, as JSON."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    with DIRECT.open(urllib.request.Request(url, data, headers), timeout=10) as reply:
        return json.load(reply)


def post(url, key, body):
    """The same, for a request with a body."""
    return get(url, key, json.dumps(body).encode())


def clean_environment(home, **more):
    """Variables for a process that shall know nothing of this machine's accounts, keys and proxies."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), **more}


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(name, command, folder, address, **variables):
    """Runs a server until the block ends, and gives its address.

    `address` is the path that answers once the server is ready, below a port that `{port}` in the command names, or a
    pattern (compiled) that finds the address in what the server prints.
    """
    port = free_port()
    command = [str(part).replace("{port}", str(port)) for part in command]
    log = pathlib.Path(folder, f"{name}.log")
    with log.open("wb") as written:
        began = time.monotonic()
        server = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            env=clean_environment(pathlib.Path.home(), **variables),
        )
    try:
        while True:
            if server.poll() is not None:
                raise SystemExit(f"{name} ended with {server.returncode}:\n{tail(log)}")
            if time.monotonic() - began > PATIENCE:
                raise SystemExit(f"{name} did not answer within {PATIENCE} s:\n{tail(log)}")
            if isinstance(address, re.Pattern):
                found = address.search(log.read_text(errors="replace"))
                base = found and found.group(0)
            else:
                base = answers(f"http://127.0.0.1:{port}", address)
            if base:
                break
            time.sleep(0.1)
        print(f"--  {name} answers at {base} after {time.monotonic() - began:.1f} s", flush=True)
        yield base
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def answers(base, path):
    """The base address, if it answers with success below `path`."""
    try:
        with DIRECT.open(base + path, timeout=5):
            return base
    except (urllib.error.URLError, OSError):
        return None


def tail(log):
    """The last lines that a server wrote."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-40:])


@contextlib.contextmanager
def simulate(sluicegate, script):
    """`sluicegate simulate` with a script."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sluicegate, "simulate", "--quiet", "--listen", "0", "--script", script]
        with running("sluicegate simulate", command, folder, re.compile(r"http://[\w.:]+(?=\s)")) as base:
            yield base


@contextlib.contextmanager
def litellm(program, config):
    """The litellm proxy with a configuration; prices and models come from its package, not from the network."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "litellm.json.yaml")
        file.write_text(json.dumps(config))
        command = [program, "--config", file, "--host", "127.0.0.1", "--port", "{port}"]
        variables = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
        with running("litellm", command, folder, "/health/liveliness", **variables) as base:
            yield base


@contextlib.contextmanager
def aimock(program, key, fixtures):
    """aimock with what it says, for those who show a key."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "fixtures.json").write_text(json.dumps({"fixtures": fixtures}))
        config = {"port": 0, "host": "127.0.0.1", "auth": {"apiKeys": [key]}, "llm": {"fixtures": "fixtures.json"}}
        file = pathlib.Path(folder, "aimock.json")
        file.write_text(json.dumps(config))
        command = ["node", program, "--config", file]
        with running("aimock", command, folder, re.compile(r"(?<=listening on )http://\S+")) as base:
            yield base
