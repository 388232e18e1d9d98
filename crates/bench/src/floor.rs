//! The floor: a bare loop that reads rows, posts them, and writes the answers. Nothing can be much cheaper.
//!
//! One client with pooled connections; a fixed number of tasks, each with one call in flight, that take the next row from
//! the file's buffer (no lock is held across an await); one task writes. Lines are written as they come: keeping order is
//! part of what a batch costs.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::arguments::Arguments;
use crate::batch::prompt_of;
use crate::failure::Failure;
use crate::files_limit;
use crate::mock::runtime;

/// What the loop is told.
#[derive(Clone, Debug)]
struct Floor {
    /// The base address, as `http://127.0.0.1:1234/v1`.
    url: String,
    rows: PathBuf,
    out: PathBuf,
    in_flight: usize,
}

/// The command `floor`.
pub(crate) fn main(mut arguments: Arguments) -> Result<(), Failure> {
    let floor = Floor {
        url: Arguments::needed("--url", arguments.text("--url")?)?,
        rows: Arguments::needed("--rows", arguments.path("--rows")?)?,
        out: Arguments::needed("--out", arguments.path("--out")?)?,
        in_flight: arguments.count("--in-flight")?.unwrap_or(64),
    };
    let threads = arguments.count("--threads")?.unwrap_or(1);
    arguments.finish()?;
    files_limit::raise();
    runtime(threads)?.block_on(run(&floor))
}

/// A client for plain HTTP.
pub(crate) fn client() -> Result<reqwest::Client, Failure> {
    // Means nothing in the floor's own build, which has no TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().map_err(Failure::while_doing("making a client"))
}

async fn run(floor: &Floor) -> Result<(), Failure> {
    let rows = Arc::new(Rows::open(&floor.rows)?);
    let (lines, written) = mpsc::channel(2 * floor.in_flight);
    let writer = tokio::spawn(write(floor.out.clone(), written));
    let client = client()?;
    let url = format!("{}/chat/completions", floor.url.trim_end_matches('/'));
    let tasks: Vec<_> = (0..floor.in_flight)
        .map(|_| tokio::spawn(work(client.clone(), url.clone(), rows.clone(), lines.clone())))
        .collect();
    drop(lines);
    for task in tasks {
        task.await.map_err(Failure::while_doing("a task of the floor"))??;
    }
    writer.await.map_err(Failure::while_doing("the floor's writer"))?
}

async fn work(
    client: reqwest::Client,
    url: String,
    rows: Arc<Rows>,
    lines: mpsc::Sender<String>,
) -> Result<(), Failure> {
    while let Some((number, row)) = rows.next()? {
        let row: Value = serde_json::from_str(&row).map_err(Failure::while_doing(format_args!("row {number}")))?;
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        let (system, user) = prompt_of(text("entity_type"), text("text"));
        let body = json!({
            "model": "mock",
            "messages": [{ "role": "system", "content": system }, { "role": "user", "content": user }],
            "temperature": 0,
            "max_tokens": 64,
        });
        let request = client.post(&url).header("content-type", "application/json").body(body.to_string());
        let reply = request.send().await.and_then(reqwest::Response::error_for_status);
        let reply = reply.map_err(Failure::while_doing(format_args!("row {number}")))?;
        let reply = reply.bytes().await.map_err(Failure::while_doing(format_args!("row {number}")))?;
        let reply: Value =
            serde_json::from_slice(&reply).map_err(Failure::while_doing(format_args!("row {number}")))?;
        let answer = reply.pointer("/choices/0/message/content").unwrap_or(&Value::Null);
        if lines.send(json!({ "line_number": number, "answer": answer }).to_string()).await.is_err() {
            // The writer has failed, and says so itself.
            break;
        }
    }
    Ok(())
}

async fn write(path: PathBuf, mut lines: mpsc::Receiver<String>) -> Result<(), Failure> {
    let failed = || Failure::while_doing::<std::io::Error>(format!("writing {}", path.display()));
    let mut out = BufWriter::new(File::create(&path).map_err(failed())?);
    while let Some(line) = lines.recv().await {
        writeln!(out, "{line}").map_err(failed())?;
    }
    out.flush().map_err(failed())
}

/// The rows that are still to be sent.
#[derive(Debug)]
struct Rows {
    reader: Mutex<(BufReader<File>, usize)>,
    path: PathBuf,
}

impl Rows {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(Failure::while_doing(format_args!("opening {}", path.display())))?;
        Ok(Self { reader: Mutex::new((BufReader::new(file), 0)), path: path.to_owned() })
    }

    /// The next row and its number, from 0.
    fn next(&self) -> Result<Option<(usize, String)>, Failure> {
        let failed =
            |error: &dyn std::fmt::Display| Failure::new(format_args!("reading {}: {error}", self.path.display()));
        let mut guard = self.reader.lock().map_err(|error| failed(&error))?;
        let (reader, number) = &mut *guard;
        let mut line = String::new();
        if reader.read_line(&mut line).map_err(|error| failed(&error))? == 0 {
            return Ok(None);
        }
        *number += 1;
        Ok(Some((*number - 1, line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::outcome::{Order, check_output};
    use crate::batch::rows::write_rows;
    use crate::mock::{Behaviour, Mock};

    #[test]
    fn every_row_is_asked_once_and_its_answer_written_whatever_the_runtime() {
        let folder = tempfile::tempdir().unwrap();
        let rows = folder.path().join("rows.jsonl");
        write_rows(&rows, 300).unwrap();
        for threads in [1, 2] {
            let out = folder.path().join("out.jsonl");
            runtime(threads).unwrap().block_on(async {
                let mock = Mock::start(0, Behaviour::default()).unwrap();
                let url = format!("http://{}/v1", mock.address);
                let floor = Floor { url, rows: rows.clone(), out: out.clone(), in_flight: 20 };
                run(&floor).await.unwrap();
                let counts = mock.counters.read();
                assert_eq!((counts.requests, counts.other), (300, 0));
                assert!((1..=20).contains(&counts.most_in_flight), "{counts:?}");
            });
            check_output(&out, 300, Order::Any).unwrap();
        }
    }

    #[test]
    fn a_refusal_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let rows = folder.path().join("rows.jsonl");
        write_rows(&rows, 10).unwrap();
        runtime(1).unwrap().block_on(async {
            let mock = Mock::start(0, Behaviour { refuse_every: Some(5), ..Behaviour::default() }).unwrap();
            let url = format!("http://{}/v1/", mock.address);
            let floor = Floor { url, rows, out: folder.path().join("out"), in_flight: 2 };
            let failure = run(&floor).await.expect_err("a refusal");
            assert!(failure.to_string().contains("429"), "{failure}");
        });
    }
}
