"""What an epoch costs as ratings grow: 100 thousand, 1 million, 10 million, generated.

    python benchmarks/scaling.py            # fits what is missing, prints the table

Users and films as in the MovieLens sets of these sizes. Every fit is a process of its own; results
are kept under build/. Two batch sizes: notebook 06's, and one that grows with the tables.
"""

import json
import os
import subprocess
import sys
import time

import numpy as np
from surprise_peers import peak_megabytes

SIZES = {  # ratings: users, films
    100_000: (671, 9_066),
    1_000_000: (6_040, 3_706),
    10_000_000: (69_878, 10_677),
}
FIXED, PER_BATCH = 2048, 5  # weights of 51 columns: rows of the tables for each rating of a batch


def batch_sizes(n_ratings):
    """Return notebook 06's batch, and one of a fifth of all users and films."""
    return FIXED, max(FIXED, sum(SIZES[n_ratings]) // PER_BATCH)


def generated(n_ratings, seed=0):
    """Return user, movie and centred rating of a long-tailed set with planted factors."""
    n_users, n_movies = SIZES[n_ratings]
    rng = np.random.default_rng(seed)

    def long_tailed(rows, first, power):
        weight = np.cumsum((np.arange(rows) / rows + first) ** -power)
        return np.searchsorted(weight, rng.random(n_ratings) * weight[-1]).astype(np.int32)

    user, movie = long_tailed(n_users, 0.1, 1.5), long_tailed(n_movies, 0.02, 1.7)
    bias = [rng.normal(0, sd, rows) for sd, rows in ((0.42, n_users), (0.5, n_movies))]
    taste = [rng.normal(0, 0.65, (rows, 2)) for rows in (n_users, n_movies)]
    rating = bias[0][user] + bias[1][movie] + rng.normal(0, 0.95, n_ratings)
    rating += sum(taste[0][user, k] * taste[1][movie, k] for k in (0, 1))
    stars = np.clip(np.round(2 * (rating + 3.55)) / 2, 0.5, 5).astype(np.float32)
    return user, movie, stars - stars.mean()


def one(n_ratings, batch, arrays):
    """Print the cost of one epoch, after an epoch on a few rows to compile."""
    import keras

    from utils.recommenders import factor_model

    libraries = peak_megabytes()
    with np.load(arrays) as file:
        user, movie, rating = (file[name] for name in ("user", "movie", "rating"))
    keras.utils.set_random_seed(0)
    model = factor_model(*SIZES[n_ratings], n_ratings)
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=True)
    # both shapes of a batch are compiled beforehand: the full one, and the remainder
    some = slice(0, batch + n_ratings % batch)
    model.fit([user[some], movie[some]], rating[some], batch, verbose=0)
    before, wall = time.process_time(), time.perf_counter()
    model.fit([user, movie], rating, batch, verbose=0)
    took = time.process_time() - before, time.perf_counter() - wall
    result = {
        "parameters": model.count_params(),
        "seconds": took[0],
        "wall": took[1],
        "megabytes": [libraries, peak_megabytes()],
    }
    print("RESULT" + json.dumps(result))


def kept(n_ratings, batch, folder):
    """Return a result from disk, or from a process of its own."""
    path = folder / f"{n_ratings}-{batch}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        arrays = folder / f"{n_ratings}.npz"
        if not arrays.exists():
            names = ("user", "movie", "rating")
            np.savez(arrays, **dict(zip(names, generated(n_ratings), strict=True)))
        command = [sys.executable, __file__, str(n_ratings), str(batch), str(arrays)]
        env = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        said = subprocess.run(command, check=True, env=env, capture_output=True, text=True).stdout
        path.write_text(said.split("RESULT")[1])
    return json.loads(path.read_text())


def main():
    if len(sys.argv) == 4:
        return one(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    from utils import switches

    folder = switches.build_folder() / "benchmarks" / "scaling"
    print(
        "| ratings | weights | batch | steps | ms a step | µs a rating | peak memory, MB | "
        "bytes a rating, beyond libraries |\n|---|---|---|---|---|---|---|---|"
    )
    for n_ratings in SIZES:
        for batch in sorted(set(batch_sizes(n_ratings))):
            it = kept(n_ratings, batch, folder)
            steps = -(-n_ratings // batch)
            print(
                f"| {n_ratings:,} | {it['parameters']:,} | {batch:,} | {steps:,} | "
                f"{1e3 * it['seconds'] / steps:.1f} | {1e6 * it['seconds'] / n_ratings:.1f} | "
                f"{it['megabytes'][1]:.0f} | "
                f"{(it['megabytes'][1] - it['megabytes'][0]) * 2**20 / n_ratings:.0f} |",
                flush=True,
            )
    return None


if __name__ == "__main__":
    sys.exit(main())
