"""The model that notebook 06 arrives at: factors and biases, with room for what else is known.

Penalties are given as *imaginary ratings*: a strength of 12 is an L2 penalty of
12 / n_ratings on each number of a table. It pulls a user or film as hard towards the average as
12 further ratings would that say "exactly as expected", so it fades as real ratings come in.
Sources: Koren, Bell and Volinsky, Matrix factorization techniques for recommender systems
(2009); Koren, Factorization meets the neighborhood (2008), for what the choice of films tells.
"""

import keras
import numpy as np
from keras import layers, regularizers

__all__ = ["factor_model", "unit_rows", "who_rated_what"]


def factor_model(
    n_users,
    n_movies,
    n_ratings,
    *,
    factors=50,
    factor_strength=12.0,
    bias_strength=3.0,
    table_strength=40.0,
    user_table=None,
    movie_table=None,
):
    """Build the model `dot(user factors, film factors) + user bias + film bias`.

    It predicts ratings minus their mean: take the training mean out before `fit` and add it to
    what `predict` returns. Compile it yourself.

    A table holds what is known of each user or film besides the ratings' values. It is looked
    up, not trained; trained weights turn its row into an addition to the factors and the bias.

    Parameters
    ----------
    n_users, n_movies : int
        Ids go from 0 to one less.
    n_ratings : int
        Number of training ratings, which the strengths refer to.
    factors : int
        Numbers per user and film.
    factor_strength, bias_strength, table_strength : float
        Penalties in imaginary ratings; the last is on the weights behind the tables.
    user_table, movie_table : numpy.ndarray, optional
        (n_users, k) and (n_movies, l) float32, best with rows of length 1 (`unit_rows`).

    Returns
    -------
    keras.Model
        Inputs `[user, movie]`: two (batch,) arrays of integers; output (batch, 1). Its layers
        "user_factors", "movie_factors", "user_bias", "movie_bias" hold the trained tables,
        "user_table" and "movie_table" the given ones.

    Raises
    ------
    ValueError
        If a size is not a positive integer, a strength is negative, or a table has not one row
        per user or film.
    """
    for name, size in (
        ("n_users", n_users), ("n_movies", n_movies), ("n_ratings", n_ratings), ("factors", factors)
    ):  # fmt: skip
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"{name}={size!r} is not a positive integer.")
    for name, strength in (
        ("factor_strength", factor_strength), ("bias_strength", bias_strength),
        ("table_strength", table_strength),
    ):  # fmt: skip
        if not 0 <= strength < float("inf"):
            raise ValueError(f"{name}={strength!r} is not a number of ratings from 0 upwards.")

    def side(name, rows, table):
        """Return the input, the factors and the bias of one side: users or films."""
        number = keras.Input((), dtype="int32", name=name)
        vector = layers.Embedding(
            rows,
            int(factors),
            embeddings_initializer=keras.initializers.RandomNormal(stddev=0.05),
            embeddings_regularizer=regularizers.L2(factor_strength / n_ratings),
            name=f"{name}_factors",
        )(number)
        bias = layers.Embedding(
            rows,
            1,
            embeddings_initializer="zeros",
            embeddings_regularizer=regularizers.L2(bias_strength / n_ratings),
            name=f"{name}_bias",
        )(number)
        if table is not None:
            known = _frozen(table, rows, f"{name}_table")(number)
            vector = layers.Add()([vector, weighed(f"{name}_table_to_factors", factors)(known)])
            bias = layers.Add()([bias, weighed(f"{name}_table_to_bias", 1)(known)])
        return number, vector, bias

    def weighed(name, columns):
        return layers.Dense(
            int(columns),
            use_bias=False,
            kernel_initializer="zeros",
            kernel_regularizer=regularizers.L2(table_strength / n_ratings),
            name=name,
        )

    user, user_vector, user_bias = side("user", int(n_users), user_table)
    movie, movie_vector, movie_bias = side("movie", int(n_movies), movie_table)
    match = layers.Dot(axes=1)([user_vector, movie_vector])
    return keras.Model([user, movie], layers.Add()([match, user_bias, movie_bias]))


def _frozen(table, rows, name):
    table = np.asarray(table, np.float32)
    if table.ndim != 2 or len(table) != rows or not np.isfinite(table).all():
        raise ValueError(
            f"{name} of shape {table.shape}: a table of finite numbers with {rows} rows is needed."
        )
    return layers.Embedding(*table.shape, weights=[table], trainable=False, name=name)


def who_rated_what(user, movie, n_users, n_movies, *, most_rated=1000):
    """Tell who rated which film, whatever the stars, from both sides, in rows of length 1.

    Give it the training ratings only: that a validation rating exists is not to be known.

    Parameters
    ----------
    user, movie : numpy.ndarray
        (n,) integer ids from 0.
    n_users, n_movies : int
        How many of each there are.
    most_rated : int
        The histories keep this many films, those with the most ratings.

    Returns
    -------
    histories : numpy.ndarray
        (n_users, min(most_rated, n_movies)) float32, a user's films.
    audiences : numpy.ndarray
        (n_movies, n_users) float32, a film's users.

    Raises
    ------
    ValueError
        If the ids are not two arrays of one length, or out of range.
    """
    user, movie = np.asarray(user), np.asarray(movie)
    if user.ndim != 1 or user.shape != movie.shape:
        raise ValueError(f"user {user.shape} and movie {movie.shape} are not equally long columns.")
    for name, ids, count in (("user", user, n_users), ("movie", movie, n_movies)):
        if len(ids) and not (ids.min() >= 0 and ids.max() < count):
            raise ValueError(
                f"{name} ids go from {ids.min()} to {ids.max()}; 0 to {count - 1} are accepted."
            )
    audiences = np.zeros((n_movies, n_users), np.float32)
    audiences[movie, user] = 1
    kept = np.argsort(-audiences.sum(axis=1), kind="stable")[:most_rated]
    return unit_rows(audiences[kept].T), unit_rows(audiences)


def unit_rows(table):
    """Scale every row of a table to length 1, and leave rows of zeros as they are.

    Parameters
    ----------
    table : array
        (rows, columns) numbers.

    Returns
    -------
    numpy.ndarray
        (rows, columns) float32.
    """
    table = np.asarray(table, np.float32)
    length = np.linalg.norm(table, axis=1, keepdims=True)
    return table / np.where(length > 0, length, 1)
