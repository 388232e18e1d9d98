//! An HTTP call's attributes, in the words of the HTTP conventions.

use opentelemetry::trace::Status;
use sluicegate_events::FetchEnd;

use crate::attributes::Attributes;
use crate::names;

/// What was asked of whom.
pub(crate) fn describe_request(attributes: &mut Attributes, method: &str, url: &str, host: &str, port: u16) {
    attributes.set(names::SPAN_KIND, "TOOL");
    attributes.set(names::HTTP_REQUEST_METHOD, method.to_owned());
    attributes.set_some(names::URL_FULL, (!url.is_empty()).then(|| url.to_owned()));
    attributes.set_some(names::SERVER_ADDRESS, (!host.is_empty()).then(|| host.to_owned()));
    attributes.set_some(names::SERVER_PORT, (port != 0).then_some(i64::from(port)));
}

/// What was answered, if anything. For whoever asks, 4xx is an error too.
pub(crate) fn describe_end(attributes: &mut Attributes, status: &mut Status, end: &FetchEnd) {
    let FetchEnd::Answered { status: code, size } = end else { return };
    attributes.set(names::HTTP_RESPONSE_STATUS_CODE, i64::from(*code));
    attributes.set_count(names::HTTP_RESPONSE_BODY_SIZE, Some(*size));
    if *code >= 400 {
        attributes.set(names::ERROR_TYPE, code.to_string());
        // The code says why.
        *status = Status::error("");
    }
}
