"""What mixing costs: `fit` through `PseudoLabelMixer` over `fit` on one array of the same rows.

Run with: python benchmarks/pseudo_labels.py, and again with KERAS_BACKEND=jax.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers
from paired import ratios, summary

from utils.pseudo_labels import PseudoLabelMixer

PAIRS = 15
EPOCHS = 3  # a fit
BATCH, FRACTION = 64, 0.25
ROWS, POOL = 960, 480  # of an epoch: 960 labelled, 320 pseudo-labelled, 20 batches
COLUMNS = (4 * 4 * 512, 7 * 7 * 512)  # VGG16's features of 128 × 128 and 224 × 224 pixels


def build(columns):
    """Return the head that the lesson trains with pseudo-labels, compiled."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((columns,)), layers.Dropout(0.8)])
    for _ in range(2):
        model.add(layers.Dense(256, activation="relu"))
        model.add(layers.BatchNormalization())
        model.add(layers.Dropout(0.8))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile("adam", "categorical_crossentropy")
    return model


def data(columns):
    """Return labelled rows, labels, pseudo-labelled rows and their soft labels."""
    rng = np.random.default_rng(0)
    x, x_pseudo = (rng.random((rows, columns), "float32") for rows in (ROWS, POOL))
    y, y_pseudo = (rng.dirichlet(np.ones(10), rows).astype("float32") for rows in (ROWS, POOL))
    return x, y, x_pseudo, y_pseudo


def concatenated(x, y, x_pseudo, y_pseudo):
    """Yield batches as the course's `MixIterator` made them: one batch of each, concatenated."""
    rng = np.random.default_rng(0)
    pseudo = round(BATCH * FRACTION)

    def shuffled(x, y, size):
        while True:
            order = rng.permutation(len(x))
            for start in range(0, len(x), size):
                rows = order[start : start + size]
                yield x[rows], y[rows]

    pairs = zip(shuffled(x, y, BATCH - pseudo), shuffled(x_pseudo, y_pseudo, pseudo), strict=True)
    for (a, b), (c, d) in pairs:
        yield np.concatenate([a, c]), np.concatenate([b, d])


def compare(columns):
    """Return the two lists of ratios: mixer over plain array, mixer over concatenated iterators."""
    x, y, x_pseudo, y_pseudo = data(columns)
    mixer = PseudoLabelMixer(x, y, x_pseudo, y_pseudo, BATCH, FRACTION)
    rows = sum(len(numbers) for batch in range(len(mixer)) for numbers in mixer.rows(batch))
    all_x, all_y = (
        np.concatenate([a, b[: rows - len(a)]]) for a, b in ((x, x_pseudo), (y, y_pseudo))
    )
    iterators = concatenated(x, y, x_pseudo, y_pseudo)
    ours, plain, original = build(columns), build(columns), build(columns)

    def through_mixer():
        ours.fit(mixer, epochs=EPOCHS, verbose=0)

    def on_one_array():
        plain.fit(all_x, all_y, batch_size=BATCH, epochs=EPOCHS, verbose=0)

    def through_iterators():
        original.fit(iterators, steps_per_epoch=len(mixer), epochs=EPOCHS, verbose=0)

    return (
        ratios(through_mixer, on_one_array, PAIRS),
        ratios(through_mixer, through_iterators, PAIRS),
    )


def main():
    print("| backend | columns | mixer / one array: median (quartiles) | mixer / iterators |")
    print("|---|---|---|---|")
    for columns in map(int, sys.argv[1:] or COLUMNS):
        array, iterators = map(summary, compare(columns))
        print(f"| {keras.backend.backend()} | {columns:,} | {array} | {iterators} |", flush=True)


if __name__ == "__main__":
    main()
