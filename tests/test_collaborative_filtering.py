"""Oracles for the mathematics that notebook 06 writes down itself."""

import ast
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy import optimize

from utils.recommenders import factor_model

SOURCE = Path(__file__).parent.parent / "notebooks" / "src" / "06_collaborative_filtering.py"


def from_notebook(*names, **given):
    """Return the namespace of some of the notebook's functions, run without its other cells."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    wanted = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in names]
    assert {n.name for n in wanted} == set(names)
    space = {"np": np, "optimize": optimize} | given
    exec(compile(ast.Module(wanted, []), SOURCE.name, "exec"), space)
    return space


@pytest.fixture(scope="module")
def some_ratings():
    rng = np.random.default_rng(0)
    n_users, n_movies = 12, 9
    user, movie = np.divmod(rng.choice(n_users * n_movies, 70, replace=False), n_movies)
    rating = np.clip(np.round(2 * rng.normal(3.5, 1, 70)) / 2, 0.5, 5).astype("float32")
    return {
        "user": user, "movie": movie, "rating": rating, "n_users": n_users, "n_movies": n_movies
    }  # fmt: skip


def normal_equations(data, strength):
    """Solve for all biases at once: the oracle."""
    one_hot = np.zeros((len(data["rating"]), data["n_users"] + data["n_movies"]))
    rows = np.arange(len(one_hot))
    one_hot[rows, data["user"]] = one_hot[rows, data["n_users"] + data["movie"]] = 1
    rest = data["rating"] - data["rating"].mean()
    both = one_hot.T @ one_hot + strength * np.eye(one_hot.shape[1])
    return np.split(np.linalg.solve(both, one_hot.T @ rest), [data["n_users"]])


@pytest.mark.parametrize("strength", [1.0, 4.0])
def test_the_biases_by_turns_solve_the_normal_equations(some_ratings, strength):
    ridge_biases = from_notebook("ridge_biases", **some_ratings)["ridge_biases"]
    everything = np.ones(len(some_ratings["rating"]), bool)
    mean, user_bias, movie_bias = ridge_biases(everything, strength, rounds=200)
    expected = normal_equations(some_ratings, strength)
    assert mean == some_ratings["rating"].mean()
    np.testing.assert_allclose(user_bias, expected[0], atol=1e-6)
    np.testing.assert_allclose(movie_bias, expected[1], atol=1e-6)


def test_a_penalty_of_lambda_is_lambda_n_imaginary_ratings(some_ratings):
    """With factors penalised away, the trained biases are those of the ridge regression."""
    n = len(some_ratings["rating"])
    keras.utils.set_random_seed(0)
    model = factor_model(
        some_ratings["n_users"], some_ratings["n_movies"], n, factors=1,
        factor_strength=1e4, bias_strength=4.0,
    )  # fmt: skip
    model.compile(keras.optimizers.Adam(0.02), "mse")
    pairs = [some_ratings["user"].astype("int32"), some_ratings["movie"].astype("int32")]
    target = some_ratings["rating"] - some_ratings["rating"].mean()
    tiled = [np.tile(ids, 200) for ids in pairs]  # 200 steps an epoch, each on all ratings
    model.fit(tiled, np.tile(target, 200), batch_size=n, epochs=2, shuffle=False, verbose=0)
    expected = normal_equations(some_ratings, 4.0)
    for name, values in zip(("user_bias", "movie_bias"), expected, strict=True):
        trained = model.get_layer(name).get_weights()[0][:, 0]
        np.testing.assert_allclose(trained, values, atol=2e-3)


@pytest.fixture
def sheet_of():
    """Return the sheet's functions on a given table with blanks."""

    def make(table):
        names = ("sheet_predictions", "sheet_rmse", "loss_and_gradient", "solve")
        return from_notebook(*names, sheet=table, known=~np.isnan(table))

    return make


@pytest.mark.parametrize("columns", [5, 6])
def test_the_sheets_gradient_is_its_derivative(sheet_of, columns):
    rng = np.random.default_rng(1)
    table = np.where(rng.random((15, 15)) < 0.1, np.nan, rng.integers(1, 11, (15, 15)) / 2)
    sheet, start = sheet_of(table), rng.random(30 * columns)
    numeric = optimize.approx_fprime(start, lambda w: sheet["loss_and_gradient"](w)[0], 1e-6)
    np.testing.assert_allclose(sheet["loss_and_gradient"](start)[1], numeric, rtol=1e-4, atol=1e-3)


def test_the_sheet_finds_a_table_of_five_factors_and_biases(sheet_of):
    rng = np.random.default_rng(2)
    planted = rng.normal(size=(30, 6))
    sheet = sheet_of(np.nan * np.zeros((15, 15)))
    sheet = sheet_of(sheet["sheet_predictions"](planted))
    solved = min(sheet["sheet_rmse"](sheet["solve"](rng.random((30, 6)))) for _ in range(3))
    assert solved < 1e-2


def numbers(rows):
    """Return the cells that hold numbers, NaN elsewhere."""
    number = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?$", re.I)
    return np.array([[float(c) if number.match(c) else np.nan for c in row] for row in rows])


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "first", "start", "optimum"),
    [("dotprod", 1, 2.80606, 0.3929), ("bias", 0, 2.018, 0.3187)],
)
def test_the_sheet_as_the_course_shipped_it(sheet_of, course_sheet, name, first, start, optimum):
    cells = numbers(course_sheet(f"collab-{name}"))
    sheet = sheet_of(cells[1:16, 7:22])
    users, movies = cells[24 + (not first) :, first:6][:15], cells[18 : 24 - first, 7:22].T
    w = np.vstack([users, movies])
    assert sheet["sheet_rmse"](w) == pytest.approx(start, abs=5e-4)
    assert sheet["sheet_rmse"](sheet["solve"](w)) == pytest.approx(optimum, abs=2e-3)
