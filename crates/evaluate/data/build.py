"""Makes the embedded tables from their upstream files. Run by hand; the results are committed.

    python build.py PUNKT_DIR WORDNET_DIR RANGES_JSON

PUNKT_DIR    punkt_tab/english (abbrev_types.txt, collocations.tab, ortho_context.tab, sent_starters.txt)
WORDNET_DIR  WordNet 3.0's dict folder: data.* and *.exc
RANGES_JSON  the three character sets of the NIST tokenizer, as inclusive ranges
"""

import collections
import json
import pathlib
import re
import sys
import zlib

HERE = pathlib.Path(__file__).parent
POS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
MID_UC, UC, BEG_LC, LC = 4, 2 + 4 + 8, 16, 16 + 32 + 64


def write(name, text):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(text.encode()) + packer.flush()
    (HERE / name).write_bytes(packed)
    print(f"{name}: {len(text)} bytes, packed {len(packed)}")


def punkt(folder):
    def lines(name):
        return sorted((folder / name).read_text(encoding="utf-8").splitlines())

    # Only words that were seen in lower case can change a decision: all others behave as unknown ones.
    context = []
    for line in lines("ortho_context.tab"):
        word, flags = line.split("\t")
        flags = int(flags)
        if flags & LC:
            code = bool(flags & MID_UC) + 2 * bool(flags & UC) + 4 * bool(flags & BEG_LC)
            context.append(f"{word}\t{code}")
    sections = [lines("abbrev_types.txt"), lines("collocations.tab"), lines("sent_starters.txt"), context]
    write("punkt_english.deflate", "\n\n".join("\n".join(section) for section in sections))


def wordnet(folder):
    sections = []
    for name, pos in POS.items():
        synsets = set()
        for line in (folder / f"data.{name}").read_text().splitlines():
            if line.startswith(" "):
                continue
            fields = line.split("|")[0].split()
            words = [re.sub(r"\([^()]*\)$", "", fields[4 + 2 * i]) for i in range(int(fields[3], 16))]
            # What holds only phrases gives no synonym.
            if any("_" not in word for word in words):
                synsets.add(frozenset(words))
        holding = collections.defaultdict(set)
        for synset in synsets:
            for word in synset:
                holding[word].add(synset)
        # A set within another one adds nothing to any word's synonyms.
        kept = [s for s in synsets if not any(s < other for other in set.intersection(*(holding[w] for w in s)))]
        sections.append("\n".join(sorted(" ".join(sorted(synset)) for synset in kept)))
    for name in POS:
        exceptions = dict(
            (line.split()[0], line.split()[1:]) for line in (folder / f"{name}.exc").read_text().splitlines()
        )
        sections.append("\n".join(f"{form} {' '.join(bases)}" for form, bases in sorted(exceptions.items())))
    write("wordnet.deflate", "\n\n".join(sections))


def nist(path):
    sets = json.loads(path.read_text())["sets"]
    rows = [" ".join([name] + [f"{a:x}-{b:x}" for a, b in ranges]) for name, ranges in sets.items()]
    (HERE / "nist_ranges.txt").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    punkt(pathlib.Path(sys.argv[1]))
    wordnet(pathlib.Path(sys.argv[2]))
    nist(pathlib.Path(sys.argv[3]))
