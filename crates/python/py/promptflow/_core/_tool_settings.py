"""Kinds of tools, and how an editor shows a tool's inputs. sluicegate only keeps it."""

from abc import ABC
from enum import Enum


class ToolType(str, Enum):
    """Kinds of tools."""

    LLM = "llm"
    PYTHON = "python"
    CSHARP = "csharp"
    PROMPT = "prompt"
    _ACTION = "action"
    CUSTOM_LLM = "custom_llm"

class DynamicList:
    """A list of choices that a function gives."""

    def __init__(self, function=None, input_mapping=None):
        self._func_obj, self.func_path = _function(function)
        self._input_mapping = input_mapping or {}
        self.input_mapping = self._input_mapping
        self.func_kwargs = [
            {**about, "reference": f"${{inputs.{self._input_mapping[about['name']]}}}"}
            if about["name"] in self._input_mapping
            else about
            for about in _inputs(self._func_obj)
        ]


class GeneratedBy:
    """A value that one function makes and another takes apart."""

    def __init__(self, function=None, reverse_function=None, input_settings=None):
        self._func_obj, self.func_path = _function(function)
        self._reverse_func_obj, self.reverse_func_path = _function(reverse_function)
        self._input_settings = dict(input_settings or {})
        self.func_kwargs = [{**about, "reference": f"${{inputs.{about['name']}}}"} for about in _inputs(self._func_obj)]


class InputSetting:
    """How one input is shown."""

    def __init__(self, **kwargs):
        self.is_multi_select = kwargs.pop("is_multi_select", None)
        self.allow_manual_entry = kwargs.pop("allow_manual_entry", None)
        self.enabled_by = kwargs.pop("enabled_by", None)
        self.enabled_by_value = kwargs.pop("enabled_by_value", None)
        self.dynamic_list = kwargs.pop("dynamic_list", None)
        self.generated_by = kwargs.pop("generated_by", None)
        self._kwargs = kwargs


class ToolInvoker(ABC):
    """Who calls tools; here the worker does."""

    _active_tool_invoker = None

    def invoke_tool(self, f, *args, **kwargs):
        return f(*args, **kwargs)

    @classmethod
    def activate(cls, tool_invoker):
        cls._active_tool_invoker = tool_invoker

    @classmethod
    def deactivate(cls):
        cls._active_tool_invoker = None

    @classmethod
    def active_instance(cls):
        return cls._active_tool_invoker


def _function(function):
    """A function and its path; a path of what cannot be imported stays a path."""
    if not isinstance(function, str):
        return function, f"{getattr(function, '__module__', '')}.{getattr(function, '__name__', '')}"
    import importlib

    module, _, name = function.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name), function
    except (ImportError, AttributeError, ValueError):
        return None, function


def _inputs(function):
    if not callable(function):
        return []
    import inspect

    told = []
    for name, about in inspect.signature(function).parameters.items():
        if name in ("subscription_id", "resource_group_name", "workspace_name") or about.kind in (about.VAR_KEYWORD, about.VAR_POSITIONAL):
            continue
        optional = about.default is not about.empty
        told.append({"name": name, "optional": optional, **({"default": about.default} if optional else {})})
    return told
