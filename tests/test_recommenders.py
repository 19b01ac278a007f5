import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from scipy import optimize

from utils.recommenders import (
    FactorTables,
    bias_model,
    factor_model,
    multiply_first,
    train_factors,
    unit_rows,
    who_rated_what,
)

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


def test_the_lessons_model_predicts_and_penalises_as_it_says(pairs):
    model = bias_model(N_USERS, N_MOVIES, factors=3, penalty=0.01)
    rng = np.random.default_rng(3)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    w = {layer.name: layer.get_weights()[0] for layer in model.layers if layer.weights}
    user, movie = pairs
    expected = (w["user_factors"][user] * w["movie_factors"][movie]).sum(1)
    expected += w["user_bias"][user, 0] + w["movie_bias"][movie, 0]
    np.testing.assert_allclose(ops.convert_to_numpy(model([user, movie]))[:, 0], expected, 1e-4)
    squares = (w["user_factors"] ** 2).sum() + (w["movie_factors"] ** 2).sum()
    assert float(sum(model.losses)) == pytest.approx(0.01 * squares, rel=1e-5)


@pytest.mark.parametrize(
    "tables", [{}, {"user_table": np.eye(N_USERS), "movie_table": np.eye(N_MOVIES)}]
)
def test_tables_predict_what_their_model_does(pairs, tables):
    model, _ = randomised(**tables)
    user, movie = pairs
    read = FactorTables.of(model, mean=3.5)
    expected = 3.5 + ops.convert_to_numpy(model([user, movie]))[:, 0]
    np.testing.assert_allclose(read.predict(user, movie), expected, 1e-4)
    everything = read.expected(read.user_factors[2], read.user_bias[2])
    np.testing.assert_allclose(everything, read.predict(2, np.arange(N_MOVIES)), 1e-6)


def some_tables(seed, factors=3, n_movies=N_MOVIES):
    rng = np.random.default_rng(seed)
    return FactorTables(
        3.5, rng.normal(size=(2, factors)), rng.normal(size=(n_movies, factors)),
        rng.normal(size=2), rng.normal(size=n_movies),
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(0, N_MOVIES), st.floats(0.1, 50), st.floats(0.1, 50))
def test_a_newcomer_gets_the_row_that_minimises_the_penalised_error(seed, n, factor, bias):
    tables, rng = some_tables(seed), np.random.default_rng(seed)
    movie, rating = rng.choice(N_MOVIES, n, replace=False), rng.integers(1, 11, n) / 2

    def objective(row):
        errors = tables.expected(row[:-1], row[-1])[movie] - rating
        return errors @ errors + factor * row[:-1] @ row[:-1] + bias * row[-1] ** 2

    vector, offset = tables.newcomer(movie, rating, factor_strength=factor, bias_strength=bias)
    best = optimize.minimize(objective, np.zeros(4), method="BFGS", options={"gtol": 1e-7}).x
    np.testing.assert_allclose(np.append(vector, offset), best, atol=1e-4)


def test_a_newcomer_without_penalty_is_fitted_exactly_and_nobody_is_average():
    tables = some_tables(0)
    stars = tables.expected(tables.user_factors[1], tables.user_bias[1])
    everything = np.arange(N_MOVIES)
    vector, offset = tables.newcomer(everything, stars, factor_strength=0, bias_strength=0)
    np.testing.assert_allclose(vector, tables.user_factors[1], atol=1e-8)
    assert offset == pytest.approx(tables.user_bias[1])
    vector, offset = tables.newcomer([], [], factor_strength=8, bias_strength=0)
    assert not vector.any() and offset == 0


def test_solving_for_a_user_is_what_training_comes_to():
    rng = np.random.default_rng(0)
    user, movie = np.divmod(rng.choice(N_USERS * N_MOVIES, N_RATINGS, replace=False), N_MOVIES)
    rating = np.clip(np.round(2 * rng.normal(3.5, 1, N_RATINGS)) / 2, 0.5, 5).astype("float32")

    def build():
        return factor_model(N_USERS, N_MOVIES, N_RATINGS, factors=2, factor_strength=1.0)

    rows = [np.tile(column, 100) for column in (user, movie, rating)]  # many steps an epoch
    tables = train_factors(build, *rows, epochs=15, batch_size=2 * N_RATINGS, learning_rate=0.03)
    assert np.abs(tables.user_factors).max() > 0.3  # they did learn something
    for person in range(N_USERS):
        mine = user == person
        vector, offset = tables.newcomer(movie[mine], rating[mine], factor_strength=1.0)
        np.testing.assert_allclose(vector, tables.user_factors[person], atol=0.02)
        assert offset == pytest.approx(tables.user_bias[person], abs=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rating": [1, 2, 3]}, r"\(2,\) films and \(3,\) ratings"),
        ({"factor_strength": -1}, "factor_strength=-1"),
        ({"bias_strength": -2}, "bias_strength=-2"),
    ],
)
def test_a_newcomer_is_refused_what_makes_no_sense(change, message):
    with pytest.raises(ValueError, match=message):
        some_tables(0).newcomer(**{"movie": [0, 1], "rating": [1, 2]} | change)


def randomised_with_tables():
    rng = np.random.default_rng(2)
    tables = {"user_table": rng.random((N_USERS, 4)), "movie_table": rng.random((N_MOVIES, 5))}
    return randomised(**tables)[0]


def test_multiplying_first_changes_neither_predictions_nor_penalties(pairs):
    model = randomised_with_tables()
    expected = ops.convert_to_numpy(model(list(pairs)))
    for batch_size, looked_up in (
        (N_USERS, {"user_table", "movie_table"}),  # as many rows as ratings: nothing to gain
        (N_USERS + 1, {"movie_table"}),
        (N_MOVIES + 1, set()),
    ):
        faster = multiply_first(model, batch_size)
        assert {la.name for la in faster.layers if la.name.endswith("_table")} == looked_up
        np.testing.assert_allclose(ops.convert_to_numpy(faster(list(pairs))), expected, 1e-5)
        assert float(sum(faster.losses)) == pytest.approx(float(sum(model.losses)), rel=1e-6)


def test_multiplying_first_trains_to_the_same_weights_and_shares_them(pairs):
    model = randomised_with_tables()
    start, stars = model.get_weights(), np.linspace(-2, 2, len(pairs[0]), dtype="float32")
    before = model.get_layer("user_factors").get_weights()[0]

    def trained(trainee):
        model.set_weights(start)
        trainee.compile(keras.optimizers.SGD(0.05), "mse")
        for _ in range(3):
            trainee.train_on_batch(list(pairs), stars)
        return {layer.name: layer.get_weights() for layer in model.layers}

    plain, faster = trained(model), trained(multiply_first(model, 20))
    for name, values in plain.items():
        for one, other in zip(values, faster[name], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6, err_msg=name)
    assert np.abs(faster["user_factors"][0] - before).max() > 1e-3  # it did learn


def test_multiplying_first_leaves_a_model_without_tables_alone(pairs):
    model, _ = randomised()
    same = multiply_first(model, 100)
    assert [layer.name for layer in same.layers] == [layer.name for layer in model.layers]
    np.testing.assert_array_equal(same(list(pairs)), model(list(pairs)))


def test_multiplying_first_refuses_what_is_no_batch_size():
    model = factor_model(2, 2, 1, factors=1)
    for batch_size in (0, 2.0, True):
        with pytest.raises(ValueError, match="batch_size"):
            multiply_first(model, batch_size)


def test_tables_are_the_same_when_the_product_comes_first():
    rng = np.random.default_rng(3)
    model = factor_model(
        9, 11, 300, factors=3, user_table=rng.random((9, 4)), movie_table=rng.random((11, 5))
    )
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    plain, product = FactorTables.of(model), FactorTables.of(multiply_first(model, 100))
    user, movie = rng.integers(0, 9, 40), rng.integers(0, 11, 40)
    np.testing.assert_allclose(product.predict(user, movie), plain.predict(user, movie), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rating": np.array([1.0, np.nan, 3.0])}, "Rating 1 is not finite"),
        ({"rating": np.ones(2)}, "three columns of one"),
        ({"user": np.array([0, 1, 4])}, "user ids go from 0 to 4; 0 to 3"),
        ({"movie": np.array([0.0, 1.0, 2.0])}, "movie ids are float64"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": True}, "batch_size=True"),
        ({"fused": 0}, "fused=0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
    ],
)
def test_training_refuses_what_it_cannot_learn_from(change, message):
    given = {
        "user": np.array([0, 1, 2]), "movie": np.array([2, 1, 0]), "rating": np.ones(3),
        "epochs": 1, "batch_size": 2, "learning_rate": 0.01,
    } | change  # fmt: skip
    columns = [given.pop(name) for name in ("user", "movie", "rating")]
    with pytest.raises(ValueError, match=message):
        train_factors(tiny_bias_model, *columns, **given)


def tiny_bias_model():
    return bias_model(4, 3, factors=2)


@pytest.mark.parametrize(
    ("movie", "rating", "strength"),
    [
        ([-1], [3.0], 1.0),
        ([1.9], [3.0], 1.0),
        ([True, False, True], [1.0, 2.0, 3.0], 1.0),
        ([1], [np.nan], 1.0),
        ([1], [3.0], np.nan),
    ],
)
def test_a_newcomers_ratings_are_checked(movie, rating, strength):
    tables = FactorTables(3.0, np.ones((4, 2)), np.ones((3, 2)), np.zeros(4), np.zeros(3))
    with pytest.raises(ValueError, match=r"ids|finite|strength"):
        tables.newcomer(movie, rating, factor_strength=strength)
