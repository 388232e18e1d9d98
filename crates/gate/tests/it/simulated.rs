//! How often the gate as a whole is wrong, over pull requests that never were: every draw comes from a seed, so that the
//! figures are the same on every machine. Run with `--nocapture` to see them.
#![allow(clippy::print_stdout, reason = "the figures are for reading")]

use sluicegate_gate::judge::{Facts, judge};
use sluicegate_gate::statistics::Random;
use sluicegate_gate::*;

const RUNS: usize = 200;

/// A pull request: so many cases, of which the baseline gets `before` right; `lost` of those go wrong and `won` of the
/// others right in the candidate. Cases of one cluster share their fate.
#[derive(Clone, Copy)]
struct PullRequest {
    cases: usize,
    cluster: usize,
    before: f64,
    lost: f64,
    won: f64,
}

/// Shares of runs that fail, that are inconclusive and block, and that go through.
#[derive(Debug)]
struct Rates {
    failed: f64,
    undecided: f64,
}

fn policy(strict: bool) -> Policy {
    let threshold = Check::Threshold { metric: "exact".into(), is: Comparator::at_least(0.5), bound: Bound::Lower };
    let relative = Check::NoRegression { metric: "exact".into(), margin: 0.05, min_effect: 0.01, require_power: None };
    let rule = |id: &str, check: Check| Rule { id: id.to_owned(), only: None, check, place: None };
    let rules = vec![rule("threshold", threshold), rule("no_regression", relative)];
    let inconclusive = if strict { Inconclusive::Block } else { Inconclusive::ByPoint };
    Policy { rules, inconclusive, ..Policy::default() }
}

fn arms(pull: PullRequest, random: &mut Random) -> [Arm; 2] {
    let mut arms = [Arm::default(), Arm::default()];
    let mut fate = (true, true);
    for at in 0..pull.cases {
        if at % pull.cluster == 0 {
            let was = random.unit() < pull.before;
            let changes = random.unit() < if was { pull.lost } else { pull.won };
            fate = (was, was != changes);
        }
        for (arm, right) in arms.iter_mut().zip([fate.0, fate.1]) {
            let key = format!("case-{at}");
            let cluster = (pull.cluster > 1).then(|| format!("cluster-{}", at / pull.cluster));
            arm.cases.push(Case { cluster, ..Case::answered(key.as_str(), "") });
            arm.scores.push(Score {
                case: key.as_str().into(),
                line: None,
                repeat: 0,
                judge_repeat: 0,
                evaluator: "exact".to_owned(),
                metric: "exact".into(),
                value: ScoreValue::Bool(right),
                passed: None,
                reason: String::new(),
                cost_usd: None,
                evaluator_hash: String::new(),
            });
        }
    }
    arms
}

fn simulate(what: &str, pull: PullRequest, policy: &Policy) -> Rates {
    let mut random = Random::from_seed(20_260_101);
    let facts = Facts { resamples: Some(500), seed: 3, ..Facts::default() };
    let (mut failed, mut undecided) = (0, 0);
    for _ in 0..RUNS {
        let [baseline, candidate] = arms(pull, &mut random);
        let metrics = vec![Metric::boolean("exact")];
        let evidence = Evidence { metrics, candidate, baseline: Some(baseline), ..Evidence::default() };
        let decision = judge(policy, &evidence, &facts).decision;
        failed += usize::from(decision.exit_code == 10);
        undecided += usize::from(decision.exit_code == 11);
    }
    let rates = Rates { failed: failed as f64 / RUNS as f64, undecided: undecided as f64 / RUNS as f64 };
    println!("{what}: {rates:?}");
    rates
}

/// As many go wrong as go right: on average nothing changes.
fn same(cases: usize, cluster: usize) -> PullRequest {
    PullRequest { cases, cluster, before: 0.8, lost: 0.1, won: 0.4 }
}

#[test]
fn an_equal_candidate_is_blocked_no_oftener_than_alpha() {
    let rates = simulate("A/A, 50 cases", same(50, 1), &policy(false));
    assert!(rates.failed <= 0.05, "{rates:?}");
    let rates = simulate("A/A, 200 cases", same(200, 1), &policy(false));
    assert!(rates.failed <= 0.05, "{rates:?}");
}

#[test]
fn an_equal_candidate_is_blocked_no_oftener_where_cases_go_together() {
    let rates = simulate("A/A, 200 cases in clusters of 5", same(200, 5), &policy(false));
    assert!(rates.failed <= 0.05, "{rates:?}");
}

#[test]
fn a_drop_of_twice_the_margin_is_caught() {
    // 350 cases, 14 % of which go wrong and 4 % right: a drop of 0.1 among 18 % that differ.
    let worse = PullRequest { cases: 350, cluster: 1, before: 0.8, lost: 0.175, won: 0.2 };
    let rates = simulate("A/B, a drop of 0.1, 350 cases", worse, &policy(false));
    assert!(rates.failed >= 0.8, "{rates:?}");
}

#[test]
fn fifty_cases_are_enough_for_a_usable_verdict() {
    let rates = simulate("usable, 50 cases", same(50, 1), &policy(false));
    assert!(rates.undecided <= 0.2, "{rates:?}");
    // The same evidence read strictly is thin: that is what `strict` is for.
    let strict = simulate("strict, 50 cases", same(50, 1), &policy(true));
    assert!(strict.undecided > 0.5, "{strict:?}");
}
