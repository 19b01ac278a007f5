"""The benchmarks' own pieces, without their peers: what is compared, and how it is summed up."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

pytestmark = pytest.mark.backend_free

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """Import a benchmark as its command does, from its own folder."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return __import__


@pytest.fixture
def ratings():
    rng = np.random.default_rng(0)
    pairs = rng.permutation(6 * 9)[:40]  # no pair twice

    def split(seed):
        train = np.random.default_rng(seed).random(40) < 0.8
        return train, ~train

    return SimpleNamespace(
        user=pairs // 9, movie=pairs % 9, rating=rng.integers(1, 11, 40) / 2, split=split,
        n_users=6, n_movies=9, years=np.array([0, *range(1990, 1998)]),
        genres=rng.random((9, 3)) < 0.5,
    )  # fmt: skip


def test_help_needs_no_peers():
    script = str(BENCHMARKS / "collaborative_filtering.py")
    said = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert said.returncode == 0 and "--install" in said.stdout


def test_biases_solve_the_penalised_least_squares(benchmark):
    rng = np.random.default_rng(1)
    user, movie, rating = rng.integers(0, 4, 60), rng.integers(0, 5, 60), rng.random(60)
    data = {"user": user, "movie": movie, "rating": rating, "sizes": (4, 5)}
    predict = benchmark("collaborative_filtering").biases(data, strength=3.0, rounds=200)
    x = np.hstack([np.eye(4)[user], np.eye(5)[movie]])
    weights = np.linalg.solve(x.T @ x + 3 * np.eye(9), x.T @ (rating - rating.mean()))
    np.testing.assert_allclose(predict(user, movie), rating.mean() + x @ weights, rtol=1e-9)


def test_a_split_holds_no_rating_that_is_asked_for(benchmark, ratings, tmp_path):
    benchmark("collaborative_filtering").write_split(ratings, 3, tmp_path / "new" / "split.npz")
    data = np.load(tmp_path / "new" / "split.npz")
    train = np.random.default_rng(3).random(40) < 0.8
    np.testing.assert_array_equal(data["rating"], ratings.rating[train])
    np.testing.assert_array_equal(data["asked_user"], ratings.user[~train])
    known = set(zip(data["user"], data["movie"], strict=True))
    assert not known & set(zip(data["asked_user"], data["asked_movie"], strict=True))
    np.testing.assert_allclose(np.linalg.norm(data["metadata"], axis=1), 1, rtol=1e-6)


def test_a_result_is_computed_once_and_then_kept(benchmark, ratings, tmp_path):
    program = benchmark("collaborative_filtering")
    program.write_split(ratings, 0, tmp_path / "split-0.npz")
    asked = {"settings": {"program": "mean"}, "split": 0, "folder": tmp_path, "peers": None}
    first = program.result_of(**asked)
    (tmp_path / "split-0.npz").unlink()  # a second run would fail
    again = program.result_of(**asked)
    train, others = ratings.split(0)
    expected = np.full(others.sum(), ratings.rating[train].mean())
    np.testing.assert_allclose(first["predicted"], expected, rtol=1e-6)
    np.testing.assert_array_equal(first["seconds"], again["seconds"])
    assert 0 < first["megabytes"][0] <= first["megabytes"][1]


def test_the_table_is_paired_by_split(benchmark):
    program = benchmark("collaborative_filtering")
    truth = [np.zeros(4)] * 3

    def kept(errors, seconds):
        pairs = zip(errors, seconds, strict=True)
        return [
            {"predicted": np.full(4, e), "seconds": np.array([s, 2 * s]), "megabytes": [10, 20]}
            for e, s in pairs
        ]

    results = {name: kept([2, 2, 2], [1, 1, 1]) for name in program.MODELS}
    results[program.REFERENCE] = kept([2, 3, 4], [2, 4, 8])
    results["SVD"] = kept([1, 2, 3], [1, 1, 1])
    results["ours, second model"] = kept([-2, -2, -2], [3, 3, 3])
    rows = {row[0]: row[1:] for row in program.rows_of(results, truth)}
    mean, sd, gain, half, fit, predict, libraries, peak = rows["SVD"]
    assert (mean, gain, libraries, peak) == (pytest.approx(14 / 3), pytest.approx(5), 10, 20)
    assert sd == pytest.approx(np.std([1, 4, 9], ddof=1))
    assert half == pytest.approx(stats.sem([3, 5, 7]) * stats.t.ppf(0.975, 2))
    np.testing.assert_allclose([fit, predict], [[1 / 2, 1 / 4, 1 / 8]] * 2)
    # opposite errors cancel in the average, whose members were both fitted
    average = rows[program.AVERAGE]
    assert average[0] == 0 and average[4][0] == 2
    written = program.table(program.rows_of(results, truth))
    assert len(written.splitlines()) == 2 + len(program.SHOWN)
    assert "| KNNBaseline | 9.6667" in written and "+5.0000" in written


def test_generated_ratings_are_in_range_and_long_tailed(benchmark):
    scaling = benchmark("scaling")
    user, movie, rating = scaling.generated(100_000)
    n_users, n_movies = scaling.SIZES[100_000]
    assert user.min() >= 0 and user.max() < n_users and movie.min() >= 0 and movie.max() < n_movies
    assert len(user) == len(movie) == len(rating) == 100_000 and rating.dtype == np.float32
    assert abs(rating.mean(dtype=float)) < 1e-4
    counts = np.sort(np.bincount(movie, minlength=n_movies))[::-1]
    assert counts[: n_movies // 10].sum() > counts[n_movies // 10 :].sum()
