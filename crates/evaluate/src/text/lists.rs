//! Lists of answers, such as the entities that a flow found.

use std::collections::HashMap;

use super::normalize::Normalization;

/// How a list of answers stands to the expected one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListMatch {
    /// Both hold the same, each as often.
    pub exact: bool,
    /// All that was answered is expected. An empty answer is so, too: prompt flow's evaluator counts it, and where that
    /// is not wanted, `recall` tells.
    pub partial: bool,
    /// How many of the expected were answered.
    pub found: usize,
    /// Expected, and not answered.
    pub missing: Vec<String>,
    /// Answered, and not expected.
    pub extra: Vec<String>,
}

impl ListMatch {
    /// Which share of what was expected was answered, in 0..=1; 1 if nothing was expected.
    #[must_use]
    pub fn recall(&self) -> f64 {
        share(self.found, self.missing.len())
    }

    /// Which share of what was answered was expected, in 0..=1; 1 if nothing was answered.
    #[must_use]
    pub fn precision(&self) -> f64 {
        share(self.found, self.extra.len())
    }
}

/// How lists are compared. The default is prompt flow's entity match: case and order do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRules {
    /// How their items are compared.
    pub normalization: Normalization,
    /// Whether an exact match needs the same order.
    pub ordered: bool,
}

impl Default for ListRules {
    fn default() -> Self {
        Self { normalization: Normalization::Case, ordered: false }
    }
}

/// Compares two lists.
#[must_use]
pub fn list_match<A: AsRef<str>, E: AsRef<str>>(answers: &[A], expected: &[E], rules: ListRules) -> ListMatch {
    let answers_key: Vec<_> = answers.iter().map(|item| rules.normalization.apply(item.as_ref())).collect();
    let expected_key: Vec<_> = expected.iter().map(|item| rules.normalization.apply(item.as_ref())).collect();
    let mut left: HashMap<&str, usize> = HashMap::new();
    for key in &expected_key {
        *left.entry(key).or_default() += 1;
    }
    // An answer that is expected once and given twice is partial still, as in prompt flow, but the second one is extra.
    let partial = answers_key.iter().all(|key| left.contains_key(&**key));
    let mut extra = Vec::new();
    let mut found = 0;
    for (answer, key) in answers.iter().zip(&answers_key) {
        match left.get_mut(&**key).filter(|count| **count > 0) {
            Some(count) => {
                *count -= 1;
                found += 1;
            }
            None => extra.push(answer.as_ref().to_owned()),
        }
    }
    let mut missing = Vec::new();
    for (item, key) in expected.iter().zip(&expected_key).rev() {
        if let Some(count) = left.get_mut(&**key).filter(|count| **count > 0) {
            *count -= 1;
            missing.push(item.as_ref().to_owned());
        }
    }
    missing.reverse();
    let same = missing.is_empty() && extra.is_empty();
    ListMatch { exact: same && (!rules.ordered || answers_key == expected_key), partial, found, missing, extra }
}

/// Reads a list from one text, as prompt flow's entity samples do: parted by commas, blanks, full stops and double
/// quotes taken from the ends of each item, empty items dropped.
#[must_use]
pub fn split_list(text: &str) -> Vec<&str> {
    text.split(',')
        .map(|item| item.trim_matches([' ', '\t', '\n', '\r', '.', '"']))
        .filter(|item| !item.is_empty())
        .collect()
}

fn share(part: usize, rest: usize) -> f64 {
    if part + rest == 0 { 1.0 } else { part as f64 / (part + rest) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answers: &[&str], expected: &[&str], exact: bool, partial: bool) {
        let found = list_match(answers, expected, ListRules::default());
        assert_eq!((found.exact, found.partial), (exact, partial), "{answers:?} {expected:?}");
    }

    #[test]
    fn case_and_order_do_not_count() {
        check(&["Ada", "BOB"], &["bob", "ada"], true, true);
        check(&["Ada"], &["bob", "ada"], false, true);
        check(&["Ada", "Eve"], &["bob", "ada"], false, false);
        check(&[], &["ada"], false, true);
        check(&[], &[], true, true);
        check(&["ada", "ada"], &["ada"], false, true);
    }

    #[test]
    fn order_counts_where_it_is_asked_for() {
        let rules = ListRules { normalization: Normalization::Raw, ordered: true };
        assert!(!list_match(&["a", "b"], &["b", "a"], rules).exact);
        assert!(list_match(&["b", "a"], &["b", "a"], rules).exact);
    }

    #[test]
    fn what_is_missing_and_what_is_extra_is_named() {
        let found = list_match(&["Ada", "Eve", "ada"], &["ada", "Bob", "Cid"], ListRules::default());
        assert_eq!(found.missing, ["Bob", "Cid"]);
        assert_eq!(found.extra, ["Eve", "ada"]);
        assert_eq!((found.recall(), found.precision()), (1.0 / 3.0, 1.0 / 3.0));
    }

    #[test]
    fn a_text_is_read_as_a_list() {
        assert_eq!(split_list(" \"Ada Lovelace\", Bob.,, \n"), ["Ada Lovelace", "Bob"]);
        assert!(split_list("").is_empty());
    }
}
