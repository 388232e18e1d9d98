//! Images among a flow's outputs become files beside the run (spec: promptflow.md §1.9).

use std::path::PathBuf;

use sluicegate_flow::image::in_outputs;
use sluicegate_flow::plan::MessageFormat;
use sluicegate_value::{Blob, BlobSource, Value};

/// Where images among outputs go.
pub(crate) struct ImageFiles {
    /// The folder for them; `None`: they stay in the outputs, as base64.
    pub(crate) folder: Option<PathBuf>,
    /// How they are written.
    pub(crate) format: MessageFormat,
}

impl ImageFiles {
    /// A value as it is printed: each image as the path of a file, or as its address or base64.
    pub(crate) fn shown(&self, value: &Value) -> Value {
        in_outputs(value, self.format, &mut |image| self.keep(image))
    }

    /// Writes an image's bytes; `None`: it cannot be written, or there is nowhere to write it.
    fn keep(&self, image: &Blob) -> Option<String> {
        let (Some(folder), BlobSource::Bytes(bytes)) = (&self.folder, &image.source) else { return None };
        let path = folder.join(name_of_image(image));
        std::fs::create_dir_all(folder).ok()?;
        std::fs::write(&path, bytes).ok()?;
        Some(path.display().to_string())
    }
}

/// The name of an image's file: the beginning of its hash, and the ending that its type has.
pub(crate) fn name_of_image(image: &Blob) -> String {
    let ending = match &*image.mime {
        "image/jpeg" => "jpg",
        "image/svg+xml" => "svg",
        other => {
            let name = other.strip_prefix("image/");
            name.filter(|name| name.chars().all(|letter| letter.is_ascii_alphanumeric())).unwrap_or("png")
        }
    };
    format!("{}.{ending}", image.hash.get(..16).unwrap_or(&image.hash))
}
