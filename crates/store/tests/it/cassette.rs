//! Calls that are recorded, and replayed without anybody to ask.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use sluicegate_model::{Asked, ChatReply, EmbeddingReply, FetchReply, KeptReply, ModelError, ReplyKeeper as _};
use sluicegate_store::{Cassette, CassetteReport, StoreError};
use sluicegate_value::{Map, Value, hash};

use crate::cache::chat;
use crate::sample::usage;

/// What a node asks on a line: a question.
fn asks(line: u64, node: &str, call: u32, question: &str) -> Asked {
    let message = Map::from([("role", "user"), ("content", question)]);
    let body = Map::from([("messages", Value::from(vec![Value::from(message)])), ("temperature", Value::from(0.0))]);
    Asked {
        hash: hash::sha256(question).into(),
        provider: "openai".into(),
        operation: "chat".into(),
        model: "gpt-4o-mini".into(),
        body: body.into(),
        line: Some(line),
        repeat: 0,
        node: node.into(),
        call,
    }
}

fn record(folder: &Path, calls: &[(Asked, KeptReply)]) -> CassetteReport {
    let cassette = Cassette::record(folder).unwrap();
    for (asked, reply) in calls {
        assert_eq!(cassette.find(asked).unwrap(), None);
        cassette.keep(asked, reply);
    }
    cassette.close().unwrap()
}

fn bytes(folder: &Path) -> String {
    fs::read_to_string(folder.join("replies.jsonl")).unwrap()
}

/// Replays what is asked and expects this text.
fn check_replays(folder: &Path, asked: &Asked, expected: &str) {
    let found = Cassette::replay(folder).unwrap().find(asked).unwrap();
    assert_eq!(found, Some(chat(expected)), "{asked:?}");
}

/// Replays what is asked and expects these words of why it is not there.
fn check_is_not_there(folder: &Path, asked: &Asked, expected: &str) {
    let error = Cassette::replay(folder).unwrap().find(asked).unwrap_err();
    let ModelError::NotRecorded { message } = error else { panic!("{error}") };
    let message = message.replace(&folder.display().to_string(), "DIR");
    assert_eq!(message, expected);
}

#[test]
fn a_cassette_reads_as_people_expect() {
    let folder = tempfile::tempdir().unwrap();
    let report = record(folder.path(), &[(asks(3, "answer", 0, "who?"), chat("Alice"))]);
    assert_eq!(report, CassetteReport { recorded: 1, calls: 1 });
    let expected = r#"{"line":3,"node":"answer","call":0,"operation":"chat","model":"gpt-4o-mini","hash":"HASH","request":{"messages":[{"role":"user","content":"who?"}],"temperature":0.0},"reply":{"chat":{"message":{"role":"assistant","content":"Alice"},"finish_reason":"stop","usage":{"input_tokens":3,"output_tokens":4,"cached_input_tokens":null,"reasoning_tokens":null},"body":null}}}"#;
    assert_eq!(bytes(folder.path()), expected.replace("HASH", &hash::sha256("who?")) + "\n");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn replies_of_every_sort_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let embedding = EmbeddingReply { vectors: vec![vec![0.1, -0.0, 5e-324]], model: None, usage: usage(1, 0) };
    let fetched = FetchReply { status: 404, url: "https://a.test/".into(), headers: Vec::new(), body: vec![0xff, 0] };
    let odd = ChatReply { message: Map::from([("$x", Value::from(f64::NAN))]).into(), ..ChatReply::of_text("a") };
    let fetch = Asked { body: Value::Null, operation: "GET".into(), ..asks(0, "get", 0, "https://a.test") };
    let calls = [
        (asks(0, "a", 0, "1"), KeptReply::Embedding(Box::new(embedding))),
        (fetch, KeptReply::Fetch(Box::new(fetched))),
        (Asked { line: None, repeat: 7, ..asks(0, "c", 2, "3") }, KeptReply::Chat(Box::new(odd))),
    ];
    record(folder.path(), &calls);
    let cassette = Cassette::replay(folder.path()).unwrap();
    for (asked, reply) in &calls {
        assert_eq!(cassette.find(asked).unwrap().as_ref(), Some(reply));
        // It is replayed as often as it is asked, and keeps nothing.
        cassette.keep(asked, &chat("another"));
        assert_eq!(cassette.find(asked).unwrap().as_ref(), Some(reply));
    }
    assert_eq!(cassette.close().unwrap(), CassetteReport { recorded: 0, calls: 3 });
}

#[test]
fn what_is_new_in_every_reply_changes_no_byte() {
    let reply = |id: &str, created: i64| {
        let body = Map::from([("id", Value::from(id)), ("created", Value::from(created))]).into();
        KeptReply::Chat(Box::new(ChatReply { id: Some(id.into()), body, ..ChatReply::of_text("a") }))
    };
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &[(asks(0, "a", 0, "1"), reply("chatcmpl-1", 17))]);
    let before = bytes(folder.path());
    record(folder.path(), &[(asks(0, "a", 0, "1"), reply("chatcmpl-2", 18))]);
    assert_eq!(bytes(folder.path()), before);
}

#[test]
fn identical_requests_are_told_apart_by_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let repeated = |repeat| Asked { repeat, ..asks(1, "a", 0, "toss a coin") };
    record(
        folder.path(),
        &[
            (asks(1, "a", 1, "toss a coin"), chat("second call")),
            (asks(2, "a", 0, "toss a coin"), chat("line two")),
            (asks(1, "b", 0, "toss a coin"), chat("node b")),
            (repeated(1), chat("repeat one")),
            (asks(1, "a", 0, "toss a coin"), chat("first call")),
        ],
    );
    check_replays(folder.path(), &asks(1, "a", 0, "toss a coin"), "first call");
    check_replays(folder.path(), &asks(1, "a", 1, "toss a coin"), "second call");
    check_replays(folder.path(), &asks(2, "a", 0, "toss a coin"), "line two");
    check_replays(folder.path(), &asks(1, "b", 0, "toss a coin"), "node b");
    check_replays(folder.path(), &repeated(1), "repeat one");
    // A row that has moved: the first place where the same was asked.
    check_replays(folder.path(), &asks(9, "a", 0, "toss a coin"), "first call");
}

#[test]
fn a_request_at_the_same_place_wins_only_if_it_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &[(asks(0, "a", 0, "x"), chat("of x")), (asks(1, "a", 0, "y"), chat("of y"))]);
    // The rows have changed places.
    check_replays(folder.path(), &asks(0, "a", 0, "y"), "of y");
    check_replays(folder.path(), &asks(1, "a", 0, "x"), "of x");
}

#[test]
fn what_is_not_recorded_says_how_it_differs_from_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let calls = [
        (asks(0, "answer", 0, "who met Bob?"), chat("Alice")),
        (asks(1, "answer", 0, "where is the lake?"), chat("there")),
    ];
    record(folder.path(), &calls);
    check_is_not_there(
        folder.path(),
        &asks(1, "answer", 0, "where is the sea?"),
        "what node `answer` on line 1, call 0 asks (`chat` of `gpt-4o-mini`) is not on the cassette `DIR`: there, \
         messages[0].content is `where is the sea?` here and `where is the lake?` on the cassette",
    );
    check_is_not_there(
        folder.path(),
        &asks(7, "answer", 0, "where is the pond?"),
        "what node `answer` on line 7, call 0 asks (`chat` of `gpt-4o-mini`) is not on the cassette `DIR`; nearest is \
         what node `answer` on line 1, call 0 asked: messages[0].content is `where is the pond?` here and `where is \
         the lake?` on the cassette",
    );
    check_is_not_there(
        folder.path(),
        &Asked { model: "gpt-5".into(), ..asks(0, "judge", 0, "who met Rob?") },
        "what node `judge` on line 0, call 0 asks (`chat` of `gpt-5`) is not on the cassette `DIR`; nearest is what \
         node `answer` on line 0, call 0 asked: the model is `gpt-5` here and `gpt-4o-mini` on the cassette",
    );
    let empty = tempfile::tempdir().unwrap();
    record(empty.path(), &[]);
    check_is_not_there(
        empty.path(),
        &asks(0, "a", 0, "x"),
        "what node `a` on line 0, call 0 asks (`chat` of `gpt-4o-mini`) is not on the cassette `DIR`, which is empty",
    );
}

#[test]
fn recording_again_replaces_the_same_places_and_keeps_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let first: Vec<_> = (0..3).map(|line| (asks(line, "a", 0, &format!("old {line}")), chat("old"))).collect();
    record(folder.path(), &first);
    let report =
        record(folder.path(), &[(asks(1, "a", 0, "new 1"), chat("new")), (asks(9, "a", 0, "x"), chat("nine"))]);
    assert_eq!(report, CassetteReport { recorded: 2, calls: 4 });
    check_replays(folder.path(), &asks(0, "a", 0, "old 0"), "old");
    check_replays(folder.path(), &asks(1, "a", 0, "new 1"), "new");
    check_replays(folder.path(), &asks(9, "a", 0, "x"), "nine");
    assert!(Cassette::replay(folder.path()).unwrap().find(&asks(1, "a", 0, "old 1")).is_err());

    // A call that is made again at the same place in one run: the last counts, in the cassette and before it is one.
    let again = [(asks(0, "b", 0, "x"), chat("first try")), (asks(0, "b", 0, "x"), chat("second try"))];
    let cassette = Cassette::record(folder.path()).unwrap();
    again.iter().for_each(|(asked, reply)| cassette.keep(asked, reply));
    check_replays(folder.path(), &again[0].0, "second try");
    cassette.close().unwrap();
    check_replays(folder.path(), &again[0].0, "second try");
}

#[test]
fn a_recording_that_was_killed_loses_at_most_its_last_line() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &[(asks(0, "a", 0, "x"), chat("old")), (asks(5, "a", 0, "y"), chat("kept"))]);
    let whole = bytes(folder.path());
    let cassette = Cassette::record(folder.path()).unwrap();
    cassette.keep(&asks(0, "a", 0, "x"), &chat("new"));
    cassette.keep(&asks(1, "a", 0, "z"), &chat("one"));
    // No `close`; and half a line, as a process leaves it that dies while it writes.
    drop(cassette);
    let part = folder.path().join("replies.jsonl.part");
    let mut written = fs::read_to_string(&part).unwrap();
    written.push_str(r#"{"line":2,"node":"a","ca"#);
    fs::write(&part, &written).unwrap();
    assert_eq!(bytes(folder.path()), whole);

    check_replays(folder.path(), &asks(0, "a", 0, "x"), "new");
    check_replays(folder.path(), &asks(1, "a", 0, "z"), "one");
    check_replays(folder.path(), &asks(5, "a", 0, "y"), "kept");
    assert_eq!(fs::read_to_string(&part).unwrap(), written, "who replays writes nothing");
    // The next recording merges it before it begins.
    assert_eq!(record(folder.path(), &[]), CassetteReport { recorded: 0, calls: 3 });
    assert!(!part.exists());
    check_replays(folder.path(), &asks(0, "a", 0, "x"), "new");
    check_replays(folder.path(), &asks(1, "a", 0, "z"), "one");
}

#[test]
fn only_one_process_records_a_cassette() {
    let folder = tempfile::tempdir().unwrap();
    let cassette = Cassette::record(folder.path()).unwrap();
    let place = folder.path().display().to_string();
    assert_eq!(Cassette::record(folder.path()).unwrap_err(), StoreError::CassetteHeld { place });
    cassette.close().unwrap();
    // What comes too late is lost, quietly; closing twice is closing once.
    cassette.keep(&asks(0, "a", 0, "x"), &chat("late"));
    assert_eq!(cassette.close().unwrap(), CassetteReport::default());
    assert_eq!(record(folder.path(), &[(asks(0, "a", 0, "x"), chat("y"))]).calls, 1);
}

#[test]
fn a_damaged_line_is_named() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &[(asks(0, "a", 0, "x"), chat("y"))]);
    let good = bytes(folder.path());
    let check = |text: String, line: u64, message: &str| {
        fs::write(folder.path().join("replies.jsonl"), text).unwrap();
        for error in [Cassette::replay(folder.path()).unwrap_err(), Cassette::record(folder.path()).unwrap_err()] {
            assert!(matches!(&error, StoreError::DamagedCassette { line: at, .. } if *at == line), "{error}");
            let words = error.to_string();
            assert!(words.contains(&format!("replies.jsonl` line {line} is no recorded call")), "{words}");
            assert!(words.contains(message), "{words}");
        }
    };
    check(format!("{good}<<<<<<< HEAD\n{good}"), 2, "expected value");
    check(format!("{good}\n{}", good.replace("\"node\"", "\"mode\"")), 3, "missing field `node`");
    check(good.replace("\"chat\":{", "\"chatter\":{"), 1, "unknown variant `chatter`");
    check(format!("{good}{}", &good[..good.len() / 2]), 2, "EOF");
    check(format!("{}{}", "[".repeat(300), "]".repeat(300)), 1, "nests deeper");

    // As an editor or a version control of another system leaves it: that is no damage.
    fs::write(folder.path().join("replies.jsonl"), good.replace('\n', "\r\n") + "\r\n").unwrap();
    check_replays(folder.path(), &asks(0, "a", 0, "x"), "y");
    fs::write(folder.path().join("replies.jsonl"), good.trim_end()).unwrap();
    check_replays(folder.path(), &asks(0, "a", 0, "x"), "y");
}

#[test]
fn a_folder_without_a_cassette_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = Cassette::replay(folder.path()).unwrap_err();
    assert_eq!(error, StoreError::NoCassette { place: folder.path().display().to_string() });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_order_replies_come_in_the_bytes_are_the_same(
        calls in prop::collection::btree_map((0u64..6, 0u32..2, "[ab]", 0u32..3), ".{0,9}", 1..20),
        order in Just((0..20usize).collect::<Vec<_>>()).prop_shuffle(),
        cut in 0usize..20,
    ) {
        let calls: Vec<(Asked, KeptReply)> = calls
            .iter()
            .map(|((line, repeat, node, call), text)| {
                (Asked { repeat: *repeat, ..asks(*line, node, *call, text) }, chat(text))
            })
            .collect();
        let shuffled: Vec<_> = order.iter().filter_map(|number| calls.get(*number)).cloned().collect();
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        record(one.path(), &calls);
        // In two recordings, too.
        let (first, second) = shuffled.split_at(cut.min(shuffled.len()));
        record(other.path(), first);
        record(other.path(), second);
        prop_assert_eq!(bytes(one.path()), bytes(other.path()));
        let cassette = Cassette::replay(one.path()).unwrap();
        for (asked, reply) in &calls {
            let found = cassette.find(asked).unwrap();
            prop_assert_eq!(found.as_ref(), Some(reply));
        }
    }
}
