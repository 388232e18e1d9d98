//! What is appended comes back, and one process writes at a time.

use std::sync::Arc;

use sluicegate_events::{EventKind, FetchEnd, Journal as _};
use sluicegate_model::Adaptation;
use sluicegate_store::{Command, Durability, StoreError};
use sluicegate_value::{Blob, Map, Value};

use crate::sample::{append, embedded, event, finished_node, numbered, place, run_id, started, usage, wait, written};

/// Appends a node's output and expects to read it back, word for word.
fn check_comes_back(output: Value) {
    let place = place();
    let kind = finished_node(output);
    let run = written(&place.store, "one", vec![kind.clone()]);
    let events = place.store.open_run(&run).unwrap().events().unwrap();
    assert_eq!(events, [event(&run, 1, kind)]);
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::from(1i64), |inner, _| Value::from(vec![inner]))
}

fn long_text(letter: &str) -> String {
    letter.repeat(40_000)
}

#[test]
fn values_of_every_kind_come_back() {
    check_comes_back(Value::Null);
    check_comes_back(Value::from(1.0));
    check_comes_back(Value::from(1i64));
    check_comes_back(Value::from(f64::NAN));
    check_comes_back(Value::from(u64::MAX));
    check_comes_back(Value::from("line\nline \u{1f600} \u{0}"));
    check_comes_back(Value::Blob(Arc::new(Blob::from_bytes("image/png", vec![7u8; 50_000]))));
    check_comes_back(nested(128));
}

#[test]
fn large_values_come_back_at_any_depth() {
    check_comes_back(Value::from(long_text("a")));
    check_comes_back(Map::from([("deep", Value::from(vec![Value::from(long_text("é"))]))]).into());
    // Large as a whole, of small parts; and a list of large texts whose stand-ins are large together.
    check_comes_back((0..20_000i64).map(Value::from).collect::<Vec<_>>().into());
    check_comes_back((0..600).map(|n| Value::from(format!("{n}{}", long_text("b")))).collect::<Vec<_>>().into());
    check_comes_back(Value::from("x".repeat(10 * 1024 * 1024)));
}

/// Appends an event and expects to read it back, word for word.
fn check_kind_comes_back(kind: EventKind) {
    let place = place();
    let run = written(&place.store, "one", vec![kind.clone()]);
    assert_eq!(place.store.open_run(&run).unwrap().events().unwrap(), [event(&run, 1, kind)]);
}

#[test]
fn calls_of_every_sort_come_back() {
    let adapted = |adaptation| EventKind::ModelCallAdapted {
        call: 0,
        connection: "aoai".into(),
        model: "gpt".into(),
        parameter: "max_tokens".into(),
        adaptation,
        message: "use the other one".into(),
    };
    check_kind_comes_back(adapted(Adaptation::Dropped));
    check_kind_comes_back(adapted(Adaptation::Renamed("max_completion_tokens".into())));
    let (method, url, host) = ("GET".to_owned(), "https://api.test/x".to_owned(), "api.test".to_owned());
    check_kind_comes_back(EventKind::FetchStarted { call: 0, method, url, host, port: 443 });
    check_kind_comes_back(EventKind::FetchFinished { call: 0, end: FetchEnd::Answered { status: 404, size: 9 } });
    // As models give them: numbers of which every digit counts, in lists that are kept apart from their event.
    let vector = |seed: u32| (0..3072).map(|index| f64::from(seed + index).sin() / 7.0).collect::<Vec<f64>>();
    check_kind_comes_back(embedded(vec![vector(1), vector(2)], usage(7, 0), 0.1));
    check_kind_comes_back(embedded(vec![vec![1.0, -0.0, 5e-324, f64::MAX]], usage(7, 0), 0.1));
}

#[test]
fn a_map_that_looks_like_our_own_mark_stays_the_authors() {
    let imitation = Value::from(Map::from([("$stored", "0000")]));
    check_comes_back(imitation.clone());
    check_comes_back(Map::from([("$stored", Value::from(long_text("c")))]).into());
    check_comes_back(Map::from([("$stored", imitation.clone()), ("x", Value::from(1i64))]).into());
    check_comes_back(Map::from([("$stored", imitation)]).into());

    let place = place();
    let mut kind = started("f", None);
    if let EventKind::RunStarted { inputs, .. } = &mut kind {
        *inputs = Map::from([("$stored", Value::from("0000"))]);
    }
    let run = written(&place.store, "one", vec![kind.clone()]);
    assert_eq!(place.store.open_run(&run).unwrap().events().unwrap()[0].kind, kind);
}

#[test]
fn a_large_value_is_kept_once() {
    let place = place();
    let text = Value::from(long_text("a"));
    let inputs = Value::from(Map::from([("text", text.clone()), ("kind", Value::from("people"))]));
    let kinds = vec![
        finished_node(text.clone()),
        EventKind::NodeStarted { node_kind: "llm".into(), inputs },
        finished_node(text),
    ];
    let run = written(&place.store, "one", kinds);
    let file = rusqlite::Connection::open(place.store.open_run(&run).unwrap().place()).unwrap();
    let blobs: i64 = file.query_row("SELECT count(*) FROM blobs", [], |row| row.get(0)).unwrap();
    assert_eq!(blobs, 1);
}

#[test]
fn a_value_too_deep_to_be_read_again_is_refused() {
    let place = place();
    let run = run_id("one");
    let journal = place.store.create_run(&run, "0.1.0", Durability::Process).unwrap();
    let error = wait(journal.append(vec![event(&run, 1, finished_node(nested(300)))].into())).unwrap_err();
    assert!(error.message.contains("nests deeper"), "{error}");
}

#[test]
fn appends_that_wait_together_are_all_there_in_order() {
    let place = place();
    let run = run_id("many");
    let journal = place.store.create_run(&run, "0.1.0", Durability::Power).unwrap();
    wait(async {
        let waiting: Vec<_> = (1..=2_000).map(|seq| journal.append(vec![numbered(&run, seq)].into())).collect();
        for append in waiting {
            append.await.unwrap();
        }
    });
    // Read while the writer still has the file.
    let reader = place.store.open_run(&run).unwrap();
    assert_eq!(reader.events().unwrap(), (1..=2_000).map(|seq| numbered(&run, seq)).collect::<Vec<_>>());
    let some: Vec<u64> = reader.events_after(1_990, 5).unwrap().iter().map(|event| event.seq).collect();
    assert_eq!(some, [1_991, 1_992, 1_993, 1_994, 1_995]);
    drop(journal);
}

#[test]
fn ephemeral_events_are_not_kept() {
    let place = place();
    let run = written(&place.store, "one", vec![EventKind::Chunk { text: "hel".into() }, started("f", None)]);
    let kinds: Vec<String> =
        place.store.open_run(&run).unwrap().rows_after(0, 9).unwrap().into_iter().map(|row| row.kind).collect();
    assert_eq!(kinds, ["run_started"]);
}

#[test]
fn a_kind_of_a_later_version_is_kept_word_for_word_and_read_as_unknown() {
    let place = place();
    let run = written(&place.store, "one", vec![started("f", None)]);
    let body = r#"{"seq":2,"at":"2026-01-01T00:00:00Z","run":"one","kind":"node_dreamt","of":{"sheep":1.0}}"#;
    let file = rusqlite::Connection::open(place.store.root().join("runs/one.db")).unwrap();
    file.execute("INSERT INTO events VALUES (2, '2026-01-01T00:00:00Z', NULL, '', 'node_dreamt', ?1)", [body]).unwrap();

    let reader = place.store.open_run(&run).unwrap();
    assert_eq!(reader.events().unwrap()[1].kind, EventKind::Unknown);
    let row = reader.rows_after(1, 1).unwrap().remove(0);
    assert_eq!((row.kind.as_str(), row.body.as_str()), ("node_dreamt", body));
}

#[test]
fn a_run_that_somebody_writes_cannot_be_resumed_and_one_that_nobody_writes_can() {
    let place = place();
    let run = run_id("one");
    let journal = place.store.create_run(&run, "0.1.0", Durability::Process).unwrap();
    append(&journal, vec![event(&run, 1, started("f", None))]);

    let error = place.store.resume_run(&run, Durability::Process).unwrap_err();
    assert_eq!(error, StoreError::Held { run: "one".into(), pid: Some(std::process::id()) });
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");

    drop(journal);
    let (journal, past) = place.store.resume_run(&run, Durability::Process).unwrap();
    assert_eq!(past, [event(&run, 1, started("f", None))]);
    append(&journal, vec![event(&run, 2, EventKind::RunResumed { repeated_calls: 1, repeated_nodes: 0 })]);
    drop(journal);
    assert_eq!(place.store.open_run(&run).unwrap().events().unwrap().len(), 2);
}

#[test]
fn a_run_is_created_once() {
    let place = place();
    let run = written(&place.store, "one", vec![]);
    let error = place.store.create_run(&run, "0.1.0", Durability::Process).unwrap_err();
    assert_eq!(error, StoreError::AlreadyExists { run: "one".into() });
}

#[test]
fn a_name_that_leaves_the_folder_is_refused() {
    let place = place();
    for name in ["../one", "a/b", "", ".hidden", "a\\b", "c:d"] {
        let error = place.store.create_run(&run_id(name), "0.1.0", Durability::Process).unwrap_err();
        assert_eq!(error, StoreError::BadRunId { id: name.into() });
    }
}

#[test]
fn an_event_is_written_once() {
    let place = place();
    let run = run_id("one");
    let journal = place.store.create_run(&run, "0.1.0", Durability::Process).unwrap();
    append(&journal, vec![numbered(&run, 1)]);
    let error = wait(journal.append(vec![numbered(&run, 1)].into())).unwrap_err();
    assert!(error.message.contains("event 1 was written before"), "{error}");
}

#[test]
fn commands_reach_the_writer_once_and_in_order() {
    let place = place();
    let run = run_id("one");
    let journal = place.store.create_run(&run, "0.1.0", Durability::Process).unwrap();
    assert_eq!(wait(journal.take_commands()).unwrap(), []);

    let commands = [Command::new("suspend", "{}"), Command::new("raise_event", r#"{"name":"approved"}"#)];
    for command in &commands {
        place.store.post(&run, command).unwrap();
    }
    assert_eq!(wait(journal.take_commands()).unwrap(), commands);
    assert_eq!(wait(journal.take_commands()).unwrap(), []);
    append(&journal, vec![numbered(&run, 1)]);

    drop(journal);
    assert_eq!(place.store.post(&run, &commands[0]), Err(StoreError::NotRunning { run: "one".into() }));
}

#[cfg(unix)]
#[test]
fn the_folder_is_its_owners_alone_and_never_committed() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = place();
    let root = place.folder.path().join(".sluicegate");
    assert_eq!(std::fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(std::fs::read_to_string(root.join(".gitignore")).unwrap(), "*\n");
}

#[test]
fn the_lease_names_the_process_and_the_engine_is_kept() {
    let place = place();
    let run = written(&place.store, "one", vec![started("f", None)]);
    let lease = place.store.lease(&run).unwrap().unwrap();
    assert_eq!(lease.pid, std::process::id());
    assert_eq!(lease.boot.is_some(), cfg!(target_os = "linux"));
    assert_eq!(place.store.open_run(&run).unwrap().engine().unwrap().as_deref(), Some("0.1.0"));
}
