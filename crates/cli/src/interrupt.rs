//! Ctrl-C: the first stops the run in order, the second ends the process at once.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::error::CliError;
use crate::terminal::Printer;

/// One Ctrl-C for several that wait for it, one after the other.
#[derive(Clone)]
pub(crate) struct Interruption(Rc<RefCell<Waiting>>);

enum Waiting {
    Yet(Pin<Box<dyn Future<Output = ()>>>),
    /// It came; who waits from now on need not.
    Over,
}

impl Interruption {
    /// Begins to listen.
    pub(crate) fn listen(printer: Printer) -> Result<Self, CliError> {
        Ok(Self(Rc::new(RefCell::new(Waiting::Yet(Box::pin(listen(printer)?))))))
    }

    /// Completes at the first Ctrl-C.
    pub(crate) fn future(&self) -> Pin<Box<dyn Future<Output = ()>>> {
        let waiting = self.0.clone();
        Box::pin(std::future::poll_fn(move |context| {
            let mut waiting = waiting.borrow_mut();
            if let Waiting::Yet(future) = &mut *waiting {
                std::task::ready!(future.as_mut().poll(context));
                *waiting = Waiting::Over;
            }
            Poll::Ready(())
        }))
    }
}

/// Begins to listen for Ctrl-C (on Unix also for the requests to terminate and to hang up). The future completes at the
/// first.
///
/// Signals are awaited on a thread of their own: the run's thread may be busy with a template or a flush when the second
/// one comes, which must end the process all the same.
pub(crate) fn listen(printer: Printer) -> Result<impl Future<Output = ()>, CliError> {
    let (first, heard) = oneshot::channel();
    let cannot =
        |error: std::io::Error| CliError::failed("the program cannot listen for Ctrl-C").cause(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(cannot)?;
    // Registered here and now, so that no signal of later is missed while the thread starts.
    let mut signals = {
        let _inside = runtime.enter();
        Signals::register().map_err(cannot)?
    };
    let listening = move || {
        runtime.block_on(async {
            signals.next().await;
            printer.say("\nstopping; press Ctrl-C again to end at once");
            let _ = first.send(());
            signals.next().await;
            #[expect(clippy::disallowed_methods, reason = "asked twice: what is not on disk yet is given up")]
            std::process::exit(130);
        });
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(listening).map_err(cannot)?;
    Ok(async {
        if heard.await.is_err() {
            std::future::pending().await
        }
    })
}

#[cfg(unix)]
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    /// A file that grew beyond the process's limit. Heard only so that it does not kill: the write fails then, and the
    /// journal says so.
    _file_too_large: Option<Signal>,
}

#[cfg(unix)]
impl Signals {
    fn register() -> std::io::Result<Self> {
        /// The same number on Linux and macOS, wherever this runs.
        const FILE_TOO_LARGE: i32 = 25;
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            _file_too_large: signal(SignalKind::from_raw(FILE_TOO_LARGE)).ok(),
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn register() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
