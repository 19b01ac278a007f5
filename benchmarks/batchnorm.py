"""What inserting batch normalization costs: `insert_batchnorm` over one `predict` on the same rows.

Run with: python benchmarks/batchnorm.py [PICTURES], and again with KERAS_BACKEND=jax.
"""

import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers
from paired import ratios, summary

from utils.vgg import insert_batchnorm, vgg16

PAIRS = 5
PICTURES = 1_024  # 64 × 64, to begin with
BATCH = 32
FEATURES, ROWS_A_PICTURE = 2_048, 16  # of a dense head alone: VGG16's, and how many rows


def network(width):
    """Return VGG16 of some width with the course's head, smaller."""
    base = vgg16((64, 64, 3), width=width)
    return keras.Model(base.input, head(layers.Flatten()(base.output)))


def head(x):
    for _ in range(2):
        x = layers.Dropout(0.5)(layers.Dense(512, activation="relu")(x))
    return layers.Dense(2, activation="softmax")(x)


def head_alone():
    inputs = keras.Input((FEATURES,))
    return keras.Model(inputs, head(inputs))


def compare(model, kind, x):
    """Return the ratios, and the processor seconds of an insertion measured on one batch."""

    def ours(rows=None):
        insert_batchnorm(model, x[:rows], kind, batch_size=BATCH)

    def peer():
        model.predict(x, batch_size=BATCH, verbose=0)

    found = ratios(ours, peer, PAIRS)
    before = time.process_time()
    ours(BATCH)
    return found, time.process_time() - before


def main():
    pictures = int(sys.argv[1]) if sys.argv[1:] else PICTURES
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 255, (pictures, 64, 64, 3)).astype("float32")
    features = rng.random((pictures * ROWS_A_PICTURE, FEATURES), "float32")
    print(
        "| backend | network | layers | rows | insertion / predict: median (quartiles) | fixed, s |"
    )
    print("|---|---|---|---|---|---|")
    for name, build, kind, rows in (
        ("dense head", head_alone, "dense", features),
        ("VGG16, a quarter as wide", lambda: network(1 / 4), "all", x),
        ("VGG16", lambda: network(1), "dense", x),
        ("VGG16", lambda: network(1), "all", x),
    ):
        found, fixed = compare(build(), kind, rows)
        print(
            f"| {keras.backend.backend()} | {name} | {kind} | {len(rows):,} | {summary(found)} "
            f"| {fixed:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
