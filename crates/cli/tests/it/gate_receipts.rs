//! Receipts for tests, judged from what was never measured.

use sluicegate_gate::judge::{Facts, judge};
use sluicegate_gate::policy::{self, Known, Sections};
use sluicegate_gate::*;
use sluicegate_source::{SourceFile, yaml};
use sluicegate_testkit::project::{Project, Ran};

use crate::fixture::SLUICEGATE;

/// Two metrics with a threshold each, and no regression.
pub(crate) const RULES: &str = "gate:\n  exact: '>= 0.8'\n  no_regression: [exact]\n";

/// What is measured: for each case whether it is right, in the baseline and now; what it answered now.
pub(crate) struct Measured<'a> {
    pub(crate) before: &'a str,
    pub(crate) now: &'a str,
    pub(crate) output: &'a str,
}

/// A receipt over cases written as `1` (right) and `0` (wrong).
pub(crate) fn receipt(sections: &str, measured: &Measured<'_>) -> Receipt {
    let metrics = vec![Metric::boolean("exact")];
    let baseline = Some(arm(measured.before, "as it was")).filter(|_| !measured.before.is_empty());
    let evidence = Evidence {
        metrics: metrics.clone(),
        candidate: arm(measured.now, measured.output),
        baseline,
        ..Evidence::default()
    };
    let file = SourceFile::new("flows/triage/evaluation.yaml", sections);
    let document = yaml::read(&file).expect("YAML");
    let known = Known { metrics: &metrics, ..Known::default() };
    let policy = policy::read(&file, Sections::of(&document.root), known).expect("a policy").policy;
    let facts = Facts {
        flow: "triage".into(),
        environment: Some("pr".into()),
        hashes: Hashes { data: Some("d1".into()), plan: Some("p1".into()), ..Hashes::default() },
        about: About {
            data_file: Some("data/triage.jsonl".into()),
            evaluation_file: Some("flows/triage/evaluation.yaml".into()),
            commit: Some("0123abcd".into()),
            engine: Some("0.1.0".into()),
            ..About::default()
        },
        seed: 7,
        ..Facts::default()
    };
    judge(&policy, &evidence, &facts)
}

fn arm(letters: &str, output: &str) -> Arm {
    let mut arm = Arm::default();
    for (at, letter) in letters.chars().enumerate() {
        let case =
            Case { line: Some(at as u64 + 1), cost_usd: Some(0.01), ..Case::answered(format!("case-{at:03}"), output) };
        arm.scores.push(Score {
            case: case.key.clone(),
            line: case.line,
            repeat: 0,
            judge_repeat: 0,
            evaluator: "exact".to_owned(),
            metric: "exact".into(),
            value: ScoreValue::Bool(letter == '1'),
            passed: None,
            reason: if letter == '1' { String::new() } else { output.to_owned() },
            cost_usd: None,
            evaluator_hash: String::new(),
        });
        arm.cases.push(case);
    }
    arm
}

/// Fifty cases, `wrong` of which are wrong.
pub(crate) fn fifty(wrong: usize) -> String {
    "0".repeat(wrong) + &"1".repeat(50 - wrong)
}

/// A receipt that passes: 48 of 50, as before.
pub(crate) fn passing() -> Receipt {
    receipt(RULES, &Measured { before: &fifty(2), now: &fifty(2), output: "an answer" })
}

/// A receipt that fails: from 48 of 50 to 30.
pub(crate) fn failing(output: &str) -> Receipt {
    receipt(RULES, &Measured { before: &fifty(2), now: &fifty(20), output })
}

/// A receipt whose threshold is missed, but not by enough: 38 of 50, in a policy of that threshold alone.
pub(crate) fn thin() -> Receipt {
    receipt("gate:\n  exact: '>= 0.8'\n", &Measured { before: "", now: &fifty(12), output: "an answer" })
}

/// A receipt over no case at all.
pub(crate) fn empty() -> Receipt {
    receipt("gate:\n  exact: '>= 0.8'\n", &Measured { before: "", now: "", output: "" })
}

/// A project with a receipt in it.
pub(crate) fn project(receipt: &Receipt) -> Project {
    Project::new().file("config/config.yaml", "flow_configs: {}\n").file("receipt.json", receipt.to_json())
}

/// Runs `sluicegate gate …`.
pub(crate) fn gate(project: &Project, arguments: &[&str]) -> Ran {
    project.run(SLUICEGATE, &[&["gate"], arguments].concat())
}
