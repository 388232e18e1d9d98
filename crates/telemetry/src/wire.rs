//! Spans in protobuf, as `opentelemetry/proto/trace/v1/trace.proto` spells them.
//!
//! The generated messages own a string for each name and each value, made and dropped once per span; written straight
//! from the span data, a span costs half as much CPU, and what waits is bytes that are counted exactly.

use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

/// Set in every span's and link's flags: whether the parent is remote is known. It never is.
const PARENT_REMOTE_IS_KNOWN: u32 = 0x100;

/// Appends a `Span`.
pub(crate) fn write_span(span: &SpanData, out: &mut Vec<u8>) {
    let context = &span.span_context;
    write_bytes(1, &context.trace_id().to_bytes(), out);
    write_bytes(2, &context.span_id().to_bytes(), out);
    if span.parent_span_id != SpanId::INVALID {
        write_bytes(4, &span.parent_span_id.to_bytes(), out);
    }
    write_bytes(5, span.name.as_bytes(), out);
    let kind = match span.span_kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    };
    write_number(6, kind, out);
    write_fixed64(7, nanos(span.start_time), out);
    write_fixed64(8, nanos(span.end_time), out);
    for pair in &span.attributes {
        write_pair(9, pair, out);
    }
    for event in span.events.iter() {
        let (name, attributes) = (event.name.as_bytes(), &event.attributes);
        begin(11, 9 + field_len(name.len()) + pairs_len(attributes), out);
        write_fixed64(1, nanos(event.timestamp), out);
        write_bytes(2, name, out);
        for pair in attributes {
            write_pair(3, pair, out);
        }
    }
    for link in span.links.iter() {
        begin(13, field_len(16) + field_len(8) + pairs_len(&link.attributes) + 5, out);
        write_bytes(1, &link.span_context.trace_id().to_bytes(), out);
        write_bytes(2, &link.span_context.span_id().to_bytes(), out);
        for pair in &link.attributes {
            write_pair(4, pair, out);
        }
        write_fixed32(6, flags(&link.span_context), out);
    }
    match &span.status {
        Status::Unset => begin(15, 0, out),
        Status::Ok => {
            begin(15, 2, out);
            write_number(3, 1, out);
        }
        Status::Error { description } => {
            begin(15, field_len(description.len()) + 2, out);
            write_bytes(2, description.as_bytes(), out);
            write_number(3, 2, out);
        }
    }
    write_fixed32(16, flags(context), out);
}

/// What stands before a message, a text or bytes: its field's number and its length.
pub(crate) fn begin(number: u32, length: usize, out: &mut Vec<u8>) {
    write_varint(u64::from(number << 3 | 2), out);
    write_varint(length as u64, out);
}

/// The length of a field with a message, a text or bytes of this length; for numbers below 16.
pub(crate) fn field_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}

fn write_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    begin(number, bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn write_number(number: u32, value: u64, out: &mut Vec<u8>) {
    write_varint(u64::from(number << 3), out);
    write_varint(value, out);
}

fn write_fixed64(number: u32, value: u64, out: &mut Vec<u8>) {
    write_varint(u64::from(number << 3 | 1), out);
    out.extend_from_slice(&value.to_le_bytes());
}

fn write_fixed32(number: u32, value: u32, out: &mut Vec<u8>) {
    write_varint(u64::from(number << 3 | 5), out);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A `KeyValue`.
fn write_pair(number: u32, pair: &KeyValue, out: &mut Vec<u8>) {
    begin(number, pair_len(pair), out);
    write_bytes(1, pair.key.as_str().as_bytes(), out);
    begin(2, value_len(&pair.value), out);
    write_value(&pair.value, out);
}

fn pairs_len(pairs: &[KeyValue]) -> usize {
    pairs.iter().map(|pair| field_len(pair_len(pair))).sum()
}

fn pair_len(pair: &KeyValue) -> usize {
    field_len(pair.key.as_str().len()) + field_len(value_len(&pair.value))
}

/// The fields of an `AnyValue`.
fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => write_bytes(1, text.as_str().as_bytes(), out),
        Value::Bool(yes) => write_number(2, u64::from(*yes), out),
        // Negative numbers travel as their two's complement.
        Value::I64(number) => write_number(3, *number as u64, out),
        Value::F64(number) => write_fixed64(4, number.to_bits(), out),
        Value::Array(list) => {
            begin(5, list_len(list), out);
            each(list, &mut |item| {
                begin(1, value_len(&item), out);
                write_value(&item, out);
            });
        }
        // The type may grow; its kinds of today are above.
        _ => {}
    }
}

fn value_len(value: &Value) -> usize {
    match value {
        Value::String(text) => field_len(text.as_str().len()),
        Value::Bool(_) => 2,
        Value::I64(number) => 1 + varint_len(*number as u64),
        Value::F64(_) => 9,
        Value::Array(list) => field_len(list_len(list)),
        _ => 0,
    }
}

fn list_len(list: &Array) -> usize {
    let mut length = 0;
    each(list, &mut |item| length += field_len(value_len(&item)));
    length
}

fn each(list: &Array, hear: &mut dyn FnMut(Value)) {
    match list {
        Array::Bool(items) => items.iter().for_each(|item| hear((*item).into())),
        Array::I64(items) => items.iter().for_each(|item| hear((*item).into())),
        Array::F64(items) => items.iter().for_each(|item| hear((*item).into())),
        Array::String(items) => items.iter().for_each(|item| hear(item.clone().into())),
        _ => {}
    }
}

fn flags(context: &SpanContext) -> u32 {
    u32::from(context.trace_flags().to_u8()) | PARENT_REMOTE_IS_KNOWN
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn write_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn varint_len(number: u64) -> usize {
    let bits = 64 - (number | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::StringValue;
    use opentelemetry::trace::{Event, Link, TraceFlags, TraceId, TraceState};
    use opentelemetry_proto::tonic::trace::v1::Span;
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    fn context() -> impl Strategy<Value = SpanContext> {
        (any::<u128>(), any::<u64>(), any::<bool>()).prop_map(|(trace, span, sampled)| {
            let flags = TraceFlags::NOT_SAMPLED.with_sampled(sampled);
            SpanContext::new(TraceId::from(trace), SpanId::from(span), flags, false, TraceState::NONE)
        })
    }

    fn value() -> impl Strategy<Value = Value> {
        let texts = prop::collection::vec(".{0,9}", 0..4);
        prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            ".{0,200}".prop_map(Value::from),
            texts.prop_map(|texts| { Value::Array(Array::String(texts.into_iter().map(StringValue::from).collect())) }),
            prop::collection::vec(any::<i64>(), 0..4).prop_map(|items| Value::Array(Array::I64(items))),
            prop::collection::vec(any::<bool>(), 0..4).prop_map(|items| Value::Array(Array::Bool(items))),
            prop::collection::vec(-1e9..1e9, 0..4).prop_map(|items| Value::Array(Array::F64(items))),
        ]
    }

    fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
        prop::collection::vec((".{0,20}", value()).prop_map(|(key, value)| KeyValue::new(key, value)), 0..5)
    }

    fn time() -> impl Strategy<Value = SystemTime> {
        any::<u32>().prop_map(|micros| SystemTime::UNIX_EPOCH + Duration::from_micros(u64::from(micros) << 20))
    }

    prop_compose! {
        fn event()(name in ".{0,9}", time in time(), attributes in attributes()) -> Event {
            Event::new(name, time, attributes, 0)
        }
    }

    prop_compose! {
        fn span()(
            context in context(),
            parent in any::<u64>(),
            name in ".{0,200}",
            kind in prop::sample::select(vec![SpanKind::Internal, SpanKind::Client, SpanKind::Server]),
            times in (time(), time()),
            attributes in attributes(),
            happened in prop::collection::vec(event(), 0..3),
            linked in prop::collection::vec((context(), attributes()), 0..2),
            status in prop_oneof![Just(Status::Unset), Just(Status::Ok), ".{0,200}".prop_map(Status::error)],
        ) -> SpanData {
            let (mut events, mut links) = (SpanEvents::default(), SpanLinks::default());
            events.events = happened;
            links.links = linked.into_iter().map(|(context, pairs)| Link::new(context, pairs, 0)).collect();
            SpanData {
                span_context: context,
                parent_span_id: SpanId::from(parent),
                parent_span_is_remote: false,
                span_kind: kind,
                name: name.into(),
                start_time: times.0,
                end_time: times.1,
                attributes,
                dropped_attributes_count: 0,
                events,
                links,
                status,
                instrumentation_scope: opentelemetry::InstrumentationScope::default(),
            }
        }
    }

    proptest! {
        #[test]
        fn a_span_reads_as_the_generated_message_does(span in span()) {
            let mut written = Vec::new();
            write_span(&span, &mut written);
            prop_assert_eq!(Span::decode(&*written), Ok(Span::from(span)));
        }

        #[test]
        fn lengths_are_those_of_what_is_written(number in any::<u64>(), shift in 0..64) {
            let (number, mut written) = (number >> shift, Vec::new());
            write_varint(number, &mut written);
            prop_assert_eq!(varint_len(number), written.len());
        }
    }
}
