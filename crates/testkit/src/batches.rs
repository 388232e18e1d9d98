//! A provider's batch API on an [`Endpoint`]: files and batches in memory, below `/v1`, `/openai` and `/openai/v1` alike.
//!
//! A batch is over after a number of looks at it, so that no test waits for a clock: every answer about a batch asks to
//! come again after a millisecond. Answers are written in the reverse order of the calls.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::endpoint::{Answer, Endpoint, Heard};

/// An endpoint that takes batches, and answers single calls as any other.
pub struct BatchProvider {
    endpoint: Endpoint,
    state: Arc<Mutex<State>>,
}

/// A batch that was submitted.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// Its id.
    pub id: String,
    /// What it was submitted with: `input_file_id`, `endpoint`, `completion_window`, `metadata`.
    pub request: Value,
    /// The lines of its input file.
    pub lines: Vec<Value>,
    /// `in_progress`, or how it ended.
    pub status: String,
}

/// What becomes of one call of a batch.
#[derive(Clone, Debug)]
pub enum Came {
    /// An answer with this status and body; another status than 200 goes to the file of errors.
    Answer(u16, Value),
    /// No answer, for a reason with this code, in the file of errors.
    Error(&'static str),
    /// It is in no file.
    Missing,
}

type Answering = Box<dyn FnMut(&Value) -> Came + Send>;

#[derive(Default)]
struct State {
    files: BTreeMap<String, String>,
    batches: Vec<Batch>,
    answering: Option<Answering>,
    looks: usize,
    held: bool,
    ending: Option<&'static str>,
    refusal: Option<Value>,
    file_status: VecDeque<&'static str>,
    troubles: VecDeque<Answer>,
    silent: usize,
}

struct Batch {
    submitted: Submitted,
    looked: usize,
    output: Option<String>,
    errors: Option<String>,
}

impl BatchProvider {
    /// Starts one that answers each call by its last message in brackets, after one look.
    #[must_use]
    pub fn start() -> Self {
        let endpoint = Endpoint::start();
        let state = Arc::new(Mutex::new(State { looks: 1, ..State::default() }));
        let serving = state.clone();
        endpoint.on(move |heard| lock(&serving).answer(heard));
        Self { endpoint, state }
    }

    /// The endpoint below: what was heard, and where it is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What becomes of each call, by its line of the input file.
    pub fn answers(&self, answering: impl FnMut(&Value) -> Came + Send + 'static) -> &Self {
        lock(&self.state).answering = Some(Box::new(answering));
        self
    }

    /// Batches are over at this look from now on.
    pub fn looks(&self, looks: usize) -> &Self {
        lock(&self.state).looks = looks;
        self
    }

    /// Batches are never over until [`Self::release`].
    pub fn hold(&self) -> &Self {
        lock(&self.state).held = true;
        self
    }

    /// Lets batches come to their end.
    pub fn release(&self) -> &Self {
        lock(&self.state).held = false;
        self
    }

    /// Batches end so: `completed` (unless told otherwise), `expired`, `cancelled`.
    pub fn ends(&self, status: &'static str) -> &Self {
        lock(&self.state).ending = Some(status);
        self
    }

    /// Batches fail as a whole, for these reasons: `[{code, message, line, param}]`.
    pub fn refuses(&self, errors: Value) -> &Self {
        lock(&self.state).refusal = Some(errors);
        self
    }

    /// A file that is uploaded has these statuses, one after the other, before it is `processed`.
    pub fn file_is(&self, status: &[&'static str]) -> &Self {
        lock(&self.state).file_status = status.iter().copied().collect();
        self
    }

    /// Answers the next look at a batch so.
    pub fn trouble(&self, answer: Answer) -> &Self {
        lock(&self.state).troubles.push_back(answer);
        self
    }

    /// Takes the next batches, and breaks the connection instead of saying so.
    pub fn silent(&self, times: usize) -> &Self {
        lock(&self.state).silent = times;
        self
    }

    /// The batches that were submitted, in order.
    #[must_use]
    pub fn submitted(&self) -> Vec<Submitted> {
        lock(&self.state).batches.iter().map(|batch| batch.submitted.clone()).collect()
    }

    /// Waits until so many batches were submitted.
    ///
    /// # Panics
    /// After twenty seconds.
    pub fn wait_for(&self, count: usize) {
        let start = Instant::now();
        while self.submitted().len() < count {
            assert!(start.elapsed() < Duration::from_secs(20), "{} of {count} batches came", self.submitted().len());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A whole chat reply with this text, with ten tokens in and three out.
#[must_use]
pub fn reply(text: &str) -> Came {
    match Answer::text(text) {
        Answer::Whole(status, _, body) => Came::Answer(status, serde_json::from_slice(&body).unwrap_or_default()),
        _ => Came::Missing,
    }
}

/// The last message of a call, by its line of the input file.
#[must_use]
pub fn text_of(line: &Value) -> String {
    let messages = line["body"]["messages"].as_array();
    messages.and_then(|messages| messages.last()?["content"].as_str()).unwrap_or_default().to_owned()
}

impl State {
    fn answer(&mut self, heard: &Heard) -> Option<Answer> {
        let path = heard.path.split('?').next().unwrap_or_default();
        let path = ["/openai/v1/", "/openai/", "/v1/"].iter().find_map(|base| path.strip_prefix(base))?;
        let segments: Vec<&str> = path.split('/').collect();
        match (heard.method.as_str(), &segments[..]) {
            ("POST", ["files"]) => Some(self.upload(heard)),
            ("GET", ["files", id]) => Some(self.file(id)),
            ("GET", ["files", id, "content"]) => Some(match self.files.get(*id) {
                Some(content) => Answer::Whole(200, Vec::new(), content.clone().into()),
                None => Answer::error(404, "not_found", "No such File object."),
            }),
            ("POST", ["batches"]) => Some(self.submit(&heard.json())),
            ("GET", ["batches"]) => {
                let data: Vec<Value> = self.batches.iter().rev().map(Batch::shown).collect();
                Some(Answer::json(200, &json!({ "object": "list", "data": data, "has_more": false })))
            }
            ("GET", ["batches", id]) => Some(self.troubles.pop_front().unwrap_or_else(|| self.look(id))),
            ("POST", ["batches", id, "cancel"]) => Some(self.cancel(id)),
            _ => None,
        }
    }

    fn upload(&mut self, heard: &Heard) -> Answer {
        let kind = heard.header("content-type").unwrap_or_default();
        let Some((_, boundary)) = kind.split_once("multipart/form-data; boundary=") else {
            return Answer::error(400, "invalid_request", "No multipart/form-data.");
        };
        let body = String::from_utf8_lossy(&heard.body).into_owned();
        let parts: Vec<(&str, &str)> =
            body.split(&format!("--{boundary}")).filter_map(|part| part.split_once("\r\n\r\n")).collect();
        let part = |name: &str| {
            let found = parts.iter().find(|(head, _)| head.contains(&format!("name=\"{name}\"")))?;
            found.1.strip_suffix("\r\n")
        };
        match (part("purpose"), part("file")) {
            (Some("batch"), Some(content)) => {
                let id = format!("file-{}", self.files.len() + 1);
                self.files.insert(id.clone(), content.to_owned());
                self.file(&id)
            }
            _ => Answer::error(400, "invalid_request", "No file for a batch."),
        }
    }

    fn file(&mut self, id: &str) -> Answer {
        let status = self.file_status.pop_front().unwrap_or("processed");
        at_once(&json!({ "id": id, "object": "file", "purpose": "batch", "status": status }))
    }

    fn submit(&mut self, request: &Value) -> Answer {
        let Some(content) = request["input_file_id"].as_str().and_then(|file| self.files.get(file)) else {
            return Answer::error(400, "invalid_request", "No such file.");
        };
        let lines = content.lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect();
        let id = format!("batch_{}", self.batches.len() + 1);
        let submitted = Submitted { id, request: request.clone(), lines, status: "validating".to_owned() };
        let batch = Batch { submitted, looked: 0, output: None, errors: None };
        let answer = at_once(&batch.shown());
        self.batches.push(batch);
        if self.silent > 0 {
            self.silent -= 1;
            return Answer::Reset;
        }
        answer
    }

    fn look(&mut self, id: &str) -> Answer {
        let Some(position) = self.batches.iter().position(|batch| batch.submitted.id == id) else {
            return Answer::error(404, "not_found", "No batch found with this id.");
        };
        let batch = &mut self.batches[position];
        batch.looked += 1;
        let is_over = !matches!(&*batch.submitted.status, "validating" | "in_progress");
        if !is_over && (self.held || batch.looked < self.looks) {
            "in_progress".clone_into(&mut batch.submitted.status);
        } else if !is_over {
            self.end(position, None);
        }
        at_once(&match (&self.refusal, &self.batches[position]) {
            (Some(errors), batch) if batch.submitted.status == "failed" => {
                let mut shown = batch.shown();
                shown["errors"] = json!({ "object": "list", "data": errors });
                shown
            }
            (_, batch) => batch.shown(),
        })
    }

    fn cancel(&mut self, id: &str) -> Answer {
        match self.batches.iter().position(|batch| batch.submitted.id == id) {
            Some(position) => {
                self.end(position, Some("cancelled"));
                let mut shown = self.batches[position].shown();
                shown["status"] = json!("cancelling");
                at_once(&shown)
            }
            None => Answer::error(404, "not_found", "No batch found with this id."),
        }
    }

    fn end(&mut self, position: usize, status: Option<&'static str>) {
        let Self { batches, files, answering, .. } = self;
        let Some(batch) = batches.get_mut(position) else { return };
        if self.refusal.is_some() {
            "failed".clone_into(&mut batch.submitted.status);
            return;
        }
        let (mut output, mut errors) = (String::new(), String::new());
        for line in batch.submitted.lines.iter().rev() {
            let came = match answering {
                _ if status == Some("cancelled") => Came::Error("batch_cancelled"),
                Some(answering) => answering(line),
                None => reply(&format!("[{}]", text_of(line))),
            };
            let id = &line["custom_id"];
            match came {
                Came::Answer(status, body) => {
                    let file = if status == 200 { &mut output } else { &mut errors };
                    let response = json!({ "status_code": status, "request_id": "r", "body": body });
                    *file += &json!({ "id": "l", "custom_id": id, "response": response, "error": null }).to_string();
                    file.push('\n');
                }
                Came::Error(code) => {
                    let error = json!({ "code": code, "message": "It was not executed." });
                    errors += &json!({ "id": "l", "custom_id": id, "response": null, "error": error }).to_string();
                    errors.push('\n');
                }
                Came::Missing => {}
            }
        }
        let mut keep = |ending: &str, content: String| {
            let id = format!("{}-{ending}", batch.submitted.id);
            (!content.is_empty()).then(|| {
                files.insert(id.clone(), content);
                id
            })
        };
        batch.output = keep("output", output);
        batch.errors = keep("errors", errors);
        status.or(self.ending).unwrap_or("completed").clone_into(&mut batch.submitted.status);
    }
}

impl Batch {
    fn shown(&self) -> Value {
        let Submitted { id, request, lines, status } = &self.submitted;
        let completed = if self.output.is_some() { lines.len() } else { 0 };
        json!({
            "id": id, "object": "batch", "status": status, "endpoint": request["endpoint"], "errors": null,
            "input_file_id": request["input_file_id"], "completion_window": "24h", "metadata": request["metadata"],
            "output_file_id": self.output, "error_file_id": self.errors,
            "request_counts": { "total": lines.len(), "completed": completed, "failed": 0 },
        })
    }
}

/// A JSON answer that asks to come again at once.
fn at_once(body: &Value) -> Answer {
    Answer::json(200, body).header("retry-after-ms", "1")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
