"""Loggers that write to standard output, as those of promptflow do. The host takes secrets out of what is written."""

import logging
import os
import sys

__path__ = []

LOG_FORMAT = "%(asctime)s %(process)7d %(name)-18s %(levelname)-8s %(message)s"
DATETIME_FORMAT = "%Y-%m-%d %H:%M:%S %z"

_LEVELS = {"CRITICAL", "FATAL", "ERROR", "WARN", "WARNING", "INFO", "DEBUG", "NOTSET"}


class _ToStdout(logging.StreamHandler):
    """Writes to what standard output is when it writes."""

    def __init__(self):
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter(LOG_FORMAT, DATETIME_FORMAT))

    @property
    def stream(self):
        return sys.stdout


def get_pf_logging_level(default=logging.INFO):
    """The level that the environment variable PF_LOGGING_LEVEL names, or `default`."""
    level = os.environ.get("PF_LOGGING_LEVEL")
    return level if level in _LEVELS else default


def get_logger(name):
    """A logger of its own, not one of the tree."""
    made = logging.Logger(name)
    made.setLevel(get_pf_logging_level())
    made.addHandler(_ToStdout())
    return made


class LoggerFactory:
    """Loggers of the tree, with a handler."""

    @staticmethod
    def get_logger(name, verbosity=logging.INFO, target_stdout=False):
        found = logging.getLogger(name)
        found.propagate = False
        found.setLevel(logging.DEBUG)
        if not any(isinstance(handler, logging.StreamHandler) for handler in found.handlers):
            handler = _ToStdout() if target_stdout else logging.StreamHandler()
            handler.setLevel(get_pf_logging_level(None) or verbosity)
            handler.setFormatter(logging.Formatter(LOG_FORMAT, DATETIME_FORMAT))
            found.addHandler(handler)
        return found

    @staticmethod
    def disable_all_loggers():
        """A context manager that does nothing: what is logged is the author's."""
        from contextlib import nullcontext

        return nullcontext()


def get_cli_sdk_logger():
    """The logger of the command line."""
    return LoggerFactory.get_logger("promptflow")


logger = get_logger("execution")
flow_logger = get_logger("execution.flow")
bulk_logger = get_logger("execution.bulk")
service_logger = get_logger("execution.service")
