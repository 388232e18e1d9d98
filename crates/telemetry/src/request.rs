//! The body of a request: spans in protobuf, in the envelope that says who sends them.

use bytes::Bytes;
use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource as ResourceMessage;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use prost::Message;

use crate::wire::{begin, field_len};
use crate::{TelemetrySettings, names};

/// `ExportTraceServiceRequest.resource_spans`, `ResourceSpans.resource` and `ScopeSpans.scope`.
const FIRST: u32 = 1;
/// `ResourceSpans.scope_spans` and `ScopeSpans.spans`.
const SECOND: u32 = 2;

/// What is around the spans of every request: the resource and the scope, written once.
#[derive(Debug)]
pub(crate) struct Envelope {
    resource: Vec<u8>,
    scope: Vec<u8>,
}

impl Envelope {
    pub(crate) fn new(settings: &TelemetrySettings) -> Self {
        let attributes = ResourceAttributesWithSchema::from(&resource(settings)).attributes.0;
        let resource = ResourceMessage { attributes, ..ResourceMessage::default() };
        let scope = InstrumentationScope {
            name: "sluicegate".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        Self { resource: field(&resource), scope: field(&scope) }
    }

    /// An `ExportTraceServiceRequest` of these spans, each a `Span` in protobuf.
    pub(crate) fn around(&self, spans: &[Box<[u8]>]) -> Bytes {
        let items: usize = spans.iter().map(|span| field_len(span.len())).sum();
        let scope_spans = self.scope.len() + items;
        let resource_spans = self.resource.len() + field_len(scope_spans);
        let mut body = Vec::with_capacity(field_len(resource_spans));
        begin(FIRST, resource_spans, &mut body);
        body.extend_from_slice(&self.resource);
        begin(SECOND, scope_spans, &mut body);
        body.extend_from_slice(&self.scope);
        for span in spans {
            begin(SECOND, span.len(), &mut body);
            body.extend_from_slice(span);
        }
        body.into()
    }
}

fn resource(settings: &TelemetrySettings) -> Resource {
    let own = [KeyValue::new(names::SERVICE_VERSION, env!("CARGO_PKG_VERSION"))];
    let given = settings.resource_attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(own.into_iter().chain(given))
        .with_attribute(KeyValue::new(names::SERVICE_NAME, settings.service_name.clone()))
        .build()
}

fn field(message: &impl Message) -> Vec<u8> {
    let mut out = Vec::new();
    begin(FIRST, message.encoded_len(), &mut out);
    out.extend(message.encode_to_vec());
    out
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;

    #[test]
    fn a_request_reads_as_the_generated_message_does() {
        let envelope = Envelope::new(&TelemetrySettings::default());
        for lengths in [vec![], vec![0], vec![1, 200, 20_000, 3]] {
            let spans: Vec<Span> =
                lengths.into_iter().map(|length| Span { name: "x".repeat(length), ..Span::default() }).collect();
            let written: Vec<Box<[u8]>> = spans.iter().map(|span| span.encode_to_vec().into()).collect();
            let body = envelope.around(&written);
            let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
            assert_eq!(request.encode_to_vec(), body);
            let [ResourceSpans { resource: Some(resource), scope_spans, .. }] = &*request.resource_spans else {
                panic!("{request:?}")
            };
            let [ScopeSpans { scope: Some(scope), spans: told, .. }] = &**scope_spans else { panic!("{request:?}") };
            assert!(resource.attributes.iter().any(|pair| pair.key == names::SERVICE_NAME));
            assert_eq!(scope.name, "sluicegate");
            assert_eq!(*told, spans);
        }
    }
}
