//! Comparators: the one grammar in which limits are written.
//!
//! ```text
//! comparator = [ ">=" | ">" | "<=" | "<" ] limit
//! limit      = number          `>= 0.80`
//!            | number "%"      `<= 2%`, a share
//!            | duration        `<= 2500ms`, `<= 2.5s`; also `<= 90d`
//!            | number "x"      `<= 1.15x`, as a multiple of the baseline
//!            | "$" number      `<= $0.40`, US dollars
//! ```

use std::fmt;
use std::time::Duration;

/// An order, and what to compare with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparator {
    /// The order.
    pub order: Order,
    /// What to compare with.
    pub limit: Limit,
}

/// Which side of the limit is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `>=`
    AtLeast,
    /// `>`
    Above,
    /// `<=`
    AtMost,
    /// `<`
    Below,
}

/// A number with its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// A plain number, or one of dollars.
    Number(f64),
    /// A share, written in percent: `2%` is 0.02.
    Percent(f64),
    /// A time, in milliseconds.
    Milliseconds(f64),
    /// A multiple of the baseline's value.
    OfBaseline(f64),
}

/// Why a text is no comparator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComparatorError {
    /// It does not begin with an order.
    #[error("begins with none of `>=`, `>`, `<=`, `<`")]
    NoOrder,
    /// It demands equality, which no estimate can show.
    #[error("asks for equality, which a measurement cannot show; use `>=` or `<=`")]
    Equality,
    /// What follows is no number.
    #[error("`{0}` is no number such as `0.8`, `2%`, `2500ms`, `1.15x` or `$0.40`")]
    NoNumber(String),
}

/// One day, in milliseconds.
const DAY: f64 = 86_400_000.0;

impl Comparator {
    /// At least a plain number.
    #[must_use]
    pub fn at_least(number: f64) -> Self {
        Self { order: Order::AtLeast, limit: Limit::Number(number) }
    }

    /// At most a plain number.
    #[must_use]
    pub fn at_most(number: f64) -> Self {
        Self { order: Order::AtMost, limit: Limit::Number(number) }
    }

    /// Reads a comparator.
    ///
    /// # Errors
    /// Another form.
    pub fn parse(text: &str) -> Result<Self, ComparatorError> {
        let text = text.trim();
        const ORDERS: [(&str, Order); 6] = [
            (">=", Order::AtLeast),
            ("<=", Order::AtMost),
            ("≥", Order::AtLeast),
            ("≤", Order::AtMost),
            (">", Order::Above),
            ("<", Order::Below),
        ];
        let Some((rest, order)) = ORDERS.iter().find_map(|(sign, order)| Some((text.strip_prefix(sign)?, *order)))
        else {
            return Err(if text.starts_with('=') || text.starts_with("!=") {
                ComparatorError::Equality
            } else {
                ComparatorError::NoOrder
            });
        };
        let rest = rest.trim();
        limit(rest).map(|limit| Self { order, limit }).ok_or_else(|| ComparatorError::NoNumber(rest.to_owned()))
    }

    /// Whether a value is on the good side; the value is in the limit's own unit (a share, milliseconds, a multiple).
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        match self.order {
            Order::AtLeast => value >= self.number(),
            Order::Above => value > self.number(),
            Order::AtMost => value <= self.number(),
            Order::Below => value < self.number(),
        }
    }

    /// The limit's number: a share for percents, milliseconds for times.
    #[must_use]
    pub fn number(&self) -> f64 {
        match self.limit {
            Limit::Number(number)
            | Limit::Percent(number)
            | Limit::Milliseconds(number)
            | Limit::OfBaseline(number) => number,
        }
    }

    /// Whether more is better.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        matches!(self.order, Order::AtLeast | Order::Above)
    }

    /// Whether the limit is a multiple of the baseline.
    #[must_use]
    pub fn is_of_baseline(&self) -> bool {
        matches!(self.limit, Limit::OfBaseline(_))
    }
}

fn limit(text: &str) -> Option<Limit> {
    let number = |text: &str| -> Option<f64> {
        let text = text.trim();
        // `f64::from_str` takes `inf` and `nan` too, which limit nothing.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        text.parse().ok().filter(|number: &f64| digits && number.is_finite())
    };
    if let Some(plain) = number(text.strip_prefix('$').unwrap_or(text)) {
        return Some(Limit::Number(plain));
    }
    if let Some(percent) = text.strip_suffix('%') {
        return number(percent).map(|percent| Limit::Percent(percent / 100.0));
    }
    if let Some(multiple) = text.strip_suffix(['x', '×']) {
        return number(multiple).filter(|multiple| *multiple > 0.0).map(Limit::OfBaseline);
    }
    if let Some(days) = text.strip_suffix('d') {
        return number(days).filter(|days| *days >= 0.0).map(|days| Limit::Milliseconds(days * DAY));
    }
    // From whole nanoseconds, so that 1001 ms are not 1000.9999.
    let milliseconds = |time: Duration| Limit::Milliseconds(time.as_nanos() as f64 / 1e6);
    sluicegate_value::duration::parse(text).ok().map(milliseconds)
}

impl fmt::Display for Order {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::AtLeast => ">=",
            Self::Above => ">",
            Self::AtMost => "<=",
            Self::Below => "<",
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(out, "{number}"),
            // Rounded, since 0.07 · 100 is no 7; far finer than anybody writes.
            Self::Percent(share) => write!(out, "{}%", (share * 1e12).round() / 1e10),
            Self::Milliseconds(number) if *number > 0.0 && number % DAY == 0.0 => write!(out, "{}d", number / DAY),
            Self::Milliseconds(number) => write!(out, "{number}ms"),
            Self::OfBaseline(number) => write!(out, "{number}x"),
        }
    }
}

impl fmt::Display for Comparator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.order, self.limit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = Comparator::parse(text).map_or_else(|error| format!("error: {error}"), |read| read.to_string());
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn one_grammar_for_all_limits() {
        check(">= 0.80", ">= 0.8");
        check(">=4", ">= 4");
        check(" < -1e-3 ", "< -0.001");
        check("<= 2%", "<= 2%");
        check("≤ 7 %", "<= 7%");
        check("<= 2500ms", "<= 2500ms");
        check("<= 2.5s", "<= 2500ms");
        check("<= 1.15x", "<= 1.15x");
        check("<= $0.004", "<= 0.004");
    }

    #[test]
    fn what_limits_nothing_is_refused() {
        check("0.8", "error: begins with none of `>=`, `>`, `<=`, `<`");
        check("== 0.8", "error: asks for equality, which a measurement cannot show; use `>=` or `<=`");
        for text in [">=", ">= high", ">= inf", ">= NaN", ">= 1 2", "<= 0x", "<= -1x", "=> 1", "<= 1e999"] {
            assert!(Comparator::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_limit_itself_is_good_only_where_it_is_meant_to_be() {
        let holds = |text: &str, value| Comparator::parse(text).expect("a comparator").holds(value);
        assert!(holds(">= 0.8", 0.8) && !holds("> 0.8", 0.8) && holds("<= 2%", 0.02) && !holds("< 2%", 0.02));
        assert!(!holds(">= 0.8", f64::NAN) && !holds("<= 0.8", f64::NAN));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(order in 0..4_usize, number in -1e6..1e6_f64, unit in 0..3_usize) {
            let order = [Order::AtLeast, Order::Above, Order::AtMost, Order::Below][order];
            let limit = [Limit::Number(number), Limit::Milliseconds(number.abs().trunc()), Limit::OfBaseline(number.abs() + 1.0)][unit];
            let comparator = Comparator { order, limit };
            prop_assert_eq!(Comparator::parse(&comparator.to_string()), Ok(comparator));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Comparator::parse(&text);
        }
    }
}
