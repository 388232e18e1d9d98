//! The thread that sends spans: its own runtime, its own client, and an end that comes in time.

use std::future::pending;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::TelemetrySettings;
use crate::http::{SendFailure, Sender};
use crate::queue::Queue;
use crate::request::Envelope;

/// Tries of one batch while the collector is thought to live.
const ATTEMPTS: u32 = 3;

/// The pause before the second try, doubled for the third.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest pause that a collector may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Beyond the deadline, for the thread to wake up and say what is lost.
const GRACE: Duration = Duration::from_secs(1);

/// The sending thread, as seen from the run.
#[derive(Debug)]
pub(crate) struct Delivery {
    queue: Arc<Queue>,
    /// When everything must be sent, once the run is over.
    closing: watch::Sender<Option<Instant>>,
    report: Receiver<Report>,
}

/// What became of the spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Spans that the collector did not take.
    pub(crate) lost: u64,
    /// Why, in the words of the first failure.
    pub(crate) words: Option<String>,
}

impl Delivery {
    pub(crate) fn start(settings: &TelemetrySettings) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(settings.queue_limit, settings.batch_limit));
        let (closing, closes) = watch::channel(None);
        let (answer, report) = sync_channel(1);
        let (of_thread, settings) = (Arc::clone(&queue), settings.clone());
        std::thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(move || work(settings, &of_thread, closes, &answer))?;
        Ok(Self { queue, closing, report })
    }

    /// Hands over a `Span` in protobuf.
    pub(crate) fn push(&self, span: &[u8]) {
        self.queue.push(span);
    }

    /// Sends what is left and waits for it, no longer than `deadline`.
    pub(crate) fn close(self, deadline: Duration) -> Report {
        let _ = self.closing.send(Some(Instant::now() + deadline));
        let mut report = self.report.recv_timeout(deadline + GRACE).unwrap_or_else(|_| Report {
            lost: self.queue.len() as u64,
            words: Some("its thread does not answer".to_owned()),
        });
        let dropped = self.queue.dropped();
        if dropped > 0 {
            report.lost += dropped;
            report.words.get_or_insert_with(|| "spans came faster than it took them".to_owned());
        }
        report
    }
}

fn work(
    settings: TelemetrySettings,
    queue: &Queue,
    closes: watch::Receiver<Option<Instant>>,
    answer: &SyncSender<Report>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = answer.send(Report { lost: queue.len() as u64, words: Some(error.to_string()) });
            return;
        }
    };
    let report = runtime.block_on(async {
        let mut courier = Courier {
            queue,
            closes,
            envelope: Envelope::new(&settings),
            sender: Sender::new(&settings),
            is_dead: false,
            report: Report::default(),
        };
        courier.carry(settings.delay).await;
        courier.report
    });
    let _ = answer.send(report);
    // Not dropped: that waits for a name lookup which may hang.
    runtime.shutdown_background();
}

struct Courier<'a> {
    queue: &'a Queue,
    closes: watch::Receiver<Option<Instant>>,
    envelope: Envelope,
    sender: Result<Sender, String>,
    /// The last batch was not taken: further ones are tried once only, until one is.
    is_dead: bool,
    report: Report,
}

impl Courier<'_> {
    async fn carry(&mut self, delay: Duration) {
        loop {
            self.wait_for_batch(delay).await;
            let batch = self.queue.take_batch();
            if batch.is_empty() {
                return;
            }
            let count = batch.len() as u64;
            if let Err(words) = self.deliver(self.envelope.around(&batch)).await {
                self.lose(count, words);
                self.is_dead = true;
                // The command waits: a collector that just failed will not take the rest either.
                if self.is_closing() {
                    self.lose_rest();
                    return;
                }
            } else {
                self.is_dead = false;
            }
        }
    }

    /// Waits until a batch is full, its first span has waited for `delay`, or the run is over.
    async fn wait_for_batch(&mut self, delay: Duration) {
        let mut until = None;
        loop {
            if self.is_closing() || self.queue.has_batch() || until.is_some_and(|until| Instant::now() >= until) {
                return;
            }
            if until.is_none() && self.queue.len() > 0 {
                until = Some(Instant::now() + delay);
            }
            let pause = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = self.queue.arrived.notified() => {}
                // An error means that nobody will close us any more: the run dropped its end.
                _ = self.closes.changed() => {}
                () = pause => {}
            }
        }
    }

    async fn deliver(&mut self, body: Bytes) -> Result<(), String> {
        let mut attempt = 1;
        loop {
            let failure = match self.attempt(body.clone()).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            let attempts = match () {
                () if self.is_dead => 1,
                // Nobody listens, and somebody waits: one more try, for a connection that had grown old.
                () if self.is_closing() && !failure.answered => 2,
                () => ATTEMPTS,
            };
            if !failure.may_pass || attempt >= attempts || self.is_over() {
                return Err(failure.words);
            }
            let pause = failure.retry_after.unwrap_or(PAUSE * attempt).min(LONGEST_PAUSE);
            tokio::select! {
                () = sleep(pause) => {}
                () = deadline(self.closes.clone()) => return Err(failure.words),
            }
            attempt += 1;
        }
    }

    async fn attempt(&mut self, body: Bytes) -> Result<(), SendFailure> {
        let final_failure = |words| SendFailure { words, answered: false, may_pass: false, retry_after: None };
        let sender = self.sender.as_ref().map_err(|words| final_failure(words.clone()))?;
        let rejected = tokio::select! {
            outcome = sender.send(body) => outcome?,
            () = deadline(self.closes.clone()) => return Err(final_failure("it did not answer in time".to_owned())),
        };
        if rejected.spans > 0 {
            self.lose(rejected.spans, format!("it rejected them: {}", rejected.words));
        }
        Ok(())
    }

    fn lose(&mut self, count: u64, words: String) {
        self.report.lost += count;
        self.report.words.get_or_insert(words);
    }

    fn lose_rest(&mut self) {
        loop {
            let count = self.queue.take_batch().len() as u64;
            if count == 0 {
                return;
            }
            self.report.lost += count;
        }
    }

    fn is_closing(&self) -> bool {
        self.closes.borrow().is_some() || self.closes.has_changed().is_err()
    }

    fn is_over(&self) -> bool {
        self.closes.borrow().is_some_and(|at| Instant::now() >= at) || self.closes.has_changed().is_err()
    }
}

/// Comes when the time after the run's end is over.
async fn deadline(mut closes: watch::Receiver<Option<Instant>>) {
    loop {
        let at = *closes.borrow_and_update();
        match at {
            Some(at) => return sleep_until(at).await,
            None => {
                if closes.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}
