//! What a provider's batch API is asked: files, batches, and how they stand.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderValue;
use sluicegate_config::{Connection, ConnectionKind, Retry};
use sluicegate_model::ModelError;
use sluicegate_value::{Map, Value};
use tokio::time::sleep;

use crate::http::{Http, Received, Sending};
use crate::wire::Wire;

/// The most that is read of an answer about a file or a batch.
const MOST_FACTS: usize = 8 << 20;

/// The most that is read of a file of answers.
const MOST_OUTPUT: usize = 2 << 30;

/// How many bytes a second go over the slowest line that is waited for.
const SLOWEST: u64 = 50_000;

/// How many pages of batches are looked through for one with a certain file.
const MOST_PAGES: usize = 20;

/// The provider behind a connection.
pub(super) struct Provider {
    pub(super) http: Arc<Http>,
    dialect: Dialect,
    retry: Retry,
    limit: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    OpenAi,
    Azure,
}

/// How a batch stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    pub(super) id: Arc<str>,
    pub(super) status: Arc<str>,
    pub(super) completed: u64,
    pub(super) failed: u64,
    /// The files of answers, those of errors last.
    pub(super) files: Vec<Arc<str>>,
    /// Why it failed as a whole: `[{code, message, line, param}]`.
    errors: Vec<Value>,
    input_file: Arc<str>,
    pub(super) retry_after: Option<Duration>,
    secrets: Vec<String>,
}

/// A batch was not submitted.
pub(super) struct NotSubmitted {
    pub(super) error: ModelError,
    /// Whether it may have been all the same: nobody answered.
    pub(super) perhaps: bool,
}

impl Provider {
    /// The batch API behind a connection.
    pub(super) fn of(http: Arc<Http>, connection: &Connection) -> Result<Self, ModelError> {
        let dialect = match &connection.kind {
            ConnectionKind::OpenAi { .. } => Dialect::OpenAi,
            ConnectionKind::AzureOpenAi { .. } => Dialect::Azure,
            _ => return Err(no_batches(connection)),
        };
        let limit = connection.timeouts.total.max(Duration::from_secs(60));
        Ok(Self { http, dialect, retry: connection.retry.clone(), limit })
    }

    /// Which address the lines of a file name for calls in this format.
    pub(super) fn url(&self, wire: Wire) -> Result<&'static str, ModelError> {
        Ok(match (self.dialect, wire) {
            (Dialect::OpenAi, Wire::Chat) => "/v1/chat/completions",
            (Dialect::OpenAi, Wire::Completion) => "/v1/completions",
            (_, Wire::Responses) => "/v1/responses",
            (Dialect::Azure, Wire::Chat) => "/chat/completions",
            (_, other) => {
                let (connection, what) = (self.http.name().to_owned(), format!("{} in batches", other.name()));
                return Err(ModelError::Unsupported { connection, what });
            }
        })
    }

    /// What a batch of lines with this address names as its endpoint: Azure wants to be told of chat completions, and
    /// looks into the lines.
    fn endpoint<'u>(&self, url: &'u str) -> &'u str {
        match self.dialect {
            Dialect::OpenAi => url,
            Dialect::Azure => "/chat/completions",
        }
    }

    /// Uploads a file of calls, and returns its id once it can be used.
    pub(super) async fn upload(&self, model: &str, name: &str, lines: Vec<u8>) -> Result<Arc<str>, ModelError> {
        let boundary = format!("sluicegate-{:016x}{:016x}", random(), random());
        let mut body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--{boundary}\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"{name}.jsonl\"\r\nContent-Type: \
             application/json\r\n\r\n"
        )
        .into_bytes();
        body.reserve(lines.len() + 100);
        body.extend(lines);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let kind = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"));
        let kind = kind.unwrap_or(HeaderValue::from_static("multipart/form-data"));
        let limit = self.limit + Duration::from_secs(body.len() as u64 / SLOWEST);
        let body = Some((kind, Bytes::from(body)));
        let sending = Sending { body, limit, method: Method::POST, ..self.asking(model, &["files"]) };
        let mut received = self.ask(&sending).await?;
        let mut pause = self.retry.initial;
        loop {
            let file = received.json()?;
            let id = id(&file)?;
            match file.get("status").and_then(Value::as_str).unwrap_or_default() {
                // Azure looks at a file before it may be used.
                "pending" | "running" | "notRunning" => {}
                "error" | "failed" | "deleted" => {
                    let why = file.get("status_details").or_else(|| file.get("error")).map(Value::to_json);
                    let message = format!("it cannot use the file of calls: {}", why.unwrap_or_default());
                    return Err(ModelError::Rejected { status: 400, message, parameter: None });
                }
                _ => return Ok(id),
            }
            sleep(received.retry_after.unwrap_or(pause)).await;
            pause = (pause * 2).min(self.retry.max);
            received = self.ask(&self.asking(model, &["files", &id])).await?;
        }
    }

    /// Submits a batch. Where nobody says whether it was, it is looked for before it is submitted again.
    pub(super) async fn submit(
        &self,
        model: &str,
        url: &str,
        file: &str,
        run: Option<&str>,
    ) -> Result<Standing, NotSubmitted> {
        let mut body = Map::from([
            ("input_file_id", Value::from(file)),
            ("endpoint", Value::from(self.endpoint(url))),
            ("completion_window", Value::from("24h")),
        ]);
        if let Some(run) = run {
            body.insert("metadata", Map::from([("sluicegate_run", run)]));
        }
        let body = Some((HeaderValue::from_static("application/json"), Bytes::from(Value::from(body).to_json())));
        let sending = Sending { body, method: Method::POST, ..self.asking(model, &["batches"]) };
        let mut perhaps = false;
        for number in 1.. {
            let error = match self.http.exchange(&sending).await.and_then(|received| standing(&received)) {
                Ok(standing) => return Ok(standing),
                Err(error) => error,
            };
            // Who is told to come again later has submitted nothing.
            perhaps |= !matches!(error, ModelError::RateLimited { .. }) && error.is_transient();
            perhaps |= matches!(error, ModelError::Malformed { .. });
            if !(error.is_transient() || perhaps) || number >= self.retry.max_attempts {
                return Err(NotSubmitted { error, perhaps });
            }
            sleep(self.pause(number, &error)).await;
            if perhaps {
                match self.find(file).await {
                    Ok(Some(found)) => return Ok(found),
                    Ok(None) => perhaps = false,
                    Err(_) => return Err(NotSubmitted { error, perhaps }),
                }
            }
        }
        Err(NotSubmitted { error: no_answer(), perhaps })
    }

    /// The batch with this input file, if there is one.
    pub(super) async fn find(&self, file: &str) -> Result<Option<Standing>, ModelError> {
        let mut after: Option<Arc<str>> = None;
        for _ in 0..MOST_PAGES {
            let mut query = vec![("limit", "100")];
            query.extend(after.as_deref().map(|after| ("after", after)));
            let received = self.ask(&Sending { query: &query, ..self.asking("", &["batches"]) }).await?;
            let page = received.json()?;
            let batches = page.get("data").and_then(Value::as_list).unwrap_or_default();
            let mut read = batches.iter().filter_map(|batch| standing_of(batch, &received).ok());
            if let Some(found) = read.find(|batch| *batch.input_file == *file) {
                return Ok(Some(found));
            }
            let last = batches.last().and_then(|batch| id(batch).ok());
            if page.get("has_more").and_then(Value::as_bool) != Some(true) || last.is_none() || last == after {
                return Ok(None);
            }
            after = last;
        }
        Ok(None)
    }

    /// How a batch stands. Asked once: whoever watches it asks again anyway.
    pub(super) async fn look(&self, batch: &str) -> Result<Standing, ModelError> {
        let received = self.http.exchange(&self.asking("", &["batches", batch])).await?;
        standing(&received)
    }

    /// Asks for a batch to be cancelled.
    pub(super) async fn cancel(&self, batch: &str) -> Result<Standing, ModelError> {
        let path = ["batches", batch, "cancel"];
        let body = Some((HeaderValue::from_static("application/json"), Bytes::from_static(b"{}")));
        let received = self.ask(&Sending { method: Method::POST, body, ..self.asking("", &path) }).await?;
        standing(&received)
    }

    /// The content of a file.
    pub(super) async fn content(&self, file: &str) -> Result<Received, ModelError> {
        let limit = self.limit + Duration::from_secs(3600);
        let path = ["files", file, "content"];
        self.ask(&Sending { limit, most: MOST_OUTPUT, ..self.asking("", &path) }).await
    }

    /// Why a batch failed as a whole.
    pub(super) fn refusal(&self, model: &str, standing: &Standing) -> ModelError {
        let text = |error: &Value, name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(first) = standing.errors.first() else {
            let message = format!("batch {} failed, and nobody says why", standing.id);
            return ModelError::Rejected { status: 400, message, parameter: None };
        };
        let mut words = format!("batch {} was refused: {}", standing.id, text(first, "message"));
        if let Some(line) = first.get("line").and_then(Value::as_int) {
            words += &format!(" (line {line} of its file)");
        }
        if standing.errors.len() > 1 {
            words += &format!(", and {} more", standing.errors.len() - 1);
        }
        let code = text(first, "code");
        if code == "token_limit_exceeded" {
            // Of tokens that may wait in batches at the same time.
            return ModelError::RateLimited { retry_after: None, temporary: true, message: words };
        }
        let mut error = Map::from([("code", code), ("message", words)]);
        if let Some(parameter) = first.get("param").filter(|param| !param.is_null()) {
            error.insert("param", parameter.clone());
        }
        self.http.error_of(model, &Map::from([("error", error)]).into(), 400, &standing.secrets)
    }

    /// How long to pause after so many attempts.
    pub(super) fn pause(&self, failed: u32, error: &ModelError) -> Duration {
        let doubled = self.retry.initial.saturating_mul(2_u32.saturating_pow(failed.saturating_sub(1)));
        error.retry_after().unwrap_or_else(|| doubled.min(self.retry.max)).min(LONGEST_PAUSE)
    }

    fn asking<'a>(&self, model: &'a str, path: &'a [&'a str]) -> Sending<'a> {
        Sending { method: Method::GET, path, query: &[], body: None, limit: self.limit, most: MOST_FACTS, model }
    }

    /// Asks something that does no harm if it is asked twice.
    async fn ask(&self, sending: &Sending<'_>) -> Result<Received, ModelError> {
        for number in 1.. {
            match self.http.exchange(sending).await {
                Err(error) if error.is_transient() && number < self.retry.max_attempts => {
                    sleep(self.pause(number, &error)).await;
                }
                other => return other,
            }
        }
        Err(no_answer())
    }
}

/// The longest that a provider can make us wait before it is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Nobody counts so many attempts.
fn no_answer() -> ModelError {
    ModelError::ServerFailed { status: 500, retry_after: None, message: String::new() }
}

/// The error that a connection has no batch API that is known here.
pub(super) fn no_batches(connection: &Connection) -> ModelError {
    let dialect = match &connection.kind {
        ConnectionKind::OpenAi { .. } => "open_ai",
        ConnectionKind::AzureOpenAi { .. } => "azure_open_ai",
        ConnectionKind::Serverless { .. } => "serverless",
        ConnectionKind::Anthropic { .. } => "anthropic",
        ConnectionKind::Simulated { .. } => "simulated",
        ConnectionKind::Other { type_name } => type_name,
    };
    let what = format!(
        "a batch API that is known here: it is of type `{dialect}`, and only `open_ai` and `azure_open_ai` connections have \
         one"
    );
    ModelError::Unsupported { connection: connection.name.to_string(), what }
}

impl Standing {
    /// A batch of which nothing is known but its id.
    pub(super) fn unknown(id: &Arc<str>) -> Self {
        Self { id: id.clone(), ..Self::default() }
    }

    /// Whether the provider does nothing more about it.
    pub(super) fn is_over(&self) -> bool {
        matches!(&*self.status, "completed" | "failed" | "expired" | "cancelled")
    }
}

fn standing(received: &Received) -> Result<Standing, ModelError> {
    standing_of(&received.json()?, received)
}

fn standing_of(batch: &Value, received: &Received) -> Result<Standing, ModelError> {
    let text =
        |name: &str| batch.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(Arc::<str>::from);
    let counts = batch.get("request_counts");
    let count = |name: &str| counts.and_then(|counts| u64::try_from(counts.get(name)?.as_int()?).ok()).unwrap_or(0);
    let errors = batch.get("errors").and_then(|errors| errors.get("data").unwrap_or(errors).as_list());
    Ok(Standing {
        id: id(batch)?,
        status: text("status").ok_or_else(|| malformed("it says no status"))?,
        completed: count("completed"),
        failed: count("failed"),
        files: [text("output_file_id"), text("error_file_id")].into_iter().flatten().collect(),
        errors: errors.unwrap_or_default().to_vec(),
        input_file: text("input_file_id").unwrap_or_default(),
        retry_after: received.retry_after.map(|pause| pause.min(LONGEST_PAUSE)),
        secrets: received.secrets.clone(),
    })
}

/// The id of a file or a batch, which becomes a part of addresses.
fn id(value: &Value) -> Result<Arc<str>, ModelError> {
    let id = value.get("id").and_then(Value::as_str).unwrap_or_default();
    match id {
        "" | "." | ".." => Err(malformed("it has no id")),
        id => Ok(id.into()),
    }
}

fn malformed(why: &str) -> ModelError {
    ModelError::Malformed { message: why.to_owned() }
}

fn random() -> u64 {
    getrandom::u64().unwrap_or(0x9e37_79b9_7f4a_7c15)
}
