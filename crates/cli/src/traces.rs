//! Whether and where traces go: variables say, then the config, then `--deploy_traces`.

use std::sync::Arc;

use sluicegate_config::Telemetry as Settings;
use sluicegate_events::{Event, Listener, Sampler};
use sluicegate_executor::Sample;
use sluicegate_telemetry::{Switch, Telemetry, TelemetrySettings};

use crate::session::{Flow, Session};

/// The listener that sends traces, if they are wanted. `asked` is `--deploy_traces`: an address, or empty for the one
/// that the settings name.
pub(crate) fn exporter(
    session: &Session,
    flow: &Flow,
    settings: &Settings,
    asked: Option<&str>,
    past: &[Event],
) -> Option<Box<dyn Listener>> {
    let lookup = |name: &str| flow.environment.variable(name).map(|found| found.value.to_owned());
    let read = TelemetrySettings::from_variables(&lookup);
    for warning in &read.warnings {
        session.printer().warn(warning);
    }
    let configured = settings.traces_url();
    let wanted = asked.is_some() || read.switch == Switch::On || configured.is_some();
    if !wanted || read.switch == Switch::Off || settings.disabled {
        return None;
    }
    let mut telemetry = read.settings;
    if let Some(url) = configured {
        telemetry.endpoint = url;
    }
    if let Some(address) = asked.filter(|address| !address.is_empty()) {
        telemetry = telemetry.at_base(address);
    }
    if !settings.headers.is_empty() {
        telemetry.headers =
            settings.headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    }
    telemetry.service_name.clone_from(&settings.service_name);
    telemetry.capture_content &= settings.capture_content;
    let mut exporter = Telemetry::start(telemetry);
    exporter.hear_past(past);
    Some(Box::new(exporter))
}

/// Which traces are recorded; a sampler that is not understood is a warning and the default.
pub(crate) fn sampler(session: &Session, settings: &Settings) -> Sample {
    let sampler = Sampler::parse(settings.sampler.as_deref(), settings.sampler_argument.as_deref()).unwrap_or_else(|error| {
        session.printer().warn(&error.to_string());
        Sampler::default()
    });
    Arc::new(move |parent, trace_id| sampler.samples(trace_id, parent.map(|parent| parent.sampled)))
}
