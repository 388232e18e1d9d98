//! Models by connection: those that the flow names are there from the beginning; those that Python code names, or
//! describes, come when they are asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sluicegate_config::{Connection, Environment};
use sluicegate_model::{ChatModel, ConnectionName, EmbeddingModel, Fetch, ModelError, Models};
use sluicegate_providers::{Connected, Options, ProviderBatches, connect};

/// Models by connection, more of them at need.
pub(crate) struct AllModels {
    named: Connected,
    environment: Environment,
    options: Options,
    /// How many calls each connection has in flight at most, whatever the settings say.
    max_in_flight: Option<usize>,
    /// How chat calls go into batches of the providers, if they do.
    batches: Option<Arc<ProviderBatches>>,
    added: Mutex<HashMap<ConnectionName, Arc<Connected>>>,
}

impl AllModels {
    pub(crate) fn new(named: Vec<Connection>, environment: Environment, options: Options) -> Self {
        let named = connect(named, options.clone());
        Self { named, environment, options, max_in_flight: None, batches: None, added: Mutex::default() }
    }

    /// The same, with another limit of calls in flight for connections that come later.
    pub(crate) fn with_in_flight(self, max_in_flight: Option<usize>) -> Self {
        Self { max_in_flight, ..self }
    }

    /// The same, with all chat calls by way of batches.
    pub(crate) fn in_batches(self, batches: Option<Arc<ProviderBatches>>) -> Self {
        match batches {
            Some(batches) => Self { named: self.named.in_batches(batches.clone()), batches: Some(batches), ..self },
            None => self,
        }
    }

    /// Asks the provider behind a connection to cancel a batch, and returns the status that it then has.
    pub(crate) async fn cancel_batch(&self, name: &ConnectionName, batch: &str) -> Result<Arc<str>, ModelError> {
        match self.named.cancel_batch(name, batch).await {
            Err(error @ ModelError::NoSuchConnection { .. }) => match self.find(name) {
                Some(connected) => connected.cancel_batch(name, batch).await,
                None => Err(error),
            },
            done => done,
        }
    }

    fn connect(&self, connection: Connection) -> Connected {
        let connected = connect(vec![connection], self.options.clone());
        match &self.batches {
            Some(batches) => connected.in_batches(batches.clone()),
            None => connected,
        }
    }

    /// Makes a connection known under its name. One that is known stays, with its limits.
    pub(crate) fn add(&self, connection: Connection) {
        let name = ConnectionName(connection.name.clone());
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        added.entry(name).or_insert_with(|| Arc::new(self.connect(connection)));
    }

    fn find(&self, name: &ConnectionName) -> Option<Arc<Connected>> {
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = added.get(name) {
            return Some(found.clone());
        }
        let mut connection = self.environment.connection(&name.0).ok()?;
        connection.limits.max_in_flight = self.max_in_flight.unwrap_or(connection.limits.max_in_flight);
        let connected = Arc::new(self.connect(connection));
        added.insert(name.clone(), connected.clone());
        Some(connected)
    }
}

impl Models for AllModels {
    fn chat(&self, connection: &ConnectionName) -> Result<Arc<dyn ChatModel>, ModelError> {
        match self.named.chat(connection) {
            Err(error @ ModelError::NoSuchConnection { .. }) => {
                self.find(connection).map_or(Err(error), |connected| connected.chat(connection))
            }
            found => found,
        }
    }

    fn embedding(&self, connection: &ConnectionName) -> Result<Arc<dyn EmbeddingModel>, ModelError> {
        match self.named.embedding(connection) {
            Err(error @ ModelError::NoSuchConnection { .. }) => {
                self.find(connection).map_or(Err(error), |connected| connected.embedding(connection))
            }
            found => found,
        }
    }

    fn fetch(&self) -> Arc<dyn Fetch> {
        self.named.fetch()
    }
}
