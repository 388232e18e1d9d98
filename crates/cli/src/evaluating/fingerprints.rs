//! Hashes of what goes into an evaluation: equal ones mean that nothing has changed.

use sluicegate_config::ConnectionKind;
use sluicegate_evaluate::EvaluationSpec;
use sluicegate_events::PlanHashes;
use sluicegate_gate::Hashes;
use sluicegate_value::hash::{sha256, sha256_of_parts};

use super::flows;
use crate::session::Flow;

/// The hashes of an evaluation of this flow. That of the policy is the gate's to say.
pub(crate) fn fingerprints(spec: &EvaluationSpec, flow: &Flow, plan: &PlanHashes, data: &str, repeats: u32) -> Hashes {
    let environment = &flow.environment;
    // A scripted model answers as its script says: the script is the model.
    let scripts =
        environment.connection_names().into_iter().filter_map(|name| match environment.connection(&name).ok()?.kind {
            ConnectionKind::Simulated { script } => Some(sha256(std::fs::read(script).ok()?)),
            _ => None,
        });
    let mut scripts: Vec<String> = scripts.collect();
    scripts.sort();
    let mut parts = vec![plan.plan.clone(), plan.settings.clone(), plan.engine.clone(), repeats.to_string()];
    parts.extend(scripts);
    let mapping = spec.target.column_mapping.iter();
    parts.extend(mapping.flat_map(|entry| [entry.target.to_string(), entry.value.to_json()]));
    let judges: Vec<String> = spec
        .evaluators
        .iter()
        .filter(|evaluator| evaluator.work() != sluicegate_evaluate::Work::Pure)
        .map(|evaluator| {
            let deployment = flows::deployment(evaluator, environment);
            sha256_of_parts([evaluator.judge_hash(deployment.as_deref()), evaluator.repeats.to_string()])
        })
        .collect();
    Hashes {
        data: Some(data.to_owned()),
        plan: Some(sha256_of_parts(parts)),
        prompts: None,
        evaluators: Some(spec.evaluators_hash()),
        judge: (!judges.is_empty()).then(|| sha256_of_parts(judges)),
        policy: Some(spec.policy.hash()),
    }
}
