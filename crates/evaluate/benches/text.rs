//! Rows per second of the text metrics over the golden pairs, on one core:
//! `cargo bench -p sluicegate-evaluate --bench text`. Beside it, `benches/text_metrics.py` does the same with the
//! Python packages.

use std::collections::BTreeMap;
use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use sluicegate_evaluate::text::meteor::MeteorParameters;
use sluicegate_evaluate::text::rouge::Rouge;
use sluicegate_evaluate::text::{Tokenizer, bleu, distance, f1_score, gleu, meteor, rouge, sacrebleu};

fn main() {
    divan::main();
}

/// The golden pairs; `short_only` leaves out the one of three thousand letters, which else is most of the work.
fn pairs(short_only: bool) -> Vec<(String, String)> {
    let mut cases = BTreeMap::new();
    for line in include_str!("../tests/data/text_metrics.jsonl").lines() {
        let Ok(row) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        if row["metric"] == "f1_score" && !(short_only && text("prediction").len() > 1000) {
            cases.insert(text("case"), (text("prediction"), text("reference")));
        }
    }
    cases.into_values().collect()
}

fn measure<T>(bencher: Bencher<'_, '_>, short_only: bool, score: impl Fn(&str, &str) -> T + Sync) {
    let pairs = pairs(short_only);
    // The tables that are unpacked at first use are not what is measured.
    for (prediction, reference) in &pairs {
        black_box(score(prediction, reference));
    }
    bencher.counter(ItemsCount::new(pairs.len())).bench(|| {
        for (prediction, reference) in &pairs {
            black_box(score(black_box(prediction), black_box(reference)));
        }
    });
}

const SETS: [bool; 2] = [false, true];

#[divan::bench(args = SETS)]
fn f1(bencher: Bencher<'_, '_>, short_only: bool) {
    measure(bencher, short_only, f1_score);
}

#[divan::bench(args = SETS)]
fn bleu_azure(bencher: Bencher<'_, '_>, short_only: bool) {
    measure(bencher, short_only, |a, b| bleu(a, b, Tokenizer::AzureCompat));
}

#[divan::bench(args = SETS)]
fn bleu_unicode(bencher: Bencher<'_, '_>, short_only: bool) {
    measure(bencher, short_only, |a, b| bleu(a, b, Tokenizer::Unicode));
}

#[divan::bench(args = SETS)]
fn gleu_azure(bencher: Bencher<'_, '_>, short_only: bool) {
    measure(bencher, short_only, |a, b| gleu(a, b, Tokenizer::AzureCompat));
}

#[divan::bench(args = SETS)]
fn sacrebleu_sentence(bencher: Bencher<'_, '_>, short_only: bool) {
    measure(bencher, short_only, sacrebleu::sacrebleu_sentence);
}

#[divan::bench(args = SETS)]
fn rouge1(bencher: Bencher<'_, '_>, short_only: bool) {
    measure(bencher, short_only, |a, b| rouge(Rouge::One, a, b, false));
}

#[divan::bench(args = SETS)]
fn rouge_l(bencher: Bencher<'_, '_>, short_only: bool) {
    measure(bencher, short_only, |a, b| rouge(Rouge::L, a, b, false));
}

#[divan::bench(args = SETS)]
fn rouge_l_stemmed(bencher: Bencher<'_, '_>, short_only: bool) {
    measure(bencher, short_only, |a, b| rouge(Rouge::L, a, b, true));
}

#[divan::bench(args = SETS)]
fn meteor_azure(bencher: Bencher<'_, '_>, short_only: bool) {
    measure(bencher, short_only, |a, b| meteor(a, b, Tokenizer::AzureCompat, MeteorParameters::default()));
}

#[divan::bench(args = SETS)]
fn levenshtein(bencher: Bencher<'_, '_>, short_only: bool) {
    measure(bencher, short_only, distance::levenshtein_distance);
}
