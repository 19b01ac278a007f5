import keras
import numpy as np
import pytest
from keras import ops

from utils.recommenders import factor_model, unit_rows, who_rated_what

N_USERS, N_MOVIES, N_RATINGS = 7, 11, 50


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    return rng.integers(0, N_USERS, 40), rng.integers(0, N_MOVIES, 40)


def randomised(**options):
    """Return a model whose weights, dense ones included, are random, and its tables by name."""
    model = factor_model(N_USERS, N_MOVIES, N_RATINGS, factors=3, **options)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if layer.trainable_weights:
            layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return model, {a.name: a.get_weights()[0] for a in model.layers if a.get_weights()}


def test_predicts_what_the_formula_says(pairs):
    rng = np.random.default_rng(2)
    tables = {"user_table": rng.random((N_USERS, 4)), "movie_table": rng.random((N_MOVIES, 5))}
    model, w = randomised(**tables)
    user, movie = pairs
    p = w["user_factors"] + tables["user_table"] @ w["user_table_to_factors"]
    q = w["movie_factors"] + tables["movie_table"] @ w["movie_table_to_factors"]
    b_user = w["user_bias"] + tables["user_table"] @ w["user_table_to_bias"]
    b_movie = w["movie_bias"] + tables["movie_table"] @ w["movie_table_to_bias"]
    expected = (p[user] * q[movie]).sum(1) + b_user[user, 0] + b_movie[movie, 0]
    np.testing.assert_allclose(ops.convert_to_numpy(model([user, movie]))[:, 0], expected, 1e-4)


def test_penalties_are_imaginary_ratings():
    model, w = randomised(
        factor_strength=12, bias_strength=3, table_strength=40, movie_table=np.eye(N_MOVIES)
    )
    squares = {name: float((values**2).sum()) for name, values in w.items()}
    expected = 12 * (squares["user_factors"] + squares["movie_factors"])
    expected += 3 * (squares["user_bias"] + squares["movie_bias"])
    expected += 40 * (squares["movie_table_to_factors"] + squares["movie_table_to_bias"])
    assert float(sum(model.losses)) == pytest.approx(expected / N_RATINGS, rel=1e-5)


def test_tables_are_frozen_and_say_nothing_at_the_start(pairs):
    keras.utils.set_random_seed(0)
    plain = factor_model(N_USERS, N_MOVIES, N_RATINGS)
    table = np.random.default_rng(0).random((N_USERS, 4)).astype("float32")
    model = factor_model(N_USERS, N_MOVIES, N_RATINGS, user_table=table)
    for name in ("user_factors", "movie_factors", "user_bias", "movie_bias"):
        model.get_layer(name).set_weights(plain.get_layer(name).get_weights())
    before = ops.convert_to_numpy(model(list(pairs)))
    np.testing.assert_array_equal(before, ops.convert_to_numpy(plain(list(pairs))))
    model.compile("adam", "mse")
    model.fit(list(pairs), np.ones(40), epochs=2, verbose=0)
    np.testing.assert_array_equal(model.get_layer("user_table").get_weights()[0], table)
    assert np.abs(model.get_layer("user_table_to_factors").get_weights()[0]).max() > 0


def test_can_be_saved_and_loaded(tmp_path, pairs):
    model, _ = randomised(movie_table=np.eye(N_MOVIES))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(list(pairs)), model(list(pairs)), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_users": 0}, "n_users=0"),
        ({"factors": 2.5}, "factors=2.5"),
        ({"n_ratings": True}, "n_ratings=True"),
        ({"factor_strength": -1}, "factor_strength=-1"),
        ({"bias_strength": float("nan")}, "bias_strength=nan"),
        ({"table_strength": float("inf")}, "table_strength=inf"),
        ({"user_table": np.ones((N_USERS + 1, 2))}, r"user_table of shape \(8, 2\)"),
        ({"user_table": np.ones(N_USERS)}, r"user_table of shape \(7,\)"),
        ({"movie_table": np.full((N_MOVIES, 2), np.nan)}, "finite"),
    ],
)
def test_refuses_what_makes_no_model(change, message):
    sizes = {"n_users": N_USERS, "n_movies": N_MOVIES, "n_ratings": N_RATINGS}
    with pytest.raises(ValueError, match=message):
        factor_model(**sizes | change)


def test_who_rated_what_from_both_sides():
    user, movie = np.array([0, 0, 1, 1, 1]), np.array([2, 0, 2, 0, 1])
    histories, audiences = who_rated_what(user, movie, 3, 4, most_rated=2)
    half = 2**-0.5
    # films 0 and 2 have most ratings, in this order; user 2 and film 3 have none
    np.testing.assert_allclose(histories, [[half, half], [half, half], [0, 0]], rtol=1e-6)
    expected = [[half, half, 0], [0, 1, 0], [half, half, 0], [0, 0, 0]]
    np.testing.assert_allclose(audiences, expected, rtol=1e-6)
    assert histories.dtype == audiences.dtype == np.float32


def test_who_rated_what_takes_few_films_and_no_ratings():
    none = np.array([], int)
    histories, audiences = who_rated_what(none, none, 2, 3)
    assert histories.shape == (2, 3) and audiences.shape == (3, 2)
    assert not histories.any() and not audiences.any()


@pytest.mark.parametrize(
    ("user", "movie", "message"),
    [
        ([0, 3], [0, 1], "user ids go from 0 to 3"),
        ([0, 1], [-1, 1], "movie ids go from -1 to 1"),
        ([0, 1], [0], "not equally long"),
    ],
)
def test_who_rated_what_refuses_wrong_ids(user, movie, message):
    with pytest.raises(ValueError, match=message):
        who_rated_what(np.array(user), np.array(movie), 3, 4)


def test_unit_rows_have_length_one_or_none():
    rows = unit_rows([[3, 4], [0, 0], [True, False]])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [1, 0, 1], rtol=1e-6)
    assert rows.dtype == np.float32
