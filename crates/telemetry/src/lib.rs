//! Tells OpenTelemetry what happened: events become spans, spans go to a collector by OTLP over HTTP.
//!
//! ```text
//!  the run's thread                               a thread of our own
//!  event ─► SpanFold ─► finished span ─► bytes ─► queue ─► requests ─► POST …/v1/traces
//!           (open spans, bounded)                 (bounded: what does not fit is dropped and counted)
//! ```
//!
//! The only crate that knows OpenTelemetry. It makes no ids and decides no sampling: the executor did, before the
//! first request went out. A collector that is slow, full or dead costs the run nothing, and is told of once, by
//! [`Telemetry::finish`](sluicegate_events::Listener::finish). Nothing is connected or built before the first span ends.

mod attributes;
mod delivery;
mod evaluation;
mod fetch;
mod fold;
mod http;
mod listener;
mod model_call;
pub mod names;
mod node;
mod open;
mod queue;
mod request;
mod runs;
mod settings;
mod wire;

pub use evaluation::{CaseEvaluation, EvaluationResult};
pub use listener::Telemetry;
pub use settings::{FromVariables, Switch, TelemetrySettings, VARIABLES};
