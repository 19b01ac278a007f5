"""Our loaders beside what one would otherwise write; run `python benchmarks/loaders.py`.

Runs on the real sets where they are complete, else on stand-ins, and says which. Ratios below 1
mean that ours takes less processor time.
"""

import csv
import json

import keras
import numpy as np
import pandas as pd
from paired import ratios, summary

from utils import datasets, switches


def imdb():
    folder = datasets.load_imdb().folder

    def ours():
        return datasets.load_imdb(folder=folder).x_train

    def peer():  # trusts the file: its pickles may run anything
        with np.load(folder / "imdb.npz", allow_pickle=True) as file:
            halves = [file[name] for name in ("x_train", "x_test")]
        index = json.loads((folder / "imdb_word_index.json").read_text())
        return [np.minimum(keras.utils.pad_sequences(x, 500), 4999) for x in halves], index

    return "IMDB to a matrix, checked", "np.load + pad_sequences", ratios(ours, peer, 5)


def movielens():
    folder = datasets.load_movielens().folder

    def peer():
        ratings = pd.read_csv(folder / "ratings.csv")
        films = pd.read_csv(folder / "movies.csv")
        return pd.factorize(ratings.userId), pd.factorize(ratings.movieId), films

    ours = ratios(lambda: datasets.load_movielens(folder), peer)
    return "MovieLens, checked", "pandas.read_csv, unchecked", ours


def glove():
    loaded = datasets.load_glove()
    if not (text := loaded.folder / "glove.6B.50d.txt").exists():
        text = switches.build_folder() / "benchmark-glove.txt"
        table = pd.DataFrame(loaded.vectors[:20_000], index=loaded.words[:20_000])
        table.to_csv(text, sep=" ", header=False, quoting=csv.QUOTE_NONE)

    def peer():
        table = pd.read_csv(text, sep=" ", header=None, quoting=csv.QUOTE_NONE, na_filter=False)
        return table[0].tolist(), table.iloc[:, 1:].to_numpy(np.float32)

    ours = ratios(lambda: datasets.load_glove(loaded.folder), peer, 5)
    return (
        f"GloVe, {len(loaded):,} words, second load",
        "pandas, 20,000 lines of text at most",
        ours,
    )


if __name__ == "__main__":
    print("| ours | peer | processor time, ours / peer: median (quartiles) | data |")
    print("|---|---|---|---|")
    for compare, load in (
        (imdb, datasets.load_imdb),
        (movielens, datasets.load_movielens),
        (glove, datasets.load_glove),
    ):
        name, peer, values = compare()
        loaded = load()
        print(f"| {name} | {peer} | {summary(values)} | {loaded.source}, {loaded.edition} |")
