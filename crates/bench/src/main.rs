//! Measures the program beside a bare HTTP loop, on a mock endpoint in a process of its own.
//!
//! ```text
//!  sluicegate-bench batch                     the targets of batches: floor and sluicegate in turn, and the ratios
//!    ├─ sluicegate-bench mock                 the endpoint, and a receiver of traces; one process for each measurement
//!    ├─ sluicegate-bench floor                reads JSONL, posts, writes JSONL; nothing can be much cheaper
//!    └─ sluicegate batch …                    the release binary, in a project written for the occasion
//!  sluicegate-bench ceiling                   what the mock itself can do, so that nobody measures the mock
//! ```
//!
//! Run it from the workspace, on an idle machine:
//!
//! ```text
//! cargo build --release -p sluicegate
//! cargo build --release -p sluicegate-bench                   # apart: together they share features, and the floor has no TLS
//! target/release/sluicegate-bench batch                       # every scenario three times, about four minutes
//! target/release/sluicegate-bench batch --only 0ms --profile  # one of them, with the CPU time of each thread
//! target/release/sluicegate-bench batch --only 50ms --rows 1000000 --repetitions 1    # memory stays flat
//! target/release/sluicegate-bench batch --only in-flight-10000                        # by hand: ten thousand calls at once
//! ```
//!
//! (`benches/batch.sh` does the first three lines. `cargo run --release -p sluicegate-bench -- batch` works too, but does not
//! build `sluicegate` itself.)
//!
//! What is measured: wall time from start to end of the process, what it costs to start included; CPU time of the process
//! and of all its children, user and system; the process's own peak of resident memory, and the peak of the sum with its
//! children. Both sides read the same rows and talk to the same kind of mock; the median of the repetitions counts.
//!
//! What is checked: the exit code, that `output.jsonl` has every line once and in order with the answer to *its* row (the
//! mock's replies repeat a number that is in the row's text), and that the mock was asked exactly once for each row. A wrong
//! output ends with exit code 1; being slow does not.
//!
//! Processes are measured on Linux only; elsewhere the crate compiles and says so.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program whose output is its results")]

mod arguments;
mod batch;
mod ceiling;
mod failure;
mod files_limit;
mod floor;
mod measure;
mod mock;

use std::process::ExitCode;

use arguments::Arguments;
use failure::Failure;

const USAGE: &str = "\
Measures sluicegate beside a bare HTTP loop.

sluicegate-bench batch      the batch scenarios, as a table of ratios and targets
    --only NAME,…           some of the scenarios (--list names them)
    --list                  name the scenarios
    --rows N                rows of every scenario
    --latency MS            the mock's time for a reply
    --in-flight N           calls in flight
    --repetitions N         times that each side runs; the median counts (3)
    --sluicegate PATH       the binary (beside this one)
    --folder DIR            where the project and the runs are kept meanwhile (the system's temporary folder)
    --keep                  keep them
    --python PATH           the interpreter of Python nodes
    --concurrency N         what `sluicegate batch --concurrency` gets (the calls in flight)
    --argument TEXT         one more argument for `sluicegate batch`; may be given again
    --floor-threads N       threads of the floor's runtime (1)
    --floor-only            measure the floor alone
    --profile               CPU time of each of sluicegate's threads

sluicegate-bench mock       an endpoint for chat completions and traces; prints its port, ends with stdin, prints counts
    --port N                the port (0: any)
    --latency-ms N          time for a reply (0)
    --status-429-every N    every Nth request is answered 429
    --threads N             threads of the runtime (1)

sluicegate-bench floor      the bare loop
    --url URL               the mock's address, as http://127.0.0.1:PORT/v1
    --rows FILE             JSONL with `text` and `entity_type`
    --out FILE              where lines go, as they come
    --in-flight N           calls in flight (64)
    --threads N             threads of the runtime (1)

sluicegate-bench ceiling    what the mock can do
    --requests N            requests (300000)
    --connections N         connections (64)
    --pipelined N           requests that wait on each connection (1)
    --threads N             threads of the mock (1)
    --client-threads N      threads of the load (1)
";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_else(|| "--help".to_owned());
    let arguments = Arguments::new(words);
    let done = match command.as_str() {
        "batch" => batch::main(arguments),
        "mock" => mock::main(arguments).map(|()| ExitCode::SUCCESS),
        "floor" => floor::main(arguments).map(|()| ExitCode::SUCCESS),
        "ceiling" => ceiling::main(arguments).map(|()| ExitCode::SUCCESS),
        "--help" | "-h" | "help" => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => Err(Failure::asked_wrongly(format!("there is no command `{other}`; see --help"))),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        failure.exit_code()
    })
}
