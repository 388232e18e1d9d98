//! What a run needs, and what it leaves behind.

use std::sync::{Arc, Mutex, PoisonError};

use sluicegate_events::{
    Event, Failure, Journal, JournalError, Listener, NodePath, PlanHashes, RunId, RunStatus, RunSummary,
};
use sluicegate_model::{BoxFuture, Models, Prices, TraceContext};
use sluicegate_value::Map;

use crate::budget::Budget;
use crate::calls::KeptReplies;
use crate::python::PythonSide;

/// Which line of a batch something belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineKey {
    /// The line, from 0; `None` in a run of one input, and for what belongs to a batch as a whole.
    pub line: Option<u64>,
    /// Which repeat of the same case it is, from 0.
    pub repeat: u32,
}

/// Takes secrets out of text.
#[derive(Clone)]
pub struct Redact {
    /// Rewrites a text that holds a secret; `None` if it holds none.
    pub rewrite: Rewrite,
    /// How many bytes at the end of a text may be the beginning of a secret. Of a reply that comes in pieces so much is
    /// held back until it is known how it goes on.
    pub begun: Begun,
}

/// Rewrites a text; `None` if there is nothing to change.
pub type Rewrite = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Says how many bytes at the end of a text may be the beginning of a secret.
pub type Begun = Arc<dyn Fn(&str) -> usize + Send + Sync>;

/// There are no secrets.
impl Default for Redact {
    fn default() -> Self {
        Self { rewrite: Arc::new(|_| None), begun: Arc::new(|_| 0) }
    }
}

/// Decides at the root whether a trace is recorded, from the caller's context and the trace's id.
pub type Sample = Arc<dyn Fn(Option<TraceContext>, u128) -> bool + Send + Sync>;

/// What runs need of the world. One engine serves any number of runs.
pub struct Engine {
    /// Where events are kept. The engine waits for it.
    pub journal: Arc<dyn Journal>,
    /// Who else hears them.
    pub listeners: Listeners,
    /// The models behind connections.
    pub models: Arc<dyn Models>,
    /// What their tokens cost.
    pub prices: Prices,
    /// Replies that are kept from one run to the next.
    pub kept: KeptReplies,
    /// What calls may cost in all; `None`: whatever they do.
    pub budget: Option<Arc<Budget>>,
    /// What Python nodes need; `None`: they cannot run.
    pub python: Option<Arc<PythonSide>>,
    /// Every event passes here before it is kept or heard.
    pub redact: Redact,
    /// How to run.
    pub options: Options,
}

/// How to run.
#[derive(Clone)]
pub struct Options {
    /// How many nodes work at once, and how many items of a `map` that does not say.
    pub max_running_nodes: usize,
    /// Whether events tell inputs of nodes and requests to models. Outputs and replies are always kept: a resumed run
    /// needs them.
    pub capture_content: bool,
    /// Whether replies are asked for in pieces.
    pub stream: bool,
    /// The span that the run is inside of, if a caller has one.
    pub parent: Option<TraceContext>,
    /// Whether traces are recorded.
    pub sample: Sample,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_running_nodes: 16,
            capture_content: true,
            stream: false,
            parent: None,
            sample: Arc::new(|parent, _| parent.is_none_or(|parent| parent.sampled)),
        }
    }
}

/// Where a run begins.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each run")]
pub enum Start {
    /// At the beginning.
    New(NewRun),
    /// After what a process that is gone has recorded, in order and from the first event on.
    Resume {
        /// The recorded events.
        past: Vec<Event>,
    },
}

/// A run that begins.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its id; the journal was opened under it.
    pub run: RunId,
    /// The flow's inputs, coerced, with defaults.
    pub inputs: Map,
    /// The flow's name, as the caller knows it; empty: as the plan does.
    pub flow: String,
    /// How the flow was named, made absolute.
    pub flow_path: String,
    /// The environment, if one was named.
    pub environment: Option<String>,
    /// What must be the same when the run is resumed.
    pub hashes: PlanHashes,
    /// What was said on the command line and changes the plan.
    pub options: Map,
}

impl NewRun {
    /// A run of these inputs, under a new id.
    #[must_use]
    pub fn of(inputs: Map) -> Self {
        Self {
            run: RunId::generate(),
            inputs,
            flow: String::new(),
            flow_path: String::new(),
            environment: None,
            hashes: PlanHashes::default(),
            options: Map::new(),
        }
    }
}

/// What a run leaves behind.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// Which run.
    pub run: RunId,
    /// Its trace.
    pub trace_id: u128,
    /// How it ended.
    pub status: RunStatus,
    /// Its outputs, if it completed.
    pub outputs: Option<Map>,
    /// Why it did not.
    pub failure: Option<Failure>,
    /// The node that failed; `None` when an output or the journal did.
    pub failed_node: Option<NodePath>,
    /// What failed among the aggregation nodes; the run's status does not depend on it.
    pub aggregation_failure: Option<Failure>,
    /// What happened, earlier processes included: each node, tokens, cost, time.
    pub summary: RunSummary,
    /// Why the journal stopped the run.
    pub journal_error: Option<JournalError>,
    /// Nodes that wait for something outside, when the run stopped for that.
    pub waiting: Vec<NodePath>,
    /// What went wrong beside the run: listeners that failed.
    pub warnings: Vec<String>,
}

/// Keeps nothing (`--no-store`).
#[derive(Clone, Copy, Debug, Default)]
pub struct NullJournal;

impl Journal for NullJournal {
    fn append(&self, _: Arc<Vec<Event>>) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Those who hear events beside the journal. One that fails hears nothing more, and the run goes on.
#[derive(Default)]
pub struct Listeners(Mutex<Heard>);

#[derive(Default)]
struct Heard {
    listeners: Vec<Box<dyn Listener>>,
    warnings: Vec<String>,
}

impl Listeners {
    /// These listeners.
    #[must_use]
    pub fn new(listeners: Vec<Box<dyn Listener>>) -> Self {
        Self(Mutex::new(Heard { listeners, warnings: Vec::new() }))
    }

    pub(crate) fn hear(&self, event: &Event) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Heard { listeners, warnings } = &mut *heard;
        listeners.retain_mut(|listener| match listener.hear(event) {
            Ok(()) => true,
            Err(error) => {
                warnings.push(format!("{} stopped: {error}", listener.name()));
                false
            }
        });
    }

    /// Lets all of them flush, and returns what went wrong since the beginning.
    pub(crate) fn finish(&self) -> Vec<String> {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Heard { listeners, warnings } = &mut *heard;
        for listener in listeners {
            if let Err(error) = listener.finish() {
                warnings.push(format!("{} lost something: {error}", listener.name()));
            }
        }
        std::mem::take(warnings)
    }
}
