//! Blobs become images as outputs have them (spec: promptflow.md §1.9).

use sluicegate_value::{Blob, BlobSource, Map, Value};

use crate::plan::MessageFormat;

/// What outputs show of the images in a value, at any depth, in the flow's format. `keep` puts an image's bytes where whoever
/// reads the outputs finds them, and tells the path; `None`: it stands in the output itself, in base64. What is given by an
/// address stays an address; what is only in a store, and not kept, stays a blob.
pub fn in_outputs(value: &Value, format: MessageFormat, keep: &mut dyn FnMut(&Blob) -> Option<String>) -> Value {
    match value {
        Value::Blob(image) => written(image, format, keep).unwrap_or_else(|| value.clone()),
        Value::List(items) if items.iter().any(holds_blob) => {
            items.iter().map(|item| in_outputs(item, format, keep)).collect::<Vec<_>>().into()
        }
        Value::Map(map) if map.values().any(holds_blob) => {
            map.iter().map(|(key, item)| (key.clone(), in_outputs(item, format, keep))).collect::<Map>().into()
        }
        other => other.clone(),
    }
}

fn holds_blob(value: &Value) -> bool {
    match value {
        Value::Blob(_) => true,
        Value::List(items) => items.iter().any(holds_blob),
        Value::Map(map) => map.values().any(holds_blob),
        _ => false,
    }
}

fn written(image: &Blob, format: MessageFormat, keep: &mut dyn FnMut(&Blob) -> Option<String>) -> Option<Value> {
    let mime = &image.mime;
    let (source, content) = match &image.source {
        BlobSource::Url(url) => (Place::Url, url.to_string()),
        _ => match keep(image) {
            Some(path) => (Place::Path, path),
            None => (Place::Base64, image.to_base64()?),
        },
    };
    let address =
        |url: String| Map::from([("type", Value::from("image_url")), ("image_url", Map::from([("url", url)]).into())]);
    Some(match (format, source) {
        (MessageFormat::Basic, Place::Path) => Map::from([(format!("data:{mime};path"), content)]).into(),
        (MessageFormat::Basic, Place::Base64) => Map::from([(format!("data:{mime};base64"), content)]).into(),
        (MessageFormat::Basic, Place::Url) => Map::from([(format!("data:{mime};url"), content)]).into(),
        (MessageFormat::OpenAiVision, Place::Path) => {
            let file = Map::from([("path", content)]);
            Map::from([("type", Value::from("image_file")), ("image_file", file.into())]).into()
        }
        (MessageFormat::OpenAiVision, Place::Base64) => address(format!("data:{mime};base64,{content}")).into(),
        (MessageFormat::OpenAiVision, Place::Url) => address(content).into(),
    })
}

/// Where whoever reads the outputs finds an image.
enum Place {
    Path,
    Base64,
    Url,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn check_output(format: MessageFormat, path: Option<&str>, expected: &str) {
        let image = |blob: Blob| Value::Blob(Arc::new(blob));
        let value = Value::from(vec![
            image(Blob::from_bytes("image/png", &b"PNG"[..])),
            Map::from([("a", image(Blob::from_url("image/jpeg", "https://x/y.jpeg")))]).into(),
            Value::from("text"),
        ]);
        let found = in_outputs(&value, format, &mut |_| path.map(ToOwned::to_owned));
        assert_eq!(found.to_json(), expected);
    }

    #[test]
    fn outputs_have_images_in_the_flows_format() {
        check_output(
            MessageFormat::Basic,
            None,
            r#"[{"data:image/png;base64":"UE5H"},{"a":{"data:image/jpeg;url":"https://x/y.jpeg"}},"text"]"#,
        );
        check_output(
            MessageFormat::Basic,
            Some("out/1.png"),
            r#"[{"data:image/png;path":"out/1.png"},{"a":{"data:image/jpeg;url":"https://x/y.jpeg"}},"text"]"#,
        );
        check_output(
            MessageFormat::OpenAiVision,
            None,
            r#"[{"type":"image_url","image_url":{"url":"data:image/png;base64,UE5H"}},{"a":{"type":"image_url","image_url":{"url":"https://x/y.jpeg"}}},"text"]"#,
        );
        check_output(
            MessageFormat::OpenAiVision,
            Some("out/1.png"),
            r#"[{"type":"image_file","image_file":{"path":"out/1.png"}},{"a":{"type":"image_url","image_url":{"url":"https://x/y.jpeg"}}},"text"]"#,
        );
    }
}
