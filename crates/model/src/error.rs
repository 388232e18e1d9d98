//! Why a call failed, without a word of HTTP: retry rules and messages read facts, not status codes.

use std::time::Duration;

/// Why a model gave no reply.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// No connection of this name.
    #[error("there is no connection `{name}`")]
    NoSuchConnection {
        /// The name asked for.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// The connection's settings cannot work (an empty key, a malformed address, an unreadable script).
    #[error("connection `{connection}`: {message}")]
    Misconfigured {
        /// Which connection.
        connection: String,
        /// What is wrong with it.
        message: String,
    },
    /// What was asked does not exist in this dialect.
    #[error("connection `{connection}` does not offer {what}")]
    Unsupported {
        /// Which connection.
        connection: String,
        /// What was asked, such as "completions".
        what: String,
    },
    /// The endpoint refused the key or identity (401, 403).
    #[error("connection `{connection}` refused the key ({status}): {}", said(message))]
    KeyRefused {
        /// Which connection.
        connection: String,
        /// The status of the answer.
        status: u16,
        /// The endpoint's own words.
        message: String,
    },
    /// The endpoint does not have this model or deployment (404).
    #[error("connection `{connection}` has no model or deployment `{model}`: {}", said(message))]
    UnknownModel {
        /// Which connection.
        connection: String,
        /// The model or deployment asked for.
        model: String,
        /// The endpoint's own words.
        message: String,
    },
    /// Too many requests or tokens (429), or overloaded.
    #[error("rate limited{}: {}", until(*retry_after), said(message))]
    RateLimited {
        /// How long to wait, if the endpoint said so.
        retry_after: Option<Duration>,
        /// False when waiting does not help (`insufficient_quota`).
        temporary: bool,
        /// The endpoint's own words.
        message: String,
    },
    /// The request has more tokens than the model takes.
    #[error("the request is too long: {}", said(message))]
    TooLong {
        /// The endpoint's own words, which name the limit.
        message: String,
    },
    /// The identity that the connection is used under could not be had, or the endpoint refused it.
    #[error("connection `{connection}` has no identity to use: {message}")]
    NoIdentity {
        /// Which connection.
        connection: String,
        /// What was tried, in order, and why each failed.
        message: String,
        /// Whether it may be had a moment later: whoever gives out tokens failed or was out of reach.
        transient: bool,
    },
    /// A flow asked for an address that the settings forbid.
    #[error("{url} may not be called: {message}")]
    Forbidden {
        /// The address without its query.
        url: String,
        /// What forbids it.
        message: String,
    },
    /// The endpoint refused the request for another reason (4xx).
    #[error("the endpoint refused the request ({status}): {}", said(message))]
    Rejected {
        /// The status of the answer.
        status: u16,
        /// The endpoint's own words.
        message: String,
        /// The parameter that it names, if any.
        parameter: Option<String>,
    },
    /// The endpoint failed (5xx, 408).
    #[error("the endpoint failed ({status}): {}", said(message))]
    ServerFailed {
        /// The status of the answer.
        status: u16,
        /// How long to wait, if the endpoint said so.
        retry_after: Option<Duration>,
        /// The endpoint's own words.
        message: String,
    },
    /// Nobody answered at the address, or the connection broke before the answer.
    #[error("cannot reach {endpoint}: {message}")]
    Unreachable {
        /// Scheme, host and port.
        endpoint: String,
        /// What the network said.
        message: String,
    },
    /// No answer in time.
    #[error("no {phase} within {}", rounded(*after))]
    TimedOut {
        /// What was waited for.
        phase: Phase,
        /// How long.
        after: Duration,
    },
    /// The reply is not what the dialect promises.
    #[error("the endpoint's reply makes no sense: {message}")]
    Malformed {
        /// What was wrong, with a short excerpt.
        message: String,
    },
    /// A streamed reply ended before its end.
    #[error("the reply broke off: {message}")]
    StreamBroken {
        /// What was seen last.
        message: String,
        /// Whether a piece of the reply was passed on already; then nobody may retry.
        passed_on: bool,
    },
    /// The simulated model's script has no answer.
    #[error("the script of connection `{connection}` has no reply for this request: {message}")]
    Unscripted {
        /// Which connection.
        connection: String,
        /// What was asked, shortened.
        message: String,
    },
    /// A cassette is replayed, and this call is not on it.
    #[error("not recorded: {message}")]
    NotRecorded {
        /// What was asked where, and how it differs from the nearest that is recorded.
        message: String,
    },
}

/// What a call was waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A connection.
    Connect,
    /// The first byte of the answer.
    FirstByte,
    /// The whole answer.
    Total,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Connect => "connection",
            Self::FirstByte => "first byte of a reply",
            Self::Total => "complete reply",
        })
    }
}

impl ModelError {
    /// A stable name for machines: spans (`error.type`), events, tests.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSuchConnection { .. } => "no_such_connection",
            Self::Misconfigured { .. } => "misconfigured",
            Self::Unsupported { .. } => "unsupported",
            Self::KeyRefused { .. } => "key_refused",
            Self::UnknownModel { .. } => "unknown_model",
            Self::RateLimited { .. } => "rate_limited",
            Self::TooLong { .. } => "too_long",
            Self::NoIdentity { .. } => "no_identity",
            Self::Forbidden { .. } => "forbidden",
            Self::Rejected { .. } => "rejected",
            Self::ServerFailed { .. } => "server_failed",
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed_out",
            Self::Malformed { .. } => "malformed_reply",
            Self::StreamBroken { .. } => "stream_broken",
            Self::Unscripted { .. } => "unscripted",
            Self::NotRecorded { .. } => "not_recorded",
        }
    }

    /// Whether the same request may succeed a moment later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { temporary, .. } => *temporary,
            Self::StreamBroken { passed_on, .. } => !passed_on,
            Self::NoIdentity { transient, .. } => *transient,
            Self::ServerFailed { .. } | Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            _ => false,
        }
    }

    /// How long the endpoint asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::ServerFailed { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// What an endpoint said; many say nothing.
fn said(message: &str) -> &str {
    if matches!(message.trim(), "" | "{}" | "[]" | "null") { "it said no more" } else { message }
}

fn until(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| format!(", retry after {}", rounded(wait)))
}

/// A duration with as many digits as matter: `20 ms`, `1.5 s`, `90 s`, `10 min`, `24 h`.
fn rounded(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        ..0.995 => format!("{:.0} ms", seconds * 1000.0),
        ..9.95 => format!("{} s", (seconds * 10.0).round() / 10.0),
        ..119.5 => format!("{seconds:.0} s"),
        ..7170.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.0} h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_as_many_digits_as_matter() {
        let check = |milliseconds: f64, expected: &str| {
            let after = Duration::from_secs_f64(milliseconds / 1000.0);
            let error = ModelError::TimedOut { phase: Phase::Total, after };
            assert_eq!(error.to_string(), format!("no complete reply within {expected}"));
        };
        check(20.4, "20 ms");
        check(999.435_323, "1 s");
        check(1_499.999, "1.5 s");
        check(3_000.0, "3 s");
        check(119_400.0, "119 s");
        check(600_000.0, "10 min");
        check(86_400_000.0, "24 h");
    }

    #[test]
    fn a_rate_limit_says_until_when() {
        let limited = |retry_after, message: &str| {
            ModelError::RateLimited { retry_after, temporary: true, message: message.to_owned() }.to_string()
        };
        let day = Some(Duration::from_secs(86_400));
        assert_eq!(limited(day, "slow down"), "rate limited, retry after 24 h: slow down");
        assert_eq!(limited(None, "slow down"), "rate limited: slow down");
        assert_eq!(limited(None, "{}"), "rate limited: it said no more");
        assert_eq!(limited(None, ""), "rate limited: it said no more");
    }
}
