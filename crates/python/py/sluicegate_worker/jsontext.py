"""JSON without the weight of the package `json`, whose regular expressions cost more than starting Python does."""


def _bare():
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    class Context:
        strict = True
        object_hook = None
        object_pairs_hook = None
        parse_float = float
        parse_int = int
        parse_constant = float
        memo = {}

    encoder = make_encoder(None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, False)
    scan = make_scanner(Context)

    def dumps(value):
        return "".join(encoder(value, 0))

    def loads(text):
        return scan(text, 0)[0]

    if loads(dumps({"a": [1, 1.5, None, "\u00e9\ud800"]})) != {"a": [1, 1.5, None, "\u00e9\ud800"]}:
        raise ImportError("not the accelerator that was expected")
    return dumps, loads


def _whole():
    import json

    encoder = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False, check_circular=False)
    return encoder.encode, json.JSONDecoder().decode


def _refuse(value):
    raise ValueError(f"{type(value).__name__} is no JSON")


try:
    dumps, loads = _bare()
except Exception:  # noqa: BLE001 - another Python, or another version's accelerator: then the package
    dumps, loads = _whole()
