//! The record of a calibration, and whether it lets a judge's rules block.

use sluicegate_gate::calibration::{Agreement, CalibrationError, Labelled, Options, record};
use sluicegate_gate::policy::CalibrationLimits;
use sluicegate_gate::{Calibration, Confusion};

/// One labelled case for each triple: what people say, and two readings of the judge.
fn labels(readings: &[(f64, f64, f64)], times: usize) -> Vec<Labelled> {
    let one =
        |(human, judge, again): &(f64, f64, f64)| Labelled { human: *human, judge: vec![Some(*judge), Some(*again)] };
    readings.iter().map(one).cycle().take(readings.len() * times).collect()
}

fn options() -> Options {
    Options { judge_hash: "j1".to_owned(), scale: Some([1.0, 5.0]), resamples: Some(2_000), ..Options::default() }
}

fn recorded(labels: &[Labelled]) -> Calibration {
    record(labels, &options()).expect("a record")
}

/// A good judge: ten labels, of which it sees nine as people do.
const GOOD: [(f64, f64, f64); 10] = [
    (1.0, 1.0, 1.0),
    (2.0, 2.0, 2.0),
    (3.0, 3.0, 3.0),
    (4.0, 4.0, 4.0),
    (5.0, 5.0, 5.0),
    (5.0, 5.0, 5.0),
    (4.0, 5.0, 5.0),
    (2.0, 2.0, 2.0),
    (4.0, 4.0, 4.0),
    (1.0, 1.0, 1.0),
];

#[test]
fn a_record_holds_all_that_a_person_asks_of_a_judge() {
    let found = recorded(&labels(&GOOD, 6));
    assert_eq!((found.n, found.unscored, found.read_again), (60, 0, 60));
    assert_eq!((found.agreement, found.base_rate, found.self_agreement), (Some(0.9), Some(0.3), Some(1.0)));
    // One in ten is a step too high, on a scale of four steps.
    assert!((found.bias.expect("a bias") - 0.025).abs() < 1e-12);
    let [low, high] = found.bias_between.expect("bounds");
    assert!(low > 0.0 && low < 0.025 && high > 0.025 && high < 0.05, "{low} {high}");
    let (lower, kappa, upper) = (found.kappa_lower.unwrap(), found.kappa.unwrap(), found.kappa_upper.unwrap());
    assert!(0.9 < lower && lower < kappa && kappa < upper && upper <= 1.0, "{lower} {kappa} {upper}");
    let Confusion { labels, counts } = found.confusion.expect("a table");
    assert_eq!(labels, [1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(counts[3], [0, 0, 0, 12, 6]);
}

#[test]
fn only_a_record_that_meets_the_limits_lets_a_judge_block() {
    let limits = CalibrationLimits::default();
    let aged = |record: Calibration| Calibration { age_days: Some(1.0), ..record };
    assert_eq!(limits.shortcomings(Some(&aged(recorded(&labels(&GOOD, 6)))), "j1"), Vec::<String>::new());
    let few = limits.shortcomings(Some(&aged(recorded(&labels(&GOOD, 4)))), "j1");
    assert_eq!(few, ["it rests on 40 labels, and 50 are needed"]);

    // A judge that gives every answer a five agrees with itself, and with nobody.
    let kind: Vec<_> = GOOD.iter().map(|(human, ..)| (*human, 5.0, 5.0)).collect();
    let found = limits.shortcomings(Some(&aged(recorded(&labels(&kind, 6)))), "j1").join("\n");
    assert!(found.contains("kappa's lower bound is 0, ") && found.contains("the bias is 0.475, "), "{found}");

    // One that says something else each time.
    let moody: Vec<_> = GOOD.iter().map(|(human, ..)| (*human, *human, 3.0)).collect();
    let found = limits.shortcomings(Some(&aged(recorded(&labels(&moody, 6)))), "j1");
    assert_eq!(found, ["agreement with itself is 0.1, which is not >= 0.9"]);

    // One that was read once only: of its agreement with itself nothing is known.
    let once: Vec<Labelled> =
        labels(&GOOD, 6).into_iter().map(|label| Labelled { judge: label.judge[..1].to_vec(), ..label }).collect();
    assert_eq!(limits.shortcomings(Some(&aged(recorded(&once))), "j1"), ["agreement with itself is not known"]);
}

#[test]
fn a_record_must_be_measured_as_the_policy_demands() {
    let limits = CalibrationLimits { kappa_weights: Some("linear".to_owned()), ..CalibrationLimits::default() };
    let made = |options: Options| {
        let options = Options { judge_hash: "j1".to_owned(), resamples: Some(500), ..options };
        Calibration { age_days: Some(1.0), ..record(&labels(&GOOD, 6), &options).expect("a record") }
    };
    assert_eq!(limits.shortcomings(Some(&made(Options::of(&limits))), "j1"), Vec::<String>::new());
    assert_eq!(
        limits.shortcomings(Some(&made(Options::default())), "j1"),
        ["agreement was measured by kappa, quadratic weights, and kappa, linear weights is demanded"]
    );
}

#[test]
fn a_judge_that_is_right_by_habit_has_no_agreement_beyond_chance() {
    // 95 of 100 answers are good, and the judge says so of all: agreement 0.95, kappa 0.
    let mut all = vec![Labelled { human: 1.0, judge: vec![Some(1.0), Some(1.0)] }; 95];
    all.extend(vec![Labelled { human: 0.0, judge: vec![Some(1.0), Some(1.0)] }; 5]);
    let found = record(&all, &Options { scale: Some([0.0, 1.0]), ..options() }).expect("a record");
    assert_eq!((found.agreement, found.base_rate), (Some(0.95), Some(0.95)));
    assert!(found.kappa.expect("kappa").abs() < 1e-12);
    assert!(!CalibrationLimits::default().shortcomings(Some(&found), "j1").is_empty());
}

#[test]
fn perfect_agreement_is_not_believed_without_end() {
    let same = |n: usize| -> Vec<Labelled> {
        (0..n).map(|at| Labelled { human: (at % 2) as f64, judge: vec![Some((at % 2) as f64)] }).collect()
    };
    let lower = |agreement: Agreement, n: usize| {
        let options = Options { agreement, scale: Some([0.0, 1.0]), ..options() };
        record(&same(n), &options).expect("a record").kappa_lower.expect("a bound")
    };
    for agreement in [Agreement::Kappa, Agreement::QuadraticKappa, Agreement::Alpha] {
        let [few, many] = [6, 200].map(|n| lower(agreement, n));
        assert!(few < 0.4 && many > 0.9 && many < 1.0, "{agreement:?} {few} {many}");
    }
}

#[test]
fn what_the_judge_did_not_score_is_counted_and_not_guessed() {
    let mut all = labels(&GOOD, 6);
    all.push(Labelled { human: 2.0, judge: vec![None, Some(2.0)] });
    all.push(Labelled { human: 2.0, judge: Vec::new() });
    let found = recorded(&all);
    assert_eq!((found.n, found.unscored, found.read_again), (60, 2, 60));
    let none = [Labelled { human: 2.0, judge: vec![None] }];
    assert_eq!(record(&none, &options()), Err(CalibrationError::NothingScored { labels: 1 }));
    let wild = [Labelled { human: 2.0, judge: vec![Some(7.0)] }];
    assert_eq!(
        record(&wild, &options()),
        Err(CalibrationError::OutsideScale { value: 7.0, lowest: 1.0, highest: 5.0 })
    );
    let odd = [Labelled { human: f64::NAN, judge: vec![Some(1.0)] }];
    assert_eq!(record(&odd, &options()), Err(CalibrationError::NotFinite));
}

#[test]
fn labels_that_are_all_the_same_show_nothing() {
    let same = vec![Labelled { human: 5.0, judge: vec![Some(5.0), Some(5.0)] }; 60];
    let found = recorded(&same);
    assert_eq!((found.kappa, found.agreement, found.bias), (None, Some(1.0), Some(0.0)));
    let shortcomings = CalibrationLimits::default().shortcomings(Some(&found), "j1");
    assert!(shortcomings.contains(&"kappa's lower bound is not known".to_owned()), "{shortcomings:?}");
}

#[test]
fn scores_between_the_steps_are_rounded_for_agreement_and_not_for_the_bias() {
    let found = recorded(&labels(&[(4.0, 3.8, 4.2), (2.0, 1.8, 2.1)], 30));
    assert_eq!((found.agreement, found.self_agreement), (Some(1.0), Some(1.0)));
    assert!((found.bias.expect("a bias") + 0.05).abs() < 1e-12);
}

#[test]
fn a_record_is_read_back_as_it_was_and_old_ones_still_are() {
    let found = recorded(&labels(&GOOD, 6));
    let text = serde_json::to_string(&found).expect("JSON");
    assert_eq!(serde_json::from_str::<Calibration>(&text).expect("a record"), found);
    let old = r#"{"judge_hash":"j1","n":60,"kappa":0.7,"kappa_lower":0.62,"agreement":0.9,"base_rate":0.5,"bias":0.01,
        "self_agreement":0.95,"age_days":3.0}"#;
    let old: Calibration = serde_json::from_str(old).expect("a record");
    assert_eq!(CalibrationLimits::default().shortcomings(Some(&old), "j1"), Vec::<String>::new());
    let again = serde_json::to_value(&old).expect("JSON");
    assert_eq!(again.as_object().map(serde_json::Map::len), Some(9));
}
