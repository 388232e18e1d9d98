//! What telemetry needs to know, and how OpenTelemetry's own variables say it.

use std::fmt;
use std::time::Duration;

use sluicegate_config::{Proxies, Secret};

/// What telemetry needs to know. Prints the endpoint without what it may hold of a secret.
#[derive(Clone)]
pub struct TelemetrySettings {
    /// The whole address that traces are posted to.
    pub endpoint: String,
    /// Headers of every request; their values are secrets.
    pub headers: Vec<(String, Secret)>,
    /// Which addresses are reached by way of another machine.
    pub proxies: Proxies,
    /// For one request.
    pub timeout: Duration,
    /// For what is left when the run is over.
    pub flush_deadline: Duration,
    /// The program's name, `service.name`.
    pub service_name: String,
    /// Further attributes of the program.
    pub resource_attributes: Vec<(String, String)>,
    /// Whether inputs, outputs and messages are told.
    pub capture_content: bool,
    /// The most bytes of one attribute that holds content.
    pub content_limit: usize,
    /// The most spans that wait, and the most that are open at once.
    pub queue_limit: usize,
    /// The most spans of one request.
    pub batch_limit: usize,
    /// How long a span waits for others to travel with.
    pub delay: Duration,
}

/// The settings as the variables say them.
#[derive(Clone, Debug)]
pub struct FromVariables {
    /// The settings; defaults where no variable says anything.
    pub settings: TelemetrySettings,
    /// Whether traces are wanted.
    pub switch: Switch,
    /// What was not understood, without values.
    pub warnings: Vec<String>,
}

/// Whether the variables want traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// They name an endpoint or an exporter.
    On,
    /// They say nothing: a flag or the configuration decides.
    Unset,
    /// They forbid it, whatever a flag says.
    Off,
}

/// Every variable that [`TelemetrySettings::from_variables`] reads.
pub const VARIABLES: [&str; 15] = [
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
    "OTEL_SDK_DISABLED",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_TRACES_EXPORTER",
];

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            endpoint: traces_under("http://localhost:4318"),
            headers: Vec::new(),
            proxies: Proxies::default(),
            timeout: Duration::from_secs(10),
            flush_deadline: Duration::from_secs(5),
            service_name: "sluicegate".to_owned(),
            resource_attributes: Vec::new(),
            capture_content: true,
            content_limit: 128 * 1024,
            queue_limit: 65_536,
            batch_limit: 512,
            delay: Duration::from_secs(1),
        }
    }
}

impl TelemetrySettings {
    /// Sets the endpoint from a collector's base address: traces go to `/v1/traces` under it.
    #[must_use]
    pub fn at_base(mut self, base: &str) -> Self {
        self.endpoint = traces_under(base);
        self
    }

    /// Reads OpenTelemetry's variables through `lookup`: `OTEL_EXPORTER_OTLP_ENDPOINT`, `_TIMEOUT`, `_PROTOCOL` and their
    /// `_TRACES_` forms, `OTEL_SDK_DISABLED`, `OTEL_TRACES_EXPORTER`, `OTEL_BSP_*`, the limit of an attribute's length,
    /// and `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`. An empty variable is an unset one. Headers, which are
    /// secrets, and what the program is called come from the config.
    #[must_use]
    pub fn from_variables(lookup: &dyn Fn(&str) -> Option<String>) -> FromVariables {
        Reading { lookup, warnings: Vec::new() }.read()
    }

    /// The endpoint as it may be shown: without a password or a query, which may hold a key.
    pub(crate) fn shown_endpoint(&self) -> String {
        let Ok(mut address) = reqwest::Url::parse(&self.endpoint) else {
            return "the endpoint, which is no address".to_owned();
        };
        // Both fail only for addresses without a host, which hold no password.
        let _ = address.set_username("");
        let _ = address.set_password(None);
        address.set_query(None);
        address.set_fragment(None);
        address.to_string()
    }
}

impl fmt::Debug for TelemetrySettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        out.debug_struct("TelemetrySettings")
            .field("endpoint", &self.shown_endpoint())
            .field("headers", &headers)
            .field("proxies", &self.proxies)
            .field("service_name", &self.service_name)
            .field("capture_content", &self.capture_content)
            .finish_non_exhaustive()
    }
}

struct Reading<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    warnings: Vec<String>,
}

impl Reading<'_> {
    fn read(mut self) -> FromVariables {
        let mut settings = TelemetrySettings::default();
        let traces = self.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let base = self.text("OTEL_EXPORTER_OTLP_ENDPOINT");
        let names_endpoint = traces.is_some() || base.is_some();
        if let Some(endpoint) = traces.or_else(|| base.map(|base| traces_under(&base))) {
            settings.endpoint = endpoint;
        }
        let millis = Duration::from_millis;
        self.number(&["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"], |number| {
            settings.timeout = millis(number);
        });
        self.number(&["OTEL_BSP_EXPORT_TIMEOUT"], |number| settings.flush_deadline = millis(number));
        self.number(&["OTEL_BSP_SCHEDULE_DELAY"], |number| settings.delay = millis(number));
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).max(1);
        self.number(&["OTEL_BSP_MAX_QUEUE_SIZE"], |number| settings.queue_limit = count(number));
        self.number(&["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"], |number| settings.batch_limit = count(number));
        self.number(&["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"], |number| {
            settings.content_limit = count(number);
        });
        if let Some(yes) = self.boolean("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT") {
            settings.capture_content = yes;
        }
        let switch = self.switch(names_endpoint);
        FromVariables { settings, switch, warnings: self.warnings }
    }

    fn switch(&mut self, names_endpoint: bool) -> Switch {
        if self.boolean("OTEL_SDK_DISABLED") == Some(true) {
            return Switch::Off;
        }
        let names_exporter = match self.text("OTEL_TRACES_EXPORTER").as_deref().map(str::trim) {
            None => false,
            Some("none") => return Switch::Off,
            Some("otlp") => true,
            Some(other) => {
                self.warnings
                    .push(format!("OTEL_TRACES_EXPORTER: there is no exporter `{other}`, only `otlp` and `none`"));
                return Switch::Off;
            }
        };
        if let Some((name, protocol)) =
            self.first(&["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"])
            && protocol.trim() != "http/protobuf"
        {
            // Sent anyway, spans would meet an endpoint that speaks another language.
            self.warnings.push(format!(
                "{name}: `{}` is not spoken here, only `http/protobuf`; no traces are sent",
                protocol.trim()
            ));
            return Switch::Off;
        }
        if names_endpoint || names_exporter { Switch::On } else { Switch::Unset }
    }

    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|text| !text.trim().is_empty())
    }

    /// The first of these variables that is set.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|name| Some((*name, self.text(name)?)))
    }

    fn number(&mut self, names: &[&'static str], take: impl FnOnce(u64)) {
        let Some((name, text)) = self.first(names) else { return };
        match text.trim().parse() {
            Ok(number) => take(number),
            Err(_) => self.warnings.push(format!("{name}: `{}` is no number", text.trim())),
        }
    }

    fn boolean(&mut self, name: &str) -> Option<bool> {
        let text = self.text(name)?;
        // The specification: anything but `true` is false.
        Some(text.trim().eq_ignore_ascii_case("true"))
    }
}

fn traces_under(base: &str) -> String {
    format!("{}/v1/traces", base.trim().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> FromVariables {
        TelemetrySettings::from_variables(&|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[track_caller]
    fn check_endpoint(variables: &[(&str, &str)], expected: &str) {
        assert_eq!(read(variables).settings.endpoint, expected);
    }

    #[track_caller]
    fn check_switch(variables: &[(&str, &str)], expected: Switch, warning: &str) {
        let read = read(variables);
        assert_eq!(read.switch, expected);
        assert_eq!(read.warnings.is_empty(), warning.is_empty(), "{:?}", read.warnings);
        assert!(read.warnings.iter().all(|said| said.contains(warning)), "{:?}", read.warnings);
    }

    #[test]
    fn the_path_is_added_to_a_base_and_not_to_a_whole_address() {
        check_endpoint(&[], "http://localhost:4318/v1/traces");
        check_endpoint(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:1/")], "http://h:1/v1/traces");
        check_endpoint(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h/otlp")], "https://h/otlp/v1/traces");
        check_endpoint(
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b/in")],
            "http://b/in",
        );
        check_endpoint(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], "http://localhost:4318/v1/traces");
    }

    #[test]
    fn an_endpoint_or_an_exporter_switches_on_and_a_prohibition_off() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h");
        check_switch(&[], Switch::Unset, "");
        check_switch(&[endpoint], Switch::On, "");
        check_switch(&[("OTEL_TRACES_EXPORTER", "otlp")], Switch::On, "");
        check_switch(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")], Switch::Off, "");
        check_switch(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")], Switch::Off, "");
        check_switch(&[endpoint, ("OTEL_SDK_DISABLED", "no")], Switch::On, "");
        check_switch(&[endpoint, ("OTEL_TRACES_EXPORTER", "zipkin")], Switch::Off, "`zipkin`");
        check_switch(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], Switch::On, "");
        check_switch(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], Switch::Off, "`grpc`");
        check_switch(
            &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")],
            Switch::Unset,
            "",
        );
    }

    #[test]
    fn every_variable_that_is_read_is_listed() {
        let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
        let _ = TelemetrySettings::from_variables(&|name| {
            asked.borrow_mut().insert(name.to_owned());
            None
        });
        assert_eq!(asked.into_inner().into_iter().collect::<Vec<_>>(), VARIABLES);
    }

    #[test]
    fn numbers_are_read_and_what_is_none_is_named() {
        let read = read(&[
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "1500"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
            ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "false"),
        ]);
        assert_eq!(read.settings.timeout, Duration::from_millis(250));
        assert_eq!(read.settings.flush_deadline, Duration::from_millis(1500));
        assert_eq!(read.settings.queue_limit, 1);
        assert!(!read.settings.capture_content);
        assert_eq!(read.warnings, ["OTEL_BSP_SCHEDULE_DELAY: `soon` is no number"]);
    }

    #[test]
    fn a_shown_endpoint_holds_no_secret() {
        let check = |endpoint: &str, shown: &str| {
            let settings = TelemetrySettings { endpoint: endpoint.into(), ..TelemetrySettings::default() };
            assert_eq!(settings.shown_endpoint(), shown);
            assert!(!format!("{settings:?}").contains("secret"), "{settings:?}");
        };
        check("https://user:secret@h:1/v1/traces?key=secret", "https://h:1/v1/traces");
        check("secret", "the endpoint, which is no address");
    }
}
