//! Evaluators: scores with reasons for what a flow gave.
//!
//! Pure: nothing here asks a model, opens a socket or knows the time. Whoever runs an evaluation does it in batches of
//! ordinary flows, and asks this crate what to run, on which inputs, and what the replies mean.
//!
//! ```text
//! evaluation.yaml ─spec─► EvaluationSpec ─bind(columns, outputs)─► BoundEvaluator, one for each evaluator
//!                              │                                     ├─ pure:    score(&CaseFacts)
//!                              │                                     ├─ vectors: texts to embed, score_vectors
//!                              │                                     └─ flow:    flow_inputs ─(a batch)─► score_outputs
//!                              └─► gate::Policy                              │
//!           gate::Evidence ◄─ results::case, CaseScore ◄─────────────────────┘──► results::summaries, evaluation_results
//! ```

pub mod binding;
pub mod evaluator;
pub mod judge;
pub mod results;
pub mod score;
pub mod spec;
pub mod text;

pub use binding::{Available, BoundEvaluator, Names};
pub use evaluator::{Evaluator, Work};
pub use results::{CaseKeys, MetricSummary, ResultKeys};
pub use score::{CaseFacts, CaseScore, NotScored, Reading, RunFacts};
pub use spec::{EvaluationSpec, ReadContext, SpecReading};
