//! How often the gate is wrong, over pull requests whose truth is known: run it with
//! `cargo run --release -p sluicegate-gate --example simulate [RUNS] [SEED] [WORDS]`; 2,000 runs of each row, if not told
//! otherwise, and with `WORDS` only the rows whose name holds them.
//! The figures are the same on every machine. Ends with code 1 if a row misses its bound.
#![allow(clippy::print_stdout, reason = "an example that prints figures")]

mod rows;
mod world;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use rows::{Bound, Row, USABLE, questions};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let whole = |place: usize| arguments.get(place).and_then(|argument| argument.parse::<u64>().ok());
    let runs = whole(0).unwrap_or(2_000).max(1) as usize;
    let seed = whole(1).unwrap_or(20_260_101);
    let words = arguments.get(2).map_or("", String::as_str);
    println!(
        "{runs} runs a row, seed {seed}; bounds are kept but for two Monte-Carlo standard errors (the ± column)\n"
    );
    let rows = answered(runs, seed, words);
    println!("{:<66} {:>7}  {:<10} {:>6}", "what", "rate", "bound", "±");
    for row in &rows {
        let bound = match row.bound {
            Bound::AtMost(bound) => format!("<= {bound:.3}"),
            Bound::AtLeast(bound) => format!(">= {bound:.3}"),
            Bound::Shown => String::new(),
        };
        let missed = if row.holds_within(2.0) { "" } else { "  MISSED" };
        println!("{:<66} {:>7.4}  {bound:<10} {:>6.4}  {}{missed}", row.what, row.rate, row.error(), row.note);
    }
    println!("\n{USABLE}");
    let missed = rows.iter().filter(|row| !row.holds_within(2.0)).count();
    println!("\n{} of {} rows keep their bounds", rows.len() - missed, rows.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All rows, in order; each has a seed of its own, so that threads change nothing.
fn answered(runs: usize, seed: u64, words: &str) -> Vec<Row> {
    // A row tells its name with one run; its seed is that of its place among all.
    let questions = questions();
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let (sender, questions, next) = (sender.clone(), &questions, &next);
            scope.spawn(move || {
                while let Some((at, question)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    questions.get(at).map(|question| (at, question))
                } {
                    // Nobody listens any longer only when the program ends.
                    let seed = seed + at as u64;
                    if words.is_empty() || question(1, seed).what.contains(words) {
                        let _ = sender.send((at, question(runs, seed)));
                    }
                }
            });
        }
    });
    drop(sender);
    let mut rows: Vec<(usize, Row)> = receiver.into_iter().collect();
    rows.sort_by_key(|(at, _)| *at);
    rows.into_iter().map(|(_, row)| row).collect()
}
