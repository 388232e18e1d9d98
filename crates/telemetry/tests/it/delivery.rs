//! How spans travel: whole in a burst, bounded with a dead collector, and never in the run's way.

use std::collections::HashSet;
use std::time::Duration;

use sluicegate_config::{Proxies, Secret};
use sluicegate_events::{Event, Listener as _, ListenerError};
use sluicegate_telemetry::{Telemetry, TelemetrySettings};
use sluicegate_testkit::receiver::{Answer, Receiver};
use sluicegate_value::Value;

use crate::batch::many_lines;
use crate::sample::{Story, completed, settings, whole_run};

/// As many nodes, begun and ended.
fn nodes(count: u64) -> Vec<Event> {
    let mut story = Story::new();
    for span in 1..=count {
        story.node(span, "n", "expression", Value::Null).node_ends(span, "n", completed("x"));
    }
    story.events
}

fn hear_all(telemetry: &mut Telemetry, events: &[Event]) -> Result<(), ListenerError> {
    events.iter().for_each(|event| telemetry.hear(event).unwrap());
    telemetry.finish()
}

/// Expects one warning that names the endpoint, the count and the reason.
#[track_caller]
fn check_warning(settings: TelemetrySettings, spans: u64, words: &[&str]) {
    let endpoint = settings.endpoint.clone();
    let warning = hear_all(&mut Telemetry::start(settings), &nodes(spans)).unwrap_err().to_string();
    assert!(warning.contains(&endpoint) && warning.starts_with(&format!("{spans} span")), "{warning}");
    assert!(words.iter().all(|word| warning.contains(word)), "{warning}");
}

fn nobodys_address() -> String {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn five_thousand_spans_in_a_burst_all_arrive() {
    let receiver = Receiver::start();
    hear_all(&mut Telemetry::start(settings(receiver.address())), &nodes(5_000)).unwrap();
    let ids: HashSet<String> = receiver.spans().into_iter().map(|span| span.span_id).collect();
    assert_eq!(ids.len(), 5_000);
    assert_eq!(receiver.spans().len(), 5_000, "none twice");
    assert!(receiver.requests().iter().all(|request| request.spans <= 512));
}

#[test]
fn five_thousand_lines_in_a_burst_all_arrive() {
    let receiver = Receiver::start();
    let events = many_lines(5_000);
    let settings = TelemetrySettings { flush_deadline: Duration::from_secs(120), ..settings(receiver.address()) };
    hear_all(&mut Telemetry::start(settings), &events).unwrap();
    let spans = receiver.spans();
    let ids: HashSet<(&str, &str)> = spans.iter().map(|span| (&*span.trace_id, &*span.span_id)).collect();
    assert_eq!((ids.len(), spans.len()), (15_001, 15_001));
}

/// If it waited for anything the test would not end: no request is ever answered, and none may time out.
#[test]
fn nobody_who_hears_waits_for_a_collector() {
    let receiver = Receiver::start();
    receiver.answer(Answer::Hang);
    let hour = Duration::from_secs(3_600);
    let settings = TelemetrySettings {
        timeout: hour,
        flush_deadline: Duration::from_millis(100),
        queue_limit: 1_000,
        ..settings(receiver.address())
    };
    let mut telemetry = Telemetry::start(settings);
    let events = many_lines(5_000);
    events.iter().for_each(|event| telemetry.hear(event).unwrap());
    receiver.wait_for_requests(1);
    events.iter().for_each(|event| telemetry.hear(event).unwrap());
    let warning = telemetry.finish().unwrap_err().to_string();
    assert!(warning.starts_with("30002 spans were not taken"), "{warning}");
    assert_eq!(receiver.requests().len(), 1);
}

#[test]
fn a_dead_collector_costs_a_batch_nothing_but_its_spans() {
    let mut telemetry = Telemetry::start(settings(&nobodys_address()));
    let warning = hear_all(&mut telemetry, &many_lines(1_000)).unwrap_err().to_string();
    assert!(warning.starts_with("3001 spans were not taken"), "{warning}");
}

#[test]
fn spans_are_sent_while_the_run_goes_on() {
    let receiver = Receiver::start();
    let mut telemetry = Telemetry::start(settings(receiver.address()));
    nodes(3).iter().for_each(|event| telemetry.hear(event).unwrap());
    assert_eq!(receiver.wait_for(3, Duration::from_secs(60)).len(), 3);
    telemetry.finish().unwrap();
}

#[test]
fn a_collector_on_this_machine_is_never_reached_by_proxy_and_others_are() {
    let (collector, proxy) = (Receiver::start(), Receiver::start());
    let send = |base: &str, except: Option<&str>| {
        let proxies =
            Proxies { http: Some(proxy.address().to_owned()), except: except.map(str::to_owned), ..Proxies::default() };
        hear_all(&mut Telemetry::start(TelemetrySettings { proxies, ..settings(base) }), &nodes(1))
    };
    send(collector.address(), None).unwrap();
    assert_eq!((collector.spans().len(), proxy.spans().len()), (1, 0));
    send("http://collector.invalid", Some("other.invalid")).unwrap();
    assert_eq!(proxy.spans().len(), 1);
    send("http://collector.invalid", Some("collector.invalid")).unwrap_err();
    assert_eq!(proxy.spans().len(), 1);
}

#[test]
fn a_dead_collector_is_one_warning() {
    check_warning(settings(&nobodys_address()), 1_500, &["1500 spans were", "refused"]);
    check_warning(settings(&nobodys_address()), 1, &["1 span was"]);
}

#[test]
fn a_collector_that_hangs_is_waited_for_no_longer_than_the_deadline() {
    let receiver = Receiver::start();
    receiver.answer(Answer::Hang);
    let short = Duration::from_millis(200);
    let hour = Duration::from_secs(3_600);
    let settings =
        |timeout, flush_deadline| TelemetrySettings { timeout, flush_deadline, ..settings(receiver.address()) };
    check_warning(settings(hour, short), 700, &["did not answer in time"]);
    check_warning(settings(short, hour), 3, &["did not answer in time"]);
}

#[test]
fn a_collector_that_refuses_is_named_with_its_status() {
    let receiver = Receiver::start();
    receiver.answer(Answer::Status(401));
    check_warning(settings(receiver.address()), 3, &["401"]);
    assert_eq!(receiver.requests().len(), 1, "a refusal is final");
}

#[test]
fn a_busy_collector_is_tried_again() {
    let receiver = Receiver::start();
    receiver.answer(Answer::Status(503));
    let mut telemetry = Telemetry::start(settings(receiver.address()));
    nodes(3).iter().for_each(|event| telemetry.hear(event).unwrap());
    while receiver.requests().is_empty() {
        std::thread::yield_now();
    }
    receiver.answer(Answer::Take);
    telemetry.finish().unwrap();
    assert_eq!(receiver.spans().len(), 3);

    receiver.answer(Answer::Status(503));
    check_warning(settings(receiver.address()), 3, &["503"]);
}

#[test]
fn a_partial_refusal_is_told_with_its_count() {
    let receiver = Receiver::start();
    receiver.answer(Answer::Reject { spans: 2, message: "too old".into() });
    check_warning_of_part(settings(receiver.address()));
}

#[track_caller]
fn check_warning_of_part(settings: TelemetrySettings) {
    let warning = hear_all(&mut Telemetry::start(settings), &nodes(5)).unwrap_err().to_string();
    assert!(warning.starts_with("2 spans were") && warning.contains("too old"), "{warning}");
}

#[test]
fn a_full_queue_drops_and_counts() {
    let receiver = Receiver::start();
    receiver.answer(Answer::Hang);
    let settings = TelemetrySettings {
        queue_limit: 10,
        batch_limit: 4,
        flush_deadline: Duration::from_millis(100),
        ..settings(receiver.address())
    };
    check_warning(settings, 1_000, &["1000 spans"]);
}

#[test]
fn spans_that_never_end_do_not_fill_the_memory() {
    let receiver = Receiver::start();
    let mut story = Story::new();
    for span in 1..=30 {
        story.node(span, "n", "expression", Value::Null);
    }
    let settings = TelemetrySettings { queue_limit: 20, ..settings(receiver.address()) };
    let warning = hear_all(&mut Telemetry::start(settings), &story.events).unwrap_err().to_string();
    assert!(warning.starts_with("10 spans were"), "{warning}");
    assert_eq!(receiver.spans().len(), 20);
}

#[test]
fn an_endpoint_that_is_no_address_is_a_warning_too() {
    let settings = TelemetrySettings { endpoint: "not an address".into(), ..settings("http://h") };
    let warning = hear_all(&mut Telemetry::start(settings), &nodes(2)).unwrap_err().to_string();
    assert!(warning.starts_with("2 spans were") && warning.contains("no address"), "{warning}");
}

#[test]
fn headers_reach_the_collector_and_nothing_else_shows_them() {
    let receiver = Receiver::start();
    let settings =
        TelemetrySettings { headers: vec![("api-key".into(), Secret::new("s3cret"))], ..settings(receiver.address()) };
    let mut telemetry = Telemetry::start(settings.clone());
    telemetry.hear(&whole_run()[0]).unwrap();
    hear_all(&mut telemetry, &whole_run()[1..]).unwrap();
    let request = &receiver.requests()[0];
    assert_eq!(request.headers["api-key"], "s3cret");
    assert_eq!(request.headers["content-type"], "application/x-protobuf");
    assert!(!String::from_utf8_lossy(&request.body).contains("s3cret"));
    assert!(!format!("{telemetry:?} {settings:?}").contains("s3cret"));

    receiver.answer(Answer::Status(403));
    let secret_in_address = receiver.address().replace("http://", "http://user:s3cret@");
    let settings = settings.at_base(&secret_in_address);
    let warning = hear_all(&mut Telemetry::start(settings), &nodes(1)).unwrap_err().to_string();
    assert!(warning.contains("403") && !warning.contains("s3cret"), "{warning}");
}

#[test]
fn a_header_that_cannot_be_sent_is_named_without_its_value() {
    let receiver = Receiver::start();
    let headers = vec![("api-key".into(), Secret::new("s3cret\n"))];
    let settings = TelemetrySettings { headers, ..settings(receiver.address()) };
    let warning = hear_all(&mut Telemetry::start(settings), &nodes(1)).unwrap_err().to_string();
    assert!(warning.contains("`api-key`") && !warning.contains("s3cret"), "{warning}");
}

#[test]
fn a_run_without_spans_opens_no_connection() {
    Telemetry::start(settings(&nobodys_address())).finish().unwrap();
}

#[test]
fn it_works_inside_somebody_elses_runtime() {
    let receiver = Receiver::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { hear_all(&mut Telemetry::start(settings(receiver.address())), &nodes(2)) }).unwrap();
    assert_eq!(receiver.spans().len(), 2);
}
