"""Text: GloVe from its file to a matrix, reviews to rows of ids, and what the models cost.

Run with: python benchmarks/text.py [loading] [models]. It runs on the real sets where they are
complete, else on stand-ins, and says which. gensim is a peer, not a requirement: without it its row
is left out (`pip install gensim`). Ratios below 1 mean that ours takes less processor time.
"""

import ast
import csv
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pandas as pd
from keras import layers, ops
from paired import ratios, summary

from utils import plots, switches
from utils.datasets import load_glove, load_imdb
from utils.embeddings import WordEmbedding, embedding_matrix
from utils.linear_text import LINEAR, fit_linear

LINES = 50_000  # of GloVe's 400,000: reading them all takes gensim half a minute
PAIRS = 5
BATCHES = 12  # of 64 reviews, timed for each network
BEST = {"sizes": (2, 3, 4, 5), "filters": 100, "pools": ("max", "mean"), "second": 50,
        "forget": 0.3, "blur": 0}  # fmt: skip
NETWORKS = {  # claim: notebook, function that builds it, its arguments, epochs, columns of a batch
    "imdb.hidden": ("11", "hidden_layer", {}, 2, 500),
    "imdb.convolution": ("11", "convolutional", {}, 4, 500),
    "glove.frozen": ("13", "network", {"trainable": False}, 3, 500),
    "glove.fine-tuned": ("13", "network", {}, 4, 500),  # three frozen epochs before it included
    "multisize.lesson-model": ("14", "side_by_side", {}, 4, 500),
    "multisize.best": ("14", "network", BEST, 6, 250),  # padding cut off: 250 on the average
}


def write_glove(folder, words, vectors):
    """Write vectors as Stanford's text file, a word and its numbers on a line."""
    table = pd.DataFrame(vectors, index=words)
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "glove.6B.50d.txt"
    table.to_csv(text, sep=" ", header=False, quoting=csv.QUOTE_NONE, float_format="%.5g")
    return text


def load_and_forget(folder):
    """Load vectors from a folder's text for the first time, whatever was loaded before."""
    loaded = load_glove(folder)
    shutil.rmtree(Path(loaded.vectors.filename).parent)
    return loaded


def with_pandas(text):
    """Return the words and the matrix, read by pandas."""
    table = pd.read_csv(text, sep=" ", header=None, quoting=csv.QUOTE_NONE, na_filter=False)
    return table[0].tolist(), table.iloc[:, 1:].to_numpy(np.float32)


def compare_glove(loaded, folder):
    """Return rows (ours, peer, ratios) on the same text, and the seconds of our second loads."""
    text = write_glove(folder, loaded.words[:LINES], loaded.vectors[:LINES])
    what, rows = f"GloVe, {min(LINES, len(loaded)):,} lines of text, first load", []
    rows.append(
        (what, "pandas", ratios(lambda: load_and_forget(folder), lambda: with_pandas(text), PAIRS))
    )
    try:
        from gensim.models import KeyedVectors
    except ImportError as error:
        print(f"gensim is left out: {error}. To compare with it: pip install gensim")
    else:

        def with_gensim():
            return KeyedVectors.load_word2vec_format(text, binary=False, no_header=True)

        assert np.allclose(with_gensim().vectors, load_glove(folder).vectors)
        rows.append((what, "gensim", ratios(lambda: load_and_forget(folder), with_gensim, PAIRS)))
    load_glove(folder)
    second = ratios(lambda: load_glove(folder), lambda: with_pandas(text), PAIRS)
    rows.append((what.replace("first", "second"), "pandas", second))
    shutil.rmtree(Path(load_glove(folder).vectors.filename).parent)
    return rows


def seconds_of(call, repeats=15):
    """Return the median processor time of a call."""
    took = []
    for _ in range(repeats):
        begun = time.process_time()
        call()
        took.append(time.process_time() - begun)
    return statistics.median(took)


def compare_padding(reviews):
    """Return a row (ours, peer, ratios): 25,000 lists of ids to a matrix of 500 columns."""
    lists = [review.tolist() for review in reviews.sequences_train]

    def peer():
        return np.minimum(keras.utils.pad_sequences(lists, maxlen=500), 4999)

    def ours():
        return reviews.matrix(reviews.sequences_train, length=500)

    assert np.array_equal(ours(), peer())
    what = f"IMDB, {len(lists):,} reviews to {len(lists):,} × 500"
    return what, "pad_sequences on lists", ratios(ours, peer, 3 * PAIRS)


def from_notebook(number, name, given):
    """Return a function that a notebook's source defines, its other names taken from `given`."""
    (path,) = (switches.PROJECT / "notebooks" / "src").glob(f"{number}_*.py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (found,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    found.decorator_list = []
    space = dict(given)
    exec(compile(ast.Module([found], []), str(path), "exec"), space)
    return space[name]


def recorded():
    """Return the accuracies that full-scale runs recorded: claim -> measured."""
    found = {}
    for folder in (switches.build_folder() / "results" / "full", switches.PROJECT / "results"):
        for path in sorted(folder.glob("1*.json")):
            claims = json.loads(path.read_text(encoding="utf-8"))
            found |= {c["id"]: c["measured"] for c in claims if c["measured"] is not None}
    return found


def cost_of_network(model, x, y, rows, epochs):
    """Return the processor seconds of training: some batches timed, times their number."""
    for first in range(0, 128, 64):  # traced and warm
        model.train_on_batch(x[first : first + 64], y[first : first + 64])
    begun = time.process_time()
    for first in range(0, 64 * BATCHES, 64):
        model.train_on_batch(x[first : first + 64], y[first : first + 64])
    return (time.process_time() - begun) / BATCHES * epochs * np.ceil(rows / 64)


def models(reviews, glove):
    """Return a table: accuracy on the test reviews, and processor seconds to train once."""
    x, y = reviews.x_train, reviews.y_train
    order = np.random.default_rng(0).permutation(len(y))
    choose, learn = order[: len(y) // 10], order[len(y) // 10 :]
    table = embedding_matrix(reviews.words, glove)[0] / 3
    given = {"keras": keras, "layers": layers, "ops": ops, "np": np, "table": table,
             "WordEmbedding": WordEmbedding, "length": 500, "precision": "float32"}  # fmt: skip
    rows, known = {}, recorded()
    for name in LINEAR:
        begun = time.process_time()
        model = fit_linear(name, (x[learn], y[learn]), (x[choose], y[choose]))
        took = time.process_time() - begun
        rows[name] = model.score(reviews.x_test, reviews.y_test), took
    for claim, (number, function, options, epochs, columns) in NETWORKS.items():
        if known.get(claim) is None:
            print(f"{claim} is left out: no full-scale run of notebook {number} has recorded it")
            continue
        model = from_notebook(number, function, given)(**options)
        if not model.compiled:
            model.compile("adam", "binary_crossentropy")
        took = cost_of_network(model, x[order][:, -columns:], y[order], len(y), epochs)
        rows[claim] = known[claim], took
    if "sentiment.best" in known and "multisize.best" in rows:
        took = 3 * rows["multisize.best"][1] + rows["naive Bayes, triples"][1]
        rows["sentiment.best"] = known["sentiment.best"], took
    return pd.DataFrame(rows, index=["test accuracy", "processor seconds"]).T


def draw(table, path):
    """Draw accuracy against seconds."""
    fig, axes = plots.figure(width=9, height=4.6)
    counting, both = np.isin(table.index, list(LINEAR)), table.index == "sentiment.best"
    kinds = {"counting": counting, "network": ~(counting | both), "both": both}
    for (label, kind), colour in zip(kinds.items(), ("orange", "blue", "green"), strict=True):
        axes.semilogx(table["processor seconds"][kind], table["test accuracy"][kind], "o",
                      color=plots.COLOURS[colour], label=label)  # fmt: skip
    axes.set(xlabel="processor seconds to train once", ylabel="accuracy on the test reviews")
    axes.margins(x=0.2, y=0.12)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    points = table[["processor seconds", "test accuracy"]].to_numpy()
    plots.labels(axes, points, list(table.index))
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, dpi=100, bbox_inches="tight")


def main(parts):
    reviews, glove = load_imdb(length=500), load_glove()
    data = f"{reviews.source} reviews, {glove.source} vectors"
    if "loading" in parts:
        with tempfile.TemporaryDirectory() as folder:
            rows = compare_glove(glove, Path(folder) / "glove")
        rows.append(compare_padding(reviews))
        print(f"\n{data}\n\n| ours | peer | processor time, ours / peer: median (quartiles) |")
        print("|---|---|---|")
        for ours, peer, values in rows:
            print(f"| {ours} | {peer} | {summary(values)} |")
        took = seconds_of(load_glove)
        print(f"\nall {len(glove):,} vectors, second load: {took:.3f} s of processor time")
    if "models" in parts:
        table = models(reviews, glove).sort_values("test accuracy")
        print(
            f"\n| model ({data}) | test accuracy | processor seconds to train once |\n|---|---|---|"
        )
        for name, (accuracy, took) in table.iterrows():
            print(f"| {name} | {accuracy:.4f} | {took:,.0f} |")
        path = switches.build_folder() / "benchmarks" / "text.png"
        draw(table, path)
        print(f"\nas a picture: {path.relative_to(switches.PROJECT)}")


if __name__ == "__main__":
    main(sys.argv[1:] or ("loading", "models"))
