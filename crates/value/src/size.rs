//! How many bytes something has, as people write it.
//!
//! ```text
//! size = number [ unit ]                       bytes: `1048576`; `512KiB`, `10 MB`, `1.5MiB`
//! unit = B | kB | KiB | MB | MiB | GB | GiB    in any case; `kB` is 1000 bytes, `KiB` 1024
//! ```

use crate::Value;

const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("b", 1),
    ("kb", 1000),
    ("kib", 1 << 10),
    ("mb", 1_000_000),
    ("mib", 1 << 20),
    ("gb", 1_000_000_000),
    ("gib", 1 << 30),
];

/// Digits after the point that can still count.
const MOST_DECIMALS: usize = 9;

/// Reads `512KiB`, `10MB`, or a number of bytes; `None` for another form, and for more than 64 bits of bytes.
#[must_use]
pub fn from_value(value: &Value) -> Option<u64> {
    match value {
        Value::Int(bytes) => u64::try_from(*bytes).ok(),
        Value::Str(text) => parse(text),
        _ => None,
    }
}

fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let unit = unit.trim_start().to_ascii_lowercase();
    let scale = u128::from(UNITS.iter().find(|(name, _)| *name == unit)?.1);
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let decimals = decimals.get(..MOST_DECIMALS).unwrap_or(decimals);
    // At most 10^9 times a gigabyte's 2^30: far below 2^128.
    let below_one = u128::from(decimals.parse::<u64>().ok()?) * scale / 10_u128.pow(decimals.len() as u32);
    let bytes = u128::from(whole.parse::<u64>().ok()?).checked_mul(scale)?.checked_add(below_one)?;
    u64::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_of_bytes_or_has_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("512KiB", 524_288),
            ("10MB", 10_000_000),
            ("10 mib", 10 << 20),
            ("7b", 7),
            ("1.5MiB", 1_572_864),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for text in ["", "MB", "1.", ".5MB", "1.2.3", "１", "-1", "1 M B", "1TB", "99999999999999999999"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("18446744073709551615KB"), None);
        assert_eq!(from_value(&Value::from(5_i64)), Some(5));
        assert_eq!(from_value(&Value::from(-5_i64)), None);
    }
}
