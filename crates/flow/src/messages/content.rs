//! What a message says: one text, or lines of text and images.

use std::collections::HashMap;
use std::sync::Arc;

use sluicegate_model::{Content, Part};
use sluicegate_value::Blob;

use super::headings::strip;

/// The images of a render, by what they print as.
pub(crate) struct ImageLines {
    images: HashMap<String, Arc<Blob>>,
}

impl ImageLines {
    pub(crate) fn none() -> Self {
        Self { images: HashMap::new() }
    }

    pub(crate) fn of(images: &[Arc<Blob>]) -> Self {
        Self { images: images.iter().map(|image| (image.python_str(), image.clone())).collect() }
    }

    /// The image that a line prints, as a part.
    pub(crate) fn part(&self, line: &str) -> Option<Part> {
        // Most prompts have no image at all; their lines are not worth a hash each.
        if self.images.is_empty() {
            return None;
        }
        let image = self.images.get(strip(line))?.clone();
        Some(Part::Image { image, detail: "auto".into() })
    }

    /// Whether there is any.
    pub(crate) fn is_empty(&self) -> bool {
        self.images.is_empty()
    }
}

/// The text as one string, or, if a line of it prints an image, each line that is not blank as a part.
pub(crate) fn content(text: &str, images: &ImageLines) -> Content {
    if images.is_empty() {
        return Content::Text(text.into());
    }
    let parts: Vec<Part> = text
        .split('\n')
        .filter(|line| !strip(line).is_empty())
        .map(|line| images.part(line).unwrap_or_else(|| Part::Text(line.into())))
        .collect();
    if parts.iter().any(|part| matches!(part, Part::Image { .. })) {
        Content::Parts(parts)
    } else {
        Content::Text(text.into())
    }
}
