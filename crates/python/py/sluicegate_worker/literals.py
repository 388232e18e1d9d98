"""Literals of a node's inputs become what the function's annotations say, as the original does it when it loads."""


class Invalid(Exception):
    """A literal that its parameter cannot take."""


def coerced(node, parameters, literals):
    """The literals as the function gets them. Null and the empty text are as if they were not there."""
    types = {parameter["name"]: parameter["type"] for parameter in parameters}
    out = {}
    for name, value in literals.items():
        if value is None or (type(value) is str and value == ""):
            continue
        kind = types.get(name)
        try:
            out[name] = _coerce(kind, value)
        except Exception:  # noqa: BLE001 - whatever int() and float() raise
            raise Invalid(f"Input '{name}' for node '{node}' of value '{value}' is not type {kind}.") from None
    return out


def _coerce(kind, value):
    if kind == "int":
        return int(value)
    if kind == "double":
        return float(value)
    if kind == "bool":
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise ValueError
    if kind in ("string", "enum"):
        return str(value)
    if kind == "list":
        if isinstance(value, str):
            import json

            value = json.loads(value)
        if not isinstance(value, list):
            raise ValueError
        return value
    if kind == "object" and isinstance(value, str):
        import json

        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
