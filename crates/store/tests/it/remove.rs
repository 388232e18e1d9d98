//! Runs that are deleted, and what is written of them before.

use jiff::{SignedDuration, Timestamp};
use sluicegate_events::{EventKind, RunStatus};
use sluicegate_store::{Durability, PruneFilter, RunFilter, ShownStatus, Store, StoreError};

use crate::sample::{
    append, event, finished_node, numbered, place, run_finished, run_id, started, usage, written, written_events,
};

/// The names of everything under the store's folder of runs and beside it.
fn entries(store: &Store) -> Vec<String> {
    let mut names: Vec<String> = [store.root().join("runs"), store.root().to_owned()]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !matches!(name.as_str(), "runs" | ".gitignore" | "index.db"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_deleted_run_takes_all_that_is_its_own_along_and_nothing_else() {
    let place = place();
    for name in ["a", "a.b", "ab", "a-images"] {
        written(&place.store, name, vec![started("f", None)]);
    }
    let runs = place.store.root().join("runs");
    let others = entries(&place.store).into_iter().filter(|name| !matches!(name.as_str(), "a.db" | "a.lock"));
    let others: Vec<String> = others.collect();
    for name in ["a.db-wal", "a.db-shm", "a.output.jsonl"] {
        std::fs::write(runs.join(name), "12345").unwrap();
    }
    for images in [runs.join("a-images"), place.store.root().join("a-images")] {
        std::fs::create_dir(&images).unwrap();
        std::fs::write(images.join("0.png"), "1234567").unwrap();
    }
    let size = std::fs::metadata(runs.join("a.db")).unwrap().len();

    let bytes = place.store.delete(&run_id("a")).unwrap();
    assert_eq!(bytes, size + 3 * 5 + 2 * 7);
    assert_eq!(entries(&place.store), others);
    assert_eq!(place.store.delete(&run_id("a")), Err(StoreError::NoSuchRun { asked: "a".into() }));
    assert_eq!(place.store.delete(&run_id("../a")), Err(StoreError::BadRunId { id: "../a".into() }));
}

#[test]
fn a_run_that_is_written_is_not_deleted() {
    let place = place();
    let run = run_id("one");
    let journal = place.store.create_run(&run, "0.1.0", Durability::Process).unwrap();
    append(&journal, vec![event(&run, 1, started("f", None))]);
    let error = place.store.delete(&run).unwrap_err();
    assert_eq!(error, StoreError::Held { run: "one".into(), pid: Some(std::process::id()) });
    assert_eq!(place.store.prune(&PruneFilter::default(), false).unwrap(), []);
    drop(journal);
    assert_eq!(place.store.open_run(&run).unwrap().events().unwrap().len(), 1);
}

/// Four runs, an hour apart, the oldest first; 2 has failed.
fn sample(store: &Store) -> Timestamp {
    let first: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for (number, status) in [(1, RunStatus::Completed), (2, RunStatus::Failed), (3, RunStatus::Completed)] {
        let name = format!("run{number}");
        let run = run_id(&name);
        let begun = first + SignedDuration::from_hours(number);
        let mut events =
            vec![event(&run, 1, started("f", None)), event(&run, 2, run_finished(status, usage(1, 1), None))];
        events[0].at = begun;
        written_events(store, &name, events);
    }
    let run = run_id("run4");
    let mut begun = event(&run, 1, started("f", None));
    begun.at = first + SignedDuration::from_hours(4);
    written_events(store, "run4", vec![begun]);
    first
}

#[test]
fn pruning_takes_the_oldest_that_the_filter_admits() {
    let place = place();
    let first = sample(&place.store);
    let check = |filter: PruneFilter, expected: &[&str]| {
        let removed = place.store.prune(&filter, true).unwrap();
        let names: Vec<&str> = removed.iter().map(|one| &*one.run.0).collect();
        assert_eq!(names, expected, "{filter:?}");
        assert!(removed.iter().all(|one| one.bytes > 0));
    };
    let any = PruneFilter::default;
    check(any(), &["run1", "run2", "run3", "run4"]);
    check(PruneFilter { keep: 3, ..any() }, &["run1"]);
    check(PruneFilter { keep: 9, ..any() }, &[]);
    check(PruneFilter { status: Some(ShownStatus::Completed), keep: 1, ..any() }, &["run1"]);
    check(PruneFilter { status: Some(ShownStatus::Running), ..any() }, &[]);
    let two_hours = Some(first + SignedDuration::from_hours(2));
    check(PruneFilter { older_than: two_hours, ..any() }, &["run1"]);
    let later = Some(first + SignedDuration::from_hours(3));
    check(PruneFilter { older_than: later, keep: 3, ..any() }, &["run1"]);

    assert_eq!(place.store.list(&RunFilter::default()).unwrap().len(), 4, "nothing was deleted so far");
    let said = place.store.prune(&PruneFilter { keep: 3, ..any() }, true).unwrap();
    assert_eq!(place.store.prune(&PruneFilter { keep: 3, ..any() }, false).unwrap(), said);
    let left: Vec<String> =
        place.store.list(&RunFilter::default()).unwrap().iter().map(|row| row.id.to_string()).collect();
    assert_eq!(left, ["run4", "run3", "run2"]);
}

#[test]
fn a_damaged_run_counts_by_its_files_last_change() {
    let place = place();
    std::fs::write(place.store.root().join("runs/broken.db"), "no database at all").unwrap();
    let prune = |older_than| {
        let filter = PruneFilter { older_than: Some(older_than), ..PruneFilter::default() };
        place.store.prune(&filter, false).unwrap().len()
    };
    assert_eq!(prune(Timestamp::now() - SignedDuration::from_hours(1)), 0);
    assert_eq!(prune(Timestamp::now() + SignedDuration::from_hours(1)), 1);
    assert_eq!(entries(&place.store), [""; 0]);
}

#[test]
fn an_export_has_every_event_on_a_line_with_large_values_in_their_place() {
    let place = place();
    let run = run_id("one");
    let mut events: Vec<_> = (1..=40).map(|seq| numbered(&run, seq)).collect();
    events.push(event(&run, 41, finished_node("é\n".repeat(40_000).into())));
    written_events(&place.store, "one", events.clone());
    let mut out = Vec::new();
    assert_eq!(place.store.export(&run, &mut out).unwrap(), 41);
    let text = String::from_utf8(out).unwrap();
    let read: Vec<sluicegate_events::Event> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, events);
    assert!(matches!(read[0].kind, EventKind::NodeFinished { .. }));
}

#[test]
fn an_export_that_nobody_takes_says_so() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("no room"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let place = place();
    let run = written(&place.store, "one", vec![started("f", None)]);
    let error = place.store.export(&run, &mut Full).unwrap_err();
    assert_eq!(error, StoreError::NotTaken { message: "no room".into() });
}
