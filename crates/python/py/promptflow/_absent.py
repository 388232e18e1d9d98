"""What the stand-in lacks, and what to do instead."""

_INSTALL = "install promptflow and set `python: { prefer_installed: true }` in config/config.yaml"

# The longest prefix that fits gives the hint.
_HINTS = {
    "promptflow.azure": "runs in Azure are not offered; `sluicegate run` and `sluicegate batch` run the flow here",
    "promptflow.batch": "`sluicegate batch` runs a flow over data",
    "promptflow.evals": "sluicegate's evaluations score a flow's lines without it; or " + _INSTALL + ", and promptflow-evals too",
    "promptflow.integrations": "LangChain's callbacks need the real package; `@trace` from promptflow.tracing works here",
    "promptflow.parallel": "`sluicegate batch` runs a flow over data",
    "promptflow.rag": "index building needs the real package",
    "promptflow.storage": "sluicegate keeps runs itself",
    "promptflow._cli": "`sluicegate pf` takes the command's arguments",
}


def not_found(module):
    """The error for a module, or a name in one, that the stand-in does not have."""
    hint = ""
    for prefix, words in _HINTS.items():
        if module == prefix or module.startswith(prefix + "."):
            hint = f" ({words})"
            break
    message = f"{module} is not in sluicegate's stand-in for the promptflow package{hint}; {_INSTALL}, or do without it"
    # Not the module's own name: `from promptflow.x import y` swallows an error that bears the name of what it looks for.
    return ModuleNotFoundError(message, name="promptflow")


def not_offered(what, instead):
    """The error for something that is there to be imported and cannot be done."""
    from promptflow.exceptions import UserErrorException

    return UserErrorException(f"{what} is not offered by sluicegate's stand-in for the promptflow package: {instead}; or {_INSTALL}")
