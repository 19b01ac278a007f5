"""A stand-in for Nietzsche's *Beyond Good and Evil*: aphorisms by a source of known entropy.

A small weighted grammar writes sentences, each independent of the others. Every sentence can be
written in one way only, so what it tells is exactly the sum of -log2(weight) over the choices
made. From that follow, with no model and no estimate, the entropy of the source in bits per
character and per word, and what each single sentence costs. On long texts no model can get below.

Most choices depend on the last word or two, so that counting n-grams gets close. Some do not: the
verb agrees with a noun that may stand eight words before, and "not only" must find its "but also".
"""

import math
import random
from bisect import bisect
from functools import cache
from itertools import accumulate

import numpy as np

__all__ = ["FOLDER", "VERSION", "write"]

FOLDER, VERSION = "nietzsche", 1

SIZES = {"quick": 150_000, "full": 600_000}  # characters, to the end of the aphorism
ZIPF = 0.6  # of a word's weight, by its place in its list
LAST = 0.2  # probability that a sentence is the last of its aphorism
ATTACHED = ",.!?-"  # what begins with one of these follows its word with no space

WORDS = {
    "PERSON": """philosopher man woman thinker saint artist poet scholar sceptic moralist priest
        believer herald disciple tyrant actor æsthete hermit wanderer physician""",
    "PERSONS": """philosophers men women thinkers saints artists poets scholars sceptics moralists
        priests believers heralds disciples tyrants actors æsthetes hermits wanderers
        physicians""",
    "THING": """truth morality soul will spirit virtue conscience faith instinct pity pride
        solitude suffering taste danger freedom power suspicion vanity gratitude memory cruelty
        naïveté seriousness melancholy necessity courage obedience appearance knowledge""",
    "OBJECT": """mask abyss herd age people world ladder desert mountain mirror temple prejudice
        question secret shadow festival burden book lie sea""",
    "QUALITY": """free noble dangerous deep old new modern strange cold cheerful weary proud
        profound gloomy blasé delicate tragic subtle coarse honest""",
    "LOVES": """loves fears despises seeks knows conceals needs honours forgets overcomes
        interprets worships denies deceives forgives""",
    "LOVE": """love fear despise seek know conceal need honour forget overcome interpret worship
        deny deceive forgive""",
    "OFTEN": "often always never perhaps hardly secretly still at_last gladly only_rarely",
    "OPENING": """indeed after_all in_short of_course granted once_more in_the_end alas to_this_day
        finally""",
    "WAS": "was became remained seemed",
    "WERE": "were grew stayed appeared",
    "WHEN": "when where because although until as_soon_as",
}

# weight, then the symbols in their order; capitals stand for a rule or a list of words
RULES = {
    "SENTENCE": [
        (8, "CLAIM END"),
        (2, "OPENING , CLAIM END"),
        (2, "WHEN MANY PLURALVERB , CLAIM END"),
        (1, "who would not ASK ?"),
        (1, "ONE WAS not only QUALITY but also QUALITY END"),
        (1, "MANY WERE not only QUALITY but also QUALITY END"),
    ],
    "CLAIM": [(5, "ONE SINGULARVERB"), (4, "MANY PLURALVERB"), (2, "THING is DEGREE QUALITY")],
    "ONE": [(5, "the PERSON"), (3, "the QUALITY PERSON"), (2, "the PERSON who LOVES MANYTHINGS")],
    "MANY": [(4, "all PERSONS"), (3, "QUALITY PERSONS"), (2, "those PERSONS who LOVE ONETHING")],
    "SINGULARVERB": [(4, "LOVES THINGS"), (2, "OFTEN LOVES THINGS"), (1, "WAS QUALITY")],
    "PLURALVERB": [(4, "LOVE THINGS"), (2, "OFTEN LOVE THINGS"), (1, "WERE QUALITY")],
    "THINGS": [(3, "ONETHING"), (2, "MANYTHINGS"), (2, "the THING of the OBJECT")],
    "ONETHING": [(3, "one's OWN THING"), (2, "every OBJECT")],
    "MANYTHINGS": [(2, "both THING and THING"), (1, "one OBJECT after another --and PERSONS")],
    "OWN": [(2, "own"), (1, "QUALITY")],
    "DEGREE": [(3, "too"), (2, "more than"), (2, "never quite"), (1, "still")],
    "ASK": [(2, "LOVE ONETHING"), (1, "wish to LOVE MANYTHINGS")],
    "END": [(12, "."), (3, "!"), (1, "...")],
}


def _grammar():
    """Return {symbol: [(probability, symbols), ...]}, rules and lists of words alike."""
    lists = {
        symbol: [((place + 2.0) ** -ZIPF, word) for place, word in enumerate(words.split())]
        for symbol, words in WORDS.items()
    }
    grammar = {}
    for symbol, options in (RULES | lists).items():
        total = sum(weight for weight, _ in options)
        grammar[symbol] = [(weight / total, tuple(right.split())) for weight, right in options]
    return grammar


def write(folder, *, scale, seed):
    """Write `nietzsche.txt`, and return what was planted.

    Parameters
    ----------
    folder : pathlib.Path
        An empty folder.
    scale : {"quick", "full"}
        About 150,000 characters, or 600,000 as in the real file.
    seed : int
        Of everything drawn.

    Returns
    -------
    dict of str to numpy.ndarray
        `bits_per_character`, `bits_per_word`: the entropy of the source, exactly; words and
        marks count as words, as the word view of :func:`utils.datasets.load_text` has them.
        `sentence_end` (n,): where each sentence ends, in characters, the blank after it included,
        and `sentence_bits` (n,): what it tells, in bits. So characters
        `sentence_end[i]:sentence_end[j]` hold `sentence_bits[i + 1 : j + 1].sum()` bits.
    """
    rules = _grammar()
    cumulative = {
        symbol: list(accumulate(p for p, _ in options)) for symbol, options in rules.items()
    }
    draw = random.Random(seed).random
    text, ends, bits, length = [], [], [], 0
    last = True
    while length < SIZES[scale] or not last:
        words, told, pending = [], 0.0, ["SENTENCE"]
        while pending:
            symbol = pending.pop()
            if symbol not in rules:
                words.append(symbol)
                continue
            sums = cumulative[symbol]
            choice = min(bisect(sums, draw()), len(sums) - 1)  # the sum may end at 0.999...
            probability, right = rules[symbol][choice]
            told -= math.log2(probability)
            pending.extend(reversed(right))
        last = draw() < LAST
        text.append(_spelled(words) + ("\n\n" if last else " "))
        length += len(text[-1])
        ends.append(length)
        bits.append(told - math.log2(LAST if last else 1 - LAST))
    (folder / "nietzsche.txt").write_bytes("".join(text).encode("utf-8"))
    entropy, characters, words = _expected()
    return {
        "bits_per_character": np.array(entropy / characters),
        "bits_per_word": np.array(entropy / words),
        "sentence_end": np.array(ends),
        "sentence_bits": np.array(bits),
    }


def _spelled(words):
    """Return a sentence as it is printed, with its capital but no blank after it."""
    printed = "".join(
        word if word[0] in ATTACHED else f" {word.replace('_', ' ')}" for word in words
    )[1:]
    return printed[0].upper() + printed[1:]


def _expected():
    """Return the expected bits, characters and words of a sentence, the blank after it included.

    Each is a sum over the grammar: a choice's entropy and what it leads to, weighted.
    """
    rules = _grammar()

    @cache
    def expect(symbol):
        if symbol not in rules:
            words = 1 + symbol.count("_") + (symbol[:2] == "--" != symbol)
            return np.array([0.0, (symbol[0] not in ATTACHED) + len(symbol), words])
        return sum(
            p * (np.array([-math.log2(p), 0, 0]) + sum(expect(part) for part in right))
            for p, right in rules[symbol]
        )

    bits, characters, words = expect("SENTENCE")
    # in place of the blank before its first word count the one after it, or two line ends
    stop = -LAST * math.log2(LAST) - (1 - LAST) * math.log2(1 - LAST)
    return bits + stop, characters + LAST, words + LAST
