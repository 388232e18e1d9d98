//! How long an endpoint asks to wait: by header, or in its words.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

/// Reads `retry-after-ms`, `x-ms-retry-after-ms` and `retry-after` (seconds or a date), the most exact first. A date is
/// measured by the clock of whoever wrote it, if the answer has its own `date`; else by this machine's.
pub(crate) fn from_headers(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let milliseconds = |name: &str| seconds(text(name)?.parse::<f64>().ok()? / 1000.0);
    milliseconds("retry-after-ms").or_else(|| milliseconds("x-ms-retry-after-ms")).or_else(|| {
        let value = text("retry-after")?;
        match value.parse::<f64>() {
            Ok(number) => seconds(number),
            Err(_) => {
                let now = text("date").and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
                Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default())
            }
        }
    })
}

/// Reads "retry after 20 seconds", "try again in 1.5s" and "replenished in 01:12:33": some endpoints say it only in words.
pub(crate) fn from_words(message: &str) -> Option<Duration> {
    let lower = message.to_lowercase();
    let after = |words: &[&str]| words.iter().find_map(|words| Some(lower.split_once(words)?.1));
    match after(&["replenished in "]) {
        Some(clock) => from_clock(clock),
        None => from_span(after(&["retry after ", "try again in "])?),
    }
}

/// Reads how long something takes from the beginning of a text: `1.5`, `20ms`, `6m0s`, `2 minutes`; seconds, if it does
/// not say.
pub(crate) fn from_span(text: &str) -> Option<Duration> {
    let mut rest = text.trim_start();
    let mut total = None;
    while rest.starts_with(|c: char| c.is_ascii_digit()) {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let number: f64 = number.trim_end_matches('.').parse().ok()?;
        let unit = after.trim_start();
        let end = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        let (unit, after) = unit.split_at(end);
        let factor = match unit {
            "ms" => 0.001,
            _ if unit.starts_with("milli") => 0.001,
            "m" => 60.0,
            _ if unit.starts_with("min") => 60.0,
            _ if unit.starts_with('h') => 3600.0,
            _ if unit.starts_with('d') => 86_400.0,
            _ => 1.0,
        };
        total = Some(total.unwrap_or(0.0) + number * factor);
        rest = after;
    }
    seconds(total?)
}

/// Reads `01:12:33`.
fn from_clock(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(text.len());
    let parts = text.get(..end)?.split(':').map(|part| part.parse::<f64>().ok());
    seconds(parts.reduce(|total, part| Some(total? * 60.0 + part?))??)
}

fn seconds(seconds: f64) -> Option<Duration> {
    // A wait of more than a year is a mistake of the endpoint's, and would overflow a clock.
    Duration::try_from_secs_f64(seconds).ok().filter(|wait| wait.as_secs() < 31_536_000)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    use super::{from_headers, from_words};

    fn check(headers: &[(&'static str, &'static str)], expected: Option<f64>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        // 1994-11-06T08:49:37Z
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(from_headers(&headers, now), expected.map(Duration::from_secs_f64));
    }

    #[test]
    fn headers_are_read_the_most_exact_first() {
        check(&[("retry-after", "2")], Some(2.0));
        check(&[("retry-after", "2"), ("retry-after-ms", "1500")], Some(1.5));
        check(&[("retry-after", "2"), ("x-ms-retry-after-ms", "250")], Some(0.25));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], Some(30.0));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0.0));
        // The endpoint's clock is an hour ahead.
        let ahead = ("date", "Sun, 06 Nov 1994 09:49:37 GMT");
        check(&[("retry-after", "Sun, 06 Nov 1994 09:50:07 GMT"), ahead], Some(30.0));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), ("date", "today")], Some(30.0));
        for nonsense in ["soon", "-1", "nan", "1e300", ""] {
            check(&[("retry-after", nonsense)], None);
        }
        check(&[], None);
    }

    #[test]
    fn words_are_read_where_headers_are_silent() {
        let seconds = |message: &str| from_words(message).map(|wait| wait.as_secs_f64());
        assert_eq!(seconds("Please retry after 20 seconds."), Some(20.0));
        assert_eq!(seconds("Please try again in 1.5s. Visit"), Some(1.5));
        assert_eq!(seconds("Try again in 20ms."), Some(0.02));
        assert_eq!(seconds("try again in 2."), Some(2.0));
        assert_eq!(seconds("try again in a while"), None);
        assert_eq!(seconds("too many requests"), None);
        assert_eq!(seconds("Rate limit reached. Please try again in 6m0.5s."), Some(360.5));
        assert_eq!(seconds("try again in 2 minutes"), Some(120.0));
        assert_eq!(seconds("Quota will be replenished in 01:12:33."), Some(4353.0));
        assert_eq!(seconds("replenished in a while"), None);
    }
}
