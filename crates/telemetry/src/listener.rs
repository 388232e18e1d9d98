//! The listener: hears events, never fails the run, and says once what was lost.

use sluicegate_events::{Event, Listener, ListenerError};

use crate::TelemetrySettings;
use crate::attributes::Content;
use crate::delivery::{Delivery, Report};
use crate::evaluation::CaseEvaluation;
use crate::fold::SpanFold;
use crate::wire;

/// Tells a collector about runs.
#[derive(Debug)]
pub struct Telemetry {
    settings: TelemetrySettings,
    fold: SpanFold,
    delivery: Option<Delivery>,
    /// Why there is no thread that sends; spans are counted as lost then.
    unable: Option<String>,
    unsent: u64,
    /// The span that ended last, in protobuf; kept for its room.
    written: Vec<u8>,
}

impl Telemetry {
    /// Begins to listen. Nothing is connected, and no thread begun, before the first span ends.
    #[must_use]
    pub fn start(settings: TelemetrySettings) -> Self {
        let content = Content { capture: settings.capture_content, limit: settings.content_limit };
        let fold = SpanFold::new(content, settings.queue_limit);
        Self { settings, fold, delivery: None, unable: None, unsent: 0, written: Vec::new() }
    }

    /// Learns what happened before a run was resumed: the run's name, and the spans that had begun and not ended. Those
    /// that go on now keep their beginnings; those that the crash cut off are told as interrupted, where they were
    /// heard of last. What had ended was told by the process of that time.
    ///
    /// May be called more than once: for the events of the run itself, and for those of each line that goes on.
    pub fn hear_past(&mut self, past: &[Event]) {
        self.fold.hear_past(past);
    }

    /// Tells what evaluators said of a case, as a span in the case's own trace with an event for each score. A case whose
    /// trace is not recorded is not told of.
    pub fn tell_case(&mut self, case: &CaseEvaluation<'_>) {
        if case.span.sampled {
            self.fold(|fold, ended| ended(fold.of_case(case)));
        }
    }

    fn fold(&mut self, step: impl FnOnce(&mut SpanFold, &mut dyn FnMut(opentelemetry_sdk::trace::SpanData))) {
        let Self { settings, fold, delivery, unable, unsent, written } = self;
        step(fold, &mut |span| {
            if delivery.is_none() && unable.is_none() {
                match Delivery::start(settings) {
                    Ok(started) => *delivery = Some(started),
                    Err(error) => *unable = Some(error.to_string()),
                }
            }
            match delivery {
                Some(delivery) => {
                    written.clear();
                    wire::write_span(&span, written);
                    delivery.push(written);
                }
                None => *unsent += 1,
            }
        });
    }
}

impl Listener for Telemetry {
    fn name(&self) -> &'static str {
        "telemetry"
    }

    /// Never fails: a collector's trouble is told at the end, once.
    fn hear(&mut self, event: &Event) -> Result<(), ListenerError> {
        self.fold(|fold, ended| fold.hear(event, ended));
        Ok(())
    }

    /// Sends what is left, no longer than [`TelemetrySettings::flush_deadline`].
    fn finish(&mut self) -> Result<(), ListenerError> {
        self.fold(|fold, ended| fold.end_all(ended));
        let mut report = match self.delivery.take() {
            Some(delivery) => delivery.close(self.settings.flush_deadline),
            None => Report::default(),
        };
        report.lost += std::mem::take(&mut self.unsent);
        report.words = report.words.or_else(|| self.unable.take());
        let never_begun = std::mem::take(&mut self.fold.dropped);
        if never_begun > 0 {
            report.lost += never_begun;
            report.words.get_or_insert_with(|| "too many spans were open at once".to_owned());
        }
        if report.lost == 0 {
            return Ok(());
        }
        let spans = if report.lost == 1 { "1 span was" } else { &format!("{} spans were", report.lost) };
        let words = report.words.unwrap_or_default();
        Err(ListenerError(format!(
            "{spans} not taken by the collector at `{}`: {words}",
            self.settings.shown_endpoint()
        )))
    }
}
