//! Batches that are large: their memory does not grow with them. By hand, and in a release build:
//!
//! ```sh
//! cargo test --release -p sluicegate --test it -- --ignored --nocapture batch_size
//! ```
//!
//! `SLUICEGATE_LINES=100000` makes them smaller, and a debug build bearable.

#![expect(clippy::print_stderr, reason = "figures are for whoever runs it")]

use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::time::{Duration, Instant};

use crate::batch_project::offline;
use crate::fixture::SLUICEGATE;

/// Runs so many lines with texts of so many bytes through a flow that asks nobody, prints time and memory, and checks that
/// every line is there once and in order.
fn check_large(lines: u64, bytes: usize) {
    let project = offline("");
    let flow = "inputs: { q: { type: string } }\noutputs: { said: { type: string, reference: \"${short.output}\" } }\nnodes:\n- { name: short, type: expression, inputs: { q: \"${inputs.q}\" }, expression: 'q[:12]' }\n";
    project.write("flow/flow.dag.yaml", flow);
    let mut data = BufWriter::new(std::fs::File::create(project.path().join("rows.jsonl")).expect("a file"));
    let rest = "x".repeat(bytes);
    for line in 0..lines {
        writeln!(data, "{{\"q\": \"{line:011} {rest}\"}}").expect("written");
    }
    data.into_inner().expect("written").sync_all().expect("on disk");

    let start = Instant::now();
    let words = ["batch", "flow", "--data", "rows.jsonl", "--output", "out", "--concurrency", "200"];
    let mut child = project.start(SLUICEGATE, &words);
    let mut peak = 0;
    while child.try_wait().expect("its state").is_none() {
        peak = peak.max(most_resident_kib(child.id()).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(50));
    }
    let took = start.elapsed();
    let ran = project.wait(child);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let journal = std::fs::read_dir(project.path().join(".sluicegate/runs")).expect("runs");
    let kept: u64 = journal.filter_map(|entry| entry.ok()?.metadata().ok()).map(|file| file.len()).sum();
    eprintln!(
        "{lines} lines of {bytes} bytes: {:.1} s, {:.0} lines/s, {} MiB resident at most, journal {} MiB",
        took.as_secs_f64(),
        lines as f64 / took.as_secs_f64(),
        peak >> 10,
        kept >> 20
    );
    let outputs = BufReader::new(std::fs::File::open(project.path().join("out/output.jsonl")).expect("outputs"));
    let mut count = 0;
    for (line, text) in (0_u64..).zip(outputs.lines()) {
        let expected = format!("{{\"line_number\":{line},\"said\":\"{line:011} \"}}");
        assert_eq!(text.expect("a row"), expected);
        count += 1;
    }
    assert_eq!(count, lines);
    // Twice 200 lines run at once: their texts are there, and some copies of them.
    let most = 80 + ((400 * bytes as u64 * 6) >> 20);
    assert!(peak == 0 || peak >> 10 <= most, "{} MiB resident, at most {most} are expected", peak >> 10);
}

/// The most memory that a process has had resident, in KiB; `None` where the system does not tell.
fn most_resident_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn lines(usual: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "whoever runs it by hand may want fewer")]
    let asked = std::env::var("SLUICEGATE_LINES").ok();
    asked.and_then(|lines| lines.parse().ok()).unwrap_or(usual)
}

#[test]
#[ignore = "by hand, in a release build: see above"]
fn a_million_lines() {
    check_large(lines(1_000_000), 20);
}

/// A gigabyte of rows of 10 KB.
#[test]
#[ignore = "by hand, in a release build: see above"]
fn a_gigabyte_of_rows() {
    check_large(lines(100_000), 10_000);
}
