//! Full disks, deleted folders, damaged files: a clear word, never a panic.

use std::fs;

use sluicegate_events::{Journal as _, RunStatus};
use sluicegate_store::{Durability, RunFilter, Store, StoreError};

use crate::sample::{
    append, event, finished_node, numbered, place, run_finished, run_id, started, usage, wait, written,
};

#[test]
fn a_run_whose_process_died_while_it_made_the_file_is_unborn_and_can_be_begun_anew() {
    let place = place();
    let store = &place.store;
    let (half, whole) = (run_id("half"), run_id("whole"));
    drop(store.create_run(&whole, "0.1.0", Durability::Process).unwrap());
    fs::write(place.folder.path().join(".sluicegate/runs").join(format!("{half}.db")), "").unwrap();
    assert!(store.is_unborn(&half) && !store.is_unborn(&whole));
    store.delete(&half).unwrap();
    assert!(!store.is_unborn(&half));
    store.create_run(&half, "0.1.0", Durability::Process).unwrap();
}

/// Not a test of its own: a process whose files may not grow beyond a limit appends until it fails.
#[cfg(unix)]
#[test]
#[expect(clippy::disallowed_methods, reason = "how a test tells its own child process that it is one")]
fn a_child_that_writes_until_the_disk_is_full() {
    let Some(root) = std::env::var_os(FULL_DISK) else { return };
    let run = run_id("full");
    let journal = Store::open(root).unwrap().create_run(&run, "0.1.0", Durability::Power).unwrap();
    let mut seq = 0;
    let failure = loop {
        seq += 1;
        if let Err(error) = wait(journal.append(vec![numbered(&run, seq)].into())) {
            break error;
        }
    };
    let again = wait(journal.append(vec![numbered(&run, seq + 1)].into())).unwrap_err();
    println!("acknowledged {}\nfailed: {failure}\nagain: {again}", seq - 1);
}

#[cfg(unix)]
const FULL_DISK: &str = "SLUICEGATE_TEST_FULL_DISK";

#[cfg(unix)]
#[test]
fn a_full_disk_ends_the_journal_with_its_own_error_and_loses_nothing_acknowledged() {
    let place = place();
    // The signal must be ignored, or it would end the process before the write can fail.
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 400; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "broken::a_child_that_writes_until_the_disk_is_full", "--nocapture"])
        .env(FULL_DISK, place.store.root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |start: &str| said.lines().find_map(|line| line.split(start).nth(1)).unwrap_or_else(|| panic!("{said}"));
    let failed = line("failed: ");
    assert!(failed.contains("full.db") && failed.contains("too large"), "{failed}");
    assert_eq!(line("again: "), failed);

    let run = run_id("full");
    let acknowledged: u64 = line("acknowledged ").parse().unwrap();
    let events = place.store.open_run(&run).unwrap().events().unwrap();
    assert_eq!(events, (1..=acknowledged).map(|seq| numbered(&run, seq)).collect::<Vec<_>>());
}

#[cfg(unix)]
#[test]
fn a_deleted_folder_ends_the_journal() {
    let place = place();
    let run = run_id("one");
    let journal = place.store.create_run(&run, "0.1.0", Durability::Process).unwrap();
    append(&journal, vec![numbered(&run, 1)]);
    fs::remove_dir_all(place.store.root()).unwrap();
    let error = wait(journal.append(vec![numbered(&run, 2)].into())).unwrap_err();
    assert!(error.place.ends_with("one.db"), "{error}");
    assert!(error.message.contains("deleted") || error.message.contains("o such file"), "{error}");
    let again = wait(journal.append(vec![numbered(&run, 3)].into())).unwrap_err();
    assert_eq!(again.to_string(), error.to_string());
    assert!(wait(journal.take_commands()).is_err());
}

#[test]
fn a_place_that_cannot_be_a_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(file.join(".sluicegate")).unwrap_err();
    assert!(matches!(&error, StoreError::Folder { place, .. } if place.contains(".sluicegate")), "{error}");
}

#[test]
fn a_file_from_a_later_version_says_so() {
    let place = place();
    let run = written(&place.store, "one", vec![started("f", None)]);
    let file = place.store.root().join("runs/one.db");
    rusqlite::Connection::open(&file).unwrap().execute("UPDATE meta SET value = '2' WHERE key = 'format'", []).unwrap();
    let expected = StoreError::NewerFormat { place: file.display().to_string(), found: 2, supported: 1 };
    assert_eq!(place.store.open_run(&run).map(|_| ()).unwrap_err(), expected);
    assert_eq!(place.store.resume_run(&run, Durability::Power).map(|_| ()).unwrap_err(), expected);
}

#[test]
fn a_file_that_is_no_run_says_so() {
    let place = place();
    let check = |bytes: &[u8]| {
        fs::write(place.store.root().join("runs/one.db"), bytes).unwrap();
        let error = place.store.open_run(&run_id("one")).map(|_| ()).unwrap_err();
        assert!(matches!(&error, StoreError::Damaged { place, .. } if place.ends_with("one.db")), "{error}");
        assert!(place.store.resume_run(&run_id("one"), Durability::Power).is_err());
    };
    check(b"");
    check(b"hello");
    check(&[0x5a; 20_000]);
}

#[test]
fn a_missing_blob_and_a_row_that_is_no_event_are_errors() {
    let place = place();
    let run = written(&place.store, "one", vec![finished_node("a".repeat(40_000).into())]);
    let change = |sql: &str| {
        let file = rusqlite::Connection::open(place.store.root().join("runs/one.db")).unwrap();
        file.execute(sql, []).unwrap();
        let error = place.store.open_run(&run).unwrap().events().unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        error.to_string()
    };
    assert!(change("DELETE FROM blobs").contains("is missing"));
    change("UPDATE events SET body = '{\"seq\": 1'");
    change("UPDATE events SET body = replace(hex(zeroblob(200000)), '0', '[')");
    change("UPDATE events SET body = 17.5");
}

#[test]
fn no_byte_turned_over_and_no_cut_makes_the_reader_panic() {
    let place = place();
    let end = run_finished(RunStatus::Completed, usage(1, 1), None);
    let kinds = vec![started("f", None), finished_node("a".repeat(40_000).into()), end];
    let run = written(&place.store, "one", kinds.clone());
    let file = place.store.root().join("runs/one.db");
    let whole = fs::read(&file).unwrap();
    let read = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let _ = fs::remove_file(place.store.root().join("runs/one.db-wal"));
        let _ = fs::remove_file(place.store.root().join("runs/one.db-shm"));
        place.store.list(&RunFilter::default()).unwrap();
        place.store.open_run(&run).and_then(|reader| reader.events())
    };
    for offset in (0..whole.len()).step_by(whole.len() / 150) {
        let mut turned = whole.clone();
        turned[offset] ^= 0xff;
        let _ = read(&turned);
        let _ = read(&whole[..offset]);
    }
    let expected: Vec<_> = kinds.into_iter().zip(1..).map(|(kind, seq)| event(&run, seq, kind)).collect();
    assert_eq!(read(&whole).unwrap(), expected);
}

/// What stands in the folder of runs.
fn files(store: &Store) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(store.root().join("runs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_run_rests_in_one_file_and_reading_leaves_nothing_beside_it() {
    let place = place();
    let run = run_id("odd");
    let journal = place.store.create_run(&run, "0.1.0", Durability::Process).unwrap();
    append(&journal, vec![numbered(&run, 1)]);
    // Even with a reader in the way, nothing stays in the log.
    let reader = place.store.open_run(&run).unwrap();
    drop(journal);
    let log = place.store.root().join("runs/odd.db-wal");
    assert_eq!(fs::metadata(&log).map_or(0, |facts| facts.len()), 0);
    drop(reader);
    for left in [log, place.store.root().join("runs/odd.db-shm")] {
        let _ = fs::remove_file(left);
    }

    let before = files(&place.store);
    assert_eq!(place.store.open_run(&run).unwrap().events().unwrap(), [numbered(&run, 1)]);
    assert_eq!(place.store.list(&RunFilter::default()).unwrap().len(), 1);
    assert_eq!(files(&place.store), before);
    assert_eq!(before, ["odd.db", "odd.lock"]);
}

#[cfg(unix)]
#[test]
fn a_run_is_read_where_nothing_can_be_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("with blank, 100% & ä?")).unwrap();
    let end = run_finished(RunStatus::Completed, usage(1, 1), Some(0.0));
    let run = written(&store, "one", vec![started("f", None), end]);
    let runs = store.root().join("runs");
    let allow = |mode| fs::set_permissions(&runs, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o500);
    let outcome = store.open_run(&run).and_then(|reader| reader.events());
    let listed = store.list(&RunFilter::default());
    allow(0o700);
    assert_eq!(outcome.unwrap().len(), 2);
    assert_eq!(listed.unwrap()[0].status.name(), "completed");
}
