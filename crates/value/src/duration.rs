//! How long something takes, as people write it: one grammar for flows, settings and scripts.
//!
//! ```text
//! duration = number                      seconds: `90`, `0.5`
//!          | number unit { number unit } `1m 30s`, `500ms`; units from long to short, each once, blanks where one likes
//! unit     = h | m | min | s | ms
//! ```

use std::time::Duration;

use crate::Value;

/// Why something is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Another form.
    #[error("is no duration such as `500ms`, `10s` or `1m 30s`, or a number of seconds")]
    Malformed,
    /// More than 64 bits of seconds.
    #[error("is a longer time than can be counted")]
    TooLong,
}

/// Units from long to short, with their nanoseconds.
const UNITS: [(&[&str], u128); 4] =
    [(&["h"], 3_600_000_000_000), (&["m", "min"], 60_000_000_000), (&["s"], SECOND), (&["ms"], 1_000_000)];
const SECOND: u128 = 1_000_000_000;

/// Digits after the point that can still count: an hour's 18th is far below a nanosecond.
const MOST_DECIMALS: usize = 18;

/// Reads `500ms`, `10s`, `2m`, `1h`, `1m 30s`, or a number of seconds.
///
/// # Errors
/// Another form, or a time that cannot be counted.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    let mut nanoseconds: u128 = 0;
    let mut units_left = &UNITS[..];
    let mut is_first = true;
    loop {
        let (number, after) = split_at_end(rest, |letter| letter.is_ascii_digit() || letter == '.');
        let (unit, after) = split_at_end(after.trim_start(), |letter| letter.is_ascii_alphabetic());
        let scale = if is_first && unit.is_empty() && after.is_empty() {
            SECOND
        } else {
            let at = units_left.iter().position(|(words, _)| words.contains(&unit));
            let (at, (_, scale)) =
                at.and_then(|at| Some((at, *units_left.get(at)?))).ok_or(DurationError::Malformed)?;
            units_left = units_left.get(at + 1..).unwrap_or_default();
            scale
        };
        nanoseconds = nanoseconds.checked_add(scaled(number, scale)?).ok_or(DurationError::TooLong)?;
        is_first = false;
        rest = after.trim_start();
        if rest.is_empty() {
            break;
        }
    }
    let seconds = u64::try_from(nanoseconds / SECOND).map_err(|_| DurationError::TooLong)?;
    Ok(Duration::new(seconds, (nanoseconds % SECOND) as u32))
}

/// Reads a duration from a text ([`parse`]), or from a number of seconds.
///
/// # Errors
/// As for [`parse`]; a negative number, `nan`, and what is neither a text nor a number.
pub fn from_value(value: &Value) -> Result<Duration, DurationError> {
    match value {
        Value::Str(text) => parse(text),
        Value::Int(seconds) => u64::try_from(*seconds).map(Duration::from_secs).map_err(|_| DurationError::Malformed),
        number => match number.as_number() {
            Some(seconds) if seconds >= 0.0 => Duration::try_from_secs_f64(seconds).map_err(|_| DurationError::TooLong),
            _ => Err(DurationError::Malformed),
        },
    }
}

/// A decimal number times a whole one, rounded down.
fn scaled(number: &str, scale: u128) -> Result<u128, DurationError> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if decimals.contains('.') || (whole.is_empty() && decimals.is_empty()) {
        return Err(DurationError::Malformed);
    }
    let digits = |text: &str| if text.is_empty() { Ok(0) } else { text.parse().map_err(|_| DurationError::TooLong) };
    let decimals = decimals.get(..MOST_DECIMALS).unwrap_or(decimals);
    // At most 10^18 times an hour's 4·10^12: far below 2^128.
    let below_one = digits(decimals)? * scale / 10_u128.pow(decimals.len() as u32);
    let whole: u128 = digits(whole)?;
    whole.checked_mul(scale).and_then(|whole| whole.checked_add(below_one)).ok_or(DurationError::TooLong)
}

fn split_at_end(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|letter| !belongs(letter)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, milliseconds: u64) {
        assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
    }

    #[track_caller]
    fn check_refused(text: &str, error: DurationError) {
        assert_eq!(parse(text), Err(error), "{text}");
    }

    #[test]
    fn a_number_and_a_unit() {
        check("500ms", 500);
        check("10s", 10_000);
        check("1.5s", 1_500);
        check(".5s", 500);
        check("2m", 120_000);
        check("2min", 120_000);
        check(" 1 h ", 3_600_000);
    }

    #[test]
    fn several_from_long_to_short() {
        check("1m 30s", 90_000);
        check("1h30m", 5_400_000);
        check("1h 2m 3s 4ms", 3_723_004);
        check_refused("30s 1m", DurationError::Malformed);
        check_refused("1s 1s", DurationError::Malformed);
        check_refused("1m 30", DurationError::Malformed);
    }

    #[test]
    fn a_number_alone_is_seconds() {
        check("90", 90_000);
        check("0.25", 250);
        assert_eq!(from_value(&Value::Int(2)), Ok(Duration::from_secs(2)));
        assert_eq!(from_value(&Value::Float(0.5)), Ok(Duration::from_millis(500)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", " ", "s", ".", ".s", "1.2.3s", "-1s", "+1s", "1d", "1e3s", "ten s", "NaN", "inf", "1s,", "１s"]
        {
            check_refused(text, DurationError::Malformed);
        }
        check_refused(&format!("{}s", "9".repeat(60)), DurationError::TooLong);
        check_refused(&format!("{}h", u64::MAX), DurationError::TooLong);
        for value in [Value::Null, Value::Bool(true), Value::Int(-1), Value::Float(f64::NAN), Value::Float(-0.5)] {
            assert_eq!(from_value(&value), Err(DurationError::Malformed), "{value:?}");
        }
        assert_eq!(from_value(&Value::Float(f64::INFINITY)), Err(DurationError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9.]{0,50}[hmsin .0-9é]{0,30}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_written_is_read(hours in 0..1000_u64, minutes in 0..60_u64, seconds in 0..60_u64, ms in 0..1000_u64) {
            let expected = Duration::from_millis(((hours * 60 + minutes) * 60 + seconds) * 1000 + ms);
            prop_assert_eq!(parse(&format!("{hours}h {minutes}m {seconds}s {ms}ms")), Ok(expected));
            prop_assert_eq!(parse(&format!("{}ms", expected.as_millis())), Ok(expected));
            prop_assert_eq!(parse(&format!("{}.{ms:03}", expected.as_secs())), Ok(expected));
        }
    }
}
