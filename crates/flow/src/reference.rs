//! References as flows write them: `${inputs.q}`, `${fetch.output.items[0]}` (spec: promptflow.md §1.7).
//!
//! A text is one reference or none: nothing is put into the middle of a text, nothing is trimmed, and what looks odd
//! is odd in the original too.

use std::sync::Arc;

use crate::plan::Step;

/// A value of a flow file, told apart by its form alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// `${inputs.name}` or `${flow.name}`; the whole rest is the name, dots included.
    Input(&'a str),
    /// `${node}`, `${node.section}` or `${node.section.property}`.
    Node {
        /// Everything before the first dot.
        node: &'a str,
        /// Between the first two dots; `output` if there is no dot.
        section: &'a str,
        /// Everything after the second dot.
        property: &'a str,
    },
    /// `${env:NAME}`: ours, a variable of the process environment, filled in when the plan is bound.
    Variable(&'a str),
}

impl<'a> Reference<'a> {
    /// Reads a text; `None` if it is a literal.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let body = text.strip_prefix("${")?.strip_suffix('}')?;
        if let Some(name) = body.strip_prefix("env:").filter(|name| is_variable_name(name)) {
            return Some(Self::Variable(name));
        }
        if let Some(name) = body.strip_prefix("flow.").or_else(|| body.strip_prefix("inputs.")) {
            return Some(Self::Input(name));
        }
        let Some((node, rest)) = body.split_once('.') else {
            return Some(Self::Node { node: body, section: "output", property: "" });
        };
        let (section, property) = rest.split_once('.').unwrap_or((rest, ""));
        Some(Self::Node { node, section, property })
    }
}

/// Splits the property of a reference into steps: words, `['keys']` and `[0]`; every other character is skipped, as
/// the original's search for those three does.
#[must_use]
pub fn steps(property: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = property;
    while let Some(letter) = rest.chars().next() {
        if is_word(letter) {
            let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
            steps.push(Step::Word(rest[..end].into()));
            rest = &rest[end..];
        } else if let Some((step, after)) = bracketed(rest) {
            steps.push(step);
            rest = after;
        } else {
            rest = &rest[letter.len_utf8()..];
        }
    }
    steps
}

/// Whether a literal text seems to be meant as a reference, or to hold one: `see ${fetch.output}`. Tells the part.
pub(crate) fn embedded(text: &str, is_node: impl Fn(&str) -> bool) -> Option<&str> {
    let mut from = 0;
    while let Some(start) = text[from..].find("${").map(|at| from + at) {
        let end = start + text[start..].find('}')? + 1;
        let part = &text[start..end];
        match Reference::parse(part) {
            Some(Reference::Input(_) | Reference::Variable(_)) => return Some(part),
            Some(Reference::Node { node, .. }) if is_node(node.trim()) => return Some(part),
            _ => from = start + 2,
        }
    }
    None
}

/// The names of variables that appear as `${env:NAME}` for the whole of a text.
pub(crate) fn variable(text: &str) -> Option<&str> {
    match Reference::parse(text) {
        Some(Reference::Variable(name)) => Some(name),
        _ => None,
    }
}

/// The connection and the key of `${connection.key}`, as values of `environment_variables` have it; `configs.` and
/// `secrets.` before the key may be left out.
pub(crate) fn of_connection(text: &str) -> Option<(&str, &str)> {
    let body = text.trim().strip_prefix("${")?.strip_suffix('}')?;
    let (connection, key) = body.split_once('.')?;
    let key = ["configs.", "secrets."].iter().find_map(|part| key.strip_prefix(part)).unwrap_or(key);
    let is_plain = |name: &str| !name.is_empty() && !name.contains(['.', '$', '{', '}']);
    (is_plain(connection) && is_plain(key) && !matches!(connection, "inputs" | "flow")).then_some((connection, key))
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_word(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

/// `['key']` or `[0]` at the beginning of a text, and what follows it.
fn bracketed(text: &str) -> Option<(Step, &str)> {
    let inside = text.strip_prefix('[')?;
    if let Some(quoted) = inside.strip_prefix('\'') {
        let end = quoted.find("']")?;
        let key = &quoted[..end];
        return (!key.contains('\n')).then(|| (Step::Key(Arc::from(key)), &quoted[end + 2..]));
    }
    let end = inside.find(']')?;
    let digits = &inside[..end];
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        // Too many digits lead beyond the end of any list, as they should.
        .then(|| (Step::Index(digits.parse().unwrap_or(usize::MAX)), &inside[end + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Option<Reference<'_>>) {
        assert_eq!(Reference::parse(text), expected, "{text}");
    }

    fn node<'a>(node: &'a str, section: &'a str, property: &'a str) -> Option<Reference<'a>> {
        Some(Reference::Node { node, section, property })
    }

    #[test]
    fn only_a_whole_text_is_a_reference() {
        for literal in ["", "$", "${", "$src.output", "prefix ${src.output}", "${src.output} suffix", " ${a}"] {
            check(literal, None);
        }
    }

    #[test]
    fn the_first_two_dots_split() {
        check("${src}", node("src", "output", ""));
        check("${}", node("", "output", ""));
        check("${ src.output }", node(" src", "output ", ""));
        check("${src.output.d.e[2].f}", node("src", "output", "d.e[2].f"));
        check("${src.output['dot.ted']}", node("src", "output['dot", "ted']"));
        check("${a.output} and ${b.output}", node("a", "output} and ${b", "output"));
    }

    #[test]
    fn inputs_take_the_whole_rest_as_their_name() {
        check("${inputs.q.sub}", Some(Reference::Input("q.sub")));
        check("${flow.q}", Some(Reference::Input("q")));
        check("${inputs}", node("inputs", "output", ""));
    }

    #[test]
    fn variables_of_the_environment_are_ours() {
        check("${env:HOME}", Some(Reference::Variable("HOME")));
        check("${env:HO ME}", node("env:HO ME", "output", ""));
    }

    #[test]
    fn a_key_of_a_connection_has_one_dot_or_names_its_part() {
        assert_eq!(of_connection("${aoai.api_base}"), Some(("aoai", "api_base")));
        assert_eq!(of_connection(" ${c.configs.x} "), Some(("c", "x")));
        assert_eq!(of_connection("${c.secrets.x}"), Some(("c", "x")));
        for none in ["${aoai}", "${a.b.c}", "a.b", "${inputs.q}", "${.x}", "${a.}", "${a.b} and ${c.d}"] {
            assert_eq!(of_connection(none), None, "{none}");
        }
    }

    #[test]
    fn properties_skip_what_they_do_not_know() {
        let word = |text: &str| Step::Word(text.into());
        assert_eq!(steps("d..e"), [word("d"), word("e")]);
        assert_eq!(steps("d['e'][0]"), [word("d"), Step::Key("e".into()), Step::Index(0)]);
        assert_eq!(steps("lst[-1]"), [word("lst"), word("1")]);
        assert_eq!(steps("[\"d\"]"), [word("d")]);
        assert_eq!(steps("ted']"), [word("ted")]);
        assert_eq!(steps("['']"), [Step::Key("".into())]);
        assert_eq!(steps("[99999999999999999999999]"), [Step::Index(usize::MAX)]);
    }

    #[test]
    fn embedded_references_are_noticed() {
        let is_node = |name: &str| name == "a";
        assert_eq!(embedded("see ${a.output}, ${b.output}", is_node), Some("${a.output}"));
        assert_eq!(embedded("costs ${b.output} or ${inputs.x}", is_node), Some("${inputs.x}"));
        assert_eq!(embedded("a ${ shell } text ${", is_node), None);
    }

    proptest! {
        #[test]
        fn steps_agree_with_the_originals_pattern(property in r"[a-z0-9_.\[\]'\- é]{0,24}") {
            let pattern = regex::Regex::new(r"(\w+)|(\['.*?'\])|(\[\d+\])").unwrap();
            let expected: Vec<Step> = pattern
                .captures_iter(&property)
                .map(|found| match (found.get(1), found.get(2), found.get(3)) {
                    (Some(word), _, _) => Step::Word(word.as_str().into()),
                    (_, Some(key), _) => Step::Key(key.as_str()[2..key.len() - 2].into()),
                    (_, _, Some(index)) => {
                        Step::Index(index.as_str()[1..index.len() - 1].parse().unwrap_or(usize::MAX))
                    }
                    _ => unreachable!(),
                })
                .collect();
            prop_assert_eq!(steps(&property), expected);
        }

        #[test]
        fn parse_agrees_with_a_plain_reading(text in r"(\$\{)?[a-c .}\$\{]{0,8}(inputs\.|flow\.)?[a-c.]{0,6}\}?") {
            let expected = if text.len() > 2 && text.starts_with("${") && text.ends_with('}') {
                let body = &text[2..text.len() - 1];
                let parts: Vec<&str> = body.splitn(3, '.').collect();
                Some(match parts[..] {
                    ["inputs", ..] if parts.len() > 1 => Reference::Input(&body[7..]),
                    ["flow", ..] if parts.len() > 1 => Reference::Input(&body[5..]),
                    [node] => Reference::Node { node, section: "output", property: "" },
                    [node, section] => Reference::Node { node, section, property: "" },
                    _ => Reference::Node { node: parts[0], section: parts[1], property: parts[2] },
                })
            } else {
                None
            };
            prop_assert_eq!(Reference::parse(&text), expected);
        }
    }
}
