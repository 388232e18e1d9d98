//! Replies that are kept from one run to the next.

use std::path::Path;

use sluicegate_model::{
    Asked, ChatReply, EmbeddingReply, FetchReply, Filter, FilterState, KeptReply, ReplyKeeper as _,
};
use sluicegate_store::{CacheMode, ReplyCache};
use sluicegate_value::{Map, Value};

use crate::sample::usage;

pub(crate) fn asked(hash: &str) -> Asked {
    Asked {
        hash: hash.into(),
        provider: "openai".into(),
        operation: "chat".into(),
        model: "gpt-4o-mini".into(),
        body: Map::from([("messages", Value::empty_list())]).into(),
        line: None,
        repeat: 0,
        node: "answer".into(),
        call: 0,
    }
}

pub(crate) fn chat(text: &str) -> KeptReply {
    KeptReply::Chat(Box::new(ChatReply { usage: usage(3, 4), ..ChatReply::of_text(text) }))
}

fn filtered(state: FilterState) -> KeptReply {
    let filter = Some(Filter { state, findings: Vec::new(), message: None });
    KeptReply::Chat(Box::new(ChatReply { filter, ..ChatReply::of_text("…") }))
}

fn embedding() -> KeptReply {
    let vectors = vec![vec![0.1, -0.0, 5e-324]];
    KeptReply::Embedding(Box::new(EmbeddingReply { vectors, model: None, usage: usage(1, 0) }))
}

fn fetched() -> KeptReply {
    let reply = FetchReply { status: 200, url: "https://a.test/".into(), headers: Vec::new(), body: b"x".to_vec() };
    KeptReply::Fetch(Box::new(reply))
}

/// A cache that works without a word.
fn open(folder: &Path, mode: CacheMode) -> ReplyCache {
    let cache = ReplyCache::open(folder.join("cache.db"), mode);
    assert_eq!(cache.warnings(), [""; 0]);
    cache
}

fn find(cache: &ReplyCache, hash: &str) -> Option<KeptReply> {
    cache.find(&asked(hash)).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_kept_is_found_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), CacheMode::On);
    assert_eq!(find(&cache, "a"), None);
    cache.keep(&asked("a"), &chat("Alice"));
    cache.keep(&asked("b"), &embedding());
    cache.flush();
    assert_eq!(find(&cache, "a"), Some(chat("Alice")));
    drop(cache);
    let cache = open(folder.path(), CacheMode::Read);
    assert_eq!(find(&cache, "a"), Some(chat("Alice")));
    assert_eq!(find(&cache, "b"), Some(embedding()));
    assert_eq!(find(&cache, "c"), None);
}

#[test]
fn each_mode_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let check = |mode: CacheMode, finds: Option<&str>, then: Option<&str>| {
        let cache = open(folder.path(), mode);
        assert_eq!(find(&cache, "a"), finds.map(chat), "{mode:?}");
        cache.keep(&asked("a"), &chat(mode.name()));
        drop(cache);
        assert_eq!(find(&open(folder.path(), CacheMode::Read), "a"), then.map(chat), "after {mode:?}");
    };
    check(CacheMode::Off, None, None);
    check(CacheMode::Read, None, None);
    assert_eq!(names(folder.path()), [""; 0], "who keeps nothing makes nothing");
    check(CacheMode::Write, None, Some("write"));
    check(CacheMode::On, Some("write"), Some("on"));
    check(CacheMode::Read, Some("on"), Some("on"));
    check(CacheMode::Off, None, Some("on"));
    check(CacheMode::Write, None, Some("write"));
}

#[test]
fn a_filters_word_and_an_http_answer_are_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let check = |reply: KeptReply, is_kept: bool| {
        let cache = open(folder.path(), CacheMode::On);
        cache.clear().unwrap();
        cache.keep(&asked("a"), &reply);
        cache.flush();
        assert_eq!(find(&cache, "a"), Some(reply).filter(|_| is_kept));
    };
    check(filtered(FilterState::Input), false);
    check(filtered(FilterState::Output), false);
    check(filtered(FilterState::Unchecked), false);
    check(filtered(FilterState::Noted), true);
    check(fetched(), false);
    let refused = ChatReply { refusal: Some("no".into()), ..ChatReply::of_text("") };
    check(KeptReply::Chat(Box::new(refused)), true);
    let cut_off = ChatReply { finish_reason: Some("length".into()), ..ChatReply::of_text("half a") };
    check(KeptReply::Chat(Box::new(cut_off)), true);
}

#[test]
fn several_processes_use_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    // Each with connections of its own, as processes have, opened at the same moment.
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let folder = folder.path();
            scope.spawn(move || {
                let cache = open(folder, CacheMode::On);
                for number in 0..200 {
                    let hash = format!("{writer}/{number}");
                    cache.keep(&asked(&hash), &chat(&hash));
                    // Another's, which may be there by now.
                    let others = format!("{}/{number}", (writer + 1) % 4);
                    let found = find(&cache, &others);
                    assert!(found.is_none() || found == Some(chat(&others)));
                }
                cache.flush();
                assert_eq!(cache.warnings(), [""; 0]);
            });
        }
    });
    let cache = open(folder.path(), CacheMode::Read);
    for hash in (0..4).flat_map(|writer| (0..200).map(move |number| format!("{writer}/{number}"))) {
        assert_eq!(find(&cache, &hash), Some(chat(&hash)));
    }
}

#[test]
fn it_says_what_is_in_it_and_can_be_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), CacheMode::On);
    cache.keep(&asked("a"), &chat("Alice"));
    cache.keep(&asked("b"), &chat(&"Bob".repeat(100_000)));
    cache.flush();
    find(&cache, "a");
    find(&cache, "a");
    let stats = cache.stats().unwrap();
    assert_eq!((stats.replies, stats.hits), (2, 2));
    assert!(stats.bytes > 300_000 && stats.file_bytes > stats.bytes, "{stats:?}");
    assert!(stats.oldest.is_some() && stats.oldest <= stats.newest);

    // Also by somebody who does not use it.
    let other = open(folder.path(), CacheMode::Off);
    assert_eq!(other.clear().unwrap().replies, 2);
    assert_eq!(other.stats().unwrap().replies, 0);
    assert_eq!(find(&cache, "a"), None);
    cache.keep(&asked("a"), &chat("Alice"));
    cache.flush();
    assert_eq!(find(&cache, "a"), Some(chat("Alice")));
    let nowhere = ReplyCache::open(folder.path().join("none.db"), CacheMode::Off);
    assert_eq!(nowhere.clear().unwrap(), nowhere.stats().unwrap());
}

/// Opens a cache over a file that is none, and expects it to be put aside and the cache to work.
fn check_put_aside(mode: CacheMode, write: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("cache.db");
    write(&place);
    let before = std::fs::read(&place).unwrap();
    let cache = ReplyCache::open(&place, mode);
    let warnings = cache.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("damaged"), "{warnings:?}");
    cache.keep(&asked("a"), &chat("Alice"));
    cache.flush();
    assert_eq!(find(&cache, "a"), (mode == CacheMode::On).then(|| chat("Alice")));
    let aside = names(folder.path()).into_iter().find(|name| name.starts_with("cache.db.damaged-")).unwrap();
    assert_eq!(std::fs::read(folder.path().join(aside)).unwrap(), before);
}

#[test]
fn a_file_that_is_no_cache_is_put_aside() {
    let text = |place: &Path| std::fs::write(place, "this is no database at all ".repeat(100)).unwrap();
    check_put_aside(CacheMode::On, text);
    check_put_aside(CacheMode::Read, text);
    check_put_aside(CacheMode::On, |place| {
        let others = rusqlite::Connection::open(place).unwrap();
        others.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE precious (x)").unwrap();
    });
}

#[test]
fn a_file_that_breaks_in_the_middle_costs_replies_and_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), CacheMode::On);
    for number in 0..200 {
        cache.keep(&asked(&number.to_string()), &chat(&"x".repeat(2_000)));
    }
    drop(cache);
    let place = folder.path().join("cache.db");
    let mut bytes = std::fs::read(&place).unwrap();
    let half = bytes.len() / 2;
    bytes[8192..half].fill(0xa5);
    std::fs::write(&place, bytes).unwrap();

    let cache = ReplyCache::open(&place, CacheMode::On);
    for number in 0..200 {
        let _ = find(&cache, &number.to_string());
        cache.keep(&asked(&format!("new {number}")), &chat("x"));
    }
    cache.flush();
    assert_eq!(cache.warnings().len(), 1, "it is said once: {:?}", cache.warnings());
    drop(cache);
    let cache = open(folder.path(), CacheMode::On);
    cache.keep(&asked("a"), &chat("Alice"));
    cache.flush();
    assert_eq!(find(&cache, "a"), Some(chat("Alice")));
}

#[test]
fn a_cache_of_a_later_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), CacheMode::On);
    cache.keep(&asked("a"), &chat("Alice"));
    drop(cache);
    let place = folder.path().join("cache.db");
    let file = rusqlite::Connection::open(&place).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    drop(file);
    for mode in [CacheMode::On, CacheMode::Read] {
        let cache = ReplyCache::open(&place, mode);
        assert!(cache.warnings()[0].contains("a later version made it"), "{:?}", cache.warnings());
        assert_eq!(find(&cache, "a"), None);
        cache.keep(&asked("a"), &chat("Bob"));
    }
    let file = rusqlite::Connection::open(&place).unwrap();
    let replies: i64 = file.query_row("SELECT count(*) FROM replies", [], |row| row.get(0)).unwrap();
    assert_eq!(replies, 1);
}

#[test]
fn a_place_that_cannot_be_written_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let cache = ReplyCache::open(folder.path().join("no/such/folder/cache.db"), CacheMode::On);
    assert_eq!(cache.warnings().len(), 1, "{:?}", cache.warnings());
    cache.keep(&asked("a"), &chat("Alice"));
    cache.flush();
    assert_eq!(find(&cache, "a"), None);
}
