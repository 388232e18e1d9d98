//! Images as they stand in inputs (spec: promptflow.md §1.9) become blobs, and blobs images as outputs have them.

mod outputs;

use std::sync::Arc;

use sluicegate_value::{Blob, BlobSource, Map, Value};

use crate::files::FileError;
use crate::plan::MessageFormat;

pub use outputs::in_outputs;

/// Reads the bytes at a path as an author wrote it.
pub type ReadImage<'a> = dyn Fn(&str) -> Result<Arc<[u8]>, FileError> + 'a;

/// How to find images in values.
pub struct Images<'a> {
    format: MessageFormat,
    read: Option<&'a ReadImage<'a>>,
    /// Whether an image given by path stays as written, for a time when files can be read.
    later: bool,
}

/// Why there is no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The value has not the form of one.
    #[error("this is not an image: {0}")]
    NotAnImage(String),
    /// The text that should be base64 is not.
    #[error("the image's base64 text cannot be read: {0}")]
    Base64(String),
    /// The file cannot be had.
    #[error("image {0}")]
    File(#[from] FileError),
    /// There is nowhere to read files from.
    #[error("image `{0}` is a path, and nothing here reads files")]
    NoFiles(String),
}

impl<'a> Images<'a> {
    /// Images with a way to read those given by path.
    #[must_use]
    pub fn new(format: MessageFormat, read: &'a ReadImage<'a>) -> Self {
        Self { format, read: Some(read), later: false }
    }

    /// Images, except those given by path.
    #[must_use]
    pub fn without_files(format: MessageFormat) -> Self {
        Self { format, read: None, later: false }
    }

    /// Images, except that those given by path stay as written: what they are relative to is known when a flow runs.
    #[must_use]
    pub fn later(format: MessageFormat) -> Self {
        Self { format, read: None, later: true }
    }

    /// The image that a value of type `image` is: a map of the known shape, or text that is an address, base64 or a
    /// path, guessed in that order.
    ///
    /// # Errors
    /// It is none, or it cannot be had.
    pub fn image(&self, value: &Value) -> Result<Value, ImageError> {
        let found = match value {
            Value::Blob(_) => return Ok(value.clone()),
            Value::Map(map) => self
                .of_map(map)
                .and_then(|image| image.ok_or_else(|| ImageError::NotAnImage(crate::coerce::shortened(value)))),
            Value::Str(text) => self.of_text(text),
            other => Err(ImageError::NotAnImage(crate::coerce::shortened(other))),
        };
        self.now_or_later(found.map(Some), value).map(|image| image.unwrap_or_else(|| value.clone()))
    }

    /// The value with every map that has the shape of an image replaced, at any depth.
    ///
    /// # Errors
    /// A map has the shape of an image, but it cannot be had.
    pub fn inside(&self, value: &Value) -> Result<Value, ImageError> {
        if !self.any_inside(value) {
            return Ok(value.clone());
        }
        match value {
            Value::List(items) => {
                items.iter().map(|item| self.inside(item)).collect::<Result<Vec<_>, _>>().map(Value::from)
            }
            Value::Map(map) => match self.now_or_later(self.of_map(map), value)? {
                Some(image) => Ok(image),
                None => map
                    .iter()
                    .map(|(key, item)| Ok((key.clone(), self.inside(item)?)))
                    .collect::<Result<Map, _>>()
                    .map(Value::from),
            },
            other => Ok(other.clone()),
        }
    }

    /// An image as a value; the value as written if the image has to wait.
    fn now_or_later(
        &self,
        image: Result<Option<Blob>, ImageError>,
        written: &Value,
    ) -> Result<Option<Value>, ImageError> {
        match image {
            Ok(image) => Ok(image.map(blob)),
            Err(ImageError::NoFiles(_)) if self.later => Ok(Some(written.clone())),
            Err(error) => Err(error),
        }
    }

    /// Whether a value holds the shape of an image anywhere: most do not, and stay shared.
    fn any_inside(&self, value: &Value) -> bool {
        match value {
            Value::List(items) => items.iter().any(|item| self.any_inside(item)),
            Value::Map(map) => self.shape(map).is_some() || map.values().any(|item| self.any_inside(item)),
            _ => false,
        }
    }

    fn of_map(&self, map: &Map) -> Result<Option<Blob>, ImageError> {
        let Some((mime, source, content)) = self.shape(map) else { return Ok(None) };
        match source {
            Source::Path => self.of_path(content, mime).map(Some),
            Source::Url => Ok(Some(Blob::from_url(mime.unwrap_or("image/*"), content))),
            Source::Base64 => from_base64(mime.unwrap_or("image/*"), content).map(Some),
            Source::Address => match content.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
                Some((mime, content)) => from_base64(mime, content).map(Some),
                None => Ok(Some(Blob::from_url(mime_of(content), content))),
            },
        }
    }

    /// Media type, source and content, if a map has the shape of an image.
    fn shape<'m>(&self, map: &'m Map) -> Option<(Option<&'m str>, Source, &'m str)> {
        match self.format {
            MessageFormat::Basic => {
                let mut entries = map.iter();
                let (key, content) = entries.next().filter(|_| map.len() == 1)?;
                let (mime, source) = key.strip_prefix("data:image/")?.rsplit_once(';')?;
                let source = match source {
                    "path" => Source::Path,
                    "base64" => Source::Base64,
                    "url" => Source::Url,
                    _ => return None,
                };
                let mime = (mime != "*").then(|| &key["data:".len()..key.len() - source_len(&source)]);
                Some((mime, source, content.as_str()?))
            }
            MessageFormat::OpenAiVision => match map.get("type")?.as_str()? {
                "image_url" => Some((None, Source::Address, map.get("image_url")?.get("url")?.as_str()?)),
                "image_file" => Some((None, Source::Path, map.get("image_file")?.get("path")?.as_str()?)),
                _ => None,
            },
        }
    }

    fn of_text(&self, text: &str) -> Result<Blob, ImageError> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Blob::from_url(mime_of(text), text));
        }
        if let Some((mime, content)) = text.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
            return from_base64(mime, content);
        }
        match Blob::from_base64("image/*", text) {
            Ok(image) if image.len > 0 => Ok(with_mime_of_bytes(image)),
            _ => self.of_path(text, None),
        }
    }

    fn of_path(&self, path: &str, mime: Option<&str>) -> Result<Blob, ImageError> {
        let read = self.read.ok_or_else(|| ImageError::NoFiles(path.to_owned()))?;
        let bytes = read(path)?;
        Ok(Blob::from_bytes(mime.unwrap_or_else(|| mime_of(path)), bytes))
    }
}

/// The value with every text of the form `data:image/png;path:logo.png` replaced by the image, at any depth: what an author
/// wrote into a prompty's defaults and sample. In data such a text stays text.
///
/// # Errors
/// The first file that cannot be had.
pub(crate) fn with_images_by_path(value: &Value, read: &ReadImage<'_>) -> Result<Value, FileError> {
    Ok(match value {
        Value::Str(text) => match text_path(text) {
            Some((mime, path)) => {
                let mime = if mime == "image/*" { mime_of(path) } else { mime };
                blob(Blob::from_bytes(mime, read(path)?))
            }
            None => value.clone(),
        },
        Value::List(items) if items.iter().any(names_path) => {
            items.iter().map(|item| with_images_by_path(item, read)).collect::<Result<Vec<_>, _>>()?.into()
        }
        Value::Map(map) if map.values().any(names_path) => map
            .iter()
            .map(|(key, item)| Ok((key.clone(), with_images_by_path(item, read)?)))
            .collect::<Result<Map, FileError>>()?
            .into(),
        other => other.clone(),
    })
}

fn names_path(value: &Value) -> bool {
    match value {
        Value::Str(text) => text_path(text).is_some(),
        Value::List(items) => items.iter().any(names_path),
        Value::Map(map) => map.values().any(names_path),
        _ => false,
    }
}

/// Media type and path of `data:image/png;path:logo.png`.
fn text_path(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("data:").filter(|rest| rest.starts_with("image/"))?;
    let (mime, path) = rest.split_once(";path:")?;
    Some((mime, path.trim()))
}

enum Source {
    Path,
    Base64,
    Url,
    /// An address, or `data:…;base64,…`.
    Address,
}

fn source_len(source: &Source) -> usize {
    match source {
        Source::Path => ";path".len(),
        Source::Base64 => ";base64".len(),
        Source::Url | Source::Address => ";url".len(),
    }
}

fn blob(image: Blob) -> Value {
    Value::Blob(Arc::new(image))
}

fn from_base64(mime: &str, content: &str) -> Result<Blob, ImageError> {
    Blob::from_base64(mime, content)
        .map(|image| if mime == "image/*" { with_mime_of_bytes(image) } else { image })
        .map_err(|error| ImageError::Base64(error.to_string()))
}

/// The media type by the ending of a path or address.
fn mime_of(path: &str) -> &'static str {
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    match &*ending {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "bmp" => "image/bmp",
        "tif" | "tiff" => "image/tiff",
        _ => "image/*",
    }
}

/// The media type by the first bytes, where no name tells it.
fn with_mime_of_bytes(image: Blob) -> Blob {
    let mime = match &image.source {
        BlobSource::Bytes(bytes) => match &**bytes {
            [0x89, b'P', b'N', b'G', ..] => "image/png",
            [0xff, 0xd8, 0xff, ..] => "image/jpeg",
            [b'G', b'I', b'F', b'8', ..] => "image/gif",
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
            _ => "image/*",
        },
        _ => "image/*",
    };
    Blob { mime: mime.into(), ..image }
}

#[cfg(test)]
mod tests {
    use sluicegate_value::json;

    use super::*;

    fn read(path: &str) -> Result<Arc<[u8]>, FileError> {
        match path {
            "logo.png" => Ok(Arc::from(&b"PNG"[..])),
            _ => Err(FileError::Missing(path.to_owned())),
        }
    }

    fn check(format: MessageFormat, value: &str, expected: &str) {
        let images = Images::new(format, &read);
        let found = images.inside(&json::read(value).unwrap());
        assert_eq!(found.map_or_else(|error| error.to_string(), |value| value.to_json()), expected);
    }

    #[test]
    fn maps_of_the_shape_become_images_at_any_depth() {
        check(
            MessageFormat::Basic,
            r#"[{"a": {"data:image/png;path": "logo.png"}}]"#,
            r#"[{"a":{"data:image/png;base64":"UE5H"}}]"#,
        );
        check(
            MessageFormat::Basic,
            r#"{"data:image/png;url": "http://x/a.png"}"#,
            r#"{"data:image/png;url":"http://x/a.png"}"#,
        );
        check(MessageFormat::Basic, r#"{"data:image/png;path": "no.png"}"#, "image file `no.png` does not exist");
        check(
            MessageFormat::Basic,
            r#"{"data:image/png;path":"logo.png","b":1}"#,
            r#"{"data:image/png;path":"logo.png","b":1}"#,
        );
        check(
            MessageFormat::OpenAiVision,
            r#"[{"type": "image_file", "image_file": {"path": "logo.png"}}, {"type": "text", "text": "x"}]"#,
            r#"[{"data:image/png;base64":"UE5H"},{"type":"text","text":"x"}]"#,
        );
    }

    #[test]
    fn text_is_an_address_base64_or_a_path() {
        let images = Images::new(MessageFormat::Basic, &read);
        for (text, expected) in [
            ("https://x/y.jpeg?z=1", r#"{"data:image/jpeg;url":"https://x/y.jpeg?z=1"}"#),
            ("logo.png", r#"{"data:image/png;base64":"UE5H"}"#),
            ("iVBORw0KGgo=", r#"{"data:image/png;base64":"iVBORw0KGgo="}"#),
        ] {
            assert_eq!(images.image(&Value::from(text)).unwrap().to_json(), expected);
        }
    }
}
