//! A model's error as events tell it, with what one can do about it.

use sluicegate_events::Failure;
use sluicegate_model::ModelError;
use sluicegate_value::{Map, Value};

/// Among a failure's details: how often the connection tried.
const CALL_ATTEMPTS: &str = "call_attempts";

/// A model's error as events tell it, and after how many attempts the connection gave up, if it made several.
pub(crate) fn model_failure(error: &ModelError, attempts: u32) -> Failure {
    let mut failure = Failure::new(error.code(), error.to_string());
    failure.hint = hint(error);
    let mut details = Map::new();
    if attempts > 1 {
        details.insert(CALL_ATTEMPTS, i64::from(attempts));
    }
    if let ModelError::Rejected { parameter: Some(parameter), .. } = error {
        details.insert("parameter", parameter.as_str());
    }
    if !details.is_empty() {
        failure.details = Value::from(details);
    }
    failure
}

/// Whether a connection has tried more than once and given up.
pub(crate) fn was_given_up(failure: &Failure) -> bool {
    failure.details.get(CALL_ATTEMPTS).is_some()
}

fn hint(error: &ModelError) -> Option<String> {
    Some(match error {
        ModelError::NoSuchConnection { known, .. } if known.is_empty() => {
            "declare it under `connections` in config/config.yaml".to_owned()
        }
        ModelError::NoSuchConnection { known, .. } => {
            let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("known connections: {}", known.join(", "))
        }
        ModelError::KeyRefused { connection, status: 403, .. } => format!(
            "the endpoint knows who asks and does not let them: look at the roles of the key or identity of `{connection}` \
             there, and at the endpoint's network rules"
        ),
        ModelError::KeyRefused { connection, .. } => {
            format!("look at the key of `{connection}`: `sluicegate config show` tells where it comes from")
        }
        ModelError::NoIdentity { connection, .. } => format!(
            "make one of these credentials work, or give `{connection}` a key; `sluicegate connections test {connection}` \
             tries them again"
        ),
        ModelError::Forbidden { .. } => {
            "use another address, or allow this one under `http:` in config/config.yaml (`allow_hosts`, `allow_private`)".to_owned()
        },
        ModelError::UnknownModel { .. } => "look at the name of the deployment or model".to_owned(),
        ModelError::RateLimited { temporary: false, .. } => "the quota is used up; waiting does not help".to_owned(),
        ModelError::TooLong { .. } => "shorten the prompt, or use a model that takes more".to_owned(),
        ModelError::Rejected { parameter: Some(parameter), .. } => format!(
            "if the deployment does not take `{parameter}`, say so for it under the connection's `deployments:`, by \
             `drop: [{parameter}]` or `rename: {{{parameter}: …}}`; else change its value"
        ),
        ModelError::Unreachable { endpoint, .. } => format!("look whether {endpoint} is right and up"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint_of(error: &ModelError) -> String {
        model_failure(error, 1).hint.unwrap_or_default()
    }

    #[test]
    fn a_refused_key_and_a_refused_person_are_told_apart() {
        let refused = |status| ModelError::KeyRefused { connection: "aoai".to_owned(), status, message: String::new() };
        assert!(hint_of(&refused(401)).contains("config show"));
        assert!(hint_of(&refused(403)).contains("roles"));
    }

    #[test]
    fn a_refused_parameter_is_named_with_what_to_write() {
        let parameter = Some("max_tokens".to_owned());
        let error = ModelError::Rejected { status: 400, message: "unsupported".to_owned(), parameter };
        let hint = hint_of(&error);
        for words in ["`deployments:`", "`drop: [max_tokens]`", "`rename: {max_tokens: …}`"] {
            assert!(hint.contains(words), "{hint}");
        }
        let failure = model_failure(&error, 3);
        assert_eq!(failure.details.to_json(), r#"{"call_attempts":3,"parameter":"max_tokens"}"#);
        assert!(was_given_up(&failure));
        let error = ModelError::Rejected { status: 400, message: "odd".to_owned(), parameter: None };
        assert_eq!((model_failure(&error, 1).hint, model_failure(&error, 1).details), (None, Value::Null));
    }

    #[test]
    fn what_is_wrong_with_an_identity_or_an_address_says_what_to_do() {
        let (connection, message) = ("aoai".to_owned(), "nothing worked".to_owned());
        let error = ModelError::NoIdentity { connection, message, transient: false };
        assert!(hint_of(&error).contains("connections test aoai"));
        let (url, message) = ("http://10.0.0.1/".to_owned(), "private".to_owned());
        assert!(hint_of(&ModelError::Forbidden { url, message }).contains("allow this one"));
    }
}
