"""A template as a tool."""

from promptflow._core.tool import tool
from promptflow.contracts.types import PromptTemplate
from promptflow.tools.common import render_jinja_template

__path__ = []


@tool
def render_template_jinja2(template: PromptTemplate, **kwargs) -> str:
    """The template, rendered."""
    return render_jinja_template(template, trim_blocks=True, keep_trailing_newline=True, **kwargs)
