"""Images and texts."""

import base64
import hashlib
import os
import pickle
import tempfile
import unittest

import fake
from promptflow._utils.multimedia_utils import ImageProcessor, create_image
from promptflow.contracts.multimedia import ChatInputList, Image, PFBytes, Text
from promptflow.exceptions import UserErrorException

PNG = b"\x89PNG\r\n\x1a\n rest"


class Images(unittest.TestCase):
    def test_its_text_is_the_beginning_of_its_hash(self):
        image = Image(PNG)
        self.assertEqual(str(image), f"Image({hashlib.sha1(PNG).hexdigest()[:8]})")
        self.assertEqual((repr(image), image._hash), (str(image), str(image)[6:-1]))
        self.assertEqual(image.serialize(), str(image))
        self.assertEqual(image.serialize(lambda it: len(it)), len(PNG))

    def test_it_is_bytes(self):
        image = Image(PNG)
        self.assertEqual((bytes(image), len(image), image[:4]), (PNG, len(PNG), b"\x89PNG"))
        self.assertIsInstance(image, PFBytes)

    def test_its_type_is_guessed_from_the_first_bytes(self):
        for data, kind in {
            PNG: "image/png",
            b"\xff\xd8\xff\xe0": "image/jpeg",
            b"GIF89a": "image/gif",
            b"RIFF1234WEBPVP8": "image/webp",
            b"BM1234": "image/bmp",
            b"0000ftypavif": "image/avif",
            b"text": "image/*",
            b"": "image/*",
        }.items():
            self.assertEqual(Image(data)._mime_type, kind)
        self.assertEqual(Image(PNG, "Image/JPEG").mime_type, "image/jpeg")

    def test_base64(self):
        image, text = Image(PNG), base64.b64encode(PNG).decode()
        self.assertEqual(image.to_base64(), text)
        self.assertEqual(image.to_base64(with_type=True), f"data:image/png;base64,{text}")
        self.assertEqual(image.to_base64(with_type=True, dict_type=True), {"data:image/png;base64": text})
        self.assertEqual(Image.from_base64(text), image)
        self.assertEqual(Image.from_base64(image.to_base64(True)).mime_type, "image/png")

    def test_where_it_came_from_stays(self):
        image = Image(PNG, source_url="https://x/y.png").with_mime_type("image/webp")
        self.assertEqual((image.source_url, image.mime_type), ("https://x/y.png", "image/webp"))
        again = pickle.loads(pickle.dumps(image))
        self.assertEqual((again, again.source_url, again.mime_type), (image, image.source_url, image.mime_type))

    def test_an_image_of_what_an_input_may_be(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a.png")
            with open(path, "wb") as file:
                file.write(PNG)
            self.assertEqual(create_image({"data:image/png;path": path}), Image(PNG))
            self.assertEqual(create_image(path).mime_type, "image/png")
        self.assertEqual(create_image({"data:image/png;base64": Image(PNG).to_base64()}), Image(PNG))
        self.assertEqual(create_image(Image(PNG)), Image(PNG))
        with self.assertRaises(UserErrorException):
            create_image(5)

    def test_an_address_is_fetched_by_the_host(self):
        blob = {"$blob": {"mime": "image/png", "sha256": "", "len": len(PNG), "data": base64.b64encode(PNG).decode()}}
        with fake.Host(image=blob) as host:
            image = ImageProcessor.create_image_from_string("https://x/y.png")
        self.assertEqual((image, image.source_url, image.mime_type), (Image(PNG), "https://x/y.png", "image/png"))
        self.assertEqual(host.asked, [("image", {"url": "https://x/y.png"})])


class Texts(unittest.TestCase):
    def test_text_keeps_its_annotations(self):
        self.assertEqual(Text("a").serialize(), {"type": "text", "text": "a"})
        text = Text.deserialize({"text": {"value": "a", "annotations": [1]}})
        self.assertEqual((text, text.serialize()), ("a", {"type": "text", "text": {"value": "a", "annotations": [1]}}))

    def test_a_chat_list_prints_an_item_on_each_line(self):
        self.assertEqual(str(ChatInputList([1, "two", None])), "1\ntwo\nNone")
        self.assertEqual(ChatInputList(), [])


if __name__ == "__main__":
    unittest.main()
