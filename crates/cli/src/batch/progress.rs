//! What a person sees of a batch while it runs: a bar at a terminal, a line now and then elsewhere, JSON on demand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sluicegate_events::{Event, EventKind, LineCounts, LineEnd, Listener, ListenerError, Spent};
use sluicegate_value::{Map, Value};

use super::Replies;
use crate::report::line_failure_words;
use crate::terminal::{Printer, harmless, show_duration};

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ProgressStyle {
    /// A bar at a terminal, lines elsewhere
    #[default]
    Auto,
    /// One line that is drawn again
    Bar,
    /// A line every ten seconds
    Lines,
    /// One JSON object a second
    Json,
    /// Nothing
    None,
}

/// Failures that are told while the batch runs; the rest is counted, and told at the end.
const MOST_TOLD: u64 = 5;

/// Over how long the rate is taken, in seconds.
const RATE_OVER: usize = 30;

/// Tells how a batch gets on; dropped or finished, it wipes its bar away.
pub(crate) struct Progress {
    shared: Arc<Shared>,
    ticker: Option<JoinHandle<()>>,
}

/// Hears the batch's events.
pub(crate) struct ProgressListener(Arc<Shared>);

struct Shared {
    printer: Printer,
    style: ProgressStyle,
    counts: Mutex<Counts>,
    over: AtomicBool,
}

struct Counts {
    began: Instant,
    lines: LineCounts,
    /// Of those that were over before this process.
    over_before: u64,
    running: u64,
    calls: u64,
    repeated: u64,
    spent: Spent,
    replies: Replies,
    told: u64,
    /// How many lines were over at the end of each second.
    seconds: BTreeMap<u64, u64>,
}

impl Progress {
    /// Begins. `before` is what earlier processes did.
    pub(crate) fn begin(printer: &Printer, style: ProgressStyle, before: LineCounts, spent: Spent) -> Self {
        let style = match style {
            ProgressStyle::Auto if printer.is_terminal() => ProgressStyle::Bar,
            ProgressStyle::Auto => ProgressStyle::Lines,
            style => style,
        };
        let over_before = before.completed + before.failed;
        let counts = Counts {
            began: Instant::now(),
            lines: before,
            over_before,
            running: 0,
            calls: 0,
            repeated: 0,
            spent,
            replies: Replies::default(),
            told: 0,
            seconds: BTreeMap::from([(0, over_before)]),
        };
        let shared = Arc::new(Shared {
            printer: printer.clone(),
            style,
            counts: Mutex::new(counts),
            over: AtomicBool::new(false),
        });
        let pause = match style {
            ProgressStyle::Bar => Some(Duration::from_millis(200)),
            ProgressStyle::Json => Some(Duration::from_secs(1)),
            ProgressStyle::Lines => Some(Duration::from_secs(10)),
            ProgressStyle::Auto | ProgressStyle::None => None,
        };
        let ticking = shared.clone();
        let ticker = pause.and_then(|pause| {
            let tick = move || ticking.tick(pause);
            // Without the thread there is no progress to see, which is no reason not to work.
            std::thread::Builder::new().name("progress".to_owned()).spawn(tick).ok()
        });
        Self { shared, ticker }
    }

    /// Whether every failure of a line was told when it happened.
    pub(crate) fn told_all_failures(&self) -> bool {
        let counts = self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.style != ProgressStyle::None && counts.told <= MOST_TOLD
    }

    /// Which replies were kept ones.
    pub(crate) fn replies(&self) -> Replies {
        self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner).replies
    }

    /// Who hears the batch's events.
    pub(crate) fn listener(&self) -> Box<dyn Listener> {
        Box::new(ProgressListener(self.shared.clone()))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(ticker) = self.ticker.take() {
            ticker.thread().unpark();
            let _ = ticker.join();
        }
        self.shared.printer.status(None);
    }
}

impl Listener for ProgressListener {
    fn name(&self) -> &'static str {
        "progress"
    }

    fn hear(&mut self, event: &Event) -> Result<(), ListenerError> {
        let shared = &*self.0;
        let mut counts = shared.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.replies.hear(&event.kind);
        match &event.kind {
            EventKind::LineStarted { .. } | EventKind::LineResumed { .. } => counts.running += 1,
            EventKind::ModelCallStarted { .. } | EventKind::FetchStarted { .. } => counts.calls += 1,
            EventKind::ModelAttemptFailed { retry_in_ms: Some(_), .. } => counts.repeated += 1,
            EventKind::FetchFinished { .. } => counts.calls = counts.calls.saturating_sub(1),
            kind @ EventKind::ModelCallFinished { .. } => {
                counts.calls = counts.calls.saturating_sub(1);
                if let Some(spent) = Spent::of(kind) {
                    counts.spent = counts.spent.plus(&spent);
                }
            }
            EventKind::LineFinished { end, .. } => {
                counts.running = counts.running.saturating_sub(1);
                let left = counts.lines.left.saturating_sub(1);
                match end {
                    LineEnd::Completed { .. } => {
                        (counts.lines.completed, counts.lines.left) = (counts.lines.completed + 1, left);
                    }
                    LineEnd::Failed { failure, node } => {
                        (counts.lines.failed, counts.lines.left) = (counts.lines.failed + 1, left);
                        counts.told += 1;
                        let told = counts.told;
                        drop(counts);
                        if told <= MOST_TOLD && shared.style != ProgressStyle::None {
                            shared.tell_failure(event, node, &failure.message);
                        }
                    }
                    LineEnd::Cancelled => {}
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Shared {
    fn tell_failure(&self, event: &Event, node: &sluicegate_events::NodePath, message: &str) {
        let line = event.scope.line.unwrap_or_default();
        if self.style == ProgressStyle::Json {
            let told = Map::from([
                ("event", Value::from("line_failed")),
                ("line", Value::from(line)),
                ("node", Value::from(node.to_string())),
                ("message", Value::from(message)),
            ]);
            return self.printer.say(&Value::from(told).to_json());
        }
        let told = line_failure_words(line, node, message);
        self.printer.say(&self.printer.painter().dim(&harmless(&told)));
    }

    fn tick(&self, pause: Duration) {
        let mut last = Instant::now();
        while !self.over.load(Ordering::Relaxed) {
            std::thread::park_timeout(pause.min(Duration::from_millis(500)));
            let is_over = self.over.load(Ordering::Relaxed);
            let text = self.counts.lock().unwrap_or_else(PoisonError::into_inner).text(self.style);
            if last.elapsed() < pause || is_over {
                continue;
            }
            last = Instant::now();
            match self.style {
                ProgressStyle::Bar => self.printer.status(Some(&text)),
                _ => self.printer.say(&text),
            }
        }
    }
}

impl Counts {
    fn text(&mut self, style: ProgressStyle) -> String {
        let over = self.lines.completed + self.lines.failed;
        let second = self.began.elapsed().as_secs();
        self.seconds.insert(second, over);
        while self.seconds.len() > RATE_OVER {
            self.seconds.pop_first();
        }
        // Since the first second that is still known.
        let rate = self.seconds.first_key_value().map(|(since, lines)| {
            let seconds = (self.began.elapsed().as_secs_f64() - *since as f64).max(0.001);
            over.saturating_sub(*lines) as f64 / seconds
        });
        let rate = rate.unwrap_or_default();
        let left = (rate > 0.0).then(|| Duration::from_secs_f64((self.lines.left as f64 / rate).min(1e9)));
        match style {
            ProgressStyle::Json => self.json(rate, left),
            _ => self.words(rate, left, style == ProgressStyle::Bar),
        }
    }

    fn words(&self, rate: f64, left: Option<Duration>, bar: bool) -> String {
        let (total, over) = (self.lines.total(), self.lines.completed + self.lines.failed);
        let share = over as f64 / (total.max(1)) as f64;
        let mut words = String::new();
        if bar {
            const WIDTH: usize = 24;
            let full = ((share * WIDTH as f64) as usize).min(WIDTH);
            words += &format!("{}{} ", "█".repeat(full), "░".repeat(WIDTH - full));
        }
        words += &format!("{over} of {total} lines ({:.0} %)", (share * 100.0).floor());
        if rate > 0.0 {
            words += &if rate >= 10.0 { format!(", {rate:.0}/s") } else { format!(", {rate:.1}/s") };
        }
        // Twice as many lines as calls run at once: a bare number would not say of what.
        words += &match (self.calls, self.running) {
            (0, running) => format!(", {running} {} running", if running == 1 { "line" } else { "lines" }),
            (1, _) => ", 1 call in flight".to_owned(),
            (calls, _) => format!(", {calls} calls in flight"),
        };
        if self.lines.failed > 0 {
            words += &format!(", {} failed", self.lines.failed);
        }
        if self.repeated > 0 {
            words += &format!(", {} tried again", self.repeated);
        }
        if let Some(tokens) = self.spent.usage.total().filter(|tokens| *tokens > 0) {
            words += &format!(", {} tokens", in_short(tokens));
        }
        if let Some(cost) = self.spent.cost.filter(|cost| *cost > 0.0) {
            words += &format!(", ${cost:.4}");
        }
        if let Some(left) = left.filter(|_| self.lines.left > 0 && over > self.over_before) {
            words += &format!(", {} left", show_duration(Duration::from_secs(left.as_secs().max(1))));
        }
        words
    }

    fn json(&self, rate: f64, left: Option<Duration>) -> String {
        let told = Map::from([
            ("event", Value::from("progress")),
            ("lines", Value::from(self.lines.total())),
            ("completed", Value::from(self.lines.completed)),
            ("failed", Value::from(self.lines.failed)),
            ("lines_running", Value::from(self.running)),
            ("calls_in_flight", Value::from(self.calls)),
            ("calls_tried_again", Value::from(self.repeated)),
            ("lines_per_second", Value::from((rate * 100.0).round() / 100.0)),
            ("seconds_left", left.map_or(Value::Null, |left| Value::from(left.as_secs()))),
            ("tokens", self.spent.usage.total().map_or(Value::Null, Value::from)),
            ("cost_usd", self.spent.cost.map_or(Value::Null, Value::from)),
        ]);
        Value::from(told).to_json()
    }
}

/// `1234567` as `1.2M`.
fn in_short(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..1_000_000 => format!("{:.1}k", number as f64 / 1e3),
        _ => format!("{:.1}M", number as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_one_line() {
        let spent = Spent { cost: Some(0.125), ..Spent::default() };
        let mut counts = Counts {
            began: Instant::now(),
            lines: LineCounts { completed: 40, failed: 2, left: 58 },
            over_before: 0,
            running: 7,
            calls: 7,
            repeated: 3,
            spent,
            replies: Replies::default(),
            told: 2,
            seconds: BTreeMap::new(),
        };
        let text = counts.words(12.0, Some(Duration::from_secs(5)), false);
        assert_eq!(
            text,
            "42 of 100 lines (42 %), 12/s, 7 calls in flight, 2 failed, 3 tried again, $0.1250, 5.0 s left"
        );
        counts.lines.left = 0;
        let json = counts.json(12.0, None);
        assert!(json.contains(r#""completed":40,"failed":2"#), "{json}");
    }
}
