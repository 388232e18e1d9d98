//! Every recorded case of `data/statistics.json` (made with scipy, statsmodels, scikit-learn, numpy and krippendorff; the
//! file names the version of each), within its tolerance. A null there is a number that must be undefined here.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sluicegate_gate::statistics::*;

const SEED: u64 = 20_261_122;

struct Case<'a> {
    input: &'a Value,
    confidence: f64,
}

impl Case<'_> {
    fn numbers(&self, key: &str) -> Vec<f64> {
        self.input[key].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    }

    fn number(&self, key: &str) -> f64 {
        self.input[key].as_f64().unwrap_or_else(|| panic!("no number `{key}`"))
    }

    fn count(&self, key: &str) -> usize {
        self.input[key].as_u64().unwrap_or_else(|| panic!("no count `{key}`")) as usize
    }

    fn texts(&self, key: &str) -> Vec<String> {
        self.input[key].as_array().unwrap().iter().map(Value::to_string).collect()
    }
}

/// What is undefined is null.
fn or_null<T>(found: Result<T, Undefined>, describe: impl Fn(&T) -> Value, fields: &[&str]) -> Value {
    match found {
        Ok(found) => describe(&found),
        Err(_) => fields.iter().map(|field| ((*field).to_owned(), Value::Null)).collect::<Map<_, _>>().into(),
    }
}

fn interval(found: Result<Interval, Undefined>) -> Value {
    or_null(found, |found| json!({ "lower": found.lower, "upper": found.upper }), &["lower", "upper"])
}

fn correlation(found: Result<Correlation, Undefined>) -> Value {
    or_null(found, |found| json!({ "r": found.estimate, "p_two_sided": found.p_value }), &["r", "p_two_sided"])
}

fn adjusted(found: Result<Adjusted, Undefined>) -> Value {
    let found = found.unwrap();
    json!({ "adjusted": found.p_values, "reject": found.rejected })
}

fn paired_t_values(case: &Case<'_>) -> Value {
    let found = paired_t(&case.numbers("baseline"), &case.numbers("candidate")).unwrap();
    let interval = found.t_interval(case.confidence, Sides::Two).ok();
    json!({
        "mean_diff": found.estimate,
        "stderr": found.standard_error,
        "t": found.t,
        "p_two_sided": found.p_value,
        "ci_t_lower": interval.as_ref().map(|interval| interval.lower),
        "ci_t_upper": interval.as_ref().map(|interval| interval.upper),
    })
}

fn paired_bootstrap_values(case: &Case<'_>) -> Value {
    let (baseline, candidate) = (case.numbers("baseline"), case.numbers("candidate"));
    let resampling = Resampling::for_size(baseline.len(), SEED);
    assert!(resampling.resamples >= case.count("min_resamples"));
    let found = bootstrap_paired(&baseline, &candidate, resampling).unwrap();
    let percentile = found.percentile(case.confidence, Sides::Two).unwrap();
    let bca = found.bca(case.confidence, Sides::Two).ok();
    json!({
        "mean_diff": found.estimate,
        "percentile_lower": percentile.lower,
        "percentile_upper": percentile.upper,
        "bca_lower": bca.as_ref().map(|interval| interval.lower),
        "bca_upper": bca.as_ref().map(|interval| interval.upper),
        "bca_acceleration": found.acceleration,
    })
}

fn kappa_values(case: &Case<'_>) -> Value {
    let weights = match case.input["weights"].as_str() {
        Some("linear") => KappaWeights::Linear,
        Some("quadratic") => KappaWeights::Quadratic,
        _ => KappaWeights::None,
    };
    // Labels may be numbers or texts; both have an order.
    let kappa = if case.input["a"][0].is_number() {
        cohen_kappa(&case.numbers("a"), &case.numbers("b"), weights)
    } else {
        cohen_kappa(&case.texts("a"), &case.texts("b"), weights)
    };
    json!({ "kappa": kappa.ok().map(|kappa| kappa.estimate) })
}

fn krippendorff_values(case: &Case<'_>) -> Value {
    let level = match case.input["level"].as_str().unwrap() {
        "nominal" => RatingLevel::Nominal,
        "ordinal" => RatingLevel::Ordinal,
        "interval" => RatingLevel::Interval,
        other => panic!("unknown level `{other}`"),
    };
    let rows = case.input["ratings_by_rater"].as_array().unwrap().iter();
    let ratings: Vec<Vec<Option<f64>>> =
        rows.map(|row| row.as_array().unwrap().iter().map(Value::as_f64).collect()).collect();
    json!({ "alpha": krippendorff_alpha(&ratings, level).ok().map(|alpha| alpha.estimate) })
}

fn clustered_values(case: &Case<'_>) -> Value {
    let found = clustered_mean(&case.numbers("values"), &case.texts("clusters")).unwrap();
    json!({
        "mean": found.estimate,
        "stderr_miller_uncorrected": found.uncorrected_standard_error,
        "stderr_finite_cluster": found.standard_error,
        "stderr_naive": found.naive_standard_error,
        "design_effect_vs_naive": found.design_effect,
    })
}

fn mean_values(case: &Case<'_>) -> Value {
    let describe = |found: &Mean| {
        let interval = found.t_interval(0.95, Sides::Two).ok();
        json!({
            "mean": found.estimate,
            "stderr": found.standard_error,
            "ci95_t_lower": interval.as_ref().map(|interval| interval.lower),
            "ci95_t_upper": interval.as_ref().map(|interval| interval.upper),
        })
    };
    or_null(mean_with_error(&case.numbers("values")), describe, &["mean", "stderr", "ci95_t_lower", "ci95_t_upper"])
}

/// What this crate finds, under the names of the file.
fn compute(stat: &str, case: &Case<'_>) -> Value {
    match stat {
        "wilson_interval" => {
            let sides = if case.count("sides") == 1 { Sides::One } else { Sides::Two };
            interval(wilson(case.count("successes"), case.count("n"), case.confidence, sides))
        }
        "wilson_lower_one_sided" => {
            interval(wilson(case.count("successes"), case.count("n"), case.confidence, Sides::One))
        }
        "clopper_pearson" => {
            interval(clopper_pearson(case.count("successes"), case.count("n"), case.confidence, Sides::Two))
        }
        "mcnemar_exact" => {
            let found = mcnemar(case.count("baseline_pass_candidate_fail"), case.count("baseline_fail_candidate_pass"));
            json!({
                "p_two_sided": found.p_two_sided,
                "p_mid": found.p_mid,
                "p_one_sided_regression": found.p_regression,
            })
        }
        "mcnemar_chi2_cc" => or_null(
            mcnemar_chi_square(case.count("b"), case.count("c")),
            |found| json!({ "statistic": found.statistic, "p": found.p_value }),
            &["statistic", "p"],
        ),
        "paired_t" => paired_t_values(case),
        "paired_bootstrap_mean_diff" => paired_bootstrap_values(case),
        "paired_permutation_exact" => {
            let (baseline, candidate) = (case.numbers("baseline"), case.numbers("candidate"));
            let differences: Vec<f64> = baseline.iter().zip(&candidate).map(|(before, after)| after - before).collect();
            let found = sign_flip_test(&differences, Resampling::new(0, SEED)).unwrap();
            assert_eq!(found.method, Method::ExactSignFlip);
            json!({ "mean_diff": found.estimate, "p_two_sided_abs": found.p_value, "p_less": found.p_less })
        }
        "cohen_kappa" => kappa_values(case),
        "wilcoxon_pratt_normal" => or_null(
            wilcoxon_pratt(&case.numbers("baseline"), &case.numbers("candidate")),
            |found| json!({ "statistic": found.statistic, "p_two_sided": found.p_value }),
            &["statistic", "p_two_sided"],
        ),
        "krippendorff_alpha" => krippendorff_values(case),
        "spearman" => correlation(spearman(&case.numbers("x"), &case.numbers("y"))),
        "pearson" => correlation(pearson(&case.numbers("x"), &case.numbers("y"))),
        "kendall_tau_b" => correlation(kendall_tau_b(&case.numbers("x"), &case.numbers("y"))),
        "mean_stderr" => mean_values(case),
        "clustered_stderr" => clustered_values(case),
        "benjamini_hochberg" => adjusted(benjamini_hochberg(&case.numbers("p"), case.number("alpha"))),
        "holm" => adjusted(holm(&case.numbers("p"), case.number("alpha"))),
        "fisher_exact" => {
            let cell = |row: usize, column: usize| case.input["table"][row][column].as_u64().unwrap() as usize;
            let found = fisher_exact([[cell(0, 0), cell(0, 1)], [cell(1, 0), cell(1, 1)]]);
            json!({ "p_two_sided": found.p_two_sided, "p_less": found.p_less, "p_greater": found.p_greater })
        }
        "pass_at_k" => {
            let (n, correct, k) = (case.count("n"), case.count("correct"), case.count("k"));
            json!({ "pass_at_k": pass_at_k(n, correct, k).ok(), "pass_hat_k": pass_hat_k(n, correct, k).ok() })
        }
        "mde_one_sided_normal" => {
            let (deviation, alpha, power) = (case.number("sd_diff"), case.number("alpha"), case.number("power"));
            let effect = minimum_detectable_effect(deviation, case.count("n"), alpha, power).unwrap();
            json!({ "mde": effect, "n_required_for_mde": cases_for_power(deviation, effect, alpha, power).unwrap() })
        }
        "student_t_quantile" => json!({ "t": student_t_quantile(case.number("p"), case.number("df")).unwrap() }),
        "normal_quantile" => json!({ "z": normal_quantile(case.number("p")).unwrap() }),
        "cosine_similarity" => json!({ "cosine": cosine(&case.numbers("a"), &case.numbers("b")).ok() }),
        "quantile_linear" => {
            let values = case.numbers("values");
            let quantiles: Vec<Option<f64>> = case.numbers("q").iter().map(|q| quantile(&values, *q).ok()).collect();
            json!({ "quantiles": quantiles })
        }
        other => panic!("nothing computes `{other}`"),
    }
}

fn check_equal(at: &str, found: &Value, wanted: &Value, tolerance: f64) {
    match (found, wanted) {
        (Value::Array(found), Value::Array(wanted)) => {
            assert_eq!(found.len(), wanted.len(), "{at}");
            for (found, wanted) in found.iter().zip(wanted) {
                check_equal(at, found, wanted, tolerance);
            }
        }
        (Value::Number(found), Value::Number(wanted)) => {
            let (found, wanted) = (found.as_f64().unwrap(), wanted.as_f64().unwrap());
            let allowed = tolerance.max(1e-9 * wanted.abs());
            assert!((found - wanted).abs() <= allowed, "{at}: {found} is not {wanted} within {allowed}");
        }
        _ => assert_eq!(found, wanted, "{at}"),
    }
}

#[test]
fn every_recorded_statistic_is_met() {
    let records: Value = serde_json::from_str(include_str!("data/statistics.json")).unwrap();
    let mut checked = BTreeSet::new();
    for record in records["cases"].as_array().unwrap() {
        let (id, stat) = (record["id"].as_str().unwrap(), record["stat"].as_str().unwrap());
        let input = &record["input"];
        let case = Case { input, confidence: input["confidence"].as_f64().unwrap_or(0.95) };
        let found = compute(stat, &case);
        for (field, wanted) in record["expected"].as_object().unwrap() {
            let resampled = field.starts_with("percentile_") || field == "bca_lower" || field == "bca_upper";
            let tolerance =
                if stat.contains("bootstrap") && !resampled { 1e-9 } else { record["abs_tol"].as_f64().unwrap() };
            let at = format!("{id}: {field}");
            let found = found.get(field).unwrap_or_else(|| panic!("{at} is not computed"));
            check_equal(&at, found, wanted, tolerance);
        }
        assert!(checked.insert(id.to_owned()), "{id} is there twice");
    }
    assert_eq!(checked.len(), 48);
}

#[test]
fn resampled_bounds_are_met_from_any_seed() {
    let records: Value = serde_json::from_str(include_str!("data/statistics.json")).unwrap();
    for record in records["cases"].as_array().unwrap() {
        if record["stat"] != "paired_bootstrap_mean_diff" {
            continue;
        }
        let case = Case { input: &record["input"], confidence: 0.95 };
        let (baseline, candidate) = (case.numbers("baseline"), case.numbers("candidate"));
        for seed in 0..2 {
            let found = bootstrap_paired(&baseline, &candidate, Resampling::for_size(baseline.len(), seed)).unwrap();
            let mut bounds = BTreeMap::new();
            for (name, interval) in [
                ("percentile", found.percentile(0.95, Sides::Two).unwrap()),
                ("bca", found.bca(0.95, Sides::Two).unwrap()),
            ] {
                bounds.insert(format!("{name}_lower"), interval.lower);
                bounds.insert(format!("{name}_upper"), interval.upper);
            }
            for (name, bound) in bounds {
                let wanted = &record["expected"][&name];
                check_equal(
                    &format!("seed {seed}: {name}"),
                    &json!(bound),
                    wanted,
                    record["abs_tol"].as_f64().unwrap(),
                );
            }
        }
    }
}
