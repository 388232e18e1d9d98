//! In which words endpoints refuse a parameter, and which parameter of ours they mean.

use std::sync::Arc;

use sluicegate_model::Adaptation;
use sluicegate_value::Map;

use super::PAIR;

/// What an endpoint refuses.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    /// The parameters, as the endpoint spells them; none if its words name none.
    pub(crate) names: Vec<String>,
    /// What it would take in place of the first.
    instead: Option<String>,
    what: What,
}

/// What of a parameter is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    /// All of it.
    Parameter,
    /// Every value that is not what it is without it.
    AllButDefault,
    /// The value that it has: another one may be taken.
    Value,
}

/// Words that refuse a parameter, whoever speaks: OpenAI, Azure, pydantic, Groq, Google, model inference, Anthropic.
const REFUSING: [&str; 16] = [
    "unsupported parameter",
    "unsupported value",
    "unknown parameter",
    "unrecognized request argument",
    "unrecognized parameter",
    "is not supported with this model",
    "is not supported by this model",
    "is not supported for this model",
    "not supported in this model",
    "does not support",
    "extra inputs are not permitted",
    "extra parameters",
    "is unsupported",
    "unknown name",
    "is deprecated for this model",
    "cannot both be specified",
];

impl Refusal {
    /// Reads an endpoint's words; `None` if they refuse no parameter.
    pub(crate) fn read(message: &str, code: &str) -> Option<Self> {
        let lower = message.to_lowercase();
        let said = REFUSING.into_iter().find(|words| lower.contains(words));
        if said.is_none() && !Self::is_code(code) {
            return None;
        }
        // `'effort' does not support 'minimal'`; but not `this model does not support …`.
        let is_of_name = || {
            let before = lower.split_once(" does not support ").map_or("", |(before, _)| before);
            before.ends_with(['\'', '`', '"'])
        };
        let what = if lower.contains("only the default") {
            What::AllButDefault
        } else if code == "unsupported_value" || lower.contains("unsupported value") || is_of_name() {
            What::Value
        } else {
            What::Parameter
        };
        let mut names = match said {
            // `Unrecognized request arguments supplied: a, b`
            Some(words @ ("unrecognized request argument" | "unrecognized parameter")) => {
                let list =
                    lower.split_once(words).and_then(|(_, rest)| rest.split_once(':')).map_or("", |(_, list)| list);
                list.split([',', ' ']).filter_map(name).collect()
            }
            // `Extra parameters ['a', 'b'] are not allowed when extra-parameters is not set or set to be 'error'.`
            Some("extra parameters") => {
                let list =
                    message.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(list, _)| list);
                list.split(',').filter_map(name).collect()
            }
            // `thinking.depth: Extra inputs are not permitted`, perhaps after words of another kind; or a Python list with `'loc': ('body', 'depth')`.
            Some("extra inputs are not permitted") => before(message, &lower, "extra inputs").into_iter().collect(),
            // `temperature` and `top_p` cannot both be specified: the one that matters less is left out.
            Some("cannot both be specified") => quoted(message).into_iter().nth(1).into_iter().collect(),
            _ => Vec::new(),
        };
        let quoted = quoted(message);
        if names.is_empty() {
            names.extend(quoted.first().cloned());
        }
        if names.is_empty() {
            // `temperature is deprecated for this model`; but not `This model does not support …`.
            let bare =
                said.filter(|words| words.contains("this model")).and_then(|words| before(message, &lower, words));
            names.extend(bare.filter(|name| !["model", "input", "prompt"].contains(&name.as_str())));
        }
        let instead = lower
            .find("instead")
            .and_then(|end| message.get(..end))
            .and_then(|start| self::quoted(start).pop())
            .filter(|instead| names.first() != Some(instead));
        Some(Self { names, instead, what })
    }

    /// Whether an error of this code refuses a parameter, whatever its words.
    pub(crate) fn is_code(code: &str) -> bool {
        [
            "unsupported_parameter",
            "unsupported_value",
            "unknown_parameter",
            "parameter_not_supported",
            "extra_forbidden",
        ]
        .contains(&code)
    }

    /// What is done to a parameter of ours: of two names of one thing the other is tried; the rest is left out, or only a
    /// value of it if another one may be taken.
    pub(super) fn adaptation(&self, name: &str, parameters: &Map, tried: &[Arc<str>]) -> Adaptation {
        if let (What::Value, Some(value)) = (self.what, parameters.get(name))
            && !CONTINUOUS.contains(&name)
        {
            return Adaptation::ValueDropped(value.to_json().into());
        }
        let other = match PAIR {
            [old, new] if name == old => Some(new),
            [old, new] if name == new => Some(old),
            _ => None,
        };
        let is_meant = |other: &str| self.instead.as_deref().is_none_or(|instead| instead == other);
        other
            .filter(|other| self.what == What::Parameter && is_meant(other))
            .filter(|other| !parameters.contains_key(other) && !tried.iter().any(|tried| **tried == **other))
            .map_or(Adaptation::Dropped, |other| Adaptation::Renamed(other.into()))
    }
}

/// Who does not take one value of these takes none of them, but the default.
const CONTINUOUS: [&str; 4] = ["temperature", "top_p", "presence_penalty", "frequency_penalty"];

/// Our parameters by the names of other APIs: responses, messages.
const ALIASES: [(&str, &[&str]); 7] = [
    ("max_output_tokens", &PAIR),
    ("max_tokens", &PAIR),
    ("reasoning", &["reasoning_effort"]),
    ("output_config", &["reasoning_effort"]),
    ("stop_sequences", &["stop"]),
    ("metadata", &["user"]),
    ("text", &["verbosity"]),
];

/// The parameter of the request that is meant by an endpoint's name for it; `None` if the request has none such.
pub(super) fn carried(parameters: &Map, named: &str) -> Option<Arc<str>> {
    let top = top(named);
    let own = |name: &str| parameters.keys().find(|known| ***known == *name).cloned();
    own(top).or_else(|| {
        let (_, ours) = ALIASES.iter().find(|(theirs, _)| *theirs == top)?;
        ours.iter().find_map(|name| own(name))
    })
}

/// The first step of a path such as `tools[0].function` or `text.format`, as chat completions spell it.
pub(super) fn top(named: &str) -> &str {
    let named = named.strip_prefix("body.").unwrap_or(named);
    if named.starts_with("text.format") {
        return "response_format";
    }
    let end = named.find(['.', '[']).unwrap_or(named.len());
    named.get(..end).unwrap_or(named)
}

/// The names that a message has in quotes of any kind, in order.
fn quoted(message: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = message;
    while let Some(start) = rest.find(['\'', '`', '"']) {
        let after = rest.get(start + 1..).unwrap_or_default();
        let mark = rest.get(start..=start).unwrap_or_default();
        match after.split_once(mark) {
            // An apostrophe is no quote: what follows it is no name, and may hold the next one.
            Some((inside, behind)) if is_name(inside) => {
                names.push(inside.to_owned());
                rest = behind;
            }
            _ => rest = after,
        }
    }
    names
}

/// The name in front of these words: `top_k: Extra inputs are not permitted`, `'loc': ('body', 'top_k'), 'msg': 'Extra …`.
fn before(message: &str, lower: &str, words: &str) -> Option<String> {
    let start = message.get(..lower.find(words)?)?;
    if let Some((_, place)) = start.rsplit_once("loc") {
        let list =
            place.split_once(['(', '[']).and_then(|(_, rest)| rest.split_once([')', ']'])).map_or("", |(list, _)| list);
        return list.split(',').filter_map(name).find(|name| name != "body");
    }
    start.trim_end_matches([' ', ':', '\'', '"', '`']).rsplit([' ', '\'', '"', '`', '(']).find_map(name)
}

/// A word without what stands around it, if it is a parameter's name.
fn name(word: &str) -> Option<String> {
    let word = word.trim().trim_matches(['\'', '"', '`', '.', ',', ';', ':']);
    is_name(word).then(|| word.to_owned())
}

/// Whether a text may be a parameter's name: `max_tokens`, `reasoning.effort`, `tools[0]`.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 64
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.[]".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: &[&str]) {
        let names = Refusal::read(message, "").map(|refusal| refusal.names);
        assert_eq!(names.unwrap_or_else(|| vec!["nothing refused".to_owned()]), expected, "{message}");
    }

    #[test]
    fn refusals_are_read_in_everybody_s_words() {
        check(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            &["max_tokens"],
        );
        check(
            "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
            &["temperature"],
        );
        check("'temperature' does not support 0.2 with this model.", &["temperature"]);
        check(
            "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model.",
            &["reasoning_effort"],
        );
        check("Unrecognized request argument supplied: seed", &["seed"]);
        check("Unrecognized request arguments supplied: seed, top_k.", &["seed", "top_k"]);
        check("Unknown parameter: 'verbosity'.", &["verbosity"]);
        check("Unknown parameter: 'text.verbosity'.", &["text.verbosity"]);
        check("top_k: Extra inputs are not permitted", &["top_k"]);
        check(
            "[{'type': 'extra_forbidden', 'loc': ('body', 'top_k'), 'msg': 'Extra inputs are not permitted', 'input': 1}]",
            &["top_k"],
        );
        check(
            "Extra parameters ['top_k', 'seed'] are not allowed when extra-parameters is not set or set to be 'error'.",
            &["top_k", "seed"],
        );
        check("property 'top_k' is unsupported", &["top_k"]);
        check("Invalid JSON payload received. Unknown name \"top_k\": Cannot find field.", &["top_k"]);
        check("`temperature` is deprecated for this model.", &["temperature"]);
        check("temperature is deprecated for this model.", &["temperature"]);
        check("`temperature` and `top_p` cannot both be specified for this model. Please use only one.", &["top_p"]);
        check("unsupported parameter `seed`: no", &["seed"]);
    }

    #[test]
    fn other_errors_refuse_nothing() {
        for message in
            ["too hot", "Invalid value for 'temperature': must be at most 2", "max_tokens is too large: 9", ""]
        {
            check(message, &["nothing refused"]);
        }
        for message in ["This model does not support images.", "Image input is not supported with this model."] {
            check(message, &[]);
        }
        assert!(Refusal::read("odd", "unsupported_parameter").is_some());
    }

    fn adapts(message: &str, parameters: &[&str], expected: &Adaptation) {
        let parameters: Map = parameters.iter().map(|name| (*name, 1_i64)).collect();
        let refusal = Refusal::read(message, "").unwrap();
        let name = carried(&parameters, &refusal.names[0]).unwrap();
        assert_eq!(refusal.adaptation(&name, &parameters, &[]), *expected, "{message}");
    }

    #[test]
    fn of_two_names_of_one_thing_the_other_is_tried() {
        let renamed = |to: &str| Adaptation::Renamed(to.into());
        let instead = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
        adapts(instead, &["max_tokens"], &renamed("max_completion_tokens"));
        adapts(instead, &["max_tokens", "max_completion_tokens"], &Adaptation::Dropped);
        adapts(
            "Unrecognized request argument supplied: max_completion_tokens",
            &["max_completion_tokens"],
            &renamed("max_tokens"),
        );
        let value = Adaptation::ValueDropped("1".into());
        adapts("Unsupported value: 'max_tokens' does not support 1", &["max_tokens"], &value);
        adapts("Unknown parameter: 'functions'. Use 'tools' instead.", &["functions"], &Adaptation::Dropped);
    }

    #[test]
    fn a_value_is_told_from_its_parameter() {
        let value = Adaptation::ValueDropped("1".into());
        let effort =
            "Unsupported value: 'effort' does not support 'minimal' with this model. Supported values are: 'low'.";
        adapts(effort, &["effort"], &value);
        adapts("'effort' does not support 'minimal' with this model.", &["effort"], &value);
        adapts(
            "'effort' does not support 'x'. Only the default (y) value is supported.",
            &["effort"],
            &Adaptation::Dropped,
        );
        adapts("This model does not support `effort`.", &["effort"], &Adaptation::Dropped);
        adapts("Unsupported value: 'top_p' does not support 0.5.", &["top_p"], &Adaptation::Dropped);
    }

    #[test]
    fn names_of_other_apis_are_ours_by_another_spelling() {
        let parameters: Map =
            ["max_tokens", "reasoning_effort", "verbosity", "stop", "user"].map(|name| (name, 1_i64)).into();
        let check =
            |theirs: &str, ours: &str| assert_eq!(carried(&parameters, theirs).as_deref(), Some(ours), "{theirs}");
        check("max_output_tokens", "max_tokens");
        check("reasoning.effort", "reasoning_effort");
        check("text.verbosity", "verbosity");
        check("stop_sequences", "stop");
        check("metadata.user_id", "user");
        check("body.stop", "stop");
        assert_eq!(carried(&parameters, "seed"), None);
        assert_eq!((top("text.format.schema"), top("tools[0].function")), ("response_format", "tools"));
    }

    proptest::proptest! {
        #[test]
        fn no_words_are_too_much(message in ".{0,80}", words in 0..REFUSING.len()) {
            let _ = Refusal::read(&format!("{message}{}{message}'", REFUSING[words]), "");
        }
    }
}
