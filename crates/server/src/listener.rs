//! Who hears of requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::Method;

/// Hears of each request once it is over. Must not block: it is called from the request's own task.
pub trait Listener: Send + Sync {
    /// A request was served, or not.
    fn served(&self, request: &Served<'_>);
}

/// A request that is over. It has neither body nor query nor headers, for those hold secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served<'a> {
    /// `POST`, `GET`, …
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// The model or deployment that was asked for, once that is known.
    pub model: Option<&'a str>,
    /// The status of the answer; `None`: the connection was cut, or the client left before there was an answer.
    pub status: Option<u16>,
    /// From the request's head to the answer's end.
    pub duration: Duration,
}

/// Tells a listener of a request when it is dropped: however the request ends, this is dropped.
pub(crate) struct Report {
    listener: Arc<dyn Listener>,
    method: Method,
    path: String,
    model: Option<String>,
    status: Option<u16>,
    started: Instant,
}

impl Report {
    pub(crate) fn new(listener: &Arc<dyn Listener>, method: &Method, path: &str) -> Self {
        Self {
            listener: listener.clone(),
            method: method.clone(),
            path: path.to_owned(),
            model: None,
            status: None,
            started: Instant::now(),
        }
    }

    pub(crate) fn model(&mut self, model: &str) {
        self.model = Some(model.to_owned());
    }

    pub(crate) fn status(&mut self, status: Option<u16>) {
        self.status = status;
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.listener.served(&Served {
            method: self.method.as_str(),
            path: &self.path,
            model: self.model.as_deref(),
            status: self.status,
            duration: self.started.elapsed(),
        });
    }
}
