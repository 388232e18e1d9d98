//! Ctrl-C: the first stops the run in order, the second ends the process at once.

use tokio::sync::oneshot;

use crate::error::CliError;
use crate::terminal::Printer;

/// Begins to listen for Ctrl-C (and, on Unix, for the request to terminate). The future completes at the first.
///
/// Signals are awaited on a thread of their own: the run's thread may be busy with a template or a flush when the second
/// one comes, which must end the process all the same.
pub(crate) fn listen(printer: Printer) -> Result<impl Future<Output = ()>, CliError> {
    let (first, heard) = oneshot::channel();
    let cannot =
        |error: std::io::Error| CliError::failed("the program cannot listen for Ctrl-C").cause(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(cannot)?;
    let listening = move || {
        runtime.block_on(async {
            asked_to_stop().await;
            printer.say("\nstopping; press Ctrl-C again to end at once");
            let _ = first.send(());
            asked_to_stop().await;
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
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
