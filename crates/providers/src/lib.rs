//! How to reach a model: a [`Connection`] becomes a [`ChatModel`].
//!
//! ```text
//!  chat() ─► layers ─► gate: permit, pause, rate ─► transport ─┬─► http ─► azure_open_ai │ open_ai   (address, headers)
//!              ▲                                    (a trait)  │            chat::{request, reply, stream}  (wire)
//!              └── back-off, permit given back                 └─► simulated ─► the script engine of `model`
//! ```
//!
//! Each provider is a file that turns a request into its address and headers; the wire format is one for all of them.
//! Failures become [`ModelError`] in one place (`failure`), so that the layers never read a status. The simulated
//! provider goes through the same layers as the real ones.
//!
//! What the layers tell, in order: [`CallNotice::Queued`] when an attempt has to wait for a permit, a rate or a pause;
//! `AttemptStarted`; for a streamed reply `FirstChunk` once and `Chunk`s; `AttemptFailed` for every attempt that
//! failed, the last one too, with `retry_in: None`. A dropped future tells nothing more.
//!
//! Absent on purpose: the process environment (proxies come by [`Options`]), flows, events, the store.
//!
//! [`CallNotice::Queued`]: sluicegate_model::CallNotice::Queued

mod azure_open_ai;
mod chat;
mod client;
mod failure;
mod gate;
mod http;
mod layers;
mod open_ai;
mod retry_after;
mod simulated;
mod sse;
mod transport;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use sluicegate_config::{Connection, ConnectionKind};
use sluicegate_model::{ChatModel, ConnectionName, ModelError, Models};

use client::Clients;
use http::Http;
use layers::Layered;

pub use client::Options;
pub use simulated::read_script;

/// The models behind a set of connections.
pub struct Connected {
    slots: BTreeMap<ConnectionName, Slot>,
    clients: Arc<Clients>,
}

struct Slot {
    connection: Connection,
    model: OnceLock<Result<Arc<dyn ChatModel>, ModelError>>,
}

/// Connects: remembers what to do and does nothing yet. Addresses and scripts are read when a model is first asked
/// for; HTTP clients and TLS roots are loaded at the first call that needs them.
#[must_use]
pub fn connect(connections: Vec<Connection>, options: Options) -> Connected {
    let slot =
        |connection: Connection| (ConnectionName(connection.name.clone()), Slot { connection, model: OnceLock::new() });
    Connected { slots: connections.into_iter().map(slot).collect(), clients: Arc::new(Clients::new(options)) }
}

impl Models for Connected {
    fn chat(&self, connection: &ConnectionName) -> Result<Arc<dyn ChatModel>, ModelError> {
        let slot = self.slots.get(connection).ok_or_else(|| ModelError::NoSuchConnection {
            name: connection.to_string(),
            known: self.slots.keys().map(ToString::to_string).collect(),
        })?;
        slot.model.get_or_init(|| build(&slot.connection, &self.clients)).clone()
    }
}

fn build(connection: &Connection, clients: &Arc<Clients>) -> Result<Arc<dyn ChatModel>, ModelError> {
    let name = ConnectionName(connection.name.clone());
    Ok(match &connection.kind {
        ConnectionKind::AzureOpenAi { api_base, api_key, api_version, v1 } => {
            let dialect = azure_open_ai::dialect(&name, api_base, api_key.as_ref(), api_version.as_deref(), *v1)?;
            let http = Http::new(name, dialect, clients.clone(), connection.timeouts.clone());
            let about = http.about();
            Arc::new(Layered::new(http, about, connection))
        }
        ConnectionKind::OpenAi { base_url, api_key, organization } => {
            let dialect = open_ai::dialect(&name, base_url, api_key.as_ref(), organization.as_deref())?;
            let http = Http::new(name, dialect, clients.clone(), connection.timeouts.clone());
            let about = http.about();
            Arc::new(Layered::new(http, about, connection))
        }
        ConnectionKind::Simulated { script } => {
            let simulated = simulated::Simulated::load(name, script)?;
            let about = simulated.about();
            Arc::new(Layered::new(simulated, about, connection))
        }
        ConnectionKind::Other { type_name } => {
            return Err(ModelError::Unsupported {
                connection: connection.name.to_string(),
                what: format!("chat, for this version does not speak its type `{type_name}`"),
            });
        }
    })
}
