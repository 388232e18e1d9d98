//! What is measured, and what it should come to.

use std::time::Duration;

/// Prompt flow's CPU milliseconds for a line of a Python-only flow, for comparison.
///
/// Nobody has measured exactly that. Its cheapest batch with one llm node cost 23 ms a row (1,000 rows), and the client
/// library alone, in a loop, 7 ms of CPU a call. The difference is the figure that flatters prompt flow most; at 10,000 rows
/// it cost 35 ms a row.
pub(crate) const PROMPT_FLOW_PYTHON_LINE_MS: f64 = 23.0 - 7.0;

/// Which flow is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlowKind {
    /// One llm node.
    Llm,
    /// An llm node and a Python node that cleans up.
    LlmAndPython,
    /// One Python node.
    Python,
}

impl FlowKind {
    pub(crate) const ALL: [Self; 3] = [Self::Llm, Self::LlmAndPython, Self::Python];

    /// The flow's folder, and its name in the config.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Llm => "llm",
            Self::LlmAndPython => "llm_and_python",
            Self::Python => "python",
        }
    }

    /// Whether each row is one call, so that there is a floor.
    pub(crate) fn calls(self) -> bool {
        self != Self::Python
    }
}

/// What a scenario should come to; `None`: nobody has said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Targets {
    /// Wall time, as a multiple of the floor's.
    pub(crate) ratio: Option<f64>,
    /// CPU milliseconds for a row.
    pub(crate) cpu_per_row: Option<f64>,
    /// The process's peak of resident memory, in MiB.
    pub(crate) memory: Option<f64>,
    /// Rows for each CPU second, as a multiple of prompt flow's.
    pub(crate) prompt_flow: Option<f64>,
}

/// One comparison of floor and sluicegate.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) flow: FlowKind,
    pub(crate) rows: usize,
    pub(crate) latency: Duration,
    pub(crate) in_flight: usize,
    /// Whether traces go to the mock, without content.
    pub(crate) traces: bool,
    pub(crate) targets: Targets,
    /// Run only if asked for by name.
    pub(crate) by_hand: bool,
}

/// Every scenario. The journal is on, and waits for the disk, in all of them.
pub(crate) fn all() -> Vec<Scenario> {
    let memory = Some(80.0);
    let base = Scenario {
        name: "50ms",
        flow: FlowKind::Llm,
        rows: 10_000,
        latency: Duration::from_millis(50),
        in_flight: 200,
        traces: true,
        targets: Targets { ratio: Some(1.15), cpu_per_row: Some(0.25), memory, prompt_flow: None },
        by_hand: false,
    };
    vec![
        base.clone(),
        Scenario {
            name: "200ms",
            latency: Duration::from_millis(200),
            targets: Targets { ratio: Some(1.15), memory, ..Targets::default() },
            ..base.clone()
        },
        Scenario {
            name: "0ms",
            latency: Duration::ZERO,
            in_flight: 64,
            traces: false,
            targets: Targets { ratio: Some(3.0), memory, ..Targets::default() },
            ..base.clone()
        },
        Scenario {
            name: "python",
            flow: FlowKind::LlmAndPython,
            targets: Targets { ratio: Some(1.3), memory, ..Targets::default() },
            ..base.clone()
        },
        Scenario {
            name: "python-only",
            flow: FlowKind::Python,
            latency: Duration::ZERO,
            traces: false,
            targets: Targets { prompt_flow: Some(30.0), memory, ..Targets::default() },
            ..base.clone()
        },
        Scenario {
            name: "in-flight-10000",
            rows: 40_000,
            latency: Duration::from_secs(2),
            in_flight: 10_000,
            traces: false,
            targets: Targets::default(),
            by_hand: true,
            ..base
        },
    ]
}
