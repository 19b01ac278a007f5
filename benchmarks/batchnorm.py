"""What inserting batch normalization costs: `insert_batchnorm` over one `predict` on the same rows.

Run with: python benchmarks/batchnorm.py [PICTURES], and again with KERAS_BACKEND=jax. PICTURES, 256
unless told, are those of the full-width VGG16; the smaller networks get more rows in proportion.
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
PICTURES = 256
BATCH = 32
LARGE_BATCH = 256  # a dense head alone has room for more rows at a time
SIDE, NARROW_SIDE = 128, 64  # pixels, of the full-width and of the narrow network
FEATURES = 2_048  # what a dense head alone is fed: 2 × 2 × 512


def network(side, width):
    """Return VGG16 of some width with the course's head, smaller."""
    base = vgg16((side, side, 3), width=width)
    return keras.Model(base.input, head(layers.Flatten()(base.output)))


def head(x):
    for _ in range(2):
        x = layers.Dropout(0.5)(layers.Dense(512, activation="relu")(x))
    return layers.Dense(2, activation="softmax")(x)


def head_alone():
    inputs = keras.Input((FEATURES,))
    return keras.Model(inputs, head(inputs))


def seconds(call):
    """Return the processor seconds of one call."""
    before = time.process_time()
    call()
    return time.process_time() - before


def compare(model, x, batch):
    """Return the ratios, and the seconds on one batch: of the first `predict`, of an insertion."""

    def ours(rows=None):
        insert_batchnorm(model, x[:rows], "all", batch_size=batch)

    def peer(rows=None):
        model.predict(x[:rows], batch_size=batch, verbose=0)

    first = seconds(lambda: peer(batch))
    found = ratios(ours, peer, PAIRS)
    return found, first, seconds(lambda: ours(batch))


def main():
    pictures = int(sys.argv[1]) if sys.argv[1:] else PICTURES
    rng = np.random.default_rng(0)
    print(
        "| backend | network | rows, in batches of | insertion / predict: median (quartiles) "
        "| one batch, s: insertion, first predict |\n|---|---|---|---|---|"
    )
    for name, build, rows, batch, shape in (
        *(
            ("dense head", head_alone, 128 * pictures, batch, (FEATURES,))
            for batch in (BATCH, LARGE_BATCH)
        ),
        *(
            (
                f"VGG16, a quarter as wide, {NARROW_SIDE}²",
                lambda: network(NARROW_SIDE, 1 / 4),
                times * pictures,
                BATCH,
                (NARROW_SIDE, NARROW_SIDE, 3),
            )
            for times in (8, 32)  # what is compiled once weighs less in a longer pass
        ),
        (f"VGG16, {SIDE}²", lambda: network(SIDE, 1), pictures, BATCH, (SIDE, SIDE, 3)),
    ):
        found, first, fixed = compare(build(), rng.random((rows, *shape), "float32"), batch)
        print(
            f"| {keras.backend.backend()} | {name} | {rows:,}, {batch} | {summary(found)} "
            f"| {fixed:.1f}, {first:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
