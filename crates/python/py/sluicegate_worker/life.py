"""A worker ends with its host, also when the host was killed and could say nothing."""

import os


def bind(channel):
    """Asks the kernel, where it can, to kill our process group when the pipe from the host ends.

    Python code cannot promise that: a tool may hold the interpreter's lock for ever. Where the kernel cannot (it takes
    Linux), the thread that reads the channel sees its end.
    """
    if channel.life is None:
        return
    try:
        import fcntl
        import signal

        ours = -os.getpgrp() if os.getpgrp() == os.getpid() else os.getpid()
        fcntl.fcntl(channel.life, fcntl.F_SETOWN, ours)
        fcntl.fcntl(channel.life, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(channel.life, fcntl.F_GETFL)
        fcntl.fcntl(channel.life, fcntl.F_SETFL, flags | fcntl.FASYNC)
    except (AttributeError, ImportError, OSError):
        pass


def run_exit_functions():
    """What user code has registered with `atexit`."""
    try:
        import atexit

        atexit._run_exitfuncs()
    except BaseException:  # noqa: BLE001 - user code
        pass


def end_all():
    """Ends the worker and whatever tools have left behind."""
    try:
        if os.name == "nt":
            import subprocess

            subprocess.call(
                ["taskkill", "/T", "/F", "/PID", str(os.getpid())],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        elif os.getpgrp() == os.getpid():
            import signal

            os.killpg(0, signal.SIGKILL)
    except (AttributeError, OSError):
        pass
    os._exit(0)
