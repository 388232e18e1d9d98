//! What goes wrong around a batch: nothing is lost, the words are clear, and a resume completes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sluicegate_testkit::endpoint::{Answer, Endpoint};

use crate::batch_project::{
    BATCH, CHAIN, ONE, asked, batch, check_outputs, echoes, outputs, project, report, resume, text_of,
};
use crate::fixture::{KEY, SLUICEGATE};

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_batch_and_room_completes_it() {
    let endpoint = Endpoint::start();
    let reply = format!("paid for {}", "x".repeat(20_000));
    endpoint.reply_text(&reply);
    let project = project(&endpoint, ONE, 100, "");
    // No file of this process may grow beyond 400 KiB: what a full disk says, without one.
    let script = format!("ulimit -f 800; trap '' XFSZ; exec {SLUICEGATE} {}", BATCH.join(" "));
    let output = project.command("/bin/sh", &["-c", &script]).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("journal") && said.contains("make room") && !said.contains("panicked"), "{said}");
    assert!(said.contains("go on with:"), "{said}");
    let asked_before = settled(&endpoint);
    let resumed = resume(&project, &["--json"]);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    assert_eq!(outputs(&project).len(), 100);
    let repeated = endpoint.count() - 100;
    assert!(asked_before >= repeated && repeated <= 128, "{repeated} of {asked_before} were not recorded");
}

/// How many requests came, once no more come: some were on their way when their process ended.
#[cfg(target_os = "linux")]
fn settled(endpoint: &Endpoint) -> usize {
    let mut count = endpoint.count();
    loop {
        std::thread::sleep(Duration::from_millis(300));
        match endpoint.count() {
            same if same == count => return count,
            more => count = more,
        }
    }
}

/// Outputs that do not fit are in the journal, and are written when there is room.
#[cfg(target_os = "linux")]
#[test]
fn outputs_that_cannot_be_written_are_written_by_a_resume() {
    let endpoint = Endpoint::start();
    echoes(&endpoint);
    let project = project(&endpoint, ONE, 10, "");
    let full = std::path::Path::new("/dev/full");
    std::fs::create_dir(project.path().join("out")).expect("made");
    std::os::unix::fs::symlink(full, project.path().join("out/metrics.json.part")).expect("linked");
    let ran = batch(&project, &[]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    assert!(ran.stderr.contains("cannot be written") && ran.stderr.contains("--resume"), "{}", ran.stderr);
    std::fs::remove_file(project.path().join("out/metrics.json.part")).expect("removed");
    let _ = std::fs::remove_file(project.path().join("out/output.jsonl"));
    let resumed = resume(&project, &[]);
    assert_eq!((resumed.code, endpoint.count()), (0, 10), "{}", resumed.shown());
    check_outputs(&project, 0..10, |row| format!("[row {row}]"));
}

#[test]
fn a_folder_that_cannot_be_written_is_said_before_anything_is_paid() {
    let endpoint = Endpoint::start();
    let project = project(&endpoint, ONE, 10, "").file("a-file", "no folder");
    let check = |words: &[&str], named: &str| {
        let ran = project.run(SLUICEGATE, words);
        assert_eq!((ran.code, endpoint.count()), (2, 0), "{}", ran.shown());
        assert!(ran.stderr.contains(named) && !ran.stderr.contains("panicked"), "{}", ran.stderr);
    };
    check(&["batch", "ask", "-e", "pr", "--data", "rows.jsonl", "--output", "a-file/out"], "a-file/out");
    #[cfg(target_os = "linux")]
    check(&["batch", "ask", "-e", "pr", "--data", "rows.jsonl", "--output", "/proc/out"], "/proc/out");
    // Nowhere to keep the run.
    let project = crate::batch_project::project(&endpoint, ONE, 10, "").file(".sluicegate", "no folder");
    let ran = project.run(SLUICEGATE, &BATCH);
    assert!(ran.code != 0 && endpoint.count() == 0, "{}", ran.shown());
    assert!(ran.stderr.contains(".sluicegate") && !ran.stderr.contains("panicked"), "{}", ran.stderr);
}

/// The same where the file system says no. (Root may write everywhere: then somebody else runs it.)
#[cfg(target_os = "linux")]
#[test]
fn a_read_only_folder_is_said_before_anything_is_paid() {
    use std::os::unix::fs::PermissionsExt as _;
    let endpoint = Endpoint::start();
    let project = project(&endpoint, ONE, 3, "");
    let mode = |path: &str, mode: u32| {
        let path = project.path().join(path);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode is set");
    };
    std::fs::create_dir(project.path().join("closed")).expect("made");
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", SLUICEGATE];
    let can_be_nobody = || {
        project
            .command("setpriv", &[&nobody[..], &["--version"]].concat())
            .output()
            .is_ok_and(|ran| ran.status.success())
    };
    mode("", 0o777);
    if is_root && !can_be_nobody() {
        eprintln!("skipped: this is root, and nobody else can run the binary");
        return;
    }
    let run = |words: &[&str]| {
        let mut command = match is_root {
            true => project.command("setpriv", &[&nobody[..], words].concat()),
            false => project.command(SLUICEGATE, words),
        };
        let output = command.output().expect("runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    mode("closed", 0o555);
    let (code, said) = run(&["batch", "ask", "-e", "pr", "--data", "rows.jsonl", "--output", "closed"]);
    assert!(code == Some(2) && said.contains("closed") && said.contains("--output"), "{code:?} {said}");
    // The store was made on the way; now its folder is closed, too.
    mode("", 0o555);
    let _ = std::fs::remove_dir_all(project.path().join(".sluicegate"));
    if project.path().join(".sluicegate").exists() {
        mode("", 0o777);
        std::fs::remove_dir_all(project.path().join(".sluicegate")).expect("removed");
        mode("", 0o555);
    }
    let (code, said) = run(&["batch", "ask", "-e", "pr", "--data", "rows.jsonl", "--output", "closed"]);
    assert!(code != Some(0) && said.contains(".sluicegate") && !said.contains("panicked"), "{code:?} {said}");
    mode("", 0o777);
    assert_eq!(endpoint.count(), 0);
}

#[test]
fn an_endpoint_that_dies_fails_lines_and_a_resume_completes_them_when_it_is_back() {
    let endpoint = Endpoint::start();
    endpoint.on(|request| Some(Answer::text(&format!("[{}]", text_of(request))).after(Duration::from_millis(10))));
    let project = project(&endpoint, CHAIN, 60, "");
    let child = project.start(SLUICEGATE, &[&BATCH[..], &["--concurrency", "4", "--json"]].concat());
    endpoint.wait_for(30);
    let (port, before) = (endpoint.port(), asked(&endpoint));
    drop(endpoint);
    let ran = project.wait(child);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    let (lines, failures) = (&report(&ran)["lines"], report(&ran)["failures"].clone());
    let (completed, failed) =
        (lines["completed"].as_u64().expect("a count"), lines["failed"].as_u64().expect("a count"));
    assert!(completed > 0 && failed > 0 && completed + failed == 60, "{}", ran.shown());
    assert_eq!(outputs(&project).len() as u64, completed);
    assert!(failures[0]["message"].as_str().is_some_and(|words| words.contains("127.0.0.1")), "{failures}");
    assert!(ran.stderr.contains("--failed"), "{}", ran.stderr);

    let endpoint = Endpoint::start_at(port);
    echoes(&endpoint);
    let resumed = resume(&project, &["--failed"]);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    check_outputs(&project, 0..60, |row| format!("[[row {row}]]"));
    let again = asked(&endpoint).into_keys().filter(|text| before.contains_key(text)).count();
    assert!(again <= 4, "{again} calls that were replied to were made again");
}

#[test]
fn a_line_that_hangs_holds_nobody_up() {
    let endpoint = Endpoint::start();
    endpoint.on(|request| {
        let text = text_of(request);
        Some(if text == "row 3" { Answer::Hang } else { Answer::text(&format!("[{text}]")) })
    });
    let project = project(&endpoint, ONE, 2_001, "");
    let ran = batch(&project, &["--line-timeout", "5s", "--max-failures", "1", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let failures = &report(&ran)["failures"];
    assert_eq!((&failures[0]["line_number"], &failures[0]["code"]), (&3.into(), &"timeout".into()));
    check_outputs(&project, (0..2_001).filter(|row| *row != 3), |row| format!("[row {row}]"));
}

#[test]
fn a_storm_of_429_is_waited_out_by_all_together() {
    let endpoint = Endpoint::start();
    let refused = Arc::new(AtomicUsize::new(0));
    let count = refused.clone();
    let (mut heard, mut storm) = (0, None::<Instant>);
    endpoint.on(move |request| {
        heard += 1;
        if heard == 60 {
            storm = Some(Instant::now());
        }
        if storm.is_some_and(|began| began.elapsed() < Duration::from_millis(400)) {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = Answer::error(429, "rate_limit_exceeded", "Slow down.");
            return Some(answer.header("retry-after-ms", "500"));
        }
        Some(Answer::text(&format!("[{}]", text_of(request))).after(Duration::from_millis(5)))
    });
    let project = project(&endpoint, ONE, 600, "");
    let ran = batch(&project, &["--concurrency", "16"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    check_outputs(&project, 0..600, |row| format!("[row {row}]"));
    let refused = refused.load(Ordering::SeqCst);
    // Those in flight when it began, and those that were sent before the first refusal was read; each 5 ms there would be
    // 16 more if the others went on.
    assert!(refused <= 48, "{refused} calls were sent into the storm");
}

#[test]
fn wrong_keys_fail_lines_without_asking_twice_each() {
    let endpoint = Endpoint::start();
    endpoint.on(|_| Some(Answer::error(401, "invalid_api_key", &format!("Incorrect API key provided: {KEY}."))));
    let project = project(&endpoint, ONE, 12, "");
    let ran = batch(&project, &[]);
    assert_eq!((ran.code, endpoint.count()), (1, 12), "{}", ran.shown());
    assert!(ran.stderr.contains("12 of 12 lines failed") && ran.stderr.contains("refused the key"), "{}", ran.stderr);
    assert!(!ran.shown().contains(KEY), "{}", ran.shown());
}
