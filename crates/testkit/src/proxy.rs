//! A web proxy on this machine: tunnels (`CONNECT`) and forwards, tells what it saw, and may want a password.
//!
//! It resolves names by a table of its own, so that a test can call `https://far.test`, which exists nowhere, and see
//! that nobody but the proxy was asked for it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// A proxy on 127.0.0.1; stops when dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// A request that the proxy saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its first line, such as `CONNECT far.test:443 HTTP/1.1`.
    pub line: String,
    /// Header names (lower case) and values, in order.
    pub headers: Vec<(String, String)>,
}

#[derive(Default)]
struct Shared {
    routes: BTreeMap<String, u16>,
    /// The whole value of `proxy-authorization`.
    wanted: Option<String>,
    refusal: Option<u16>,
    passed: Vec<Passed>,
}

impl Proxy {
    /// Starts a proxy that knows no host yet.
    ///
    /// # Panics
    /// If no port is free or no thread can start; then there is no test to run.
    #[expect(clippy::expect_used, clippy::unwrap_used, reason = "a test's foundation: without it there is no test")]
    #[must_use]
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::<Shared>::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let state = shared.clone();
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                let accepting = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        // A client that goes away in the middle is nobody's failure.
                        let state = state.clone();
                        tokio::spawn(async move { pass(stream, &state).await.ok() });
                    }
                };
                tokio::select! {
                    () = accepting => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("proxy".to_owned()).spawn(serve).expect("a thread");
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `http://USER:PASSWORD@127.0.0.1:PORT`.
    #[must_use]
    pub fn url_for(&self, user: &str, password: &str) -> String {
        format!("http://{user}:{password}@{}", self.address)
    }

    /// Leads calls of a host, whatever their port, to a port of this machine.
    pub fn route(&self, host: &str, port: u16) -> &Self {
        self.lock().routes.insert(host.to_owned(), port);
        self
    }

    /// Wants this value of `proxy-authorization` from now on, such as `Basic dTpw`.
    pub fn demand(&self, authorization: &str) -> &Self {
        self.lock().wanted = Some(authorization.to_owned());
        self
    }

    /// Answers with this status from now on, and passes nothing.
    pub fn refuse(&self, status: u16) -> &Self {
        self.lock().refusal = Some(status);
        self
    }

    /// What was seen so far, in order, refused requests included.
    #[must_use]
    pub fn passed(&self) -> Vec<Passed> {
        self.lock().passed.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Passed {
    /// The value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

async fn pass(mut client: TcpStream, shared: &Mutex<Shared>) -> io::Result<()> {
    let (head, rest) = read_head(&mut client).await?;
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let (method, target) =
        line.split_once(' ').map_or(("", ""), |(method, rest)| (method, rest.split(' ').next().unwrap_or_default()));
    let seen = Passed { line: line.clone(), headers: headers.clone() };
    let authority = target.strip_prefix("http://").unwrap_or(target).split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let answer = {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = seen.header("proxy-authorization").map(str::to_owned);
        shared.passed.push(seen);
        match (&shared.wanted, shared.refusal, shared.routes.get(host)) {
            (Some(wanted), ..) if shown.as_deref() != Some(wanted) => {
                Err("407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"proxy\"".to_owned())
            }
            (_, Some(status), _) => Err(format!("{status} As The Test Wants It")),
            (.., None) => Err("502 Bad Gateway".to_owned()),
            (.., Some(port)) => Ok(*port),
        }
    };
    let port = match answer {
        Ok(port) => port,
        Err(status) => {
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            return client.write_all(answer.as_bytes()).await;
        }
    };
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    } else {
        let path = target.strip_prefix("http://").and_then(|target| target.find('/').map(|at| &target[at..]));
        let mut head = format!("{method} {} HTTP/1.1\r\n", path.unwrap_or("/"));
        for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with("proxy-") && name != "connection") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("connection: close\r\n\r\n");
        server.write_all(head.as_bytes()).await?;
    }
    server.write_all(&rest).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// A request's first lines, and what came behind them already.
async fn read_head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
