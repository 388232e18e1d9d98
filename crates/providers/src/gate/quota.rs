//! What an endpoint says of its quota, in the headers of any answer.

use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::retry_after;

/// What is left of a quota. The headers are OpenAI's (`x-ratelimit-limit-tokens`, …), which Azure and many gateways send
/// too, and Anthropic's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Quota {
    pub(crate) requests: Option<Window>,
    pub(crate) tokens: Option<Window>,
}

/// What is left of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    /// Per minute.
    pub(crate) limit: Option<f64>,
    pub(crate) remaining: f64,
    /// Until there is all of it again.
    pub(crate) reset: Option<Duration>,
}

impl Quota {
    /// `None` if the headers say nothing of it.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Option<Self> {
        // Most endpoints say nothing, and every answer comes by here.
        if !headers.keys().any(|name| name.as_str().contains("ratelimit")) {
            return None;
        }
        let window = |what: &str| {
            let text = |name: String| headers.get(name)?.to_str().ok().map(str::trim);
            let each = |part: &str| {
                text(format!("x-ratelimit-{part}-{what}"))
                    .or_else(|| text(format!("anthropic-ratelimit-{what}-{part}")))
            };
            let number =
                |part: &str| each(part)?.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
            let reset = each("reset").and_then(retry_after::from_span);
            Some(Window { remaining: number("remaining")?, limit: number("limit").filter(|limit| *limit > 0.0), reset })
        };
        let quota = Self { requests: window("requests"), tokens: window("tokens") };
        (quota != Self::default()).then_some(quota)
    }

    /// The kind of which nothing is left.
    pub(crate) fn exhausted(&self) -> Option<(&'static str, Window)> {
        [("tokens", self.tokens), ("requests", self.requests)]
            .into_iter()
            .find_map(|(what, window)| Some((what, window.filter(|window| window.remaining < 1.0)?)))
    }
}

impl Window {
    /// Whether it is a minute's: some endpoints speak of a day's in the same words.
    pub(super) fn is_a_minute_s(&self) -> bool {
        self.reset.is_none_or(|reset| reset <= Duration::from_secs(90))
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn quota(headers: &[(&'static str, &'static str)]) -> Option<Quota> {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Quota::of_headers(&headers.collect())
    }

    #[test]
    fn a_quota_is_read_from_headers() {
        assert_eq!(quota(&[("x-request-id", "1")]), None);
        let open_ai = quota(&[
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        let window = |limit, remaining, reset| Window { limit, remaining, reset: Some(Duration::from_secs(reset)) };
        let expected =
            Quota { requests: Some(window(Some(60.0), 59.0, 1)), tokens: Some(window(Some(150_000.0), 0.0, 360)) };
        assert_eq!(open_ai.as_ref(), Some(&expected));
        assert_eq!(expected.exhausted().map(|(what, _)| what), Some("tokens"));
        assert_eq!(expected.tokens.map(|tokens| tokens.is_a_minute_s()), Some(false));
        let azure = quota(&[("x-ratelimit-remaining-tokens", "19913"), ("x-ratelimit-remaining-requests", "soon")]);
        let tokens = Some(Window { limit: None, remaining: 19_913.0, reset: None });
        assert_eq!(azure, Some(Quota { requests: None, tokens }));
        let anthropic =
            quota(&[("anthropic-ratelimit-requests-limit", "50"), ("anthropic-ratelimit-requests-remaining", "49")]);
        let requests = Some(Window { limit: Some(50.0), remaining: 49.0, reset: None });
        assert_eq!(anthropic, Some(Quota { requests, tokens: None }));
    }
}
