//! How often the gate as a whole is wrong, over pull requests that never were: every draw comes from a seed, so that the
//! figures are the same on every machine. Run with `--nocapture` to see them. The same in earnest, with more runs and more
//! rows, is the example `simulate`; bounds here are kept but for three standard errors, which a broken gate misses by far.
#![allow(clippy::print_stdout, reason = "the figures are for reading")]

use sluicegate_gate::RuleVerdict;

#[expect(dead_code, reason = "the example asks more of them")]
#[path = "../../examples/simulate/rows.rs"]
mod rows;
#[path = "../../examples/simulate/world.rs"]
mod world;

use rows::{Question, Row, blocked, by_rows, caught, exactly_met, unadjusted, usable};
use world::{Kind, Measured, World, number, steps, yes_no};

const SEED: u64 = 20_260_101;

fn answer(question: &Question, runs: usize) -> Row {
    let row = question(runs, SEED);
    println!("{}: {} ({:?}) {}", row.what, row.rate, row.bound, row.note);
    row
}

#[track_caller]
fn check(question: Question, runs: usize) {
    let row = answer(&question, runs);
    assert!(row.holds_within(3.0), "{row:?}");
}

/// Four metrics that are quick to judge.
fn four(cases: usize) -> World {
    World::new(cases, ["a", "b", "c", "d"].map(yes_no).to_vec())
}

const RULE: &str = "gate: { no_regression: true }";
const LOOKS: &str = "sequential: { looks: 3, min_cases: 15 }\ngate: { no_regression: true }";

#[test]
fn an_equal_candidate_is_blocked_no_oftener_than_alpha() {
    check(blocked("yes and no, n = 50", World::new(50, vec![yes_no("exact")]), RULE), 300);
    check(blocked("steps, n = 30", World::new(30, vec![steps("quality")]), RULE), 200);
    check(blocked("scores, n = 12, sign-flip", World::new(12, vec![number("f1")]), RULE), 300);
}

#[test]
fn nor_with_four_rules_and_three_looks() {
    check(blocked("4 rules, Holm, 3 looks", four(60), LOOKS), 200);
    let bh = "sequential: { looks: 3, min_cases: 15 }\ngate: { no_regression: true, adjust: bh }";
    check(blocked("4 rules, BH, 3 looks", four(60), bh), 200);
    // Without the corrections it is: this test can fail.
    let uncorrected = answer(&unadjusted(four(60)), 100);
    assert!(uncorrected.rate > 0.08, "{uncorrected:?}");
}

#[test]
fn nor_where_cases_go_together() {
    let clustered = World { cluster: 5, ..World::new(100, vec![yes_no("exact")]) };
    let naive = answer(&by_rows("naive", clustered.clone(), "exact"), 300);
    assert!(naive.rate > 0.09, "{naive:?}");
    check(blocked("20 clusters of 5", clustered, RULE), 200);
}

#[test]
fn nor_where_cases_are_flaky() {
    let flaky = Measured { name: "exact", kind: Kind::YesNo { sure: 0.6, lucky: 0.32 }, drop: 0.0 };
    check(blocked("3 repeats, n = 40", World { repeats: 3, ..World::new(40, vec![flaky]) }, RULE), 200);
}

#[test]
fn a_candidate_exactly_at_its_threshold_is_failed_no_oftener_than_alpha() {
    for looks in [false, true] {
        check(exactly_met(50, 0.8, looks, RuleVerdict::Fail), 200);
        check(exactly_met(50, 0.8, looks, RuleVerdict::Pass), 200);
        // By Wilson's bounds alone one in nine would fail.
        check(exactly_met(40, 0.97, looks, RuleVerdict::Fail), 300);
    }
}

#[test]
fn a_drop_of_twice_the_margin_is_caught_as_often_as_was_told() {
    let exact = yes_no("exact").dropping(0.1);
    check(caught("n = 150", World::new(150, vec![exact]), RULE, "no_regression.exact", 0.1), 300);
    let mut among = four(150);
    among.metrics[0].drop = 0.1;
    check(caught("1 of 4 rules, 3 looks, n = 150", among, LOOKS, "no_regression.a", 0.1), 60);
}

#[test]
fn fifty_cases_are_enough_for_a_usable_verdict() {
    check(Box::new(usable), 100);
}
