//! The chat model whose calls go into batches.

use std::borrow::Cow;
use std::sync::Arc;

use sluicegate_config::Connection;
use sluicegate_model::{
    About, BoxFuture, CallContext, CallNotice, ChatModel, ChatReply, ChatRequest, ModelError, Phase,
};
use tokio::time::{Instant, timeout_at};

use super::ProviderBatches;
use super::collector::Collector;
use super::provider::{Provider, no_batches};
use crate::adapt::Adapt;
use crate::ask::{Answer, Ask};
use crate::http::Http;
use crate::transport::Attempt;

/// A connection's chat model, by way of batches.
pub(crate) struct Batched {
    about: About,
    adapt: Adapt,
    collector: Arc<Collector>,
}

impl Batched {
    /// The batches of a connection; `http` is `None` for one that leads nowhere.
    ///
    /// # Errors
    /// It has no batch API that is known here.
    pub(crate) fn new(
        http: Option<&Arc<Http>>,
        connection: &Connection,
        batches: &Arc<ProviderBatches>,
    ) -> Result<Self, ModelError> {
        let http = http.ok_or_else(|| no_batches(connection))?;
        let provider = Provider::of(http.clone(), connection)?;
        Ok(Self {
            about: http.about(),
            adapt: Adapt::new(connection),
            collector: Arc::new(Collector::new(provider, batches.clone())),
        })
    }

    /// Asks the provider to cancel a batch, and returns the status that it then has.
    ///
    /// # Errors
    /// It cannot be asked, or refuses.
    pub(crate) async fn cancel(&self, batch: &str) -> Result<Arc<str>, ModelError> {
        Ok(self.collector.provider.cancel(batch).await?.status)
    }
}

impl ChatModel for Batched {
    fn chat<'a>(
        &'a self,
        request: &'a ChatRequest,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        Box::pin(async move {
            let began = Instant::now();
            context.notices.notice(CallNotice::Queued);
            let attempt = Attempt::start(1, context).await;
            let ask = Ask::Chat(Cow::Borrowed(request));
            let sent = self.adapt.send(&self.collector, &ask, &attempt);
            let answer = match context.deadline {
                Some(deadline) => timeout_at(deadline.into(), sent)
                    .await
                    .unwrap_or_else(|_| Err(ModelError::TimedOut { phase: Phase::Total, after: began.elapsed() })),
                None => sent.await,
            };
            let error = match answer {
                Ok(Answer::Chat(reply)) => return Ok(*reply),
                Ok(Answer::Embedding(_)) => ModelError::Malformed { message: "it answers another question".to_owned() },
                Err(error) => error,
            };
            let told = CallNotice::AttemptFailed { attempt: 1, error: error.clone(), retry_in: None };
            context.notices.notice(told);
            Err(error)
        })
    }

    fn about(&self) -> &About {
        &self.about
    }
}
