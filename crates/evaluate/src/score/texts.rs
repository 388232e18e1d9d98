//! Evaluators that compare what was answered with what should have been.

use std::borrow::Cow;

use sluicegate_value::{Map, Value, json};

use super::scored::Found;
use super::{CaseFacts, NotScored};
use crate::binding::BoundEvaluator;
use crate::evaluator::{ListMeasure, Parts, Scorer, Share};
use crate::judge::number_text;
use crate::text::json::json_equal;
use crate::text::lists::{ListMatch, ListRules, list_match, split_list};
use crate::text::matching::{self, Pattern};
use crate::text::numbers::{Tolerance, is_near, parse_number};
use crate::text::{self, Normalization, Overlap, distance, f1, json_path::JsonPath, json_schema::JsonSchema};

/// How much of a text a reason shows.
const SHOWN: usize = 80;
/// How many things that are wrong a reason names.
const NAMED: usize = 3;

pub(super) fn score(bound: &BoundEvaluator, facts: &CaseFacts<'_>) -> Result<Found, NotScored> {
    let value = |name: &str| bound.value(name, facts).unwrap_or(&Value::Null);
    let response = value("response");
    let truth = || value("ground_truth");
    let pair = || (text_of(response), text_of(truth()));
    Ok(match &bound.evaluator.scorer {
        Scorer::ExactMatch { normalization, ordered } => exact(response, truth(), *normalization, *ordered),
        Scorer::PartialMatch { normalization } => partial(response, truth(), *normalization),
        Scorer::ListMatch { normalization, ordered, measure } => {
            let rules = ListRules { normalization: *normalization, ordered: *ordered };
            lists(&list_match(&items(response), &items(truth()), rules), *measure)
        }
        Scorer::Contains { which: Parts::One, normalization } => {
            let (text, part) = (text_of(response), text_of(value("text")));
            let yes = matching::contains(&text, &part, *normalization);
            Found::yes(yes, said(yes, || format!("`{}` is not in `{}`", quote(&part), quote(&text))))
        }
        Scorer::Contains { which, normalization } => {
            several(&text_of(response), &texts_of(value("texts")), *which, *normalization)
        }
        Scorer::StartsWith { normalization } => {
            let (text, start) = (text_of(response), text_of(value("text")));
            let yes = matching::starts_with(&text, &start, *normalization);
            Found::yes(yes, said(yes, || format!("`{}` does not begin with `{}`", quote(&text), quote(&start))))
        }
        Scorer::EndsWith { normalization } => {
            let (text, end) = (text_of(response), text_of(value("text")));
            let yes = matching::ends_with(&text, &end, *normalization);
            Found::yes(yes, said(yes, || format!("`{}` does not end with `{}`", quote(&text), quote(&end))))
        }
        Scorer::Regex { pattern } => regex(pattern.as_ref(), &text_of(response), value("pattern"))?,
        Scorer::ValidJson => match json_of(response) {
            Ok(_) => Found::yes(true, ""),
            Err(why) => Found::yes(false, why),
        },
        Scorer::JsonEqual => json_equality(response, truth())?,
        Scorer::JsonSchema { schema } => by_schema(schema, response),
        Scorer::JsonPath { path, normalization, tolerance } => {
            let expected = bound.value("ground_truth", facts).filter(|expected| !expected.is_null());
            at_path(path, response, expected, *normalization, *tolerance)
        }
        Scorer::Numeric { tolerance } => numeric(response, truth(), *tolerance)?,
        Scorer::F1 { measure } => {
            let (answer, expected) = pair();
            overlap(f1::f1_overlap(&answer, &expected), *measure)
        }
        Scorer::Rouge { kind, measure, use_stemmer } => {
            let (answer, expected) = pair();
            overlap(text::rouge(*kind, &answer, &expected, *use_stemmer), *measure)
        }
        scorer => {
            let (answer, expected) = pair();
            Found::number(number(scorer, &answer, &expected)?, "")
        }
    })
}

/// Evaluators that give a number for two texts.
fn number(scorer: &Scorer, answer: &str, expected: &str) -> Result<f64, NotScored> {
    let folded = |normalization: &Normalization| (normalization.apply(answer), normalization.apply(expected));
    Ok(match scorer {
        Scorer::Bleu { tokenizer } => text::bleu(answer, expected, *tokenizer),
        Scorer::Gleu { tokenizer } => text::gleu(answer, expected, *tokenizer),
        Scorer::Meteor { tokenizer, parameters } => text::meteor(answer, expected, *tokenizer, *parameters),
        Scorer::SacreBleu => text::sacrebleu::sacrebleu_sentence(answer, expected),
        Scorer::Levenshtein { normalization } => {
            let (answer, expected) = folded(normalization);
            distance::levenshtein_distance(&answer, &expected) as f64
        }
        Scorer::LevenshteinRatio { normalization } => {
            let (answer, expected) = folded(normalization);
            distance::normalized_similarity(&answer, &expected)
        }
        Scorer::IndelRatio { normalization } => {
            let (answer, expected) = folded(normalization);
            distance::indel_ratio(&answer, &expected)
        }
        _ => return Err(NotScored::failed("it compares no texts")),
    })
}

fn exact(response: &Value, truth: &Value, normalization: Option<Normalization>, ordered: bool) -> Found {
    if is_list(response) || is_list(truth) {
        let rules = ListRules { normalization: normalization.unwrap_or(Normalization::Case), ordered };
        return lists(&list_match(&items(response), &items(truth), rules), ListMeasure::Exact);
    }
    let (answer, expected) = (text_of(response), text_of(truth));
    let yes = matching::exact_match(&answer, &expected, normalization.unwrap_or_default());
    Found::yes(yes, differs(yes, &expected, &answer))
}

fn partial(response: &Value, truth: &Value, normalization: Option<Normalization>) -> Found {
    if is_list(response) || is_list(truth) {
        let rules = ListRules { normalization: normalization.unwrap_or(Normalization::Case), ordered: false };
        return lists(&list_match(&items(response), &items(truth), rules), ListMeasure::Partial);
    }
    let (answer, expected) = (text_of(response), text_of(truth));
    let yes = matching::partial_match(&answer, &expected, normalization.unwrap_or_default());
    Found::yes(yes, differs(yes, &expected, &answer))
}

fn lists(found: &ListMatch, measure: ListMeasure) -> Found {
    let named = |what: &str, items: &[String]| match items {
        [] => None,
        items => {
            let shown: Vec<String> = items.iter().take(NAMED).map(|item| format!("`{}`", quote(item))).collect();
            let more = if items.len() > NAMED { format!(" and {} more", items.len() - NAMED) } else { String::new() };
            Some(format!("{what} {}{more}", shown.join(", ")))
        }
    };
    let parts = [named("missing", &found.missing), named("extra", &found.extra)];
    let reason = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
    let texts = |items: &[String]| items.iter().map(|item| Value::from(item.as_str())).collect::<Vec<_>>();
    let (precision, recall) = (found.precision(), found.recall());
    let details = Map::from([
        ("precision", Value::from(precision)),
        ("recall", recall.into()),
        ("missing", texts(&found.missing).into()),
        ("extra", texts(&found.extra).into()),
    ]);
    let share = |share: Share| match share {
        Share::Precision => precision,
        Share::Recall => recall,
        Share::F1 if precision + recall > 0.0 => 2.0 * precision * recall / (precision + recall),
        Share::F1 => 0.0,
    };
    match measure {
        ListMeasure::Exact if !found.exact && reason.is_empty() => Found::yes(false, "the order differs"),
        ListMeasure::Exact => Found::yes(found.exact, reason),
        ListMeasure::Partial => Found::yes(found.partial, if found.partial { String::new() } else { reason }),
        ListMeasure::Share(measure) => Found::number(share(measure), reason),
    }
    .with(details)
}

fn several(text: &str, parts: &[String], which: Parts, normalization: Normalization) -> Found {
    let shown = |parts: &[&String]| {
        parts.iter().take(NAMED).map(|part| format!("`{}`", quote(part))).collect::<Vec<_>>().join(", ")
    };
    let holds = |part: &&String| matching::contains(text, part, normalization);
    let there: Vec<&String> = parts.iter().filter(holds).collect();
    let absent: Vec<&String> = parts.iter().filter(|part| !holds(part)).collect();
    match which {
        Parts::Any => {
            let yes = !there.is_empty();
            Found::yes(yes, said(yes, || format!("none of {} is in `{}`", shown(&absent), quote(text))))
        }
        Parts::None => {
            let yes = there.is_empty();
            Found::yes(yes, said(yes, || format!("found {} in `{}`", shown(&there), quote(text))))
        }
        Parts::All | Parts::One => {
            let yes = absent.is_empty();
            Found::yes(yes, said(yes, || format!("{} not in `{}`", shown(&absent), quote(text))))
        }
    }
}

fn regex(compiled: Option<&Pattern>, text: &str, written: &Value) -> Result<Found, NotScored> {
    let own;
    let pattern = match compiled {
        Some(pattern) => pattern,
        None => {
            own = Pattern::new(&text_of(written)).map_err(|error| {
                let message = error.to_string();
                NotScored::failed(format!("no regular expression: {}", message.lines().last().unwrap_or_default()))
            })?;
            &own
        }
    };
    let yes = pattern.is_in(text);
    Ok(Found::yes(yes, said(yes, || format!("`{}` is not found in `{}`", quote(pattern.as_str()), quote(text)))))
}

fn json_equality(response: &Value, truth: &Value) -> Result<Found, NotScored> {
    // A text that is no JSON may be what is expected: then it is compared as it is.
    let expected = json_of(truth).unwrap_or_else(|_| truth.clone());
    Ok(match json_of(response) {
        Ok(answer) => {
            let yes = json_equal(&answer, &expected);
            Found::yes(yes, differs(yes, &expected.to_json(), &answer.to_json()))
        }
        Err(_) if expected.as_str().is_some() && expected == *response => Found::yes(true, ""),
        Err(why) => Found::yes(false, why),
    })
}

fn by_schema(schema: &JsonSchema, response: &Value) -> Found {
    let answer = match json_of(response) {
        Ok(answer) => answer,
        Err(why) => return Found::yes(false, why),
    };
    let violations = schema.violations(&answer, NAMED);
    let shown = violations.iter().map(|violation| match &*violation.path {
        "" => quote(&violation.message),
        path => format!("{path}: {}", quote(&violation.message)),
    });
    Found::yes(violations.is_empty(), shown.collect::<Vec<_>>().join("; "))
}

fn at_path(
    path: &JsonPath,
    response: &Value,
    expected: Option<&Value>,
    normalization: Normalization,
    tolerance: Tolerance,
) -> Found {
    let answer = match json_of(response) {
        Ok(answer) => answer,
        Err(why) => return Found::yes(false, why),
    };
    let found = path.value(&answer);
    let (Some(found), expected) = (found, expected) else {
        return Found::yes(false, "there is nothing at the path");
    };
    let Some(expected) = expected else { return Found::yes(true, "") };
    let yes = match (&found, expected) {
        (Value::Str(found), Value::Str(expected)) => matching::exact_match(found, expected, normalization),
        _ => match (found.as_number(), number_of(expected)) {
            (Some(found), Some(expected)) => is_near(found, expected, tolerance),
            _ => json_equal(&found, expected) || json_of(expected).is_ok_and(|expected| json_equal(&found, &expected)),
        },
    };
    Found::yes(yes, differs(yes, &text_of(expected), &text_of(&found)))
}

fn numeric(response: &Value, truth: &Value, tolerance: Tolerance) -> Result<Found, NotScored> {
    let Some(expected) = number_of(truth) else {
        return Err(NotScored::failed(format!("`{}` is no number to compare with", quote(&text_of(truth)))));
    };
    Ok(match number_of(response) {
        Some(answer) => {
            let yes = is_near(answer, expected, tolerance);
            let details = Map::from([("difference", answer - expected)]);
            Found::yes(yes, differs(yes, &number_text(expected), &number_text(answer))).with(details)
        }
        None => Found::yes(false, format!("`{}` is no number", quote(&text_of(response)))),
    })
}

fn overlap(found: Overlap, measure: Share) -> Found {
    let Overlap { precision, recall, f1 } = found;
    let score = match measure {
        Share::F1 => f1,
        Share::Precision => precision,
        Share::Recall => recall,
    };
    let details = Map::from([("precision", precision), ("recall", recall), ("f1_score", f1)]);
    let reason = format!("precision {}, recall {}", short(precision), short(recall));
    Found::number(score, reason).with(details)
}

fn short(number: f64) -> String {
    number_text((number * 1e3).round() / 1e3)
}

fn said(yes: bool, otherwise: impl FnOnce() -> String) -> String {
    if yes { String::new() } else { otherwise() }
}

fn differs(yes: bool, expected: &str, got: &str) -> String {
    said(yes, || format!("expected `{}`, got `{}`", quote(expected), quote(got)))
}

/// The beginning of a text, on one line.
pub(super) fn quote(text: &str) -> String {
    let end = text.char_indices().nth(SHOWN).map_or(text.len(), |(end, _)| end);
    let line = text[..end].replace('\n', "⏎").replace('\r', "");
    if end < text.len() { format!("{line}…") } else { line }
}

/// What people call a value: for messages.
pub(super) fn kind_of(value: &Value) -> String {
    match value {
        Value::Str(text) => format!("the text `{}`", quote(text)),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
        other => other.type_name().to_owned(),
    }
}

fn is_list(value: &Value) -> bool {
    value.as_list().is_some()
}

/// A value as the text that is compared: of a list of plain things, these with commas; of others their JSON.
pub(super) fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Str(text) => Cow::Borrowed(text),
        Value::Null => Cow::Borrowed(""),
        Value::List(items) if items.iter().all(|item| !matches!(item, Value::List(_) | Value::Map(_))) => {
            Cow::Owned(items.iter().map(text_of).collect::<Vec<_>>().join(", "))
        }
        other => Cow::Owned(other.to_json()),
    }
}

/// A list, or one text as a list of one.
fn texts_of(value: &Value) -> Vec<String> {
    match value.as_list() {
        Some(items) => items.iter().map(|item| text_of(item).into_owned()).collect(),
        None if value.is_null() => Vec::new(),
        None => vec![text_of(value).into_owned()],
    }
}

/// A list, or a text that holds one: JSON, or items between commas.
fn items(value: &Value) -> Vec<String> {
    match value {
        Value::Str(text) => match json::read(text) {
            Ok(Value::List(items)) => items.iter().map(|item| text_of(item).into_owned()).collect(),
            _ => split_list(text).into_iter().map(str::to_owned).collect(),
        },
        other => texts_of(other),
    }
}

/// JSON, as a value or as the text of one, in a fence too, as models write it.
pub(super) fn json_of(value: &Value) -> Result<Value, String> {
    let Some(text) = value.as_str() else { return Ok(value.clone()) };
    let trimmed = text.trim();
    let inside = trimmed.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")).map(|inside| {
        let (first, rest) = inside.split_once('\n').unwrap_or(("", inside));
        if first.trim().chars().all(char::is_alphanumeric) { rest } else { inside }
    });
    json::read(inside.unwrap_or(trimmed).trim())
        .map_err(|error| format!("no JSON: {}: `{}`", error.message, quote(text)))
}

fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Str(text) => parse_number(text),
        other => other.as_number().filter(|number| number.is_finite()),
    }
}
