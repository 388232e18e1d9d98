//! What content filters note beside the pieces of a stream.

use sluicegate_value::{Map, Value};

/// Both notes together: of a category noted twice, the worse. A filter looks at the reply in windows, and a later one
/// that found nothing does not undo an earlier one.
pub(super) fn merged(mut known: Map, more: &Map) -> Map {
    for (category, note) in more {
        let stays = known.get(category).is_some_and(|known| badness(known) > badness(note));
        if !stays {
            known.insert(category.clone(), note.clone());
        }
    }
    known
}

/// How bad a note is: whether something was stopped or found, then how severe it is.
fn badness(note: &Value) -> (bool, u8) {
    let is = |key: &str| note.get(key).and_then(Value::as_bool).unwrap_or_default();
    let severity = match note.get("severity").and_then(Value::as_str) {
        Some("high") => 3,
        Some("medium") => 2,
        Some("low") => 1,
        _ => 0,
    };
    (is("filtered") || is("detected"), severity)
}
