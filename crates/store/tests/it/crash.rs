//! `kill -9` at any moment: what was acknowledged is there, and nothing has a hole.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use sluicegate_events::Journal as _;
use sluicegate_store::{Durability, RunFilter, ShownStatus, Store};

use crate::sample::{event, numbered, place, run_id, started, wait};

const CHILD: &str = "SLUICEGATE_TEST_WRITER_FOLDER";

/// Not a test of its own: the process that the tests below kill. It says the number of each event whose append was
/// acknowledged, and never ends by itself.
#[test]
#[expect(clippy::disallowed_methods, reason = "how a test tells its own child process that it is one")]
fn a_child_that_writes_until_it_is_killed() {
    let Some(root) = std::env::var_os(CHILD) else { return };
    let store = Store::open(root).unwrap();
    let run = run_id("killed");
    let journal = store.create_run(&run, "0.1.0", Durability::Process).unwrap();
    let mut seq = 1;
    wait(journal.append(vec![event(&run, seq, started("f", None))].into())).unwrap();
    wait(async {
        loop {
            // Several at once, so that commits hold more than one append.
            let waiting: Vec<_> = (0..3)
                .map(|_| {
                    let events = (0..2).map(|_| {
                        seq += 1;
                        numbered(&run, seq)
                    });
                    journal.append(Arc::new(events.collect()))
                })
                .collect();
            let first = seq - 5;
            for (append, number) in waiting.into_iter().zip([first + 1, first + 3, first + 5]) {
                append.await.unwrap();
                println!("acknowledged {number}");
            }
        }
    });
}

fn check_killed_after(acknowledgements: usize) {
    let place = place();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::a_child_that_writes_until_it_is_killed", "--nocapture"])
        .env(CHILD, place.store.root())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let number = |line: String| line.split("acknowledged ").nth(1)?.trim().parse::<u64>().ok();
    let mut acknowledged = lines.by_ref().filter_map(number).nth(acknowledgements).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // What it still said before it died was promised as well.
    acknowledged = lines.filter_map(number).last().unwrap_or(acknowledged);

    let run = run_id("killed");
    let events = place.store.open_run(&run).unwrap().events().unwrap();
    assert!(events.len() as u64 >= acknowledged, "{} of {acknowledged} acknowledged events are there", events.len());
    let expected = std::iter::once(event(&run, 1, started("f", None))).chain((2..).map(|seq| numbered(&run, seq)));
    assert_eq!(events, expected.take(events.len()).collect::<Vec<_>>());
    assert_eq!(place.store.list(&RunFilter::default()).unwrap()[0].status, ShownStatus::Interrupted);

    let (journal, past) = place.store.resume_run(&run, Durability::Power).unwrap();
    wait(journal.append(vec![numbered(&run, past.len() as u64 + 1)].into())).unwrap();
}

#[test]
fn a_killed_writer_leaves_all_that_it_acknowledged() {
    for acknowledgements in [0, 1, 2, 5, 17, 40, 111, 300] {
        check_killed_after(acknowledgements);
    }
}
