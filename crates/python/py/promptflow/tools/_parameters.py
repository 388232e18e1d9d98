"""The parameters of a request as promptflow-tools puts them into its body."""

from promptflow.tools.common import process_function_call, process_tool_choice, to_bool, validate_functions, validate_tools

__path__ = []

__all__ = ["form_of_result", "of_chat", "of_completion", "of_vision", "to_bool"]


def of_chat(
    temperature,
    top_p,
    n,
    stop,
    max_tokens,
    presence_penalty,
    frequency_penalty,
    logit_bias,
    user,
    function_call,
    functions,
    tool_choice,
    tools,
    response_format,
    seed,
):
    """The body's fields besides the model, the messages and `stream`: what is empty is left out."""
    body = {"temperature": temperature, "top_p": top_p, "n": n}
    if tools:
        validate_tools(tools)
        body.update(tools=tools, tool_choice=process_tool_choice(tool_choice))
    elif functions:
        validate_functions(functions)
        body.update(functions=functions, function_call=process_function_call(function_call))
    if stop:
        body["stop"] = stop
    if max_tokens is not None and str(max_tokens).lower() != "inf":
        body["max_tokens"] = int(max_tokens)
    if logit_bias:
        body["logit_bias"] = logit_bias
    if response_format:
        body["response_format"] = response_format
    for name, value in (("seed", seed), ("presence_penalty", presence_penalty), ("frequency_penalty", frequency_penalty)):
        if value is not None:
            body[name] = value
    if user:
        body["user"] = user
    return body


def of_completion(
    suffix,
    max_tokens,
    temperature,
    top_p,
    n,
    logprobs,
    echo,
    stop,
    presence_penalty,
    frequency_penalty,
    best_of,
    logit_bias,
    user,
):
    """The same for the completion API, which is sent nulls too."""
    body = {
        "suffix": suffix or None,
        "max_tokens": int(max_tokens) if max_tokens is not None else None,
        "temperature": float(temperature),
        "top_p": float(top_p),
        "n": int(n),
        "logprobs": int(logprobs) if logprobs else None,
        "echo": to_bool(echo),
        "stop": stop or None,
        "best_of": int(best_of),
        "logit_bias": logit_bias or {},
        "user": user,
    }
    for name, value in (("presence_penalty", presence_penalty), ("frequency_penalty", frequency_penalty)):
        if value is not None:
            body[name] = value
    return body


def of_vision(temperature, top_p, stop, max_tokens, presence_penalty, frequency_penalty, seed):
    """The same for models that see."""
    body = {
        "temperature": temperature,
        "top_p": top_p,
        "n": 1,
        "presence_penalty": presence_penalty,
        "frequency_penalty": frequency_penalty,
    }
    if stop:
        body["stop"] = stop
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    if seed is not None:
        body["seed"] = seed
    return body


def form_of_result(stream, functions, tools):
    """Whether to stream, and whether the text or the message is wanted."""
    stream = to_bool(stream)
    if functions or tools:
        if stream:
            from promptflow.tools.exception import FunctionCallNotSupportedInStreamMode

            raise FunctionCallNotSupportedInStreamMode("Function calling has not been supported by stream mode yet.")
        return False, "message"
    return stream, "text"
