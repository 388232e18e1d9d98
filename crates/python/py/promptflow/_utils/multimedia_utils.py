"""Making images of files, base64 text and addresses."""

from promptflow.contracts.multimedia import Image

__path__ = []


class ImageProcessor:
    """Makes images."""

    @staticmethod
    def create_image_from_file(f, mime_type=None):
        """From a file's path."""
        return Image.from_file(f, mime_type)

    @staticmethod
    def create_image_from_base64(base64_str, mime_type=None):
        """From base64 text."""
        return Image.from_base64(base64_str, mime_type)

    @staticmethod
    def create_image_from_url(url, mime_type=None):
        """From an address: the host fetches it, by its rules."""
        from promptflow import _host

        image = _host.ask("image", url=str(url))
        return Image(bytes(image), mime_type or getattr(image, "mime_type", None), str(url))

    @staticmethod
    def create_image_from_string(value):
        """From an address, base64 text or a path: whichever it looks like."""
        if ImageProcessor.is_url(value):
            return ImageProcessor.create_image_from_url(value)
        if ImageProcessor.is_base64(value):
            return ImageProcessor.create_image_from_base64(value)
        return ImageProcessor.create_image_from_file(value)

    @staticmethod
    def is_url(value):
        """Whether it is an address."""
        return isinstance(value, str) and value.partition("://")[0].lower() in ("http", "https") and "://" in value

    @staticmethod
    def is_base64(value):
        """Whether it is base64 text of an image."""
        if not isinstance(value, str):
            return False
        if value.startswith("data:image/") and ";base64," in value:
            return True
        starts = ("/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR", "Qk")
        return value.startswith(starts) and len(value) % 4 == 0 and not any(sign in value for sign in ". \n")


def create_image(value):
    """An image of what an `image` input may be: an image, text, or `{"data:image/png;path": "…"}`."""
    if isinstance(value, Image):
        return value
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        mime_type, _, kind = key.partition(";")
        if mime_type.startswith("data:image/") and kind in ("path", "base64", "url"):
            mime_type = mime_type[len("data:") :]
            mime_type = None if mime_type == "image/*" else mime_type
            make = {
                "path": ImageProcessor.create_image_from_file,
                "base64": ImageProcessor.create_image_from_base64,
                "url": ImageProcessor.create_image_from_url,
            }[kind]
            return make(inner, mime_type)
    if isinstance(value, str) and value:
        return ImageProcessor.create_image_from_string(value)
    from promptflow.exceptions import UserErrorException

    raise UserErrorException(f"no image can be made of a {type(value).__name__} of this form")
