//! `runs list`, and how runs are found by name.

use sluicegate_events::{EventKind, RunStatus, RunSummary};
use sluicegate_store::{Durability, RunFilter, ShownStatus, Store, StoreError};

use crate::sample::{append, embedded, event, place, replied, run_finished, run_id, started, usage, written};

/// Lists everything, one `id flow environment status tokens` per run.
fn listed(store: &Store, filter: &RunFilter) -> Vec<String> {
    let rows = store.list(filter).unwrap();
    rows.iter()
        .map(|row| {
            let environment = row.environment.as_deref().unwrap_or("-");
            let tokens = row.usage.total().map_or("-".to_owned(), |tokens| tokens.to_string());
            format!("{} {} {environment} {} {tokens}", row.id, row.flow, row.status)
        })
        .collect()
}

fn sample_runs(store: &Store) {
    let completed = run_finished(RunStatus::Completed, usage(100, 20), Some(0.01));
    let failed = run_finished(RunStatus::Failed, usage(5, 0), None);
    let interrupted = run_finished(RunStatus::Interrupted, usage(1, 1), None);
    written(store, "a1", vec![started("extract", Some("local")), replied(usage(100, 20), 0.01), completed]);
    written(store, "a2", vec![started("extract", Some("pr")), failed]);
    written(store, "b1", vec![started("panel", None), interrupted]);
    written(store, "b2", vec![started("panel", None), replied(usage(7, 3), 0.5), replied(usage(1, 1), 0.25)]);
}

const ALL: [&str; 4] = [
    "b2 panel - interrupted 12",
    "b1 panel - interrupted 2",
    "a2 extract pr failed 5",
    "a1 extract local completed 120",
];

#[test]
fn a_run_shows_how_it_stands() {
    let place = place();
    sample_runs(&place.store);
    assert_eq!(listed(&place.store, &RunFilter::default()), ALL);
    let rows = place.store.list(&RunFilter::default()).unwrap();
    assert_eq!(rows[0].cost, Some(0.75));
    assert_eq!(rows[2].failure.as_deref(), Some("node `answer` failed"));
    assert!(rows[3].finished > rows[3].started);
}

#[test]
fn vectors_count_like_replies() {
    let place = place();
    let calls = vec![started("f", None), embedded(vec![vec![0.5]], usage(7, 0), 0.25), replied(usage(1, 1), 0.5)];
    written(&place.store, "a", calls);
    let rows = place.store.list(&RunFilter::default()).unwrap();
    assert_eq!((rows[0].usage, rows[0].cost), (usage(8, 1), Some(0.75)));
}

#[test]
fn a_run_that_goes_on_counts_all_its_processes_and_a_cost_in_part_is_none() {
    let place = place();
    let EventKind::ModelCallFinished { call, end, attempts, .. } = replied(usage(1, 1), 0.0) else { panic!() };
    let unpriced = EventKind::ModelCallFinished { call, end, attempts, first_chunk_us: None, cost: None };
    let stopped = run_finished(RunStatus::Interrupted, usage(7, 3), Some(0.5));
    let resumed = EventKind::RunResumed { repeated_calls: 0, repeated_nodes: 0 };
    let first = vec![started("f", None), replied(usage(7, 3), 0.5), stopped, resumed];
    written(&place.store, "a", [first.clone(), vec![replied(usage(1, 1), 0.25)]].concat());
    written(&place.store, "b", [first, vec![unpriced]].concat());
    written(&place.store, "c", vec![started("f", None)]);
    let rows = place.store.list(&RunFilter::default()).unwrap();
    let spent: Vec<_> = rows.iter().map(|row| (row.usage.total(), row.cost)).collect();
    assert_eq!(spent, [(None, Some(0.0)), (Some(12), None), (Some(12), Some(0.75))]);
    for row in rows {
        let events = place.store.open_run(&row.id).unwrap().events().unwrap();
        assert_eq!(RunSummary::of(&events).cost(), row.cost, "a list and a summary say the same of `{}`", row.id);
    }
}

#[test]
fn a_filter_leaves_out_the_rest() {
    let place = place();
    sample_runs(&place.store);
    let check = |filter: RunFilter, expected: &[&str]| assert_eq!(listed(&place.store, &filter), expected);
    check(RunFilter { flow: Some("extract".into()), ..RunFilter::default() }, &ALL[2..]);
    check(RunFilter { environment: Some("pr".into()), ..RunFilter::default() }, &ALL[2..3]);
    check(RunFilter { status: Some(ShownStatus::Interrupted), ..RunFilter::default() }, &ALL[..2]);
    check(RunFilter { limit: Some(1), ..RunFilter::default() }, &ALL[..1]);
}

#[test]
fn a_run_is_running_while_its_lock_is_held_and_interrupted_when_it_is_gone() {
    let place = place();
    let run = run_id("one");
    let journal = place.store.create_run(&run, "0.1.0", Durability::Process).unwrap();
    append(&journal, vec![event(&run, 1, started("f", None))]);
    let status = || place.store.list(&RunFilter::default()).unwrap()[0].status;
    assert_eq!(status(), ShownStatus::Running);
    drop(journal);
    assert_eq!(status(), ShownStatus::Interrupted);

    // Resumed after an end: it is running again, whatever an earlier listing saw.
    let (journal, _) = place.store.resume_run(&run, Durability::Process).unwrap();
    append(&journal, vec![event(&run, 2, run_finished(RunStatus::Failed, usage(1, 1), None))]);
    drop(journal);
    assert_eq!(status(), ShownStatus::Failed);
    let (journal, _) = place.store.resume_run(&run, Durability::Process).unwrap();
    append(&journal, vec![event(&run, 3, EventKind::RunResumed { repeated_calls: 0, repeated_nodes: 0 })]);
    assert_eq!(status(), ShownStatus::Running);
    append(&journal, vec![event(&run, 4, run_finished(RunStatus::Completed, usage(1, 1), None))]);
    drop(journal);
    assert_eq!(status(), ShownStatus::Completed);
}

#[test]
fn the_index_is_only_a_cache() {
    let place = place();
    sample_runs(&place.store);
    let index = place.store.root().join("index.db");
    assert_eq!(listed(&place.store, &RunFilter::default()), ALL);
    assert_eq!(listed(&place.store, &RunFilter::default()), ALL);

    std::fs::remove_file(&index).unwrap();
    assert_eq!(listed(&place.store, &RunFilter::default()), ALL);
    std::fs::write(&index, "this is no database, and long enough to be looked at as one ".repeat(50)).unwrap();
    assert_eq!(listed(&place.store, &RunFilter::default()), ALL);
    assert_eq!(listed(&place.store, &RunFilter::default()), ALL);
    std::fs::remove_file(&index).unwrap();
    std::fs::create_dir(&index).unwrap();
    assert_eq!(listed(&place.store, &RunFilter::default()), ALL);
}

#[test]
fn a_listing_answers_from_the_index_while_the_file_is_unchanged() {
    let place = place();
    sample_runs(&place.store);
    assert_eq!(listed(&place.store, &RunFilter::default()), ALL);
    let index = rusqlite::Connection::open(place.store.root().join("index.db")).unwrap();
    index.execute("UPDATE runs SET flow = 'from the index' WHERE id = 'a1'", []).unwrap();
    assert_eq!(listed(&place.store, &RunFilter::default())[3], "a1 from the index local completed 120");
}

#[test]
fn a_deleted_run_leaves_the_list_and_a_damaged_one_says_so() {
    let place = place();
    sample_runs(&place.store);
    listed(&place.store, &RunFilter::default());
    std::fs::remove_file(place.store.root().join("runs/b2.db")).unwrap();
    std::fs::write(place.store.root().join("runs/b1.db"), "no database at all").unwrap();
    let rows = listed(&place.store, &RunFilter::default());
    assert_eq!(rows, ["a2 extract pr failed 5", "a1 extract local completed 120", "b1  - damaged -"]);
}

#[test]
fn a_run_is_found_by_the_beginning_of_its_name() {
    let place = place();
    sample_runs(&place.store);
    written(&place.store, "a", vec![started("extract", None)]);
    let find = |asked: &str| place.store.find(asked).map(|id| id.to_string());
    assert_eq!(find("a1").as_deref(), Ok("a1"));
    assert_eq!(find("a").as_deref(), Ok("a"), "a whole name wins over a beginning");
    assert_eq!(find("latest").as_deref(), Ok("b2"));
    assert_eq!(find("zz"), Err(StoreError::NoSuchRun { asked: "zz".into() }));
    assert_eq!(find(""), Err(StoreError::NoSuchRun { asked: String::new() }));
    let ambiguous = StoreError::Ambiguous { asked: "b".into(), candidates: vec!["b1".into(), "b2".into()] };
    assert_eq!(find("b"), Err(ambiguous));
}

#[test]
fn an_empty_store_has_no_latest_run() {
    let place = place();
    assert_eq!(place.store.list(&RunFilter::default()).unwrap(), []);
    assert_eq!(place.store.find("latest"), Err(StoreError::NoSuchRun { asked: "latest".into() }));
}
