"""Notebook 07: its model is notebook 06's, and the functions that it writes down itself."""

import ast
import functools
import itertools
import types
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops, regularizers
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import PCA

from utils import recommenders
from utils.datasets import load_movielens
from utils.recommenders import bias_model, factor_model, train_factors

SOURCES = Path(__file__).parent.parent / "notebooks" / "src"


def functions_of(slug, *names, **given):
    """Return the namespace of some of a notebook's functions, run without its other cells."""
    tree = ast.parse((SOURCES / f"{slug}.py").read_text(encoding="utf-8"))
    wanted = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in names]
    assert {n.name for n in wanted} == set(names)
    space = {"np": np, "pd": pd} | given
    exec(compile(ast.Module(wanted, []), slug, "exec"), space)
    return types.SimpleNamespace(**space)


in_07 = functools.partial(functions_of, "07_movie_factors")

SIZES = {"n_users": 12, "n_movies": 9, "n_train": 70, "factors": 4}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    pairs = rng.choice(SIZES["n_users"] * SIZES["n_movies"], 90, replace=False)
    user, movie = (ids.astype("int32") for ids in np.divmod(pairs, SIZES["n_movies"]))
    rating = np.clip(np.round(2 * rng.normal(3.5, 1, 90)) / 2, 0.5, 5).astype("float32")
    return {"user": user, "movie": movie, "rating": rating}


def tuned():
    return factor_model(SIZES["n_users"], SIZES["n_movies"], SIZES["n_train"], factors=4)


@pytest.mark.parametrize(("name", "seed"), [("bias_penalised", 0), ("tuned", 3)])
def test_the_model_is_that_of_notebook_06(data, name, seed):
    """The same rows, recipe and seed through 06's own `fit` give the same weights."""
    recommenders._prepared.cache_clear()  # a first training on both sides, which matters on JAX
    names = ["fit", "prepared", "predict", "mse", "embedding", "with_bias", "bias_penalised"]
    in_06 = functions_of(
        "06_collaborative_filtering", *names, "falling",
        keras=keras, layers=layers, regularizers=regularizers, ops=ops, functools=functools,
        lesson=types.SimpleNamespace(seed=0), **data, **SIZES,
    )  # fmt: skip
    train = np.arange(90) < SIZES["n_train"]
    plain = name == "bias_penalised"
    theirs, predicted, _ = in_06.fit(
        in_06.bias_penalised if plain else tuned, train, ~train, epochs=3, batch=16, rate=0.02,
        schedule=None if plain else in_06.falling, centre=not plain, seed=seed,
    )  # fmt: skip
    tables = train_factors(
        functools.partial(bias_model, 12, 9, factors=4) if plain else tuned,
        *(column[train] for column in data.values()),
        epochs=3, batch_size=16, learning_rate=0.02, centre=not plain, falling=not plain, seed=seed,
    )  # fmt: skip
    unseen = data["user"][~train], data["movie"][~train]
    np.testing.assert_allclose(tables.predict(*unseen), predicted, atol=1e-5)
    by_shape = {w.shape: w for w in theirs.get_weights()}
    np.testing.assert_allclose(tables.movie_factors, by_shape[9, 4], atol=1e-6)
    np.testing.assert_allclose(tables.user_bias, by_shape[12, 1][:, 0], atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_matching_undoes_any_order_and_sign(seed, k):
    rng = np.random.default_rng(seed)
    reference = np.linalg.qr(rng.normal(size=(40, 8)))[0][:, :k] * np.arange(k, 0, -1)
    shuffled = reference[:, rng.permutation(k)] * rng.choice([-1, 1], k)
    matched = in_07("matched", linear_sum_assignment=linear_sum_assignment).matched
    turned, r = matched(reference, shuffled + 1e-9)
    np.testing.assert_allclose(turned, reference, atol=1e-6)
    np.testing.assert_allclose(r, 1, atol=1e-6)


def test_agreement_sees_through_a_rotation_of_the_factors():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(200, 5)) * [5, 4, 3, 2, 1]
    other = one @ np.linalg.qr(rng.normal(size=(5, 5)))[0]
    unlike = rng.normal(size=(200, 5))
    agreement = in_07(
        "matched", "agreement", linear_sum_assignment=linear_sum_assignment, PCA=PCA,
        films=np.arange(200), itertools=itertools,
    ).agreement  # fmt: skip
    tables = [types.SimpleNamespace(movie_factors=factors) for factors in (one, other, unlike)]
    same, *different = agreement(tables, 3)
    np.testing.assert_allclose(same, 1, atol=1e-6)
    assert np.max(different) < 0.5


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("Godfather, The (1972)", "The Godfather"),
        ("Clockwork Orange, A (1971)", "A Clockwork Orange"),
        ("Sunset Blvd. (a.k.a. Sunset Boulevard) (1950)", "Sunset Blvd."),
        ("Paris, Texas (1984)", "Paris, Texas"),
        ("Good, the Bad and the Ugly, The (1966)", "The Good, the Bad and the Ugly"),
        ("No year", "No year"),
    ],
)
def test_titles_as_people_say_them(title, said):
    short = in_07("short").short
    assert short(title, year=False) == said
    year = title[-7:] if title.endswith(")") else ""
    assert short(title) == said + year


def test_ends_are_the_lowest_and_the_highest_of_the_films_looked_at():
    values = np.array([5.0, -1, 9, 3, 7, -9])
    lowest, highest = in_07("ends", films=np.array([0, 1, 3, 4])).ends(values, 2)
    assert lowest.tolist() == [1, 3] and highest.tolist() == [4, 0]


def test_what_was_seen_is_not_recommended():
    tables = types.SimpleNamespace(expected=lambda factors, bias: np.arange(8.0))
    ratings = types.SimpleNamespace(titles=np.array(list("abcdefgh")))
    recommend = in_07(
        "short", "names_of", "recommend", ratings=ratings, popular=np.array([1, 3, 5, 7])
    ).recommend
    assert recommend(tables, None, 0, np.array([7, 2]), 2)["film"].tolist() == ["f", "d"]


def test_correlations_are_numpys():
    rng = np.random.default_rng(0)
    witnesses, columns = pd.DataFrame(rng.random((30, 4))), rng.random((30, 3))
    found = in_07("correlations", witnesses=witnesses).correlations(columns)
    np.testing.assert_allclose(found, np.corrcoef(witnesses.T, columns.T)[:4, 4:])


def test_an_edition_with_other_numbers_holds_the_same_films(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_SOURCE", "standin")
    ratings = load_movielens()
    rows = np.random.default_rng(1).random(len(ratings)) < 0.3
    given = {name: getattr(ratings, name) for name in ("user", "movie", "rating")}
    in_07("write_edition", ratings=ratings, **given).write_edition(tmp_path / "edition", rows)
    other = load_movielens(tmp_path / "edition")
    assert other.titles[other.movie].tolist() == ratings.titles[ratings.movie[rows]].tolist()
    np.testing.assert_array_equal(other.rating, ratings.rating[rows])
    of_both = [
        {t: set(np.array(r.genre_names)[g]) for t, g in zip(r.titles, r.genres, strict=True)}
        for r in (ratings, other)
    ]
    assert all(of_both[0][title] == genres for title, genres in of_both[1].items())
    ids = [dict(zip(r.titles, r.movie_ids.tolist(), strict=True)) for r in (ratings, other)]
    assert any(ids[0][title] != number for title, number in ids[1].items())
