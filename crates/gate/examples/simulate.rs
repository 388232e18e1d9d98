//! How often the tests behind the gate are wrong: candidate and baseline are the same pipeline (A/A), so that whatever is
//! found is found by chance. Run it with `cargo run --release -p sluicegate-gate --example simulate`; the figures are the
//! same on every machine.
#![allow(clippy::print_stdout, reason = "an example that prints figures")]

use sluicegate_gate::statistics::{
    AlphaSpending, PairedCounts, Random, Resampling, Scale, Sides, Undefined, clustered_mean, equal_looks,
    group_sequential, mcnemar, mean_with_error, paired_bounds, paired_share_difference, paired_t, sign_flip_test,
};

const CASES: usize = 50;
const RUNS: usize = 20_000;
const ALPHA: f64 = 0.05;

fn main() -> Result<(), Undefined> {
    println!("A/A, n = {CASES}, {RUNS} runs, one-sided alpha = {ALPHA}: share of runs with a false regression");
    let mut random = Random::from_seed(1);
    row(
        "paired t, scores",
        rate(RUNS, || Ok(regressed(&paired_t(&scores(&mut random), &scores(&mut random))?.p_less)))?,
    );
    row(
        "paired t, booleans",
        rate(RUNS, || {
            let (baseline, candidate) = booleans(&mut random, 0.0);
            Ok(regressed(&paired_t(&numbers(&baseline), &numbers(&candidate))?.p_less))
        })?,
    );
    row(
        "exact McNemar, booleans",
        rate(RUNS, || {
            let counts = paired_counts(&mut random, 0.0)?;
            Ok(mcnemar(counts.worse, counts.better).p_regression <= ALPHA)
        })?,
    );
    row(
        "sign-flip, scores (2,000 runs)",
        rate(RUNS / 10, || {
            let (baseline, candidate) = (scores(&mut random), scores(&mut random));
            let differences: Vec<f64> = baseline.iter().zip(&candidate).map(|(before, after)| after - before).collect();
            Ok(sign_flip_test(&differences, Resampling::new(2000, random.bits()))?.p_less <= ALPHA)
        })?,
    );

    let looks = group_sequential(&equal_looks(3), ALPHA, AlphaSpending::ObrienFleming)?;
    let peek = |random: &mut Random, allowed: &dyn Fn(usize) -> f64| -> Result<bool, Undefined> {
        let (baseline, candidate) = booleans(random, 0.0);
        for (place, look) in looks.iter().enumerate() {
            let seen = (CASES as f64 * look.information).round() as usize;
            let counts = PairedCounts::of(&baseline[..seen], &candidate[..seen])?;
            if mcnemar(counts.worse, counts.better).p_regression <= allowed(place) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    row("McNemar, 3 looks, O'Brien-Fleming", rate(RUNS, || peek(&mut random, &|place| looks[place].nominal_alpha))?);
    row("McNemar, 3 looks, uncorrected", rate(RUNS, || peek(&mut random, &|_| ALPHA))?);

    println!(
        "\nclusters of 5 cases that share their luck, 20 of them: share of runs whose lower bound lies above the truth"
    );
    let clusters: Vec<usize> = (0..100).map(|place| place / 5).collect();
    let drawn = |random: &mut Random| -> Vec<f64> {
        let luck: Vec<f64> = (0..20).map(|_| random.normal()).collect();
        clusters.iter().map(|cluster| luck[*cluster] + random.normal()).collect()
    };
    row(
        "as if independent",
        rate(RUNS, || Ok(mean_with_error(&drawn(&mut random))?.t_interval(1.0 - ALPHA, Sides::One)?.lower > 0.0))?,
    );
    row(
        "cluster-robust",
        rate(RUNS, || {
            Ok(clustered_mean(&drawn(&mut random), &clusters)?.t_interval(1.0 - ALPHA, Sides::One)?.lower > 0.0)
        })?,
    );

    println!("\na true drop of exactly the margin (0.05), n = {CASES}: share of runs that are let through");
    row(
        "bounds by t and discordant share",
        rate(RUNS, || {
            let (baseline, candidate) = booleans(&mut random, 0.05);
            let (baseline, candidate) = (numbers(&baseline), numbers(&candidate));
            Ok(paired_bounds(&baseline, &candidate, Some(Scale::UNIT), 1.0 - ALPHA, Sides::One)?.lower > -0.05)
        })?,
    );
    row(
        "bounds by Tango's score",
        rate(RUNS, || {
            let counts = paired_counts(&mut random, 0.05)?;
            Ok(paired_share_difference(&counts, 1.0 - ALPHA, Sides::One)?.lower > -0.05)
        })?,
    );
    Ok(())
}

/// Scores as judges give them, on a scale from 1 to 5.
fn scores(random: &mut Random) -> Vec<f64> {
    (0..CASES).map(|_| (4.0 + random.normal()).round().clamp(1.0, 5.0)).collect()
}

/// Most cases pass, some are a matter of luck; the candidate breaks this share of them.
fn booleans(random: &mut Random, broken: f64) -> (Vec<bool>, Vec<bool>) {
    (0..CASES)
        .map(|_| {
            let lucky = random.unit() < 0.2;
            let mut pass = || if lucky { random.unit() < 0.5 } else { true };
            let (baseline, candidate) = (pass(), pass());
            // Only a passing case can break: about nine in ten pass.
            (baseline, candidate && random.unit() >= broken / 0.9)
        })
        .unzip()
}

fn paired_counts(random: &mut Random, broken: f64) -> Result<PairedCounts, Undefined> {
    let (baseline, candidate) = booleans(random, broken);
    PairedCounts::of(&baseline, &candidate)
}

fn numbers(passes: &[bool]) -> Vec<f64> {
    passes.iter().map(|pass| f64::from(u8::from(*pass))).collect()
}

/// A p that is undefined shows nothing.
fn regressed(p: &Option<f64>) -> bool {
    p.is_some_and(|p| p <= ALPHA)
}

fn rate(runs: usize, mut happened: impl FnMut() -> Result<bool, Undefined>) -> Result<f64, Undefined> {
    let mut count = 0;
    for _ in 0..runs {
        count += usize::from(happened()?);
    }
    Ok(count as f64 / runs as f64)
}

fn row(name: &str, rate: f64) {
    println!("  {name:<36} {rate:.4}");
}
