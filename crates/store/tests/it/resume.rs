//! Batches that go on, and files that are older than batches.

use sluicegate_events::LineEnd;
use sluicegate_store::{Durability, LineStatus, StoreError};

use crate::sample::{
    append, batch_started, finished_node, line_completed, line_event, line_finished, line_resumed, line_started, place,
    run_event, run_id, started, usage, written, written_events,
};

/// The file as versions made it that knew no batches.
fn make_old(file: &std::path::Path) {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.execute_batch("DROP TABLE lines; DROP INDEX events_of_the_run;").unwrap();
}

#[test]
fn a_batch_is_taken_over_without_the_events_of_its_lines() {
    let place = place();
    let run = run_id("batch");
    let mut events = vec![run_event(&run, 1, started("f", None)), run_event(&run, 2, batch_started(300))];
    // Line 0 hangs while all others finish; 299 begins and does not end either.
    for line in 0..300 {
        let mut of = |kind| events.push(line_event(&run, events.len() as u64 + 1, line, 0, kind));
        of(line_started(line));
        of(finished_node("x".into()));
        if line > 0 && line < 299 {
            of(line_finished(line_completed("y"), usage(1, 1), Some(0.5)));
        }
    }
    written_events(&place.store, "batch", events.clone());
    assert!(place.store.is_batch(&run).unwrap());

    let (journal, past) = place.store.resume_batch(&run, Durability::Process).unwrap();
    assert_eq!(past.run_events, events[..2]);
    assert_eq!(past.last_seq, events.len() as u64);
    assert_eq!((past.sets.completed.len(), past.sets.begun.iter().collect::<Vec<_>>()), (298, vec![0, 299]));
    let finished = past.totals.finished();
    assert_eq!((finished.usage, finished.cost), (usage(298, 298), Some(149.0)));
    let error = place.store.resume_batch(&run, Durability::Process).unwrap_err();
    assert_eq!(error, StoreError::Held { run: "batch".into(), pid: Some(std::process::id()) });

    // Many tasks ask at once, while the journal is written.
    std::thread::scope(|scope| {
        for line in [0, 7, 299] {
            let (past, events) = (&past, &events);
            scope.spawn(move || {
                let expected: Vec<_> = events.iter().filter(|event| event.scope.line == Some(line)).cloned().collect();
                assert_eq!(past.lines.events_of(line, 0).unwrap(), expected);
            });
        }
        append(&journal, vec![line_event(&run, past.last_seq + 1, 0, 0, line_resumed())]);
    });
    assert_eq!(past.lines.events_of(300, 0).unwrap(), []);
    append(
        &journal,
        vec![line_event(&run, past.last_seq + 2, 0, 0, line_finished(LineEnd::Cancelled, usage(1, 1), None))],
    );
    drop(journal);
    let reader = place.store.open_run(&run).unwrap();
    assert_eq!(reader.events_of(0, 0).unwrap().len(), 4);
    assert_eq!(reader.line_past().unwrap().events_of(0, 0).unwrap().len(), 4);
}

#[test]
fn a_file_without_the_table_has_no_lines_until_somebody_goes_on_with_it() {
    let place = place();
    let kinds = vec![started("f", None), finished_node("x".into())];
    let run = written(&place.store, "old", kinds);
    make_old(&place.store.root().join("runs/old.db"));
    let reader = place.store.open_run(&run).unwrap();
    assert_eq!(reader.run_events().unwrap().len(), 2);
    assert_eq!(reader.events_of(0, 0).unwrap(), []);
    assert_eq!(reader.lines(&Default::default()).unwrap(), []);
    assert!(!reader.is_batch().unwrap());
    reader.outputs_in_order(&mut |_, _, _| panic!("there is none")).unwrap();
    assert_eq!(reader.row().unwrap().flow, "f");
    drop(reader);

    let (journal, past) = place.store.resume_run(&run, Durability::Process).unwrap();
    assert_eq!(past.len(), 2);
    append(&journal, vec![line_event(&run, 3, 0, 0, line_started(0))]);
    drop(journal);
    let reader = place.store.open_run(&run).unwrap();
    assert_eq!(reader.lines(&Default::default()).unwrap()[0].status, LineStatus::Begun);
    assert_eq!(reader.run_events().unwrap().len(), 2);
}

#[test]
fn the_runs_own_events_are_found_by_the_index() {
    let place = place();
    let run = written(&place.store, "one", vec![started("f", None)]);
    let file = rusqlite::Connection::open(place.store.open_run(&run).unwrap().place()).unwrap();
    let sql = "EXPLAIN QUERY PLAN SELECT body FROM events INDEXED BY events_of_the_run WHERE line IS NULL ORDER BY seq";
    let plan: String = file.query_row(sql, [], |row| row.get(3)).unwrap();
    assert!(plan.contains("events_of_the_run"), "{plan}");
}

#[test]
fn a_line_of_which_only_the_end_is_known_is_kept() {
    let place = place();
    let run = run_id("batch");
    let end = line_finished(crate::sample::line_failed("the row is no JSON"), usage(0, 0), Some(0.0));
    let events = vec![line_event(&run, 1, 7, 0, end)];
    written_events(&place.store, "batch", events.clone());
    let reader = place.store.open_run(&run).unwrap();
    assert_eq!(reader.events_of(7, 0).unwrap(), events);
    assert_eq!(reader.inputs_of(7, 0).unwrap(), None);
    assert!(reader.line_sets().unwrap().failed.contains(7));
}
