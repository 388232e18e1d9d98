//! A batch that is killed again and again: every line once and in order, and no recorded reply asked for again.

#![expect(clippy::print_stderr, reason = "figures are for whoever runs it")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sluicegate_events::{CallEnd, Event, EventKind};
use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::project::{Project, Ran};

use crate::batch_project::{BATCH, CHAIN, Dice, check_outputs, events, outputs, project, report, text_of};
use crate::fixture::SLUICEGATE;

/// Calls in flight; twice as many lines run, each with one call at most.
const CONCURRENCY: &str = "8";
const IN_FLIGHT: usize = 8;
const LINES_AT_ONCE: usize = 16;

/// Answers `row 7` by `one(row 7)` and that by `two(one(row 7))`, after every fault that endpoints have: none more than
/// twice for one text, so that all lines complete.
///
/// Returns how many replies it gave.
fn faulty(endpoint: &Endpoint, seed: u64) -> Arc<AtomicUsize> {
    let replies = Arc::new(AtomicUsize::new(0));
    let given = replies.clone();
    let mut heard = BTreeMap::<String, u64>::new();
    endpoint.on(move |request| {
        let text = text_of(request);
        let before = heard.entry(text.clone()).or_default();
        *before += 1;
        let mut dice = Dice(seed ^ text.bytes().fold(*before, |sum, byte| sum.wrapping_mul(31) + u64::from(byte)));
        let fault = if *before <= 2 { dice.below(20) } else { 19 };
        let said = if text.starts_with("row") { "one" } else { "two" };
        let reply = Answer::text(&format!("{said}({text})"));
        Some(match fault {
            0 => Answer::error(429, "rate_limit_exceeded", "Slow down.").header("retry-after-ms", "40"),
            1 => Answer::error(500, "server_error", "Oops."),
            2 => Answer::Reset,
            3 => Answer::error(503, "server_error", "Busy.").after(Duration::from_millis(20)),
            slow => {
                given.fetch_add(1, Ordering::SeqCst);
                reply.after(Duration::from_millis(if slow == 4 { 150 } else { 5 + dice.below(20) }))
            }
        })
    });
    replies
}

/// What the journal has of a batch when nobody writes it.
#[derive(Default)]
struct Recorded {
    /// Texts whose reply it has.
    replied: BTreeSet<String>,
    /// Calls of which something was sent whose end it does not have; those that pause after a failed attempt are none.
    open: usize,
    /// Calls that resumes said they make again.
    repeated: usize,
    lines_over: BTreeMap<u64, usize>,
}

fn recorded(events: &[Event]) -> Recorded {
    let mut recorded = Recorded::default();
    let mut open = BTreeMap::new();
    let mut pausing = BTreeSet::new();
    for event in events {
        let key = (event.scope.line, event.scope.path.to_string());
        match &event.kind {
            EventKind::ModelCallStarted { request, .. } => {
                let messages = request.get("messages").and_then(|messages| messages.as_list()).expect("messages");
                let last = messages.last().and_then(|last| last.as_map()?.get("content")?.as_str()).expect("a text");
                pausing.remove(&key);
                open.insert(key, last.to_owned());
            }
            EventKind::ModelAttemptFailed { .. } => {
                pausing.insert(key);
            }
            EventKind::ModelAttemptStarted { .. } => {
                pausing.remove(&key);
            }
            EventKind::ModelCallFinished { end, .. } => {
                pausing.remove(&key);
                let text = open.remove(&key).expect("its beginning");
                if matches!(end, CallEnd::Replied { .. }) {
                    assert!(recorded.replied.insert(text.clone()), "`{text}` was replied to twice");
                }
            }
            EventKind::LineResumed { repeated_calls, .. } => {
                // They are counted, and begin again.
                open.retain(|(line, _): &(Option<u64>, String), _| *line != event.scope.line);
                recorded.repeated += *repeated_calls as usize;
            }
            EventKind::LineFinished { .. } => {
                *recorded.lines_over.entry(event.scope.line.expect("a line")).or_default() += 1;
            }
            _ => {}
        }
    }
    recorded.open = open.keys().filter(|key| !pausing.contains(*key)).count();
    recorded
}

/// Texts that were heard, and how often.
fn heard(endpoint: &Endpoint) -> BTreeMap<String, usize> {
    crate::batch_project::asked(endpoint)
}

struct Story<'a> {
    endpoint: &'a Endpoint,
    project: &'a Project,
    dice: Dice,
    words: String,
}

impl Story<'_> {
    /// Starts the batch, or goes on with it.
    fn start(&self, is_first: bool) -> Child {
        let begin = [&BATCH[..], &["--concurrency", CONCURRENCY, "--name", "killed", "--json"]].concat();
        let go_on = ["batch", "--resume", "killed", "--output", "out", "--concurrency", CONCURRENCY, "--json"];
        self.project.start(SLUICEGATE, if is_first { &begin } else { &go_on })
    }

    /// Waits until so many more requests came, or the process is over.
    fn wait_for(&self, child: &mut Child, more: usize) {
        let (wanted, start) = (self.endpoint.count() + more, Instant::now());
        while self.endpoint.count() < wanted && child.try_wait().expect("its state").is_none() {
            assert!(start.elapsed() < Duration::from_secs(60), "{}: nothing more is asked", self.words);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Runs `lines` lines of two calls each, killed `kills` times on the way.
fn check_killed(kills: usize, lines: usize) {
    let dice = Dice::thrown();
    let words = format!("seed {:#x}", dice.0);
    eprintln!("{words}");
    let endpoint = Endpoint::start();
    let replies = faulty(&endpoint, dice.0);
    let more = "    retry: { max_attempts: 6, initial: 5ms, max: 20ms }\n";
    let project = project(&endpoint, CHAIN, lines, "");
    let config = std::fs::read_to_string(project.path().join("config/config.yaml")).expect("the config");
    let kept = "    retry: { max_attempts: 3, initial: 10ms, max: 50ms }\n";
    assert!(config.contains(kept));
    project.write("config/config.yaml", config.replace(kept, more));

    let mut story = Story { endpoint: &endpoint, project: &project, dice, words };
    // Calls that had begun, and had no reply that was recorded, when a process died: these may be made again.
    let mut lost = Vec::<usize>::new();
    let mut before = Recorded::default();
    let mut before_heard = BTreeMap::new();
    let mut died = 0;
    let mut is_first = true;
    for kill in 0..kills {
        let left = 2 * lines - before.replied.len();
        let share = (2 * left / (kills - kill + 1)).max(1) as u64;
        let mut child = story.start(is_first);
        if story.dice.below(5) == 0 && !is_first {
            // Whatever it does at its beginning.
            std::thread::sleep(Duration::from_millis(story.dice.below(150)));
        } else {
            let requests = 1 + story.dice.below(share) as usize;
            story.wait_for(&mut child, requests);
            std::thread::sleep(Duration::from_micros(story.dice.below(20_000)));
        }
        if kill == kills / 2 {
            let ran = project.run(SLUICEGATE, &["batch", "--resume", "killed"]);
            let is_over = child.try_wait().expect("its state").is_some();
            assert!(is_over || (ran.code == 2 && ran.stderr.contains("process")), "{}: {}", story.words, ran.shown());
        }
        // Its failure is that it is over already.
        let _ = child.kill();
        let ran = project.wait(child);
        died += usize::from(ran.code == -1);
        assert!(ran.code == -1 || ran.code == 0, "{}: {}", story.words, ran.shown());
        is_first = false;

        let (now, now_heard) = (recorded(&events(&project)), heard(&endpoint));
        for text in &before.replied {
            let (then, now) = (before_heard.get(text), now_heard.get(text));
            assert_eq!(then, now, "{}, kill {kill}: `{text}` was recorded and asked again", story.words);
        }
        let unrecorded: BTreeSet<String> =
            now_heard.keys().filter(|text| !now.replied.contains(*text)).cloned().collect();
        assert!(unrecorded.len() <= LINES_AT_ONCE, "{}, kill {kill}: {} lost", story.words, unrecorded.len());
        // A line that the last process did not come to may still have one from before.
        assert!(now.open <= LINES_AT_ONCE, "{}, kill {kill}: {} in flight", story.words, now.open);
        lost.push(now.open);
        (before, before_heard) = (now, now_heard);
    }
    if before.lines_over.len() < lines {
        let ran = project.wait(story.start(false));
        assert_eq!(ran.code, 0, "{}: {}", story.words, ran.shown());
        check_report(&story.words, &ran, lines, lost.last().copied().unwrap_or_default());
    } else if !project.path().join("out/output.jsonl").exists() {
        let ran = project.wait(story.start(false));
        assert!(ran.code == 0, "{}: {}", story.words, ran.shown());
    }

    check_outputs(&project, 0..lines, |line| format!("two(one(row {line}))"));
    let end = recorded(&events(&project));
    assert_eq!(end.replied.len(), 2 * lines, "{}", story.words);
    assert_eq!(end.open, 0, "{}", story.words);
    // Cancelled lines end in order, so a line may be over more than once only if it was not complete then; here none is.
    assert!(end.lines_over.values().all(|ends| *ends == 1) && end.lines_over.len() == lines, "{}", story.words);
    let most = kills * IN_FLIGHT;
    assert!(end.repeated <= most, "{}: {} repeated, {most} in flight at kills", story.words, end.repeated);
    // Nothing is sent before its beginning is kept: whatever was paid for twice was said to be made again.
    let paid_twice = replies.load(Ordering::SeqCst) - 2 * lines;
    assert!(
        paid_twice <= end.repeated,
        "{}: {paid_twice} replies given again, and only {} told",
        story.words,
        end.repeated
    );
    eprintln!(
        "{died} kills may have found {most} calls in flight; {} were said to be made again, {paid_twice} replies were given twice",
        end.repeated
    );
    assert!(died * 10 >= kills * 8, "{}: only {died} of {kills} kills found it running", story.words);
}

/// What the process that came to the end said.
fn check_report(words: &str, ran: &Ran, lines: usize, in_flight: usize) {
    let report = report(ran);
    assert_eq!(report["lines"]["completed"], lines, "{words}: {}", ran.shown());
    let repeated = report["repeated_calls"].as_u64().expect("a count") as usize;
    assert!(repeated <= in_flight, "{words}: {repeated} said to be made again, {in_flight} were in flight");
    if repeated > 0 {
        assert!(ran.stderr.contains(&format!("made again: {repeated} call")), "{words}: {}", ran.stderr);
    }
}

#[test]
fn killed_at_eight_points_every_line_is_there_once() {
    check_killed(8, 60);
}

/// The whole story: `cargo test -p sluicegate --test it -- --ignored killed_at_fifty`.
#[test]
#[ignore = "takes a minute"]
fn killed_at_fifty_points_every_line_is_there_once() {
    check_killed(50, 200);
}

/// Outputs are written when a batch is over; killed between its end and them, a resume writes them.
#[test]
fn outputs_that_a_kill_left_unwritten_are_written_by_a_resume() {
    let endpoint = Endpoint::start();
    crate::batch_project::echoes(&endpoint);
    let project = project(&endpoint, CHAIN, 5, "");
    assert_eq!(crate::batch_project::batch(&project, &[]).code, 0);
    std::fs::remove_file(project.path().join("out/output.jsonl")).expect("removed");
    let asked = endpoint.count();
    let ran = crate::batch_project::resume(&project, &[]);
    assert_eq!((ran.code, endpoint.count()), (0, asked), "{}", ran.shown());
    assert_eq!(outputs(&project).len(), 5);
}
