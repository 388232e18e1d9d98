//! Ids of traces and spans. Made here, before anything is sent, so that `traceparent` goes out with every call.

use sluicegate_events::SpanRef;

/// Makes span ids of one trace.
#[derive(Debug)]
pub(crate) struct Spans {
    trace_id: u128,
    sampled: bool,
    state: u64,
}

impl Spans {
    pub(crate) fn new(trace_id: u128, sampled: bool) -> Self {
        Self { trace_id, sampled, state: random() as u64 }
    }

    pub(crate) fn next(&mut self, parent_id: Option<u64>) -> SpanRef {
        // A walk through all 64-bit numbers (splitmix64) from a random beginning: one system call a run, not one a span.
        let span_id = loop {
            self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            if mixed != 0 {
                break mixed;
            }
        };
        SpanRef { trace_id: self.trace_id, span_id, parent_id, sampled: self.sampled }
    }
}

/// A random number, never zero.
pub(crate) fn random() -> u128 {
    let mut bytes = [0; 16];
    // Without the system's randomness ids only have to differ, which the clock gives.
    if getrandom::fill(&mut bytes).is_err() {
        bytes = (jiff::Timestamp::now().as_nanosecond() as u128)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            .to_le_bytes();
    }
    u128::from_le_bytes(bytes).max(1)
}
