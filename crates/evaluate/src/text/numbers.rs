//! Numbers that are near enough.

/// How far a number may be from the expected one: near enough by either measure is near enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// In the numbers' own unit.
    pub absolute: f64,
    /// As a share of the expected number.
    pub relative: f64,
}

impl Default for Tolerance {
    /// One part in a billion: room for how floats are computed, and for nothing else.
    fn default() -> Self {
        Self { absolute: 0.0, relative: 1e-9 }
    }
}

/// Whether `actual` is `expected`, or no further from it than allowed. `nan` is near nothing; an infinity is near
/// itself alone.
#[must_use]
pub fn is_near(actual: f64, expected: f64, tolerance: Tolerance) -> bool {
    if actual == expected {
        return true;
    }
    if !actual.is_finite() || !expected.is_finite() {
        return false;
    }
    (actual - expected).abs() <= tolerance.absolute.max(tolerance.relative * expected.abs())
}

/// Reads a number as people and models write one: blanks around it, a sign, thousands parted by commas, a leading
/// currency sign, a trailing percent sign (which divides by 100) or full stop. `None` for anything else, words around
/// the number too.
#[must_use]
pub fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let text = text.strip_suffix('.').unwrap_or(text).trim_end();
    let (negative, text) = match text.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let text = text.strip_prefix(['$', '€', '£', '¥']).unwrap_or(text).trim_start();
    let (text, divisor) = match text.strip_suffix('%') {
        Some(rest) => (rest.trim_end(), 100.0),
        None => (text, 1.0),
    };
    // What `f64` reads beyond digits ("inf", "nan", a second sign) is no number here.
    if !text.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let number: f64 = without_commas(text)?.parse().ok()?;
    number.is_finite().then_some(if negative { -number } else { number } / divisor)
}

/// Takes the commas out, if they part groups of three digits.
fn without_commas(text: &str) -> Option<String> {
    let whole = text.split(['.', 'e', 'E']).next().unwrap_or(text);
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let mut grouped = true;
    let mut many = false;
    for group in groups {
        many = true;
        grouped &= group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit());
    }
    if many && !(grouped && (1..=3).contains(&first.len())) {
        return None;
    }
    Some(whole.replace(',', "") + text.strip_prefix(whole)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_tolerance_is_enough() {
        let tolerance = Tolerance { absolute: 0.5, relative: 0.01 };
        for (actual, expected, near) in [
            (10.4, 10.0, true),
            (10.6, 10.0, false),
            (1009.0, 1000.0, true),
            (1011.0, 1000.0, false),
            (-0.5, 0.0, true),
            (f64::NAN, f64::NAN, false),
            (f64::INFINITY, f64::INFINITY, true),
            (f64::INFINITY, f64::MAX, false),
        ] {
            assert_eq!(is_near(actual, expected, tolerance), near, "{actual} {expected}");
        }
        assert!(is_near(0.1 + 0.2, 0.3, Tolerance::default()));
        assert!(!is_near(0.0, 1e-300, Tolerance::default()));
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, expected) in [
            (" 42 ", Some(42.0)),
            ("-1,234,567.5", Some(-1_234_567.5)),
            ("$3.50", Some(3.5)),
            ("-€3", Some(-3.0)),
            ("12.5 %", Some(0.125)),
            ("7.", Some(7.0)),
            (".5", Some(0.5)),
            ("1e3", Some(1000.0)),
            ("\u{2212}2", Some(-2.0)),
            ("1,23", None),
            ("1234,567", None),
            ("--1", None),
            ("inf", None),
            ("nan", None),
            ("1e999", None),
            ("about 3", None),
            ("", None),
        ] {
            assert_eq!(parse_number(text), expected, "{text:?}");
        }
    }
}
