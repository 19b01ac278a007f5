"""The recommender of notebook 06 beside scikit-surprise and two baselines, on the same five splits.

    python benchmarks/collaborative_filtering.py --install  # peers, into build/peers; once
    python benchmarks/collaborative_filtering.py            # fit what is missing, print the table
    python benchmarks/collaborative_filtering.py --tune     # the search for the peers' settings

Every fit is a process of its own, timed in processor seconds, and its result is kept under build/,
so that a stopped run goes on where it was. Split s is `np.random.default_rng(s).random(n) < .8` in
file order; all settings, ours and theirs, were chosen on split 100, and splits 0 to 4 are scored.
"""

import argparse
import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from surprise_peers import peak_megabytes

SPLITS, CHOOSING = (0, 1, 2, 3, 4), 100
REFERENCE = "KNNBaseline"
PEERS = "scikit-surprise==1.1.5"

# Theirs as --tune finds them, on split 100. Ours as in notebook 06, section 11.
OURS = {"program": "ours", "batch": 2048, "rate": 0.01, "epochs": 20, "factor_strength": 20}
SVD_TUNED = {"n_factors": 400, "n_epochs": 100, "lr_all": 0.01, "reg_all": 0.1}
KNN_TUNED = {
    "k": 80,
    "min_k": 1,
    "sim_options": {"name": "pearson_baseline", "user_based": False},
}
MODELS = {
    "predict the mean": {"program": "mean"},
    "biases only": {"program": "biases", "strength": 2},
    "SVD": {"algorithm": "SVD", "random_state": 0},
    "SVD, tuned": {"algorithm": "SVD", "random_state": 0, **SVD_TUNED},
    "KNNBaseline": {"algorithm": "KNNBaseline", "verbose": False},
    "KNNBaseline, tuned": {"algorithm": "KNNBaseline", "verbose": False, **KNN_TUNED},
    "ours, ratings alone": OURS | {"factor_strength": 12, "seed": 0},
    "ours, + who rated what": OURS | {"tables": "rated", "seed": 0},
    "ours, single model": OURS | {"tables": "rated and metadata", "seed": 0},
    "ours, second model": OURS | {"tables": "rated and metadata", "seed": 1},
    # the slowest, so the last
    "SVD++": {"algorithm": "SVDpp", "random_state": 0, "cache_ratings": True},
}
AVERAGE = "ours, average of two"
MEMBERS = ("ours, single model", "ours, second model")
SHOWN = ("predict the mean", "biases only", "SVD", "SVD++", "KNNBaseline", "SVD, tuned",
         "KNNBaseline, tuned", "ours, ratings alone", "ours, + who rated what",
         "ours, single model", AVERAGE)  # fmt: skip

# What --tune tries, each on split 100
SEARCH = {
    "SVD": [
        {"n_factors": f, "n_epochs": n, "lr_all": 0.01, "reg_all": r}
        for factors, epochs, penalties in (
            ((20, 50, 200), (30, 60), (0.05, 0.1, 0.15)),
            ((200, 400), (60, 100), (0.07, 0.1, 0.12)),  # the best of the first lay at its edge
            ((800,), (100, 150), (0.1,)),
        )
        for f, n, r in itertools.product(factors, epochs, penalties)
    ],
    "KNNBaseline": [
        {"k": k, "min_k": 1, "sim_options": {"name": name, "user_based": users}}
        for k, name, users in itertools.product(
            (20, 40, 80, 160), ("msd", "pearson_baseline"), (True, False)
        )
    ],
}


# ---- one fit, in a process of its own -----------------------------------------------------------


def biases(data, strength, rounds=15):
    """Predict mean + user bias + film bias, by penalised least squares."""
    user, movie, mean = data["user"], data["movie"], data["rating"].mean()
    n_users, n_movies = data["sizes"]
    user_bias = np.zeros(n_users)
    for _ in range(rounds):  # each is the exact answer given the other
        rest = np.bincount(movie, data["rating"] - mean - user_bias[user], n_movies)
        movie_bias = rest / (np.bincount(movie, minlength=n_movies) + strength)
        rest = np.bincount(user, data["rating"] - mean - movie_bias[movie], n_users)
        user_bias = rest / (np.bincount(user, minlength=n_users) + strength)
    return lambda u, m: mean + user_bias[u] + movie_bias[m]


def tables_of(data, which):
    """Return the tables for `factor_model`: who rated what, and the metadata, or neither."""
    if which is None:
        return {}
    from utils.recommenders import who_rated_what

    histories, audiences = who_rated_what(data["user"], data["movie"], *data["sizes"])
    about = [data["metadata"]] if "metadata" in which else []
    return {"user_table": histories, "movie_table": np.hstack([audiences, *about])}


def factors(data, *, batch, rate, epochs, factor_strength, seed, tables=None):
    """Train `factor_model` as notebook 06 does."""
    import keras

    from utils.recommenders import factor_model

    keras.utils.set_random_seed(seed)
    mean, n = data["rating"].mean(), len(data["rating"])
    known = tables_of(data, tables)
    model = factor_model(*data["sizes"], n, factor_strength=factor_strength, **known)
    model.compile(keras.optimizers.Adam(rate), "mse")
    falling = keras.callbacks.LearningRateScheduler(lambda epoch: rate * (1 - epoch / epochs))
    pairs = [data["user"], data["movie"]]
    model.fit(pairs, data["rating"] - mean, batch, epochs, 0, callbacks=[falling])
    return lambda u, m: mean + keras.ops.convert_to_numpy(model([u, m]))[:, 0]


def one(split, settings, result):
    """Fit one of ours, and write its predictions and its costs."""
    settings = json.loads(settings)
    program = settings.pop("program")
    data = dict(np.load(split))
    versions = [f"numpy {np.__version__}"]
    if program == "ours":
        import keras

        import utils.recommenders  # noqa: F401  loading libraries is no part of a fit

        versions = [f"keras {keras.__version__}, {keras.backend.backend()}"]
    libraries = peak_megabytes()
    moments = [time.process_time()]
    if program == "mean":
        mean = data["rating"].mean()
        predict = lambda u, m: np.full(len(u), mean)  # noqa: E731
    else:
        predict = {"biases": biases, "ours": factors}[program](data, **settings)
    moments.append(time.process_time())
    predicted = predict(data["asked_user"], data["asked_movie"])
    moments.append(time.process_time())
    np.savez(
        result,
        predicted=predicted.astype(np.float32),
        seconds=np.diff(moments),
        megabytes=[libraries, peak_megabytes()],
        versions=versions,
    )


# ---- all of them --------------------------------------------------------------------------------


def write_split(ratings, number, path):
    """Write a split's training ratings and the pairs to predict, for any program to read."""
    train, asked = ratings.split(number)
    decade = ratings.years // 10
    about = np.hstack([ratings.genres, decade[:, None] == sorted(set(decade))]).astype(np.float32)
    length = np.linalg.norm(about, axis=1, keepdims=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez(
        part,
        user=ratings.user[train],
        movie=ratings.movie[train],
        rating=ratings.rating[train],
        asked_user=ratings.user[asked],
        asked_movie=ratings.movie[asked],
        sizes=[ratings.n_users, ratings.n_movies],
        metadata=about / np.where(length > 0, length, 1),
    )
    os.replace(part, path)


def result_of(settings, split, folder, peers):
    """Return what one program made of one split, from disk if it has run before."""
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    name = settings.get("algorithm") or settings["program"]
    path = folder / f"{name}-{key}-{split}.npz"
    if not path.exists():
        part = path.with_suffix(".part.npz")
        ours = [sys.executable, __file__, "--one"]
        theirs = [str(peers), str(Path(__file__).with_name("surprise_peers.py"))]
        command = theirs if "algorithm" in settings else ours
        given = [str(folder / f"split-{split}.npz"), json.dumps(settings), str(part)]
        subprocess.run(command + given, check=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
        os.replace(part, path)
    return dict(np.load(path))


def rows_of(results, truth):
    """Return the table's rows from results[model][split] and the true ratings by split.

    Each row: the model, mean and standard deviation of its MSE over the splits, its gain over the
    reference (mean and half-width of the 95 % interval, paired by split), and, as medians with
    lowest and highest, processor time to fit and to predict over the reference's; then MB.
    """
    from scipy import stats  # slow to load, and no fit needs it

    results = results | {
        AVERAGE: [averaged(*pair) for pair in zip(*map(results.get, MEMBERS), strict=True)]
    }

    def errors(name):
        pairs = zip(results[name], truth, strict=True)
        return np.array([np.mean((one["predicted"] - true) ** 2) for one, true in pairs])

    def ratio(name, which):
        pairs = zip(results[name], results[REFERENCE], strict=True)
        return np.array(
            [ours["seconds"][which] / theirs["seconds"][which] for ours, theirs in pairs]
        )

    rows = []
    for name in SHOWN:
        mse, gain = errors(name), errors(REFERENCE) - errors(name)
        half = stats.t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / len(gain) ** 0.5
        memory = np.median([one["megabytes"] for one in results[name]], axis=0)
        rows.append((name, mse.mean(), mse.std(ddof=1), gain.mean(), half, ratio(name, 0),
                     ratio(name, 1), *memory))  # fmt: skip
    return rows


def averaged(first, second):
    """Return the average of two results: both have to be fitted, one after the other."""
    return {
        "predicted": (first["predicted"] + second["predicted"]) / 2,
        "seconds": first["seconds"] + second["seconds"],
        "megabytes": np.maximum(first["megabytes"], second["megabytes"]),
    }


def table(rows):
    """Return the rows as a Markdown table."""

    def spread(values):
        low, middle, high = (f"{float(f'{v:.2g}'):.4g}" for v in np.quantile(values, [0, 0.5, 1]))
        return f"{middle} ({low} to {high})"

    lines = [
        "| model | MSE, mean ± sd | gain over KNNBaseline, 95 % | time to fit | to predict | "
        "peak memory, MB (of it libraries) |",
        "|---|---|---|---|---|---|",
    ]
    for name, mean, sd, gain, half, fit, predict, libraries, peak in rows:
        against = "–" if name == REFERENCE else f"{gain:+.4f} ± {half:.4f}"
        lines.append(
            f"| {name} | {mean:.4f} ± {sd:.4f} | {against} | {spread(fit)} | {spread(predict)} | "
            f"{peak:.0f} ({libraries:.0f}) |"
        )
    return "\n".join(lines)


def install(peers):
    """Make the peers' environment: one folder, one pip."""
    subprocess.run([sys.executable, "-m", "venv", str(peers.parents[1])], check=True)
    subprocess.run([str(peers), "-m", "pip", "install", "-q", PEERS], check=True)


def tune(folder, peers, truth):
    """Print the peers' candidates on the choosing split, the best first."""
    for algorithm, candidates in SEARCH.items():
        found = []
        for candidate in candidates:
            settings = MODELS[algorithm] | candidate
            predicted = result_of(settings, CHOOSING, folder, peers)["predicted"]
            found.append((float(np.mean((predicted - truth) ** 2)), candidate))
            print(f"{algorithm} {found[-1][0]:.4f} {candidate}", flush=True)
        print(f"best of {algorithm}: {min(found, key=lambda pair: pair[0])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--install", action="store_true", help="make the peers' environment")
    parser.add_argument("--tune", action="store_true", help="search the peers' settings")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        return one(*asked.one)
    from utils import switches
    from utils.datasets import load_movielens

    peers = switches.build_folder() / "peers" / "bin" / "python"
    if asked.install:
        return install(peers)
    if not peers.exists():
        return f"{peers} is missing: run python benchmarks/{Path(__file__).name} --install first."
    ratings = load_movielens()
    folder = switches.build_folder() / "benchmarks" / f"{ratings.source}-{ratings.edition}"
    for split in (*SPLITS, CHOOSING):
        if not (path := folder / f"split-{split}.npz").exists():
            write_split(ratings, split, path)
    if asked.tune:
        return tune(folder, peers, ratings.rating[ratings.split(CHOOSING)[1]])
    results = {name: [] for name in MODELS}
    # by turns within a split, so that whatever else the machine does hits all
    slow = [name for name in MODELS if name == "SVD++"]
    quick = [name for name in MODELS if name not in slow]
    for group, split in itertools.product((quick, slow), SPLITS):
        for name in group:
            results[name].append(result_of(MODELS[name], split, folder, peers))
            mse = np.mean(
                (results[name][-1]["predicted"] - ratings.rating[ratings.split(split)[1]]) ** 2
            )
            print(f"split {split}, {name}: {mse:.4f}", file=sys.stderr, flush=True)
    print(f"{ratings}\n")
    print(table(rows_of(results, [ratings.rating[ratings.split(s)[1]] for s in SPLITS])))
    for version in sorted({str(v) for each in results.values() for v in each[0]["versions"]}):
        print(version)
    return None


if __name__ == "__main__":
    sys.exit(main())
