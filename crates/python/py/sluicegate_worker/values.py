"""Values as they travel: JSON, with tags for what JSON lacks, and handles for what cannot travel at all.

What JSON holds exactly (None, bool, int, float, str, list and dict with str keys, of exactly these types) travels. All
else stays here, and the host gets a handle: whoever is given the handle back gets the very object.
"""

import itertools
import threading

from . import generators

# The host reads 128 levels of JSON; the message and a handle's own form take some.
_DEEPEST = 110
_LONGEST_PREVIEW = 1 << 16
_WHOLE = range(-(1 << 63), 1 << 63)


class _Unfit(Exception):
    pass


class Lost(Exception):
    """A handle whose object is not here any more."""


class Values:
    """The objects that the host holds handles of."""

    def __init__(self, worker):
        self._worker = worker
        self._objects = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        # Set when user code, or we, have loaded a class of images.
        self.image_type = None

    def take(self, numbers):
        """Takes objects out: their handles mean nothing any more."""
        with self._lock:
            return [self._objects.pop(number, None) for number in numbers]

    def object(self, number):
        """What a handle stands for; a generator as a proxy that reads it from the beginning."""
        try:
            return generators.given(self._objects[number])
        except KeyError:
            raise Lost(f"the object of handle {number} is not in this worker") from None

    # -- out -----------------------------------------------------------------------------------------------------------

    def to_wire(self, value):
        """The form of `value` that travels."""
        try:
            return self._exact(value, 1)
        except (_Unfit, RecursionError):
            return self._handle(value, 1)

    def plain(self, value):
        """The form of `value` without handles: what is no JSON becomes text, wherever it is."""
        try:
            return self._projected(value, 1, _preview)
        except (_Unfit, RecursionError, ValueError):
            return _preview(value)

    def _exact(self, value, depth):
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            if value.isascii() or _is_text(value):
                return value
            return self._handle(value, depth)
        if kind is int:
            if value in _WHOLE:
                return value
            try:
                return {"$int": str(value)}
            except ValueError:
                # Longer than Python itself wants to print.
                return self._handle(value, depth)
        if kind is float:
            return value if value - value == 0 else {"$float": _float_name(value)}
        if kind is list:
            if depth >= _DEEPEST:
                raise _Unfit
            return [self._exact(item, depth + 1) for item in value]
        if kind is dict:
            if depth >= _DEEPEST:
                raise _Unfit
            for key in value:
                if type(key) is not str or not (key.isascii() or _is_text(key)):
                    return self._handle(value, depth)
            if _looks_tagged(value):
                return {"$map": {key: self._exact(item, depth + 2) for key, item in value.items()}}
            return {key: self._exact(item, depth + 1) for key, item in value.items()}
        if self.image_type is not None and isinstance(value, self.image_type):
            return _image_to_wire(value)
        return self._handle(value, depth)

    def _handle(self, value, depth):
        """Keeps `value` here; what travels is a handle."""
        with self._lock:
            number = next(self._numbers)
            self._objects[number] = generators.kept(value)
        told = {"worker": self._worker, "id": number, "type": _type_name(value), "preview": _preview(value)}
        try:
            told["json"] = self._projected(value, depth + 2)
        except (_Unfit, RecursionError, ValueError):
            pass
        return {"$handle": told}

    def _projected(self, value, depth, other=None):
        """What a flow's output makes of a value, by the rules of `json.dumps`; where that refuses, what `other` makes of it,
        else it raises _Unfit."""
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            return _text(str.__str__(value))
        if isinstance(value, int):
            number = int.__int__(value)
            return number if number in _WHOLE else {"$int": str(number)}
        if isinstance(value, float):
            number = float.__float__(value)
            return number if number - number == 0 else {"$float": _float_name(number)}
        if depth >= _DEEPEST:
            raise _Unfit
        if isinstance(value, (list, tuple)):
            return [self._projected(item, depth + 1, other) for item in value]
        if isinstance(value, dict):
            named = {_key(key): item for key, item in value.items()}
            if _looks_tagged(named):
                return {"$map": {key: self._projected(item, depth + 2, other) for key, item in named.items()}}
            return {key: self._projected(item, depth + 1, other) for key, item in named.items()}
        if self.image_type is not None and isinstance(value, self.image_type):
            return _image_to_wire(value)
        if other is not None:
            return other(value)
        raise _Unfit

    # -- in ------------------------------------------------------------------------------------------------------------

    def from_wire(self, value, build=None):
        """The value of a form that travelled. `build` makes the objects that only the host can describe, by their tag."""
        kind = type(value)
        if kind is list:
            return [self.from_wire(item, build) for item in value]
        if kind is not dict:
            return value
        if len(value) == 1:
            ((key, inner),) = value.items()
            if key.startswith("$"):
                return self._untagged(key, inner, build)
        return {key: self.from_wire(item, build) for key, item in value.items()}

    def _untagged(self, tag, inner, build):
        if tag == "$handle":
            return self.object(inner["id"])
        if tag == "$float":
            return float(inner)
        if tag == "$int":
            return int(inner)
        if tag == "$map":
            return {key: self.from_wire(item, build) for key, item in inner.items()}
        if tag == "$blob":
            return _image_from_wire(inner)
        if build is not None and tag in build:
            return build[tag](inner)
        return {tag: self.from_wire(inner, build)}


def _looks_tagged(map):
    for key in map:
        return key.startswith("$")
    return False


def _float_name(value):
    if value != value:
        return "nan"
    return "inf" if value > 0 else "-inf"


def _is_text(value):
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _text(value):
    if value.isascii() or _is_text(value):
        return value
    return value.encode("utf-8", "replace").decode("utf-8")


def _key(key):
    """A dict's key as json.dumps writes it."""
    if isinstance(key, str):
        return _text(str.__str__(key))
    if key is True:
        return "true"
    if key is False:
        return "false"
    if key is None:
        return "null"
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float):
        if key - key != 0:
            return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[_float_name(key)]
        return float.__repr__(key)
    raise _Unfit


def _type_name(value):
    return "generator" if generators.is_lazy(value) else _text(type(value).__name__)


def _preview(value):
    if generators.is_lazy(value):
        return f"<{type(value).__name__}>"
    try:
        if type(value) in (bytes, bytearray):
            # Its text is up to four times its size, and nobody reads that.
            value = value[:_LONGEST_PREVIEW]
        return _text(str(value)[:_LONGEST_PREVIEW])
    except BaseException as error:  # noqa: BLE001 - whatever a `__str__` raises
        return f"<{type(value).__name__} whose str() fails: {type(error).__name__}>"


def _image_to_wire(image):
    import base64
    import hashlib

    data = bytes(image)
    told = {
        "mime": getattr(image, "_mime_type", None) or "image/*",
        "sha256": hashlib.sha256(data).hexdigest(),
        "len": len(data),
        "data": base64.b64encode(data).decode("ascii"),
    }
    url = getattr(image, "source_url", None)
    if url:
        told["url"] = url
    return {"$blob": told}


def _image_from_wire(told):
    import base64

    from promptflow.contracts.multimedia import Image

    data = base64.b64decode(told["data"]) if told.get("data") else b""
    return Image(data, mime_type=told.get("mime"), source_url=told.get("url"))
