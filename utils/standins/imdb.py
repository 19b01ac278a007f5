"""A stand-in for the IMDB reviews: invented ones, whose opinions are planted twice over.

A review mixes film talk that tells nothing with two kinds of opinion:

* **plain** ones, "the acting is superb", which a bag of words sees: opinion word w is drawn with a
  probability proportional to frequency(w) · exp(KAPPA · polarity(w) · label), the label as ±1.
* **turned** ones, "the plot is not dull at all it is clever": a positive and a negative word,
  drawn with no regard to the label. Which of the two is denied agrees with the label in a share
  `AGREEMENT` of cases. The same words the other way round, "not clever at all it is dull", say the
  opposite, so that a bag of words learns exactly nothing from them.

All else (length, number of opinions, names, the plot) is independent of the label. So what the best
possible reader, and the best possible bag of words, can know of a review is known: its log-odds.
"""

import json
import math
import random
from bisect import bisect
from collections import Counter
from itertools import accumulate

import numpy as np

from utils.standins._english import PAIRS, PATTERNS, lexicon
from utils.standins._files import write_npz

__all__ = ["FOLDER", "VERSION", "write"]

FOLDER, VERSION = "imdb", 4

SIZES = {  # reviews to train, to test; words: median, spread of the logarithm, fewest, most
    "quick": (5_000, 2_000, 80, 0.6, 10, 1_000),
    "full": (8_000, 8_000, 175, 0.7, 10, 2_400),
}
KAPPA = 1.0
AGREEMENT = 0.89
USUAL = 1.5  # exponent of the opinion words' frequencies
ZIPF = {"SURNAME": 0.5, "OWNER": 0.5, "COINED": 0.6, "CRAFTSMAN": 0.7, "TOWN": 0.6}  # others: 1
PLAIN, TURNED = 4.0, 3.5  # mean numbers of opinions in a review that is long enough


class _Writer:
    """Writes sentences from patterns."""

    def __init__(self, seed):
        self.random = random.Random(seed).random
        lists = lexicon()
        family = list(zip(lists["SURNAME"], lists["OWNER"], strict=True))
        random.Random(seed).shuffle(family)  # which names are usual
        lists["SURNAME"], lists["OWNER"] = zip(*family, strict=True)
        self.rules = {
            symbol: ([(word,) for word in words], _cumulative(len(words), ZIPF.get(symbol, 1.0)))
            for symbol, words in lists.items()
        }
        for symbol, patterns in PATTERNS.items():
            self.rules[symbol] = (
                [tuple(p.split()) for p in patterns],
                _cumulative(len(patterns), 0),
            )

    def pick(self, options, cumulative):
        return options[bisect(cumulative, self.random() * cumulative[-1])]

    def write(self, symbol, places=None):
        """Return a sentence as a list of words; `places` fills DENIED and CLAIMED."""
        words, pending = [], list(reversed(self.pick(*self.rules[symbol])))
        rules = self.rules
        while pending:
            token = pending.pop()
            if token in rules:
                pending.extend(reversed(self.pick(*rules[token])))
            elif places and token in places:
                words.append(places[token])
            else:
                words.append(token)
        return [
            ("an" if words[i + 1][0] in "aeiou" else "a") if word == "A" else word
            for i, word in enumerate(words)
        ]


def _cumulative(count, exponent):
    """Return cumulated Zipf weights."""
    return list(accumulate((rank + 2.0) ** -exponent for rank in range(count)))


def write(folder, *, scale, seed):
    """Write `imdb.npz` and `imdb_word_index.json`, and return what was planted.

    Parameters
    ----------
    folder : pathlib.Path
        An empty folder.
    scale : {"quick", "full"}
        5,000 reviews to train and 2,000 to test, of 100 words on average; or 8,000 and 8,000
        of 230.
    seed : int
        Of everything drawn.

    Returns
    -------
    dict of str to numpy.ndarray
        `polar_words`, `polarity`: the opinion words and how much they say, -1 to 1.
        For each half, in file order: `score_train`, `score_test` (n,), the log-odds that a
        review is positive for one who reads everything, and `bag_score_train`, `bag_score_test`
        (n,), the log-odds for one who is told only how often each word occurs. A bag of
        words cannot expect to be right more often than the mean of 1 / (1 + exp(-|bag_score|)).
    """
    n_train, n_test, *shape = SIZES[scale]
    writer = _Writer(seed)
    opinions = _Opinions(writer)
    texts, planted = {}, {}
    labels = {"train": np.repeat([1, 0], n_train // 2), "test": np.repeat([1, 0], n_test // 2)}
    for half, y in labels.items():
        reviews, scores = [], []
        for label in y.tolist():
            words, score, bag_score = _review(writer, opinions, 2 * label - 1, *shape)
            reviews.append(words)
            scores.append((score, bag_score))
        texts[half] = reviews
        planted[f"score_{half}"], planted[f"bag_score_{half}"] = np.array(scores).T
    counts = Counter(word for reviews in texts.values() for review in reviews for word in review)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    rank = {word: position for position, word in enumerate(ranked, 1)}
    arrays = {}
    for half, reviews in texts.items():
        arrays[f"x_{half}"] = np.empty(len(reviews), object)
        arrays[f"x_{half}"][:] = [[rank[word] for word in review] for review in reviews]
        arrays[f"y_{half}"] = labels[half]
    write_npz(folder / "imdb.npz", arrays)
    (folder / "imdb_word_index.json").write_text(json.dumps(rank), encoding="utf-8")
    return {
        **planted,
        "polar_words": np.array(list(opinions.polarity)),
        "polarity": np.array(list(opinions.polarity.values())),
    }


class _Opinions:
    """The opinion words, and draws from them."""

    def __init__(self, writer):
        self.writer = writer
        ranked = []  # (usual first, positive, negative, strength)
        for strength, words in PAIRS.items():
            for place, pair in enumerate(zip(words[::2], words[1::2], strict=True)):
                ranked.append((place, *pair, strength))
        ranked.sort(key=lambda entry: entry[0])
        weights = [(place + 3.0) ** -USUAL for place in range(len(ranked))]
        self.polarity = {}
        for _, positive, negative, strength in ranked:
            self.polarity[positive], self.polarity[negative] = strength, -strength
        self.pairs = [entry[1:3] for entry in ranked]
        self.usual = list(accumulate(weights))
        self.words = [word for column in zip(*self.pairs, strict=True) for word in column]
        self.tilted = {
            sign: list(
                accumulate(
                    weight * math.exp(KAPPA * sign * self.polarity[word])
                    for word, weight in zip(self.words, weights * 2, strict=True)
                )
            )
            for sign in (1, -1)
        }

    def plain(self, sign):
        word = self.writer.pick(self.words, self.tilted[sign])
        return self.writer.write("PLAIN", {"CLAIMED": word}), 2 * KAPPA * self.polarity[word]

    def turned(self, sign):
        says = sign if self.writer.random() < AGREEMENT else -sign
        claimed, denied = self.writer.pick(self.pairs, self.usual)[::says]
        words = self.writer.write("TURNED", {"CLAIMED": claimed, "DENIED": denied})
        return words, says * math.log(AGREEMENT / (1 - AGREEMENT))


def _poisson(random_, mean):
    count, level, product = 0, math.exp(-mean), random_()
    while product > level:
        count += 1
        product *= random_()
    return count


def _review(writer, opinions, sign, median, spread, fewest, most):
    """Write one review; return its words and the two log-odds."""
    draw = writer.random
    normal = math.sqrt(-2 * math.log(1 - draw())) * math.cos(2 * math.pi * draw())
    length = min(max(median * math.exp(spread * normal), fewest), most - 40)
    room = min(1.0, length / 90)
    score = bag_score = 0.0
    sentences = []
    for _ in range(1 + _poisson(draw, (PLAIN - 1) * room)):
        words, odds = opinions.plain(sign)
        sentences.append(words)
        score, bag_score = score + odds, bag_score + odds
    for _ in range(_poisson(draw, TURNED * room)):
        words, odds = opinions.turned(sign)
        sentences.append(words)
        score += odds
    written = sum(map(len, sentences))
    first, last = [], []
    if length > 50 and draw() < 0.7:
        first = writer.write("OPENING")
        written += len(first)
    if length > 50 and draw() < 0.4:
        last = writer.write("CLOSING")
        written += len(last)
    while written < length:
        words = writer.write("STORY" if draw() < 0.6 else "TRIVIA")
        if draw() < 0.1:
            words += ["br", "br"]
        sentences.append(words)
        written += len(words)
    for i in range(len(sentences) - 1, 0, -1):  # shuffle
        j = int(draw() * (i + 1))
        sentences[i], sentences[j] = sentences[j], sentences[i]
    return [word for words in (first, *sentences, last) for word in words], score, bag_score
