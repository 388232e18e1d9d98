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
//! `AttemptStarted`; `Adapted` when the endpoint refused a parameter and the same attempt is sent without it (`adapt`,
//! between gate and transport), once for a deployment; for a streamed reply `FirstChunk` once and `Chunk`s;
//! `AttemptFailed` for every attempt that failed, the last one too, with `retry_in: None`. A dropped future tells nothing
//! more.
//!
//! With [`ProviderBatches`], chat calls take another way: not through the layers, but into files that the provider answers
//! within a day (`batch_api`).
//!
//! Absent on purpose: the process environment (proxies come by [`Options`]), flows, events, the store.
//!
//! [`CallNotice::Queued`]: sluicegate_model::CallNotice::Queued

mod adapt;
mod ask;
mod authorization;
mod batch_api;
mod client;
mod endpoint;
mod failure;
mod fetch;
mod filter;
mod gate;
mod http;
mod identity;
mod layers;
mod network_error;
mod retry_after;
mod simulated;
mod sse;
mod tls;
mod transport;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use sluicegate_config::{Connection, ConnectionKind};
use sluicegate_model::{ChatModel, ConnectionName, EmbeddingModel, Fetch, ModelError, Models};

use batch_api::Batched;
use client::Clients;
use http::Http;
use layers::Layered;

pub use batch_api::{
    BatchHappened, BatchNotice, MOST_CALLS, ManifestError, OpenBatch, ProviderBatches, SHARE_OF_PRICE,
};
pub use client::Options;
pub use http::Described;
pub use simulated::read_script;

/// The models behind a set of connections.
pub struct Connected {
    slots: BTreeMap<ConnectionName, Slot>,
    clients: Arc<Clients>,
    batches: Option<Arc<ProviderBatches>>,
}

struct Slot {
    connection: Connection,
    built: OnceLock<Result<Built, ModelError>>,
    /// Its chat model by way of batches, where these are wanted.
    batched: OnceLock<Result<Arc<Batched>, ModelError>>,
}

/// What a connection became at its first use.
#[derive(Clone)]
struct Built {
    service: Arc<dyn Service>,
    /// What the service goes by, if it goes over the network.
    http: Option<Arc<Http>>,
}

/// What a connection leads to: both of its models share its limits.
trait Service: ChatModel + EmbeddingModel {}

impl<T: ChatModel + EmbeddingModel> Service for T {}

/// Connects: remembers what to do and does nothing yet. Addresses and scripts are read when a model is first asked
/// for; HTTP clients and TLS roots are loaded at the first call that needs them.
#[must_use]
pub fn connect(connections: Vec<Connection>, options: Options) -> Connected {
    let slot = |connection: Connection| {
        let name = ConnectionName(connection.name.clone());
        (name, Slot { connection, built: OnceLock::new(), batched: OnceLock::new() })
    };
    let slots = connections.into_iter().map(slot).collect();
    Connected { slots, clients: Arc::new(Clients::new(options)), batches: None }
}

impl Connected {
    /// The same, with all chat calls by way of the providers' batch APIs. To be called before the first use.
    #[must_use]
    pub fn in_batches(self, batches: Arc<ProviderBatches>) -> Self {
        Self { batches: Some(batches), ..self }
    }

    /// Asks a provider to cancel a batch that was submitted by a connection, and returns the status that it then has.
    ///
    /// # Errors
    /// The connection has no batches, or the provider cannot be asked, or refuses.
    pub async fn cancel_batch(&self, connection: &ConnectionName, batch: &str) -> Result<Arc<str>, ModelError> {
        match self.batched(connection)? {
            Some(batched) => batched.cancel(batch).await,
            None => Err(ModelError::Unsupported { connection: connection.to_string(), what: "batches".to_owned() }),
        }
    }

    /// The chat model by way of batches, where these are wanted.
    fn batched(&self, connection: &ConnectionName) -> Result<Option<Arc<Batched>>, ModelError> {
        let Some(batches) = &self.batches else { return Ok(None) };
        let built = self.built(connection)?;
        let slot = self.slot(connection)?;
        let begin = || Batched::new(built.http.as_ref(), &slot.connection, batches).map(Arc::new);
        slot.batched.get_or_init(begin).clone().map(Some)
    }

    fn slot(&self, connection: &ConnectionName) -> Result<&Slot, ModelError> {
        self.slots.get(connection).ok_or_else(|| ModelError::NoSuchConnection {
            name: connection.to_string(),
            known: self.slots.keys().map(ToString::to_string).collect(),
        })
    }

    fn built(&self, connection: &ConnectionName) -> Result<Built, ModelError> {
        let slot = self.slot(connection)?;
        slot.built.get_or_init(|| build(&slot.connection, &self.clients)).clone()
    }

    /// What a connection's endpoint says of itself, without a model being asked; most say nothing.
    ///
    /// # Errors
    /// There is no such connection, or its endpoint cannot be asked.
    pub async fn describe(&self, connection: &ConnectionName) -> Result<Described, ModelError> {
        match (&self.slot(connection)?.connection.kind, self.built(connection)?.http) {
            (ConnectionKind::Serverless { .. }, Some(http)) => http.describe().await,
            _ => Ok(Described::default()),
        }
    }

    /// By whose token a connection is used, and until when it is valid: "client secret of application … in tenant …,
    /// valid until …". Known once a token was had, also if the endpoint refused it; `None` before, and where a key is
    /// shown.
    #[must_use]
    pub fn identity(&self, connection: &ConnectionName) -> Option<String> {
        let built = self.slots.get(connection)?.built.get()?.as_ref().ok()?;
        built.http.as_ref()?.identity()?.told()
    }
}

impl Models for Connected {
    fn chat(&self, connection: &ConnectionName) -> Result<Arc<dyn ChatModel>, ModelError> {
        if let Some(batched) = self.batched(connection)? {
            return Ok(batched);
        }
        Ok(self.built(connection)?.service)
    }

    fn embedding(&self, connection: &ConnectionName) -> Result<Arc<dyn EmbeddingModel>, ModelError> {
        Ok(self.built(connection)?.service)
    }

    fn fetch(&self) -> Arc<dyn Fetch> {
        Arc::new(fetch::Fetcher::new(self.clients.clone()))
    }
}

fn build(connection: &Connection, clients: &Arc<Clients>) -> Result<Built, ModelError> {
    if let ConnectionKind::Simulated { script } = &connection.kind {
        let simulated = simulated::Simulated::load(ConnectionName(connection.name.clone()), script)?;
        let about = simulated.about();
        return Ok(Built { service: Arc::new(Layered::new(simulated, about, connection)), http: None });
    }
    let http = Arc::new(Http::new(connection, clients.clone())?);
    let about = http.about();
    Ok(Built { service: Arc::new(Layered::new(http.clone(), about, connection)), http: Some(http) })
}
