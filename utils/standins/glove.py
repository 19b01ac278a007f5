"""A stand-in for the GloVe vectors: the words of the IMDB stand-in, in planted clusters.

Written in the form of Stanford's text file. Words of a kind lie around a common centre, opinion
words along a line from the most negative to the most positive, and one word in twenty is
missing, as real vectors miss some words of any text.
"""

import json
from itertools import cycle

import numpy as np

from utils import standins
from utils.standins._english import CLUSTERS, PAIRS, lexicon

__all__ = ["FOLDER", "VERSION", "write"]

FOLDER, VERSION = "glove", 3

WIDTH = 50
CENTRE_SD, WORD_SD = 0.45, 0.25  # of centres, and of words around theirs, in each dimension
OPINION_REACH = 3.0  # distance of the strongest opinion words from their centre
MISSING = 0.05
PUNCTUATION = (",", ".", "'s", "-", "(", ")", ":", ";", "?", "!", "--", "...", "\u00a0")


def write(folder, *, scale, seed):
    """Write `glove.6B.50d.txt`, and return what was planted.

    Parameters
    ----------
    folder : pathlib.Path
        An empty folder.
    scale : {"quick", "full"}
        Of the IMDB stand-in whose words get vectors.
    seed : int
        Of that stand-in, and of everything drawn.

    Returns
    -------
    dict of str to numpy.ndarray
        `words` (n,), in file order; `cluster` (n,), the number of each word's cluster;
        `cluster_names`; `centres` (clusters, 50); `polarity` (n,), -1 to 1, 0 for words that are
        no opinions; `opinion_axis` (50,), along which opinion words lie; `missing`, the words of
        the IMDB stand-in that have no vector.
    """
    reviews = standins.make("imdb", scale=scale, seed=seed)
    rank = json.loads((reviews / "imdb_word_index.json").read_text(encoding="utf-8"))
    rng = np.random.default_rng(seed)
    ranked = np.array(sorted(rank, key=rank.get))
    lost = rng.random(len(ranked)) < MISSING
    lost[:20] = False  # nobody misses "the"
    kept = ranked[~lost].tolist()
    words = [*kept[:1], *PUNCTUATION, *kept[1:]]

    polarity_of = {
        word: sign * strength
        for strength, pairs in PAIRS.items()
        for word, sign in zip(pairs, cycle((1, -1)), strict=False)
    }
    polarity = np.array([polarity_of.get(word, 0.0) for word in words])
    cluster_names, cluster_of = _clusters(polarity_of)
    cluster = np.array([cluster_of.get(word, len(cluster_names) - 1) for word in words])

    centres = rng.normal(0, CENTRE_SD, (len(cluster_names), WIDTH))
    opinion_axis = rng.normal(0, 1, WIDTH)
    opinion_axis /= np.linalg.norm(opinion_axis)
    centres[1] = centres[0]  # opinion words differ by their place along the axis only
    vectors = centres[cluster] + OPINION_REACH * polarity[:, None] * opinion_axis
    vectors += rng.normal(0, WORD_SD, vectors.shape)
    with (folder / "glove.6B.50d.txt").open("w", encoding="utf-8", newline="\n") as file:
        for word, vector in zip(words, vectors.tolist(), strict=True):
            file.write(f"{word} {' '.join(f'{value:.5g}' for value in vector)}\n")
    return {
        "words": np.array(words),
        "cluster": cluster,
        "cluster_names": np.array(cluster_names),
        "centres": centres,
        "polarity": polarity,
        "opinion_axis": opinion_axis,
        "missing": ranked[lost],
    }


def _clusters(polarity_of):
    """Return the clusters' names, and each word's cluster; the last is for all other words."""
    names, cluster_of = ["praise", "blame"], {}
    for word, polarity in polarity_of.items():
        cluster_of[word] = int(polarity < 0)
    cluster_of.update(dict.fromkeys(PUNCTUATION, len(names)))
    names.append("punctuation")
    lists = lexicon()
    for name, symbols in CLUSTERS.items():
        for symbol in symbols:
            for word in lists[symbol]:
                cluster_of.setdefault(word, len(names))
        names.append(name)
    return [*names, "others"], cluster_of
