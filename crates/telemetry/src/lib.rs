//! Events become OpenTelemetry spans.
