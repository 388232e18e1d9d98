"""Rows per CPU second of the Python packages over the golden pairs, to be held beside `cargo bench --bench text`.

    pip install nltk==3.10.4 rouge-score==0.1.2 sacrebleu==2.6.0 Levenshtein
    python text_metrics.py [NLTK_DATA]

NLTK_DATA needs punkt_tab, wordnet and perluniprops; what they are needed for is left out, or does less, where they are
missing.
"""

import collections
import json
import pathlib
import re
import string
import sys
import time

import nltk
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from nltk.translate.gleu_score import sentence_gleu
from nltk.translate.meteor_score import meteor_score
from rouge_score import rouge_scorer

if len(sys.argv) > 1:
    nltk.data.path = [sys.argv[1]]

ROWS = pathlib.Path(__file__).parent.parent / "tests" / "data" / "text_metrics.jsonl"
PAIRS = {}
for line in ROWS.open(encoding="utf-8"):
    row = json.loads(line)
    if row["metric"] == "f1_score":
        PAIRS[row["case"]] = (row["prediction"], row["reference"])


# Without its data sentences are not told apart, which is less work than the evaluators of others do.
try:
    nltk.word_tokenize("a")
    HAS_PUNKT = True
except LookupError:
    HAS_PUNKT = False


def tokens(text):
    if text.isascii():
        return nltk.word_tokenize(text, preserve_line=not HAS_PUNKT)
    from nltk.tokenize.nist import NISTTokenizer

    return NISTTokenizer().international_tokenize(text)


def squad(text):
    text = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def f1(a, b):
    a, b = squad(a), squad(b)
    common = sum((collections.Counter(a) & collections.Counter(b)).values())
    return 2 * common / (len(a) + len(b)) if common else 0.0


METHOD = SmoothingFunction().method4
ROUGE = {
    (kind, stem): rouge_scorer.RougeScorer([kind], use_stemmer=stem)
    for kind, stem in (("rouge1", False), ("rougeL", False), ("rougeL", True))
}
METRICS = {
    "f1": f1,
    "bleu_azure": lambda a, b: sentence_bleu([tokens(b)], tokens(a), smoothing_function=METHOD),
    "gleu_azure": lambda a, b: sentence_gleu([tokens(b)], tokens(a)),
    "rouge1": lambda a, b: ROUGE["rouge1", False].score(b, a),
    "rouge_l": lambda a, b: ROUGE["rougeL", False].score(b, a),
    "rouge_l_stemmed": lambda a, b: ROUGE["rougeL", True].score(b, a),
    "meteor_azure": lambda a, b: meteor_score([tokens(b)], tokens(a)),
}
try:
    from sacrebleu.metrics import BLEU

    SACREBLEU = BLEU(effective_order=True)
    METRICS["sacrebleu_sentence"] = lambda a, b: SACREBLEU.sentence_score(a, [b]).score
except ImportError:
    pass
try:
    import Levenshtein

    METRICS["levenshtein"] = Levenshtein.distance
except ImportError:
    pass

for name, pairs in (("all", list(PAIRS.values())), ("short", [p for p in PAIRS.values() if len(p[0]) <= 1000])):
    for metric, score in METRICS.items():
        able, why = [], ""
        for pair in pairs:
            try:
                score(*pair)
                able.append(pair)
            except LookupError as missing:
                why = str(missing).strip().splitlines()[1].strip()
        if not able:
            print(f"{name:6} {metric:20} left out: {why}")
            continue
        start, rounds = time.process_time(), 0
        while time.process_time() - start < 2:
            for pair in able:
                score(*pair)
            rounds += 1
        note = f"  ({len(pairs) - len(able)} of {len(pairs)} pairs left out)" if why else ""
        print(f"{name:6} {metric:20} {rounds * len(able) / (time.process_time() - start):12.0f} rows/s{note}")
