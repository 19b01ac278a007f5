"""Where a training step of the recommender spends its time, and what shortens it.

    python benchmarks/training_step.py

Two models of notebook 06: "ratings alone", and "with tables" (who rated what, and metadata). First
the parts of a step, each timed by itself on one batch; then whole epochs of `model.fit`, before
and after a change, by turns. TensorFlow backend.
"""

import os
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from collaborative_filtering import tables_of
from paired import ratios, summary

from utils.datasets import load_movielens
from utils.recommenders import factor_model, multiply_first, unit_rows

BATCH, REPEATS, PAIRS = 2048, 30, 11


def training_rows():
    """Return the training rows of split 100 as `tables_of` takes them."""
    ratings = load_movielens()
    train, _ = ratings.split(100)
    decade = ratings.years // 10
    about = np.hstack([ratings.genres, decade[:, None] == sorted(set(decade))])
    return ratings, {
        "user": ratings.user[train],
        "movie": ratings.movie[train],
        "rating": ratings.rating[train] - ratings.rating[train].mean(),
        "sizes": (ratings.n_users, ratings.n_movies),
        "metadata": unit_rows(about),
    }


def build(data, which):
    """Return a fresh model, the same at every call."""
    keras.utils.set_random_seed(0)
    tables = tables_of(data, which)
    return factor_model(*data["sizes"], len(data["rating"]), factor_strength=20, **tables)


def milliseconds(call, repeats=REPEATS):
    """Return the median processor time of a call, in ms, after two to warm up."""
    call(), call()
    taken = []
    for _ in range(repeats):
        before = time.process_time()
        call()
        taken.append(1e3 * (time.process_time() - before))
    return statistics.median(taken)


def parts(data, model):
    """Return the processor time of each part of one training step, in ms."""
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.optimizer.build(model.trainable_variables)
    pairs = [tf.constant(data[name][:BATCH]) for name in ("user", "movie")]
    stars = tf.constant(data["rating"][:BATCH, None])
    weights = [variable.value for variable in model.trainable_variables]
    dense = [tf.zeros_like(weight) for weight in weights]

    def gradients(loss):
        with tf.GradientTape() as tape:
            value = loss()
        return tape.gradient(value, weights)

    def error():
        return tf.reduce_mean((model(pairs, training=True) - stars) ** 2)

    def penalised():
        return error() + tf.add_n(model.losses)

    timed = {
        "forward": error,
        "+ backward": lambda: gradients(error),
        "+ penalty on whole tables": lambda: gradients(penalised),
        "optimizer alone": lambda: model.optimizer.apply_gradients(
            zip(dense, model.trainable_variables, strict=True)
        ),
        "all of it": lambda: model.train_step((pairs, stars)),
    }
    # each compiled by itself, as `fit` compiles the whole
    took = {name: milliseconds(tf.function(call)) for name, call in timed.items()}
    batches = feed(data)  # runs ahead in threads of its own: only a whole epoch tells its cost
    steps = -(-len(data["rating"]) // BATCH)
    took["input pipeline alone"] = milliseconds(lambda: sum(1 for _ in batches)) / steps
    return took


def feed(data):
    """Return the pipeline that `fit` makes of arrays."""
    from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter

    pairs = [data["user"], data["movie"]]
    adapter = ArrayDataAdapter(pairs, data["rating"], batch_size=BATCH, shuffle=True)
    return adapter.get_tf_dataset()


def epoch(data, model, **compiled):
    """Return a call that trains one epoch."""
    model.compile(keras.optimizers.Adam(0.01), "mse", **compiled)
    pairs = [data["user"], data["movie"]]
    return lambda: model.fit(pairs, data["rating"], BATCH, verbose=0)


def main():
    if keras.backend.backend() != "tensorflow":
        return f"the profile is of the TensorFlow backend, not of {keras.backend.backend()}."
    ratings, data = training_rows()
    steps = -(-len(data["rating"]) // BATCH)
    print(f"{ratings}; {steps} steps an epoch of {BATCH} ratings\n")
    models = {"ratings alone": None, "with tables": "rated and metadata"}
    profiles = {name: parts(data, build(data, which)) for name, which in models.items()}
    print("| part of a step, processor time in ms |", " | ".join(models), "|")
    print("|---|---|---|")
    for part in profiles["ratings alone"]:
        print(f"| {part} |", " | ".join(f"{one[part]:.1f}" for one in profiles.values()), "|")
    print("\n| model | change | an epoch of `fit`, after / before |\n|---|---|---|", flush=True)
    fused = {"jit_compile": True, "steps_per_execution": 8}
    for name, change, faster, compiled in (
        ("ratings alone", "jit_compile=True", False, {"jit_compile": True}),
        ("ratings alone", "and steps_per_execution=8", False, fused),
        ("with tables", "jit_compile=True", False, {"jit_compile": True}),
        ("with tables", "multiply_first", True, {}),
    ):
        before, after = build(data, models[name]), build(data, models[name])
        after = multiply_first(after, BATCH) if faster else after
        taken = ratios(epoch(data, after, **compiled), epoch(data, before), PAIRS)
        print(f"| {name} | {change} | {summary(taken)} |", flush=True)
    return None


if __name__ == "__main__":
    sys.exit(main())
