//! How many lines may fail.

use std::fmt;
use std::str::FromStr;

/// How many lines may fail without failing the batch: a number, or a share of all. None by default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaxFailures {
    /// So many.
    Lines(u64),
    /// So many of a hundred.
    Percent(f64),
}

impl Default for MaxFailures {
    fn default() -> Self {
        Self::Lines(0)
    }
}

impl MaxFailures {
    /// Whether so many of so many may fail.
    #[must_use]
    pub fn allows(self, failed: u64, total: u64) -> bool {
        match self {
            Self::Lines(most) => failed <= most,
            Self::Percent(most) => failed == 0 || failed as f64 * 100.0 <= most * total as f64,
        }
    }
}

impl FromStr for MaxFailures {
    type Err = String;

    /// Reads `5` or `2.5%`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is neither a number of lines, such as 5, nor a share of them, such as 2%");
        match text.trim().strip_suffix('%') {
            Some(share) => match share.trim().parse::<f64>() {
                Ok(share) if (0.0..=100.0).contains(&share) => Ok(Self::Percent(share)),
                _ => Err(wrong()),
            },
            None => text.trim().parse().map(Self::Lines).map_err(|_| wrong()),
        }
    }
}

impl fmt::Display for MaxFailures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lines(most) => write!(out, "{most}"),
            Self::Percent(share) => write!(out, "{share}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_and_a_number_of_lines() {
        let check = |text: &str, failed, total, allowed| {
            assert_eq!(
                text.parse::<MaxFailures>().unwrap().allows(failed, total),
                allowed,
                "{failed} of {total}, {text}"
            );
        };
        check("0", 0, 10, true);
        check("0", 1, 10, false);
        check("3", 3, 3, true);
        check("10%", 1, 10, true);
        check("10%", 2, 10, false);
        check("0%", 0, 0, true);
        check("2.5 %", 25, 1000, true);
        for wrong in ["-1", "many", "101%", "nan%", "%", ""] {
            assert!(wrong.parse::<MaxFailures>().is_err(), "{wrong}");
        }
    }
}
