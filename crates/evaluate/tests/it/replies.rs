//! Replies as judges give them.

use proptest::prelude::*;
use sluicegate_evaluate::judge::{Reply, Wanted, parse_reply};
use sluicegate_value::{Value, json};

const STARS: Wanted = Wanted::Scale { lowest: 1.0, highest: 5.0 };
const UNIT: Wanted = Wanted::Scale { lowest: 0.0, highest: 1.0 };

#[track_caller]
fn check(wanted: Wanted, reply: &str, expected: &str) {
    let shown = match parse_reply(&Value::from(reply), wanted, None, false) {
        Reply::Scored { score, reason, .. } if reason.is_empty() => score.to_string(),
        Reply::Scored { score, reason, .. } => {
            format!("{score} because {}", reason.split_whitespace().collect::<Vec<_>>().join(" "))
        }
        Reply::Unscored(why) => why,
    };
    assert_eq!(shown, expected, "{reply}");
}

#[test]
fn json_anywhere_is_read() {
    check(STARS, r#"{"reason": "All of it.", "score": 4}"#, "4 because All of it.");
    check(STARS, "```json\n{\"score\": 4, \"explanation\": \"ok\"}\n```", "4 because ok");
    check(STARS, "Here is my verdict:\n\n{\"Score\": \"4/5\"}\n\nI hope it helps, 3 cheers!", "4");
    check(STARS, r#"{"rating": 3.5}"#, "3.5");
    check(STARS, r#"{"groundedness": 5, "reason": "x"}"#, "5 because x");
    check(STARS, r#"{"score": {"value": 2, "reason": "nested"}}"#, "2 because nested");
    check(STARS, r#"The answer said {"score": 5}, so: {"reason": "it begged", "score": 1}"#, "1 because it begged");
    check(STARS, r#"{"steps": [{"n": 1}, {"n": 2}], "score": "4 - good {really}"}"#, "4");
    check(UNIT, r#"{"score": true}"#, "1");
    check(UNIT, r#"{"result": "FAIL", "reason": "no source"}"#, "0 because no source");
}

#[test]
fn json_that_says_no_score_is_unscored() {
    check(STARS, r#"{"score": null, "reason": "I rate this 4"}"#, "the reply gives no score");
    check(STARS, r#"{"score": 7}"#, "the reply says 7, which is not between 1 and 5");
    check(STARS, r#"{"score": "N/A"}"#, "the reply gives no score");
    check(STARS, r#"{"score": "great"}"#, "the reply has `great` for a score");
    check(STARS, r#"{"score": [4]}"#, "the reply has no number for a score");
    check(STARS, r#"{"a": 1, "b": 2}"#, "the reply is JSON without a score");
    check(STARS, r#"{"score": true}"#, "the reply has no number for a score");
}

#[test]
fn json_that_was_cut_off_is_read_as_far_as_it_goes() {
    check(
        STARS,
        r#"{"score": 4, "reason": "It begins well and th"#,
        "4 because {\"score\": 4, \"reason\": \"It begins well and th",
    );
    check(STARS, r#"{'score': 2, 'reason': 'single quotes'}"#, "2 because {'score': 2, 'reason': 'single quotes'}");
}

#[test]
fn tags_are_read() {
    check(STARS, "<S0>hm</S0><S1>Bears out.</S1><S2>4</S2>", "4 because Bears out.");
    check(STARS, "<S0>Let's think: 3 claims.</S0>\n<S2> 5", "5 because Let's think: 3 claims.");
    check(STARS, "<score>3/5</score>", "3");
    check(Wanted::Winner, "Both are fine, but [[B]]", "0 because Both are fine, but [[B]]");
}

#[test]
fn labels_are_read() {
    check(STARS, "Score: 4", "4");
    check(STARS, "**Score:** 4/5", "4");
    check(
        STARS,
        "The second claim of 3 is wrong.\nFinal score: 2\nA score of 5 would need sources.",
        "2 because The second claim of 3 is wrong. Final score: 2 A score of 5 would need sources.",
    );
    check(STARS, "Score (1-5): 3", "3");
    check(
        STARS,
        "The score is a 4, since 1 of 9 facts is off.",
        "4 because The score is a 4, since 1 of 9 facts is off.",
    );
    check(
        STARS,
        "Score: 3\nOn reflection, 2 facts differ.\nFinal score: 2",
        "2 because Score: 3 On reflection, 2 facts differ. Final score: 2",
    );
    check(STARS, "Score: 8/10", "the reply is on a scale to 10");
    check(STARS, "Rating for relevance: four", "4");
    check(
        Wanted::Winner,
        "A is long-winded, B is wrong.\nWinner: A",
        "1 because A is long-winded, B is wrong. Winner: A",
    );
}

#[test]
fn a_line_of_its_own_is_read() {
    check(STARS, "4", "4");
    check(STARS, " 4.\n", "4");
    check(STARS, "4\n\nThe answer has 2 sources.", "4 because 4 The answer has 2 sources.");
    check(STARS, "It names 2 of 3 sources.\n\n4", "4 because It names 2 of 3 sources. 4");
    check(STARS, "4: 2 of 3 sources are right", "4 because 4: 2 of 3 sources are right");
    check(STARS, "4\nwait, no\n2", "the reply names several scores");
    check(STARS, "five", "5");
    check(UNIT, "Yes", "1");
    check(Wanted::Winner, "tie", "0.5");
    check(Wanted::Choice { of: 3 }, "Answer: 2", "2");
    check(Wanted::Choice { of: 3 }, "4", "the reply says 4, which is not a whole number between 1 and 3");
}

#[test]
fn the_only_number_is_the_score() {
    check(
        STARS,
        "I would give this one 4 stars on a scale of 1-5.",
        "4 because I would give this one 4 stars on a scale of 1-5.",
    );
    check(STARS, "A solid 4 out of 5 from me, GPT-4 style.", "4 because A solid 4 out of 5 from me, GPT-4 style.");
    check(STARS, "Between 3 and 4, I cannot decide which it is.", "the reply names several numbers");
    check(STARS, "It is 2024 and the answer is old-fashioned.", "the reply says 2024, which is not between 1 and 5");
}

#[test]
fn without_a_score_there_is_none() {
    check(STARS, "", "the reply is empty");
    check(STARS, "  \n ", "the reply is empty");
    check(STARS, "none", "the reply gives no score");
    check(
        STARS,
        "I am sorry, but I cannot rate that.",
        "the reply has no score: `I am sorry, but I cannot rate that.`",
    );
    check(STARS, "0", "the reply says 0, which is not between 1 and 5");
    check(STARS, "1. It is short.\n2. It is kind.", "the reply names several numbers");
}

#[test]
fn a_long_reply_is_read_at_its_ends() {
    let padding = "so it goes, ".repeat(40_000);
    check_score(&format!("{padding}\nScore: 3"), 3.0);
    check_score(&format!("{{\"score\": 3}}\n{padding}"), 3.0);
    let braces = "{".repeat(200_000);
    assert!(matches!(parse_reply(&Value::from(braces), STARS, None, false), Reply::Unscored(_)));
}

#[track_caller]
fn check_score(reply: &str, expected: f64) {
    match parse_reply(&Value::from(reply), STARS, None, false) {
        Reply::Scored { score, .. } => assert_eq!(score, expected),
        Reply::Unscored(why) => panic!("{why}"),
    }
}

#[test]
fn the_authors_key_goes_before_the_usual_ones() {
    let reply = Value::from(r#"{"score": 5, "my_score": 2}"#);
    assert!(matches!(parse_reply(&reply, STARS, Some("my_score"), false), Reply::Scored { score: 2.0, .. }));
}

#[test]
fn outputs_of_a_batch_are_read_as_they_are() {
    let read = |text: &str| parse_reply(&json::read(text).unwrap(), STARS, None, false);
    assert!(matches!(read(r#"{"output": "Score: 4"}"#), Reply::Scored { score: 4.0, .. }));
    assert!(matches!(read(r#"{"score": 4, "reason": "x"}"#), Reply::Scored { score: 4.0, .. }));
    assert!(matches!(read("null"), Reply::Unscored(_)));
    let refusal = read(r#"{"choices": [{"message": {"content": null, "refusal": "I will not."}}]}"#);
    assert_eq!(refusal, Reply::Unscored("the reply is a refusal: I will not.".to_owned()));
}

fn weighted(tokens: &str) -> Reply {
    let content = json::read(tokens).expect("JSON");
    let text: String = content
        .as_list()
        .expect("a list")
        .iter()
        .filter_map(|token| token.get("token")?.as_str().map(str::to_owned))
        .collect();
    let answer = format!(
        r#"{{"choices": [{{"message": {{"content": {}}}, "logprobs": {{"content": {tokens}}}}}]}}"#,
        Value::from(text).to_json()
    );
    parse_reply(&json::read(&answer).expect("JSON"), STARS, None, true)
}

#[test]
fn a_score_may_be_the_mean_over_its_tokens() {
    let reply = weighted(
        r#"[{"token": "4 facts. "}, {"token": "Score", "logprob": 0}, {"token": ": ", "logprob": 0},
            {"token": "4", "logprob": -0.6931471805599453, "top_logprobs": [
              {"token": "4", "logprob": -0.6931471805599453}, {"token": "5", "logprob": -1.3862943611198906},
              {"token": "four", "logprob": -100}, {"token": "9", "logprob": -1.6}]}]"#,
    );
    let Reply::Scored { score, weighted: true, .. } = reply else { panic!("{reply:?}") };
    assert!((score - 13.0 / 3.0).abs() < 1e-9, "{score}");
}

#[test]
fn without_probabilities_the_score_is_what_was_said() {
    let reply = weighted(r#"[{"token": "Score: "}, {"token": "4"}]"#);
    assert!(matches!(reply, Reply::Scored { score: 4.0, weighted: false, .. }), "{reply:?}");
    let elsewhere = weighted(
        r#"[{"token": "Score: "}, {"token": "4", "top_logprobs": [{"token": "x", "logprob": -0.01}, {"token": "4", "logprob": -4.6}]}]"#,
    );
    assert!(matches!(elsewhere, Reply::Scored { score: 4.0, weighted: false, .. }), "{elsewhere:?}");
}

proptest! {
    #[test]
    fn no_reply_panics(
        text in r#"([{}<>\[\]"':/,.\-–*` \n]|score|Score:|final score|S2|out of|[0-9]{1,3}|a|B|tie|é|−|𝟜){0,40}"#,
        winner in any::<bool>(),
    ) {
        let wanted = if winner { Wanted::Winner } else { STARS };
        match parse_reply(&Value::from(text), wanted, None, true) {
            Reply::Scored { score, .. } => {
                let fits = if winner { [0.0, 0.5, 1.0].contains(&score) } else { (1.0..=5.0).contains(&score) };
                prop_assert!(fits, "{}", score);
            }
            Reply::Unscored(why) => prop_assert!(!why.is_empty()),
        }
    }

    #[test]
    fn any_text_at_all_is_read(text in "\\PC{0,80}") {
        let _ = parse_reply(&Value::from(text), UNIT, Some("k"), true);
    }

    #[test]
    fn a_score_is_found_whatever_it_is_wrapped_in(score in 1_u8..=5, form in 0_usize..8, prose in "[a-z ,]{0,40}") {
        let wrapped = [
            format!("{score}"),
            format!("{prose}\nScore: {score}/5"),
            format!("{{\"reason\": \"{prose}\", \"score\": {score}}}"),
            format!("```json\n{{\"score\": \"{score}\"}}\n```\n{prose}"),
            format!("<S1>{prose}</S1><S2>{score}</S2>"),
            format!("{prose}\n{score}"),
            format!("{prose} **Rating**: {score} out of 5"),
            format!("{score}\n{prose}"),
        ];
        let reply = parse_reply(&Value::from(wrapped[form].as_str()), STARS, None, false);
        prop_assert!(matches!(reply, Reply::Scored { score: found, .. } if found == f64::from(score)), "{:?} {:?}", wrapped[form], reply);
    }
}
