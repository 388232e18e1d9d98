//! A running endpoint, and a client that shows what came over the wire.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluicegate_model::script::Script;
use sluicegate_server::simulate::Simulate;
use sluicegate_server::{Listener, Served};
use sluicegate_value::json;
use tokio::sync::oneshot;

/// An endpoint with a script; stops when dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    served: Arc<Heard>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// One line for each request.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Listener for Heard {
    fn served(&self, request: &Served<'_>) {
        let status = request.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let line = format!("{} {} {} {status}", request.method, request.path, request.model.unwrap_or("-"));
        self.0.lock().unwrap().push(line);
    }
}

impl Running {
    /// Serves a script, written as JSON.
    pub(crate) fn start(script: &str) -> Self {
        Self::start_with(script, |_| {})
    }

    pub(crate) fn start_with(script: &str, change: impl FnOnce(&mut Simulate)) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let served = Arc::new(Heard::default());
        let mut simulate = Simulate::new(Script::parse(&json::read(script).unwrap()).unwrap());
        simulate.listener = Some(served.clone());
        change(&mut simulate);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let shutdown = async {
                    let _ = stopped.await;
                };
                simulate.serve(listener, shutdown).await.unwrap();
            });
        });
        Self { address, served, stop: Some(stop), thread: Some(thread) }
    }

    /// Ends it, and waits until it has ended.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// What the listener heard so far, once it has heard so many.
    pub(crate) fn heard(&self, count: usize) -> Vec<String> {
        for _ in 0..1000 {
            let heard = self.served.0.lock().unwrap().clone();
            if heard.len() >= count {
                return heard;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("only {:?} of {count} were heard", self.served.0.lock().unwrap());
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[], body).expect("an answer")
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").expect("an answer")
    }

    /// Sends a request on a connection of its own.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Answer> {
        let mut wire = Vec::new();
        let result = self.connect(method, path, headers, body)?.read_to_end(&mut wire);
        match (result, Answer::read(&wire)) {
            (Ok(_), Some(answer)) => Ok(answer),
            (Err(error), _) => Err(error),
            (Ok(_), None) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// What came before the connection broke.
    pub(crate) fn send_until_cut(&self, path: &str, body: &str) -> (String, io::Error) {
        let mut wire = Vec::new();
        let error = self.connect("POST", path, &[], body).unwrap().read_to_end(&mut wire).unwrap_err();
        (String::from_utf8(wire).unwrap(), error)
    }

    pub(crate) fn connect(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        Ok(stream)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Answer {
    fn read(wire: &[u8]) -> Option<Self> {
        let wire = std::str::from_utf8(wire).ok()?;
        let (head, body) = wire.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = if is_chunked { whole(body)? } else { body.to_owned() };
        Some(Self { status, headers, body })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body with what differs from run to run taken out.
    pub(crate) fn steady(&self) -> String {
        steady(&self.body)
    }

    /// The data of each event, steady.
    pub(crate) fn events(&self) -> Vec<String> {
        let data = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(steady).collect()
    }

    /// The names of the events.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.body.lines().filter_map(|line| line.strip_prefix("event: ")).collect()
    }

    pub(crate) fn json(&self) -> sluicegate_value::Value {
        json::read(&self.body).unwrap()
    }
}

/// Puts a chunked body together.
fn whole(mut chunked: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (length, rest) = chunked.split_once("\r\n")?;
        let length = usize::from_str_radix(length, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.push_str(rest.get(..length)?);
        chunked = rest.get(length + 2..)?;
    }
}

/// Takes the time out, and the 16 hex digits of ids, which tests shall not read.
pub(crate) fn steady(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|letter: char| letter.is_ascii_hexdigit()) {
        let (before, from) = rest.split_at(at);
        let end = from.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(from.len());
        let (digits, after) = from.split_at(end);
        out.push_str(before);
        out.push_str(match digits.len() {
            16 => "ID",
            10 if digits.bytes().all(|byte| byte.is_ascii_digit()) => "NOW",
            _ => digits,
        });
        rest = after;
    }
    out.push_str(rest);
    out
}
