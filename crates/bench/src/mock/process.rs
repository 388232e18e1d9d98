//! A mock in a process of its own, as its users see it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::Behaviour;
use super::counts::Counts;
use crate::failure::Failure;
use crate::measure;

/// A mock in a process of its own; it ends with this value.
#[derive(Debug)]
pub(crate) struct MockProcess {
    child: Child,
    // Dropped first at the end: closing it is how the mock is told.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    port: u16,
}

impl MockProcess {
    /// Starts this program as a mock, and waits until it listens.
    pub(crate) fn start(behaviour: Behaviour, threads: usize) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(Failure::while_doing("finding this program"))?;
        let mut command = Command::new(program);
        command.args(["mock", "--port", "0", "--latency-ms", &behaviour.latency.as_millis().to_string()]);
        command.args(["--threads", &threads.to_string()]);
        if let Some(every) = behaviour.refuse_every {
            command.args(["--status-429-every", &every.to_string()]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(Failure::while_doing("starting the mock"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(|| Failure::new("the mock has no stdout"))?;
        let mut mock = Self { child, stdin, stdout: BufReader::new(stdout), port: 0 };
        let mut line = String::new();
        mock.stdout.read_line(&mut line).map_err(Failure::while_doing("reading the mock's port"))?;
        mock.port = line.trim().parse().map_err(|_| Failure::new("the mock did not start"))?;
        Ok(mock)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The base address for clients of OpenAI's API.
    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// CPU milliseconds that the mock has used so far, where that can be known.
    pub(crate) fn cpu_milliseconds(&self) -> Option<f64> {
        measure::cpu_milliseconds_of(self.child.id())
    }

    /// Ends it, and gives what it has seen.
    pub(crate) fn finish(mut self) -> Result<Counts, Failure> {
        drop(self.stdin.take());
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).map_err(Failure::while_doing("reading the mock's counts"))?;
        Counts::from_json(text.trim())
    }
}

impl Drop for MockProcess {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
