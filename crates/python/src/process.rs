//! A worker's process: its channel, its group, its end. One interface, for Unix and for Windows.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::{Child, ChildStderr, Command};

/// What is read from a worker.
pub(crate) type Reading = Box<dyn AsyncRead + Send + Unpin>;
/// What is written to a worker.
pub(crate) type Writing = Box<dyn AsyncWrite + Send + Unpin>;

/// A process that has just been started.
pub(crate) struct Started {
    pub(crate) child: Child,
    pub(crate) incoming: Reading,
    pub(crate) outgoing: Writing,
    pub(crate) stderr: Option<ChildStderr>,
    pub(crate) life: Life,
}

/// Held as long as the process may live: where the system can do it, it ends when this does, however that happens.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Life(#[expect(dead_code, reason = "its end is what it is for")] io::PipeWriter);

/// Held as long as the process may live.
#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) struct Life;

/// How the worker is told what its stdin and stdout are (see `channel.py`).
#[cfg(unix)]
pub(crate) const SHAPE: &str = "socket";
#[cfg(not(unix))]
pub(crate) const SHAPE: &str = "pipes";

/// Starts a program in a process group of its own, so that all of it can be ended at once and a terminal's Ctrl-C is not
/// meant for it.
pub(crate) fn start(
    program: &Path,
    arguments: &[OsString],
    folder: &Path,
    variables: &[(&str, &str)],
) -> io::Result<Started> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stderr(Stdio::piped()).kill_on_drop(true);
    command.envs(variables.iter().copied());
    start_in_group(command)
}

#[cfg(unix)]
fn start_in_group(mut command: Command) -> io::Result<Started> {
    use std::os::fd::OwnedFd;

    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    let (watched, life) = io::pipe()?;
    command.stdin(OwnedFd::from(theirs)).stdout(OwnedFd::from(watched)).process_group(0);
    ours.set_nonblocking(true)?;
    let (incoming, outgoing) = tokio::net::UnixStream::from_std(ours)?.into_split();
    let mut child = command.spawn()?;
    // The command holds the child's ends: while they are open here, nobody sees that the child has closed its own.
    drop(command);
    let stderr = child.stderr.take();
    Ok(Started { child, incoming: Box::new(incoming), outgoing: Box::new(outgoing), stderr, life: Life(life) })
}

#[cfg(windows)]
fn start_in_group(mut command: Command) -> io::Result<Started> {
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).creation_flags(CREATE_NEW_PROCESS_GROUP);
    let mut child = command.spawn()?;
    let (Some(outgoing), Some(incoming)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let stderr = child.stderr.take();
    Ok(Started { child, incoming: Box::new(incoming), outgoing: Box::new(outgoing), stderr, life: Life })
}

/// Ends a process and all that it has started, at once. Who is dead already is no error.
#[cfg(unix)]
pub(crate) fn kill_group(leader: u32) {
    let leader = i32::try_from(leader).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(leader) = leader {
        let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
    }
}

/// Ends a process and all that it has started, at once. Who is dead already is no error.
#[cfg(windows)]
pub(crate) fn kill_group(leader: u32) {
    let _ = std::process::Command::new("taskkill")
        .args(["/T", "/F", "/PID", &leader.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}
