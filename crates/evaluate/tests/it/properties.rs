//! What must hold for any two texts.

use proptest::prelude::*;
use sluicegate_evaluate::text::meteor::MeteorParameters;
use sluicegate_evaluate::text::rouge::Rouge;
use sluicegate_evaluate::text::{
    Normalization, Tokenizer, bleu, distance, exact_match, f1_score, gleu, meteor, rouge, sacrebleu, stem, tokenize,
};

/// Any text: what proptest makes of any letters, and what the rules look for.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,60}",
        "[ a-eA-E.,:;!?'\"`()\\[\\]\\-\n\t0-9&*é北😀]{0,60}",
        prop::collection::vec(
            prop_oneof![
                Just("the"),
                Just("Mr."),
                Just("U.S."),
                Just("can't"),
                Just("cannot"),
                Just("running"),
                Just("quick"),
                Just("fast"),
                Just("3.5"),
                Just("..."),
                Just("\"Yes.\""),
                Just("&amp;"),
                Just("naïve"),
                Just("a\u{301}"),
                Just("\u{1c}"),
                Just("\u{202f}"),
                Just("J."),
                Just("'tis"),
                Just("<skipped>"),
                Just("x*ding"),
            ],
            0..12,
        )
        .prop_map(|words| words.join(" ")),
    ]
}

const TOKENIZERS: [Tokenizer; 3] = [Tokenizer::Unicode, Tokenizer::AzureCompat, Tokenizer::Mteval13a];

fn scores(a: &str, b: &str) -> Vec<(String, f64)> {
    let mut scores = vec![
        ("f1".to_owned(), f1_score(a, b)),
        ("normalized_similarity".to_owned(), distance::normalized_similarity(a, b)),
        ("indel_ratio".to_owned(), distance::indel_ratio(a, b)),
        ("sacrebleu".to_owned(), sacrebleu::sacrebleu_sentence(a, b) / 100.0),
    ];
    for tokenizer in TOKENIZERS {
        scores.push((format!("bleu {tokenizer:?}"), bleu(a, b, tokenizer)));
        scores.push((format!("gleu {tokenizer:?}"), gleu(a, b, tokenizer)));
        scores.push((format!("meteor {tokenizer:?}"), meteor(a, b, tokenizer, MeteorParameters::default())));
    }
    for kind in Rouge::ALL {
        for stemmer in [false, true] {
            let score = rouge(kind, a, b, stemmer);
            scores.push((format!("{} {stemmer} precision", kind.name()), score.precision));
            scores.push((format!("{} {stemmer} recall", kind.name()), score.recall));
            scores.push((format!("{} {stemmer} f1", kind.name()), score.f1));
        }
    }
    scores
}

proptest! {
    #[test]
    fn every_score_is_from_zero_to_one(a in text(), b in text()) {
        for (name, score) in scores(&a, &b) {
            prop_assert!((0.0..=1.0 + 1e-12).contains(&score), "{name}: {score}");
        }
    }

    #[test]
    fn a_text_with_words_scores_one_against_itself(a in text()) {
        let words = Tokenizer::Unicode.tokenize(&a).len();
        prop_assert_eq!(gleu(&a, &a, Tokenizer::Unicode), if words > 0 { 1.0 } else { 0.0 });
        if words >= 4 {
            prop_assert!((bleu(&a, &a, Tokenizer::Unicode) - 1.0).abs() < 1e-12);
        }
        prop_assert!(f1_score(&a, &a) == 1.0 || f1_score(&a, &a) == 0.0);
        prop_assert_eq!(distance::levenshtein_distance(&a, &a), 0);
        prop_assert_eq!(distance::normalized_similarity(&a, &a), 1.0);
        prop_assert_eq!(distance::indel_ratio(&a, &a), 1.0);
        let itself = rouge(Rouge::L, &a, &a, true).f1;
        prop_assert!(itself == 1.0 || itself == 0.0);
        for normalization in [Normalization::Raw, Normalization::Squad, Normalization::Case, Normalization::CaseAndSpace] {
            prop_assert!(exact_match(&a, &a, normalization));
        }
    }

    #[test]
    fn what_treats_both_sides_alike_is_symmetric(a in text(), b in text()) {
        prop_assert!((f1_score(&a, &b) - f1_score(&b, &a)).abs() < 1e-12);
        prop_assert_eq!(gleu(&a, &b, Tokenizer::Unicode), gleu(&b, &a, Tokenizer::Unicode));
        prop_assert_eq!(distance::levenshtein_distance(&a, &b), distance::levenshtein_distance(&b, &a));
        prop_assert_eq!(distance::indel_ratio(&a, &b), distance::indel_ratio(&b, &a));
        for kind in Rouge::ALL {
            let (there, back) = (rouge(kind, &a, &b, false), rouge(kind, &b, &a, false));
            prop_assert_eq!((there.precision, there.recall), (back.recall, back.precision));
        }
    }

    #[test]
    fn normal_forms_are_normal(a in text()) {
        for normalization in [Normalization::Case, Normalization::Space, Normalization::CaseAndSpace] {
            let once = normalization.apply(&a).into_owned();
            let twice = normalization.apply(&once).into_owned();
            prop_assert_eq!(twice, once, "{:?}", normalization);
        }
    }

    #[test]
    fn tokens_hold_no_blank_at_their_ends_and_none_is_empty(a in text()) {
        for tokenizer in TOKENIZERS {
            for token in tokenizer.tokenize(&a).iter() {
                prop_assert!(!token.is_empty() && token.trim() == token, "{tokenizer:?} {token:?}");
            }
        }
    }

    #[test]
    fn sentences_are_parts_of_the_text_in_order(a in text()) {
        let mut rest = &*a;
        for sentence in tokenize::sentences(&a) {
            let at = rest.find(sentence);
            prop_assert!(at.is_some(), "{sentence:?}");
            rest = &rest[at.unwrap_or(0) + sentence.len()..];
        }
    }

    #[test]
    fn any_word_has_a_stem(a in "\\PC{0,30}|[a-z*]{0,30}") {
        let _ = stem(&a);
    }
}
