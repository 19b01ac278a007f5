"""What `GradientNormAnnealing` costs: an epoch with it over one without, by statistic.

Run with: python benchmarks/annealing.py, and again with KERAS_BACKEND=jax.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers
from paired import ratios, summary

from utils.callbacks import GradientNormAnnealing

PAIRS = 30
STEPS = 50  # an epoch


def build():
    """Return a compiled perceptron of 2 million weights."""
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(width, activation="relu") for width in (1024, 1024, 128)]
    model = keras.Sequential([keras.Input((784,)), *hidden, layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def compare(statistic):
    """Return the ratios of an epoch's processor time with the callback to one without."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64 * STEPS, 784)).astype("float32")
    y = rng.integers(0, 10, len(x))
    epoch = {"x": x, "y": y, "batch_size": 64, "verbose": 0}
    with_it, without = build(), build()
    # traced once, at the first fit, which `ratios` does not count
    annealing = GradientNormAnnealing(statistic=statistic)
    return ratios(
        lambda: with_it.fit(**epoch, callbacks=[annealing]),
        lambda: without.fit(**epoch),
        pairs=PAIRS,
    )


def main():
    print("| backend | statistic | processor time, with / without: median (quartiles) |")
    print("|---|---|---|")
    for statistic in sys.argv[1:] or ("gradients", "second_moments"):
        print(
            f"| {keras.backend.backend()} | {statistic} | {summary(compare(statistic))} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
