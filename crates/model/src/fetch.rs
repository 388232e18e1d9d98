//! One HTTP call of a flow's own, to whatever its author names.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{BoxFuture, CallContext, ModelError};

/// Calls addresses that a flow names, within the policy that the settings set: which hosts, how many redirects, how
/// large.
pub trait Fetch: Send + Sync {
    /// Makes one call. An answer of any status is an answer. Dropping the future cancels it.
    ///
    /// # Errors
    /// The policy forbids it, nobody answers, or the answer is too large.
    fn fetch<'a>(
        &'a self,
        request: &'a FetchRequest,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<FetchReply, ModelError>>;
}

/// One HTTP call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// `GET`, `POST`, …
    pub method: Arc<str>,
    /// The whole address, query included.
    pub url: Arc<str>,
    /// Headers in order.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// The body, if it has one.
    pub body: Option<Arc<[u8]>>,
    /// How long to wait for the whole answer; `None`: as the settings say.
    pub timeout: Option<Duration>,
    /// The most redirects that are followed; `None`: as the settings say. Never more than those allow.
    pub redirects: Option<u32>,
    /// The most bytes of an answer, decompressed; `None`: as the settings say. Never more than those allow.
    pub max_size: Option<u64>,
}

/// The answer to an HTTP call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchReply {
    /// Its status.
    pub status: u16,
    /// The address that answered, after redirects.
    pub url: Arc<str>,
    /// Headers in order, names in lower case.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// Its body, decompressed.
    pub body: Vec<u8>,
}
