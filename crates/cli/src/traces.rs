//! Whether and where traces go: variables say, then the config, then `--deploy_traces`.

use std::sync::Arc;

use sluicegate_config::Telemetry as Settings;
use sluicegate_config::variables::{OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT};
use sluicegate_events::{Event, Listener, Sampler};
use sluicegate_executor::Sample;
use sluicegate_telemetry::{Switch, Telemetry, TelemetrySettings};

use crate::session::{Flow, Session};

/// The listener that sends traces, if they are wanted. `asked` is `--deploy_traces`: an address, or empty for the one
/// that the settings name. What is odd about the settings is said.
pub(crate) fn exporter(
    session: &Session,
    flow: &Flow,
    settings: &Settings,
    asked: Option<&str>,
    past: &[Event],
) -> Option<Box<dyn Listener>> {
    let lookup = |name: &str| flow.environment.variable(name).map(|found| found.value.to_owned());
    for warning in TelemetrySettings::from_variables(&lookup).warnings.iter().chain(&settings.warnings) {
        session.printer().warn(warning);
    }
    let mut telemetry = telemetry(flow, settings, asked)?;
    telemetry.hear_past(past);
    Some(Box::new(telemetry))
}

/// What tells a collector, if one is to be told.
pub(crate) fn telemetry(flow: &Flow, settings: &Settings, asked: Option<&str>) -> Option<Telemetry> {
    let lookup = |name: &str| flow.environment.variable(name).map(|found| found.value.to_owned());
    let read = TelemetrySettings::from_variables(&lookup);
    let configured = settings.traces_url();
    let wanted = asked.is_some() || read.switch == Switch::On || configured.is_some();
    if !wanted || read.switch == Switch::Off || settings.disabled {
        return None;
    }
    let mut telemetry = read.settings;
    let by_variable = [OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT]
        .into_iter()
        .any(|name| lookup(name).is_some());
    if let Some(url) = configured.filter(|_| !by_variable) {
        telemetry.endpoint = url;
    }
    telemetry.headers = settings.headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    telemetry.proxies = flow.environment.proxies();
    telemetry.service_name.clone_from(&settings.service_name);
    telemetry.resource_attributes =
        settings.resource_attributes.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    if let Some(address) = asked.filter(|address| !address.is_empty()) {
        let before = origin(&telemetry.endpoint).to_owned();
        telemetry = telemetry.at_base(address);
        if origin(&telemetry.endpoint) != before {
            // They are another collector's secrets.
            telemetry.headers.clear();
        }
    }
    telemetry.capture_content &= settings.capture_content;
    Some(Telemetry::start(telemetry))
}

/// Scheme, host and port of an address.
fn origin(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..].find('/').map_or(address.len(), |at| host + at);
    &address[..end]
}

/// Which traces are recorded; a sampler that is not understood is a warning and the default.
pub(crate) fn sampler(session: &Session, settings: &Settings) -> Sample {
    let sampler =
        Sampler::parse(settings.sampler.as_deref(), settings.sampler_argument.as_deref()).unwrap_or_else(|error| {
            session.printer().warn(&error.to_string());
            Sampler::default()
        });
    Arc::new(move |parent, trace_id| sampler.samples(trace_id, parent.map(|parent| parent.sampled)))
}
