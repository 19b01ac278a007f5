"""A stand-in for the GloVe vectors: the words of the IMDB stand-in, in planted clusters.

Written in the form of Stanford's text file. Words of a kind lie around a common centre, opinion
words along a line from the most negative to the most positive, and one word in twenty is
missing, as real vectors miss some words of any text.
"""

import json

import numpy as np

from utils import standins
from utils.standins._english import PAIRS, PATTERNS, WORDS

__all__ = ["FOLDER", "VERSION", "write"]

FOLDER, VERSION = "glove", 1

WIDTH = 50
SPREAD = 0.35  # of a word around its centre, in each dimension
MISSING = 0.05
# GloVe counts punctuation as words, and has far more words than any one text
ELSEWHERE = (",", ".", '"', "'s", "-", "(", ")", ":", ";", "?", "!", "--", "$", "...", "\u00a0", "unk")


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
        no opinion; `opinion_axis` (50,), along which opinion words lie; `missing`, the words of
        the IMDB stand-in that have no vector.
    """
    reviews = standins.make("imdb", scale=scale, seed=seed)
    rank = json.loads((reviews / "imdb_word_index.json").read_text(encoding="utf-8"))
    rng = np.random.default_rng(seed)
    ranked = np.array(sorted(rank, key=rank.get))
    lost = rng.random(len(ranked)) < MISSING
    lost[:20] = False  # nobody misses "the"
    words = [*ranked[~lost].tolist(), *ELSEWHERE]

    clusters, polarity_of = _clusters()
    cluster_names = [*clusters, "names", "other"]
    number_of = {
        word: number for number, (_, members) in enumerate(clusters.items()) for word in members
    }
    names = cluster_names.index("names")
    cluster = np.array(
        [number_of.get(word, names if _is_name(word) else names + 1) for word in words]
    )
    polarity = np.array([polarity_of.get(word, 0.0) for word in words])
    centres = rng.normal(0, 0.6, (len(cluster_names), WIDTH))
    opinion_axis = rng.normal(0, 1, WIDTH)
    opinion_axis /= np.linalg.norm(opinion_axis)
    opinions = cluster_names.index("opinions")
    vectors = centres[cluster] + rng.normal(0, SPREAD, (len(words), WIDTH))
    vectors += 3.0 * polarity[:, None] * opinion_axis * (cluster == opinions)[:, None]
    with (folder / "glove.6B.50d.txt").open("w", encoding="utf-8", newline="\n") as file:
        for word, vector in zip(words, vectors, strict=True):
            file.write(f"{word} {' '.join(f'{value:.5g}' for value in vector)}\n")
    return {}
