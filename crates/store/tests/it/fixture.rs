//! Files of each format, committed: every later version reads them.
//!
//! `SLUICEGATE_WRITE_FIXTURES=1 cargo test -p sluicegate-store fixture` writes the newest one anew, on purpose only.

use std::path::{Path, PathBuf};

use sluicegate_events::{EventKind, RunStatus};
use sluicegate_store::{RunFilter, ShownStatus};
use sluicegate_value::{Map, Value};

use crate::sample::{event, finished_node, place, replied, run_finished, run_id, started, usage, written};

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/run-v1.db")
}

fn kinds() -> Vec<EventKind> {
    vec![
        started("entity_extraction", Some("local")),
        EventKind::NodeStarted { node_kind: "llm".into(), inputs: Map::from([("text", "Alice met Bob")]).into() },
        replied(usage(120, 8), 0.002),
        finished_node("a".repeat(40_000).into()),
        finished_node(vec![Value::from(f64::INFINITY), Value::from(1.0), Value::from(u64::MAX)].into()),
        EventKind::RunResumed { repeated_calls: 1, repeated_nodes: 0 },
        run_finished(RunStatus::Completed, usage(120, 8), Some(0.002)),
    ]
}

/// Of a kind that the version which wrote the file did not know either.
const FROM_THE_FUTURE: &str =
    r#"{"seq":8,"at":"2026-01-01T00:00:00Z","run":"fixture","kind":"node_dreamt","of":[1.0]}"#;

#[test]
#[expect(clippy::disallowed_methods, reason = "only somebody who changes the format sets it")]
fn a_run_of_format_1_is_read() {
    if std::env::var_os("SLUICEGATE_WRITE_FIXTURES").is_some() {
        write();
    }
    // A copy: SQLite leaves files beside what it reads.
    let place = place();
    std::fs::copy(file(), place.store.root().join("runs/fixture.db")).unwrap();
    let run = run_id("fixture");
    let reader = place.store.open_run(&run).unwrap();
    let events = reader.events().unwrap();
    let expected: Vec<_> = kinds().into_iter().zip(1..).map(|(kind, seq)| event(&run, seq, kind)).collect();
    assert_eq!(events[..7], expected);
    assert_eq!(events[7].kind, EventKind::Unknown);
    assert_eq!(reader.rows_after(7, 1).unwrap()[0].body, FROM_THE_FUTURE);
    assert_eq!(reader.engine().unwrap().as_deref(), Some("0.1.0"));

    let rows = place.store.list(&RunFilter::default()).unwrap();
    assert_eq!((rows[0].flow.as_str(), rows[0].status), ("entity_extraction", ShownStatus::Completed));
    assert_eq!((rows[0].usage, rows[0].cost), (usage(120, 8), Some(0.002)));
}

fn write() {
    let place = place();
    written(&place.store, "fixture", kinds());
    let made = place.store.root().join("runs/fixture.db");
    let connection = rusqlite::Connection::open(&made).unwrap();
    connection
        .execute(
            "INSERT INTO events VALUES (8, '2026-01-01T00:00:00Z', NULL, '', 'node_dreamt', ?1)",
            [FROM_THE_FUTURE],
        )
        .unwrap();
    connection.execute("UPDATE lease SET pid = 1, boot = NULL", []).unwrap();
    connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    drop(connection);
    std::fs::create_dir_all(file().parent().unwrap()).unwrap();
    std::fs::copy(made, file()).unwrap();
}
