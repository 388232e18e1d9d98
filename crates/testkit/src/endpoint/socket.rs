//! Sockets that break on demand, with and without TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::Server;

/// Whether a connection shall break at its next write.
#[derive(Clone)]
pub(super) struct Doom(Arc<AtomicBool>);

impl Doom {
    /// Lets the connection break at its next write.
    pub(super) fn seal(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Accepts connections and counts them.
pub(super) struct Doors {
    address: SocketAddr,
    ready: mpsc::UnboundedReceiver<(Door, SocketAddr)>,
}

/// A connection that its handler can break: no layer above the socket offers a reset.
pub(super) struct Door {
    stream: Stream,
    doom: Doom,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Doors {
    /// Opens the doors; must be called on a runtime. With `tls` each connection begins with a handshake, and those
    /// that fail in it are counted and led nowhere.
    pub(super) fn open(listener: TcpListener, tls: Option<Server>, count: Arc<AtomicUsize>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (send, ready) = mpsc::unbounded_channel();
        let acceptor = tls.map(|server| TlsAcceptor::from(server.0));
        tokio::spawn(async move {
            let mut listener = listener;
            loop {
                let (stream, from) = Listener::accept(&mut listener).await;
                let _ = stream.set_nodelay(true);
                count.fetch_add(1, Ordering::SeqCst);
                let Some(acceptor) = acceptor.clone() else {
                    let _ = send.send((Door::new(Stream::Plain(stream)), from));
                    continue;
                };
                // On the side: one client that is slow to greet must not keep the others waiting.
                let send = send.clone();
                tokio::spawn(async move {
                    match acceptor.accept(stream).into_fallible().await {
                        Ok(stream) => {
                            let _ = send.send((Door::new(Stream::Tls(Box::new(stream))), from));
                        }
                        // Closing at once would reset the connection, and the client might not hear why.
                        Err((_, mut stream)) => {
                            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                        }
                    }
                });
            }
        });
        Ok(Self { address, ready })
    }
}

impl Door {
    fn new(stream: Stream) -> Self {
        Self { stream, doom: Doom(Arc::default()) }
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl Listener for Doors {
    type Io = Door;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Door, SocketAddr) {
        match self.ready.recv().await {
            Some(came) => came,
            // The runtime ends, and whoever waits here with it.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, Doors>> for Doom {
    fn connect_info(stream: IncomingStream<'_, Doors>) -> Self {
        stream.io().doom.clone()
    }
}

impl AsyncRead for Door {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Door {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.doom.0.load(Ordering::SeqCst) {
            // With no linger, closing resets the connection instead of ending it politely.
            let _ = self.socket().set_zero_linger();
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
