//! A machine whose clock jumps while a batch runs: back by an hour, then ahead by two days.
//!
//! The clock of this machine stays as it is: a small library, compiled here and loaded before the program, answers in its
//! place. Needs Linux and a C compiler; without them there is nothing to test with, and that is said.

#![expect(clippy::print_stderr, reason = "what is not tested is said")]

use std::process::Command;
use std::time::Duration;

use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::project::Project;

use crate::batch_project::{BATCH, CHAIN, check_outputs, events, project, text_of};
use crate::fixture::SLUICEGATE;

/// Answers for `CLOCK_REALTIME` alone: right at first, an hour less after 150 ms, two days more after 350 ms. Timers count
/// by the monotonic clock, which it leaves as it is.
const JUMPS: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

static int (*real)(clockid_t, struct timespec *);
static struct timespec began;

__attribute__((constructor)) static void begin(void) {
    real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    real(CLOCK_MONOTONIC, &began);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real) begin();
    int answer = real(clock, now);
    if (answer == 0 && clock == CLOCK_REALTIME) {
        struct timespec ran;
        real(CLOCK_MONOTONIC, &ran);
        long ms = (ran.tv_sec - began.tv_sec) * 1000 + (ran.tv_nsec - began.tv_nsec) / 1000000;
        now->tv_sec += ms < 150 ? 0 : ms < 350 ? -3600 : 172800;
    }
    return answer;
}
"#;

/// Compiles the clock into the project; `None` if there is nothing to compile with.
fn jumping_clock(project: &Project) -> Option<String> {
    project.write("jumps.c", JUMPS);
    let library = project.path().join("jumps.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(project.path().join("jumps.c"))
        .arg("-ldl")
        .status();
    match compiled {
        Ok(status) if status.success() => Some(library.display().to_string()),
        _ => {
            eprintln!("skipped: no C compiler to make a clock that jumps with");
            None
        }
    }
}

#[test]
fn a_clock_that_jumps_loses_no_line_and_ends_none() {
    let endpoint = Endpoint::start();
    endpoint.on(|request| {
        let text = text_of(request);
        let said = if text.starts_with("row") { "one" } else { "two" };
        Some(Answer::text(&format!("{said}({text})")).after(Duration::from_millis(25)))
    });
    // Time limits that the jumps would break, if they were counted by the wrong clock.
    let project = project(&endpoint, CHAIN, 60, "    timeout: { total: 20s }\n");
    let Some(clock) = jumping_clock(&project) else { return };
    let project = project.variable("LD_PRELOAD", clock);

    let ran = project.run(SLUICEGATE, &[&BATCH[..], &["--concurrency", "4", "--line-timeout", "30s"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.shown());
    check_outputs(&project, 0..60, |line| format!("two(one(row {line}))"));

    let events = events(&project);
    let times: Vec<_> = events.iter().map(|event| event.at).collect();
    let hour = jiff::SignedDuration::from_mins(50);
    assert!(times.windows(2).any(|pair| pair[0].duration_since(pair[1]) > hour), "the clock did not jump back");
    assert!(times.windows(2).any(|pair| pair[1].duration_since(pair[0]) > hour), "the clock did not jump ahead");
    assert!(events.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq), "events are numbered without gaps");
    assert_eq!(endpoint.count(), 120, "nothing was asked twice");

    // What is told of it afterwards makes sense: no time is negative.
    for look in [&["runs", "list"][..], &["runs", "show", "latest"], &["runs", "lines", "latest"]] {
        let ran = project.run(SLUICEGATE, look);
        assert_eq!(ran.code, 0, "{}", ran.shown());
        assert!(!ran.stdout.contains(" -"), "{}", ran.stdout);
    }
}

/// A process whose clock is two days ahead does not take a run from one that lives: a lock says who has it, not a time.
#[test]
fn a_run_is_not_taken_over_by_a_clock_that_is_ahead() {
    let endpoint = Endpoint::start();
    endpoint.on(|request| Some(Answer::text(&text_of(request)).after(Duration::from_millis(200))));
    let project = project(&endpoint, CHAIN, 40, "");
    let Some(clock) = jumping_clock(&project) else { return };
    let mut child = project.start(SLUICEGATE, &[&BATCH[..], &["--concurrency", "2", "--name", "held"]].concat());
    while endpoint.count() < 4 {
        assert!(child.try_wait().expect("its state").is_none(), "it ended before anything was asked");
        std::thread::sleep(Duration::from_millis(5));
    }
    let project = project.variable("LD_PRELOAD", clock);
    let second = project.run(SLUICEGATE, &["batch", "--resume", "held"]);
    assert_eq!(second.code, 2, "{}", second.shown());
    assert!(second.stderr.contains("process"), "{}", second.stderr);
    child.kill().expect("it runs");
    assert_eq!(project.wait(child).code, -1);
    let resumed = project.run(SLUICEGATE, &["batch", "--resume", "held", "--output", "out", "--concurrency", "20"]);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    assert_eq!(crate::batch_project::outputs(&project).len(), 40);
}
