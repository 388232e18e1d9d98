"""Chat with images, for both providers."""

from promptflow.tools import _calls, _parameters

__path__ = []


def chat(
    connection,
    model,
    prompt,
    variables,
    temperature,
    top_p,
    stream,
    stop,
    max_tokens,
    presence_penalty,
    frequency_penalty,
    seed,
    detail,
    headers=None,
):
    """Sends a prompt with images and gives what the model says."""
    parameters = _parameters.of_vision(temperature, top_p, stop, max_tokens, presence_penalty, frequency_penalty, seed)
    return _calls.chat(
        connection,
        model,
        prompt,
        variables,
        parameters,
        stream=_parameters.to_bool(stream),
        mode="vision",
        headers=headers,
        detail=detail,
    )
