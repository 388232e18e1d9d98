"""Compiled files of ours are kept even where Python is told to keep none, as in many containers: to compile the worker and the
stand-in package at each start takes longer than all the rest of it. User code is left to the user's settings.
"""

import os
import sys

import _frozen_importlib_external as machinery

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class _Loader(machinery.SourceFileLoader):
    def get_code(self, fullname):
        sys.dont_write_bytecode = False
        try:
            return super().get_code(fullname)
        finally:
            sys.dont_write_bytecode = True


def _finder(path):
    if path != _OURS and not path.startswith(_OURS + os.sep):
        raise ImportError
    return machinery.FileFinder(path, (_Loader, [".py"]))


def keep():
    """Keeps compiled files of ours, from the next import on."""
    sys.path_hooks.insert(0, _finder)
    for path in [path for path in sys.path_importer_cache if path.startswith(_OURS)]:
        del sys.path_importer_cache[path]
