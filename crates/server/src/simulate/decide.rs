//! What is done with a request: everything that needs neither waiting nor a socket.

use std::sync::Arc;
use std::time::Instant;

use sluicegate_model::FilterState;
use sluicegate_model::script::{Asked, Failure, Occasion, Outcome, Reply, Turn, Vectors};
use sluicegate_value::{Map, Value};

use super::body::{Act, Answer, Decision, Said};
use super::dialect::{About, chat, completions, embeddings, messages, models, responses};
use super::failure;
use super::heard::{self, Texts};
use super::limits::Standing;
use super::route::{Flavour, Operation, Route};
use super::{Shared, since_epoch};

/// Decides what is done with a request, and tells for which model it is.
pub(super) fn decide(shared: &Shared, route: &Route, path: &str, body: &[u8]) -> (Option<Arc<str>>, Decision) {
    if !route.has_body() {
        return (None, Decision::at_once(models::answer(shared, &route.operation)));
    }
    let refused = |failure: &Failure| Decision::at_once(failure::answer(route.flavour, failure));
    let value = match heard::read(body) {
        Ok(value) => value,
        Err(failure) => return (None, refused(&failure)),
    };
    let Some(map) = value.as_map() else {
        return (None, refused(&Failure::new(400, "the body must be a JSON object")));
    };
    let model: Arc<str> = match (&route.deployment, map.get("model").and_then(Value::as_str)) {
        (Some(deployment), _) => deployment.as_str().into(),
        (None, Some(model)) => model.into(),
        (None, None) if route.needs_model => {
            let failure = Failure::new(400, "you must provide a model parameter");
            return (None, refused(&Failure { parameter: Some("model".into()), ..failure }));
        }
        (None, None) => shared.name.clone(),
    };
    let request = Request { shared, route, path, bytes: body, model: &model, body: map };
    let decision = request.decide().unwrap_or_else(|failure| refused(&failure));
    (Some(model), decision)
}

/// A request that has been read.
struct Request<'a> {
    shared: &'a Shared,
    route: &'a Route,
    path: &'a str,
    bytes: &'a [u8],
    model: &'a str,
    body: &'a Map,
}

impl Request<'_> {
    fn decide(&self) -> Result<Decision, Failure> {
        match self.route.operation {
            Operation::Embeddings => self.embeddings(&heard::embeddings(self.model, self.body)?),
            Operation::CountTokens => {
                let asked = heard::messages_of_anthropic(self.model, self.body)?;
                Ok(Decision::at_once(Answer::json(200, &messages::count(asked.estimated_tokens()))))
            }
            Operation::Completions => self.reply(&heard::completion(self.model, self.body)?),
            Operation::Responses => self.reply(&heard::response(self.model, self.body)?),
            Operation::Messages => self.reply(&heard::messages_of_anthropic(self.model, self.body)?),
            _ => self.reply(&heard::chat(self.model, self.body)?),
        }
    }

    fn reply(&self, asked: &Asked<'_>) -> Result<Decision, Failure> {
        let (streams, choices) = (heard::streams(self.body)?, heard::choices(self.body)?);
        let turn = self.shared.script.answer(asked, self.occasion());
        let answered = match &turn.outcome {
            Outcome::Reply(reply) => reply.usage.output_tokens.unwrap_or_default(),
            _ => 0,
        };
        let may_have = heard::most_tokens(self.body).unwrap_or(answered);
        Ok(self.conclude(turn, asked.estimated_tokens().saturating_add(may_have), |reply| {
            let is_stopped = reply.filter.as_ref().filter(|filter| filter.state == FilterState::Input);
            if let Some(filter) = is_stopped {
                return failure::filtered(self.route.flavour, filter);
            }
            Answer::of(200, self.say(reply, streams, choices))
        }))
    }

    fn say(&self, reply: &Reply, streams: bool, choices: usize) -> Said {
        let about = About {
            model: self.model,
            created: since_epoch().as_secs(),
            // Annotations of content filters are Azure's habit; elsewhere they come only where a script has a filter.
            annotates: self.route.flavour == Flavour::Azure || reply.filter.is_some(),
            body: self.body,
        };
        match (&self.route.operation, streams) {
            (Operation::Completions, false) => Said::json(&completions::whole(&about, reply)),
            (Operation::Completions, true) => {
                Said::Events(completions::events(&about, reply, heard::includes_usage(self.body)))
            }
            (Operation::Responses, false) => responses::whole(&about, reply),
            (Operation::Responses, true) => Said::Events(responses::events(&about, reply)),
            (Operation::Messages, false) => Said::json(&messages::whole(&about, reply)),
            (Operation::Messages, true) => Said::Events(messages::events(&about, reply)),
            (_, false) => Said::json(&chat::whole(&about, reply, choices)),
            (_, true) => Said::Events(chat::events(&about, reply, choices, heard::includes_usage(self.body))),
        }
    }

    fn embeddings(&self, texts: &Texts<'_>) -> Result<Decision, Failure> {
        let turn = self.shared.script.embed(&texts.asked, &texts.texts, texts.dimensions, self.occasion());
        Ok(self.conclude(turn, texts.asked.estimated_tokens(), |vectors: &Vectors| {
            Answer::json(200, &embeddings::whole(self.model, vectors, texts.as_base64))
        }))
    }

    /// Which attempt this is; every line of a batch is a request of its own here.
    fn occasion(&self) -> Occasion {
        let attempt = self.shared.attempts.as_ref().map_or(1, |attempts| attempts.count(self.path, self.bytes));
        Occasion { attempt, ..Occasion::default() }
    }

    fn conclude<R>(&self, turn: Turn<R>, tokens: u64, tell: impl FnOnce(&R) -> Answer) -> Decision {
        let standing = self.take(tokens);
        if let Some(standing @ Standing { refused: Some((wait, what)), .. }) = standing {
            let refused = failure::over_the_limit(self.route.flavour, self.model, wait, what);
            return Decision::at_once(failure::with_standing(refused, &standing));
        }
        let mut streams = false;
        let act = match &turn.outcome {
            Outcome::Reply(reply) => {
                let answer = tell(reply);
                streams = matches!(answer.said, Said::Events(_));
                Act::Answer(answer)
            }
            Outcome::Failure(failure) => Act::Answer(failure::answer(self.route.flavour, failure)),
            Outcome::Unscripted(asked) => {
                let message = format!("the script has no reply for this request: {asked}");
                let failure = Failure { code: Some("unscripted".into()), ..Failure::new(400, message) };
                Act::Answer(failure::answer(self.route.flavour, &failure))
            }
            Outcome::Reset => Act::Reset,
            Outcome::Hang => Act::Hang,
        };
        let act = match act {
            // What comes in one piece is cut before it comes.
            Act::Answer(_) if turn.cut_after.is_some() && !streams => Act::Reset,
            Act::Answer(answer) => Act::Answer(match &standing {
                Some(standing) => failure::with_standing(answer, standing),
                None => answer,
            }),
            act => act,
        };
        Decision {
            delay: self.shared.latency.unwrap_or(turn.delay),
            chunk_delay: turn.chunk_delay,
            cut_after: turn.cut_after,
            act,
        }
    }

    /// Takes the request out of what the model still allows; names that are not served have no limits to keep.
    fn take(&self, tokens: u64) -> Option<Standing> {
        let ledger = self.shared.ledger.as_ref().filter(|_| self.shared.script.serves(self.model))?;
        Some(ledger.take(self.model, tokens, Instant::now()))
    }
}
