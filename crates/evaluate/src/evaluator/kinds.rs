//! The table of evaluators.

use super::registry::{EvaluatorKind, KindInput, Range};
use crate::binding::Family;

const fn input(name: &'static str, family: Option<Family>, required: bool) -> KindInput {
    KindInput { name, family, required }
}

const RESPONSE: KindInput = input("response", Some(Family::Response), true);
const GROUND_TRUTH: KindInput = input("ground_truth", Some(Family::GroundTruth), true);
const QUERY: KindInput = input("query", Some(Family::Query), true);
const CONTEXT: KindInput = input("context", Some(Family::Context), true);
const CONVERSATION: KindInput = input("conversation", Some(Family::Conversation), false);
const PAIR: &[KindInput] = &[RESPONSE, GROUND_TRUTH];

const UNIT: Range = Range::Scale(0.0, 1.0);
const STARS: Range = Range::Scale(1.0, 5.0);

/// What most kinds have in common.
const PLAIN: EvaluatorKind = EvaluatorKind {
    name: "",
    also: &[],
    about: "",
    inputs: PAIR,
    options: &[],
    range: Range::Boolean,
    azure_key: "",
    promptflow_key: "",
    usual_threshold: None,
};

/// An overlap of words.
const OVERLAP: EvaluatorKind = EvaluatorKind { range: UNIT, usual_threshold: Some(0.5), ..PLAIN };

/// A prompt of ours.
const JUDGED: EvaluatorKind = EvaluatorKind {
    range: STARS,
    options: &["prompt", "connection", "deployment", "repeats", "score_key"],
    usual_threshold: Some(3.0),
    ..PLAIN
};

/// A pair of rouge's keys: its three parts are keys of their own in promptflow-evals.
const ROUGE: EvaluatorKind =
    EvaluatorKind { options: &["measure", "stemmer"], promptflow_key: "rouge_f1_score", ..OVERLAP };

/// Every kind, in the order of the documentation.
pub static KINDS: &[EvaluatorKind] = &[
    EvaluatorKind {
        name: "exact_match",
        about: "whether the answer is the expected one; lists in any order",
        options: &["normalization", "ordered"],
        ..PLAIN
    },
    EvaluatorKind {
        name: "partial_match",
        about: "whether one of answer and expectation holds the other; of lists, whether all that was answered is expected",
        options: &["normalization"],
        ..PLAIN
    },
    EvaluatorKind {
        name: "list_match",
        about: "how a list of answers stands to the expected list",
        options: &["normalization", "ordered", "measure"],
        range: Range::Own,
        ..PLAIN
    },
    EvaluatorKind {
        name: "contains",
        about: "whether the answer holds a text",
        inputs: &[RESPONSE, input("text", Some(Family::GroundTruth), true)],
        options: &["normalization"],
        ..PLAIN
    },
    EvaluatorKind {
        name: "contains_any",
        about: "whether the answer holds one of several texts",
        inputs: &[RESPONSE, input("texts", Some(Family::GroundTruth), true)],
        options: &["normalization"],
        ..PLAIN
    },
    EvaluatorKind {
        name: "contains_all",
        about: "whether the answer holds each of several texts",
        inputs: &[RESPONSE, input("texts", Some(Family::GroundTruth), true)],
        options: &["normalization"],
        ..PLAIN
    },
    EvaluatorKind {
        name: "contains_none",
        also: &["not_contains"],
        about: "whether the answer holds none of several texts",
        inputs: &[RESPONSE, input("texts", None, true)],
        options: &["normalization"],
        ..PLAIN
    },
    EvaluatorKind {
        name: "starts_with",
        about: "whether the answer begins with a text",
        inputs: &[RESPONSE, input("text", Some(Family::GroundTruth), true)],
        options: &["normalization"],
        ..PLAIN
    },
    EvaluatorKind {
        name: "ends_with",
        about: "whether the answer ends with a text",
        inputs: &[RESPONSE, input("text", Some(Family::GroundTruth), true)],
        options: &["normalization"],
        ..PLAIN
    },
    EvaluatorKind {
        name: "regex",
        also: &["matches"],
        about: "whether a regular expression is found in the answer",
        inputs: &[RESPONSE, input("pattern", None, true)],
        ..PLAIN
    },
    EvaluatorKind { name: "valid_json", about: "whether the answer is JSON", inputs: &[RESPONSE], ..PLAIN },
    EvaluatorKind { name: "json_equal", about: "whether the answer is the expected JSON", ..PLAIN },
    EvaluatorKind {
        name: "json_schema",
        also: &["valid_schema"],
        about: "whether the answer is JSON of a schema (drafts 4 to 2020-12)",
        inputs: &[RESPONSE],
        options: &["schema"],
        ..PLAIN
    },
    EvaluatorKind {
        name: "json_path",
        about: "whether the answer has the expected value at a path; without one, whether it has any",
        inputs: &[RESPONSE, input("ground_truth", Some(Family::GroundTruth), false)],
        options: &["path", "normalization", "tolerance", "relative_tolerance"],
        ..PLAIN
    },
    EvaluatorKind {
        name: "numeric",
        about: "whether the answer is the expected number, or near enough",
        options: &["tolerance", "relative_tolerance"],
        ..PLAIN
    },
    EvaluatorKind {
        name: "f1",
        also: &["f1_score"],
        about: "words that answer and expectation share",
        options: &["measure"],
        azure_key: "f1_score",
        promptflow_key: "f1_score",
        ..OVERLAP
    },
    EvaluatorKind {
        name: "bleu",
        also: &["bleu_score"],
        about: "BLEU of one sentence, as nltk computes it",
        options: &["tokenizer"],
        azure_key: "bleu_score",
        promptflow_key: "bleu_score",
        ..OVERLAP
    },
    EvaluatorKind {
        name: "gleu",
        also: &["gleu_score"],
        about: "Google's BLEU for sentences",
        options: &["tokenizer"],
        azure_key: "gleu_score",
        promptflow_key: "gleu_score",
        ..OVERLAP
    },
    EvaluatorKind { name: "rouge1", about: "single words in common", azure_key: "rouge", ..ROUGE },
    EvaluatorKind { name: "rouge2", about: "pairs of words in common", azure_key: "rouge", ..ROUGE },
    EvaluatorKind { name: "rouge3", about: "runs of three words in common", azure_key: "rouge", ..ROUGE },
    EvaluatorKind { name: "rouge4", about: "runs of four words in common", azure_key: "rouge", ..ROUGE },
    EvaluatorKind { name: "rouge5", about: "runs of five words in common", azure_key: "rouge", ..ROUGE },
    EvaluatorKind {
        name: "rougeL",
        also: &["rougel", "rouge_l"],
        about: "the longest common subsequence of words",
        azure_key: "rouge",
        ..ROUGE
    },
    EvaluatorKind {
        name: "meteor",
        also: &["meteor_score"],
        about: "words in common, by stems and synonyms too",
        options: &["tokenizer", "alpha", "beta", "gamma"],
        azure_key: "meteor_score",
        promptflow_key: "meteor_score",
        ..OVERLAP
    },
    EvaluatorKind {
        name: "sacrebleu",
        about: "BLEU of one sentence, as sacrebleu computes it, from 0 to 100",
        range: Range::Scale(0.0, 100.0),
        ..PLAIN
    },
    EvaluatorKind {
        name: "levenshtein",
        also: &["levenshtein_distance", "edit_distance"],
        about: "how many letters to insert, delete or replace",
        options: &["normalization"],
        range: Range::LowerIsBetter,
        ..PLAIN
    },
    EvaluatorKind {
        name: "levenshtein_ratio",
        about: "1 less the share of letters to insert, delete or replace",
        options: &["normalization"],
        ..OVERLAP
    },
    EvaluatorKind {
        name: "indel_ratio",
        about: "1 less the share of letters to insert or delete",
        options: &["normalization"],
        ..OVERLAP
    },
    EvaluatorKind {
        name: "cosine",
        also: &["embedding_cosine", "embedding_similarity"],
        about: "how near the meanings of answer and expectation are, by their embeddings",
        options: &["connection", "deployment"],
        range: Range::Scale(-1.0, 1.0),
        ..PLAIN
    },
    EvaluatorKind {
        name: "latency",
        about: "how long the answer took, in milliseconds",
        inputs: &[],
        range: Range::LowerIsBetter,
        ..PLAIN
    },
    EvaluatorKind {
        name: "cost",
        about: "what the answer cost at list price, in US dollars",
        inputs: &[],
        range: Range::LowerIsBetter,
        ..PLAIN
    },
    EvaluatorKind {
        name: "tokens",
        about: "how many tokens the answer took",
        inputs: &[],
        options: &["count"],
        range: Range::LowerIsBetter,
        ..PLAIN
    },
    EvaluatorKind {
        name: "expression",
        about: "what an expression over `data`, `target`, `run` and `scores` says",
        inputs: &[],
        options: &["expression", "scale"],
        range: Range::Own,
        ..PLAIN
    },
    EvaluatorKind {
        name: "groundedness",
        also: &["gpt_groundedness"],
        about: "whether the context bears out what the answer says",
        inputs: &[input("query", Some(Family::Query), false), RESPONSE, CONTEXT, CONVERSATION],
        azure_key: "groundedness",
        promptflow_key: "gpt_groundedness",
        ..JUDGED
    },
    EvaluatorKind {
        name: "relevance",
        also: &["gpt_relevance"],
        about: "whether the answer is about what was asked, and all of it",
        inputs: &[QUERY, RESPONSE, input("context", Some(Family::Context), false), CONVERSATION],
        azure_key: "relevance",
        promptflow_key: "gpt_relevance",
        ..JUDGED
    },
    EvaluatorKind {
        name: "coherence",
        also: &["gpt_coherence"],
        about: "whether the answer hangs together",
        inputs: &[QUERY, RESPONSE, CONVERSATION],
        azure_key: "coherence",
        promptflow_key: "gpt_coherence",
        ..JUDGED
    },
    EvaluatorKind {
        name: "fluency",
        also: &["gpt_fluency"],
        about: "whether the answer is well written",
        inputs: &[RESPONSE, CONVERSATION],
        azure_key: "fluency",
        promptflow_key: "gpt_fluency",
        ..JUDGED
    },
    EvaluatorKind {
        name: "similarity",
        also: &["gpt_similarity"],
        about: "whether the answer says what the expected answer says",
        inputs: &[QUERY, RESPONSE, GROUND_TRUTH],
        azure_key: "similarity",
        promptflow_key: "gpt_similarity",
        ..JUDGED
    },
    EvaluatorKind {
        name: "retrieval",
        also: &["gpt_retrieval"],
        about: "whether what was retrieved helps with the question, the best of it first",
        inputs: &[QUERY, CONTEXT, CONVERSATION],
        azure_key: "retrieval",
        promptflow_key: "gpt_retrieval",
        ..JUDGED
    },
    EvaluatorKind {
        name: "response_completeness",
        about: "whether the answer has all that the expected answer has",
        inputs: &[RESPONSE, GROUND_TRUTH],
        azure_key: "response_completeness",
        ..JUDGED
    },
    EvaluatorKind {
        name: "rubric",
        about: "how far the answer meets criteria of one's own",
        inputs: &[
            RESPONSE,
            input("query", Some(Family::Query), false),
            input("context", Some(Family::Context), false),
            input("ground_truth", Some(Family::GroundTruth), false),
            CONVERSATION,
        ],
        options: &[
            "criteria",
            "scale",
            "levels",
            "reasoning",
            "weighted",
            "prompt",
            "connection",
            "deployment",
            "repeats",
            "score_key",
        ],
        range: Range::Own,
        usual_threshold: None,
        ..JUDGED
    },
    EvaluatorKind {
        name: "judge",
        also: &["prompt"],
        about: "what a prompt of one's own says",
        inputs: &[],
        options: &["prompt", "connection", "deployment", "repeats", "score_key", "scale"],
        range: Range::Own,
        usual_threshold: None,
        ..JUDGED
    },
    EvaluatorKind {
        name: "pairwise",
        about: "whether the answer is better than another one: 1, a tie 0.5, worse 0; asked in both orders",
        inputs: &[QUERY, RESPONSE, input("other", Some(Family::Other), true)],
        options: &["criteria", "prompt", "connection", "deployment", "repeats", "score_key"],
        range: UNIT,
        usual_threshold: Some(0.5),
        ..JUDGED
    },
    EvaluatorKind {
        name: "select_best",
        about: "whether the answer is the best among several",
        inputs: &[QUERY, RESPONSE, input("candidates", None, true)],
        options: &["criteria", "prompt", "connection", "deployment", "repeats", "score_key"],
        range: Range::Boolean,
        usual_threshold: None,
        ..JUDGED
    },
    EvaluatorKind {
        name: "flow",
        about: "what an evaluation flow says",
        inputs: &[],
        options: &["flow", "score", "scores", "scale", "boolean", "connection", "deployment"],
        range: Range::Own,
        ..PLAIN
    },
    EvaluatorKind {
        name: "python",
        about: "what a Python function says",
        inputs: &[],
        options: &["call", "folder", "score", "scores", "scale", "boolean"],
        range: Range::Own,
        ..PLAIN
    },
];
