"""Images and other values that are bytes."""

import base64

__path__ = []

# What the first bytes of a file say of its kind.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
)


class PFBytes(bytes):
    """Bytes that know what they are and where they came from."""

    def __new__(cls, value=b"", *args, **kwargs):
        return super().__new__(cls, value)

    def __init__(self, value=b"", mime_type="application/octet-stream", source_url=None):
        super().__init__()
        self._mime_type = mime_type.lower()
        self._source_url = source_url
        self._short = None

    @property
    def _hash(self):
        if self._short is None:
            import hashlib

            try:
                digest = hashlib.sha1(self, usedforsecurity=False)
            except TypeError:
                digest = hashlib.sha1(self)
            self._short = digest.hexdigest()[:8]
        return self._short

    @property
    def mime_type(self):
        """What they are: `image/png`."""
        return self._mime_type

    @property
    def source_url(self):
        """The address that they were fetched from; None for others."""
        return self._source_url

    def to_base64(self, with_type=False, dict_type=False):
        """Base64 text; with `with_type` as a data URL, and with `dict_type` too as `{"data:image/png;base64": text}`."""
        text = base64.b64encode(self).decode("ascii")
        if not with_type:
            return text
        if dict_type:
            return {f"data:{self._mime_type};base64": text}
        return f"data:{self._mime_type};base64,{text}"

    @classmethod
    def from_base64(cls, text, mime_type=None, source_url=None):
        """From base64 text, or a data URL."""
        if text.startswith("data:") and "," in text:
            head, _, text = text.partition(",")
            mime_type = mime_type or head[len("data:") :].partition(";")[0] or None
        return cls._of(base64.b64decode(text), mime_type, source_url)

    @classmethod
    def from_file(cls, path, mime_type=None):
        """From a file."""
        with open(path, "rb") as file:
            return cls._of(file.read(), mime_type, None)

    def with_mime_type(self, mime_type):
        """The same bytes under another type."""
        return type(self)(bytes(self), mime_type, self._source_url)

    @classmethod
    def _of(cls, value, mime_type, source_url):
        if mime_type is None:
            return cls(value, source_url=source_url)
        return cls(value, mime_type, source_url)

    def __reduce__(self):
        return type(self), (bytes(self), self._mime_type, self._source_url)


class Image(PFBytes):
    """An image. As text it is `Image(` and the first characters of its hash `)`, which templates put where it belongs."""

    def __init__(self, value=b"", mime_type=None, source_url=None):
        super().__init__(value, mime_type or _kind_of(value), source_url)

    def __str__(self):
        return f"Image({self._hash})"

    def __repr__(self):
        return f"Image({self._hash})"

    def serialize(self, encoder=None):
        """What `encoder` makes of it; its text without one."""
        return str(self) if encoder is None else encoder(self)


class Text(str):
    """Text of an assistant's message, with its annotations."""

    def __new__(cls, value="", annotations=None):
        text = super().__new__(cls, value)
        text._annotations = annotations
        return text

    @classmethod
    def deserialize(cls, data):
        """From a part of a message."""
        text = data.get("text", "")
        if isinstance(text, dict):
            return cls(text.get("value", ""), text.get("annotations", []))
        return cls(text)

    def serialize(self):
        """The part of a message."""
        if self._annotations is None:
            return {"type": "text", "text": self}
        return {"type": "text", "text": {"value": self, "annotations": self._annotations}}


class ChatInputList(list):
    """A list that a chat template prints with an item on each line."""

    def __init__(self, iterable=None):
        super().__init__(iterable or [])

    def __str__(self):
        return "\n".join(map(str, self))


def _kind_of(value):
    head = bytes(value[:16])
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in (b"avif", b"avis"):
            return "image/avif"
        if brand in (b"heic", b"heix", b"mif1"):
            return "image/heic"
    return "image/*"
