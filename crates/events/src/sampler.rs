//! Which traces are recorded: `OTEL_TRACES_SAMPLER` and its argument, as a pure function of the trace's id.
//!
//! The executor asks once, at the root of a trace; everything below follows the root.

/// Decides whether a trace is recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Sampler {
    /// Every trace.
    AlwaysOn,
    /// No trace.
    AlwaysOff,
    /// This share of traces, from 0 to 1, chosen by their ids, so that every process chooses the same ones.
    TraceIdRatio(f64),
    /// As the parent says; traces without a parent ask this one.
    ParentBased(Box<Sampler>),
}

/// Why a sampler's name or argument was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SamplerError {
    /// No sampler of this name.
    #[error("there is no trace sampler `{name}`; there are {}", NAMES.join(", "))]
    UnknownName {
        /// The name as given.
        name: String,
    },
    /// The argument is no share.
    #[error("the trace sampler's argument `{argument}` is no number from 0 to 1")]
    BadRatio {
        /// The argument as given.
        argument: String,
    },
}

const NAMES: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

impl Default for Sampler {
    /// `parentbased_always_on`, OpenTelemetry's own default.
    fn default() -> Self {
        Self::ParentBased(Box::new(Self::AlwaysOn))
    }
}

impl Sampler {
    /// Reads `OTEL_TRACES_SAMPLER` (`name`) and `OTEL_TRACES_SAMPLER_ARG` (`argument`), each `None` or empty where it
    /// is unset. Names and defaults are those of OpenTelemetry's "Environment Variable Specification".
    ///
    /// # Errors
    /// A name or a ratio that means nothing. The specification wants a warning and the default then.
    pub fn parse(name: Option<&str>, argument: Option<&str>) -> Result<Self, SamplerError> {
        let name = name.map(str::trim).filter(|name| !name.is_empty()).unwrap_or("parentbased_always_on");
        let (parent_based, own_name) = match name.strip_prefix("parentbased_") {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let own = match own_name {
            "always_on" => Self::AlwaysOn,
            "always_off" => Self::AlwaysOff,
            "traceidratio" => Self::TraceIdRatio(ratio(argument)?),
            _ => return Err(SamplerError::UnknownName { name: name.to_owned() }),
        };
        Ok(if parent_based { Self::ParentBased(Box::new(own)) } else { own })
    }

    /// Whether the trace is recorded; `parent` tells what the caller's own `traceparent` says, if there is one.
    #[must_use]
    pub fn samples(&self, trace_id: u128, parent: Option<bool>) -> bool {
        match self {
            Self::AlwaysOn => true,
            Self::AlwaysOff => false,
            Self::TraceIdRatio(ratio) => is_within_ratio(trace_id, *ratio),
            Self::ParentBased(root) => parent.unwrap_or_else(|| root.samples(trace_id, None)),
        }
    }
}

fn ratio(argument: Option<&str>) -> Result<f64, SamplerError> {
    let Some(text) = argument.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(1.0) };
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(SamplerError::BadRatio { argument: text.to_owned() }),
    }
}

/// The low 63 bits above the lowest one against the ratio: as OpenTelemetry's own SDKs choose, so that a trace that
/// crosses several programs with the same ratio is kept or dropped as a whole.
fn is_within_ratio(trace_id: u128, ratio: f64) -> bool {
    if ratio >= 1.0 {
        return true;
    }
    let bound = (ratio.max(0.0) * (1u64 << 63) as f64) as u64;
    let low = trace_id as u64;
    (low >> 1) < bound
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_kept(name: &str, argument: &str, parent: Option<bool>, expected: bool) {
        let sampler = Sampler::parse(Some(name), Some(argument)).unwrap();
        assert_eq!(sampler.samples(0x1234_5678_9abc_def0, parent), expected, "{name} {argument} {parent:?}");
    }

    #[test]
    fn each_name_decides_as_the_specification_says() {
        check_kept("always_on", "", Some(false), true);
        check_kept("always_off", "", Some(true), false);
        check_kept("", "", None, true);
        check_kept("", "", Some(false), false);
        check_kept("parentbased_always_off", "", Some(true), true);
        check_kept("parentbased_always_off", "", None, false);
        check_kept("traceidratio", "0", Some(true), false);
        check_kept("traceidratio", "1", Some(false), true);
        check_kept("parentbased_traceidratio", "0", Some(true), true);
    }

    #[test]
    fn a_ratio_keeps_about_its_share_of_traces_and_always_the_same_ones() {
        let (third, half) = (Sampler::TraceIdRatio(1.0 / 3.0), Sampler::TraceIdRatio(0.5));
        let ids = (0..3000u128).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let kept: Vec<u128> = ids.filter(|id| third.samples(*id, None)).collect();
        assert!((800..1200).contains(&kept.len()), "{}", kept.len());
        assert!(kept.iter().all(|id| half.samples(*id, None)), "a larger share holds the smaller one");
    }

    #[test]
    fn what_means_nothing_is_named() {
        let name = Sampler::parse(Some("xray"), None).unwrap_err();
        assert!(name.to_string().contains("`xray`") && name.to_string().contains("always_on"), "{name}");
        for argument in ["1.5", "-0.1", "nan", "half"] {
            let error = Sampler::parse(Some("traceidratio"), Some(argument)).unwrap_err();
            assert_eq!(error, SamplerError::BadRatio { argument: argument.into() });
        }
    }
}
