//! A token as a source gave it, and how long it lives.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::HeaderValue;
use sluicegate_config::Secret;
use sluicegate_value::{Value, json};
use tokio::time::Instant;

use super::sources::Trouble;

/// A token as a source gave it.
pub(super) struct Got {
    pub(super) secret: Secret,
    /// When it was asked for: its life began no earlier for all that we know.
    pub(super) since: Instant,
    /// How long it lives from then; `None` if nobody knows.
    pub(super) lifetime: Option<Duration>,
    /// Whether the source gives another.
    pub(super) renewable: bool,
    /// Whose it is, for people.
    pub(super) who: String,
    /// When it ends by the date that it bears; only of a token that is not renewed.
    pub(super) dated: Option<SystemTime>,
}

/// A life whose end is known only by a date that this machine's clock cannot confirm.
const DOUBTFUL: Duration = Duration::from_secs(300);

/// No token lives longer.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

impl Got {
    /// What stands in the header `Authorization`.
    pub(super) fn header(&self) -> Result<HeaderValue, Trouble> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.secret.expose()))
            .map_err(|_| Trouble::failed(format!("{} gave what is no token: it holds control characters", self.who)))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// When it ends, by this machine's clock.
    pub(super) fn ends(&self) -> Option<SystemTime> {
        self.dated.or_else(|| {
            let left = self.lifetime?.checked_sub(self.since.elapsed());
            left.map_or(Some(SystemTime::now()), |left| SystemTime::now().checked_add(left))
        })
    }
}

/// How long the token of an answer lives: by `expires_in`; else by `expires_on`, counted from the answer's own date;
/// else by the date that the token bears, which this machine's clock may misjudge.
pub(super) fn lifetime(answer: &Value, date: Option<SystemTime>, token: &str) -> Duration {
    if let Some(length) = seconds(answer.get("expires_in")) {
        return Duration::from_secs(u64::try_from(length).unwrap_or_default()).clamp(Duration::from_secs(1), LONGEST);
    }
    let end = seconds(answer.get("expires_on")).and_then(at).or_else(|| end_of(token));
    let left = end.and_then(|end| end.duration_since(date.unwrap_or_else(SystemTime::now)).ok());
    left.filter(|left| !left.is_zero()).unwrap_or(DOUBTFUL).min(LONGEST)
}

/// When a token ends by its own word, if it can be read (a JWT with `exp`).
pub(super) fn end_of(token: &str) -> Option<SystemTime> {
    at(seconds(claims(token)?.get("exp"))?)
}

/// What a JWT says of itself. Nobody's signature is checked: this is for people, and for its end.
pub(super) fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?).ok()?;
    json::read(&claims).ok().filter(|claims| claims.as_map().is_some())
}

/// A claim that is a text.
pub(super) fn claim<'c>(claims: Option<&'c Value>, names: &[&str]) -> Option<&'c str> {
    names.iter().find_map(|name| claims?.get(name)?.as_str()).filter(|text| !text.is_empty())
}

/// A moment for people, to the minute.
pub(super) fn moment(time: SystemTime) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => "an unknown time".to_owned(),
    }
}

/// Seconds as a number or as text; some endpoints send `"3599"`, some `3599.0`.
fn seconds(value: Option<&Value>) -> Option<i64> {
    let value = value?;
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates, and limits follow")]
    let of_number = |number: f64| number.is_finite().then_some(number as i64);
    value.as_int().or_else(|| of_number(value.as_number()?)).or_else(|| of_number(value.as_str()?.trim().parse().ok()?))
}

fn at(epoch: i64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(epoch).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    fn check_lifetime(answer: &str, date: Option<u64>, expected: u64) {
        let date = date.map(|date| SystemTime::UNIX_EPOCH + Duration::from_secs(date));
        let answer = json::read(answer).unwrap();
        assert_eq!(lifetime(&answer, date, "opaque"), Duration::from_secs(expected), "{answer:?}");
    }

    #[test]
    fn a_length_counts_whatever_any_clock_says() {
        check_lifetime(r#"{"expires_in": 3599}"#, None, 3599);
        check_lifetime(r#"{"expires_in": "3599", "expires_on": "12"}"#, None, 3599);
        check_lifetime(r#"{"expires_in": 3599.9}"#, None, 3599);
        check_lifetime(r#"{"expires_in": -5}"#, None, 1);
        check_lifetime(r#"{"expires_in": 1e300}"#, None, 30 * 86_400);
    }

    #[test]
    fn an_end_is_counted_from_the_date_of_the_answer() {
        check_lifetime(r#"{"expires_on": "4600"}"#, Some(1000), 3600);
        check_lifetime(r#"{"expires_on": 4600, "expires_in": ""}"#, Some(1000), 3600);
    }

    #[test]
    fn what_seems_to_be_over_is_tried_for_five_minutes() {
        check_lifetime(r#"{"expires_on": "900"}"#, Some(1000), 300);
        check_lifetime(r#"{"expires_on": "1/1/2030 12:00:00"}"#, Some(1000), 300);
        check_lifetime("{}", None, 300);
    }

    #[test]
    fn a_token_tells_its_end() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(end_of(&jwt(r#"{"exp": 1700000000}"#)), Some(end));
        assert_eq!(moment(end), "2023-11-14 22:13 UTC");
        for other in ["", "opaque", "a.b.c", "a.b.c.d", &jwt("[1]"), &jwt("{}"), &jwt(r#"{"exp": "soon"}"#)] {
            assert_eq!(end_of(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_a_token(text in "\\PC*", claims in "\\PC*") {
            let _ = (end_of(&text), end_of(&jwt(&claims)));
        }

        #[test]
        fn a_lifetime_is_never_nothing(length in any::<i64>(), end in any::<i64>(), date in 0..u64::from(u32::MAX)) {
            let date = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(date));
            for answer in [format!(r#"{{"expires_in": {length}}}"#), format!(r#"{{"expires_on": "{end}"}}"#)] {
                let life = lifetime(&json::read(&answer).unwrap(), date, "");
                prop_assert!(!life.is_zero() && life <= LONGEST);
            }
        }
    }
}
