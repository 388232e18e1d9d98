//! A mock of an OpenAI-compatible endpoint that costs next to nothing, so that nobody measures the mock: raw TCP, a parser
//! that looks for a length, replies that are made once. It also receives traces.

pub(crate) mod counts;
pub(crate) mod process;
pub(crate) mod reply;
mod request;
mod spans;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use self::counts::Counters;
use self::reply::Replies;
use self::request::{Parsed, Request, parse};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::files_limit;

/// Clients that come at once and are not taken yet; the system cuts it down to what it allows.
const BACKLOG: u32 = 16 * 1024;
/// Free room in a connection's buffer before a read: most requests fit.
const READ_ROOM: usize = 4 * 1024;

/// How a mock behaves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Behaviour {
    /// The time from a request's last byte to its answer.
    pub(crate) latency: Duration,
    /// Every so many requests one is answered 429, at once.
    pub(crate) refuse_every: Option<u64>,
}

/// The command `mock`: serves until stdin ends.
pub(crate) fn main(mut arguments: Arguments) -> Result<(), Failure> {
    let port = arguments.number("--port")?.unwrap_or(0);
    let behaviour = Behaviour {
        latency: Duration::from_millis(arguments.number("--latency-ms")?.unwrap_or(0)),
        refuse_every: arguments.count("--status-429-every")?.map(|every| every as u64),
    };
    let threads = arguments.count("--threads")?.unwrap_or(1);
    arguments.finish()?;
    files_limit::raise();
    let runtime = runtime(threads)?;
    runtime.block_on(async {
        let mock = Mock::start(port, behaviour)?;
        println!("{}", mock.address.port());
        std::io::stdout().flush().map_err(Failure::while_doing("writing the port"))?;
        // Not tokio's stdin: its blocking read would keep the runtime from ending.
        let (ended, end) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            let _ = ended.send(());
        });
        let _ = end.await;
        println!("{}", mock.counters.read().to_json());
        Ok(())
    })
}

/// A runtime of so many threads; one is the thread that blocks on it.
pub(crate) fn runtime(threads: usize) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(threads).enable_all().build().map_err(Failure::while_doing("starting a runtime"))
}

/// A mock that serves on the runtime it was started on, until that is gone.
#[derive(Debug)]
pub(crate) struct Mock {
    pub(crate) address: SocketAddr,
    pub(crate) counters: Arc<Counters>,
}

impl Mock {
    /// Listens on loopback; port 0 takes any that is free.
    pub(crate) fn start(port: u16, behaviour: Behaviour) -> Result<Self, Failure> {
        let listen = || -> std::io::Result<(TcpListener, SocketAddr)> {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
            let listener = socket.listen(BACKLOG)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = listen().map_err(Failure::while_doing(format_args!("listening on port {port}")))?;
        let counters = Arc::new(Counters::default());
        let shared = Arc::new(Shared { behaviour, replies: Replies::new(), counters: counters.clone() });
        tokio::spawn(accept(listener, shared));
        Ok(Self { address, counters })
    }
}

struct Shared {
    behaviour: Behaviour,
    replies: Replies,
    counters: Arc<Counters>,
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                shared.counters.connections.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let shared = shared.clone();
                tokio::spawn(async move {
                    // A client that goes away in the middle is its own business.
                    let _ = serve(stream, &shared).await;
                });
            }
            // No descriptors left: those in use come free.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(READ_ROOM);
    let mut out = Vec::new();
    loop {
        buffer.reserve(READ_ROOM);
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        let mut done = 0;
        let mut keep_alive = true;
        out.clear();
        while keep_alive {
            match parse(&buffer[done..]) {
                Parsed::Incomplete => break,
                Parsed::Request(request) => {
                    answer(&request, shared, &mut stream, &mut out).await?;
                    keep_alive = request.keep_alive;
                    done += request.length;
                }
                Parsed::Wrong(_) => {
                    shared.counters.other.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    out.extend_from_slice(&shared.replies.bad_request);
                    keep_alive = false;
                }
            }
        }
        buffer.drain(..done);
        stream.write_all(&out).await?;
        if !keep_alive {
            return stream.shutdown().await;
        }
    }
}

/// Adds the answer to `out`. A request that waits behind another on its connection waits for the answer before it, too.
async fn answer(
    request: &Request<'_>,
    shared: &Shared,
    stream: &mut TcpStream,
    out: &mut Vec<u8>,
) -> std::io::Result<()> {
    let path = request.target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let Shared { behaviour, replies, counters } = shared;
    if request.method == b"POST" && path.ends_with(b"/chat/completions") {
        let number = counters.begin();
        // Counted as over even if the client is gone before.
        let _end = EndOnDrop(counters);
        if behaviour.refuse_every.is_some_and(|every| number % every == 0) {
            counters.refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            out.extend_from_slice(&replies.refused);
            return Ok(());
        }
        if !behaviour.latency.is_zero() {
            if !out.is_empty() {
                stream.write_all(out).await?;
                out.clear();
            }
            tokio::time::sleep(behaviour.latency).await;
        }
        replies.write_completion(&request.body, out);
    } else if request.method == b"POST" && path.ends_with(b"/v1/traces") {
        counters.traces(request.body.len(), if request.encoded { 0 } else { spans::count(&request.body) });
        out.extend_from_slice(&replies.received);
    } else {
        counters.other.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        out.extend_from_slice(&replies.not_found);
    }
    Ok(())
}

struct EndOnDrop<'a>(&'a Counters);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
