"""The models of notebooks 06 and 07: factors and biases, with room for what else is known.

`bias_model` is the lesson's, `factor_model` the one that notebook 06 arrives at; `train_factors`
trains either and hands back its tables as arrays, which is what notebook 07 looks into.

Penalties are given as *imaginary ratings*: a strength of 12 is an L2 penalty of
12 / n_ratings on each number of a table. It pulls a user or film as hard towards the average as
12 further ratings would that say "exactly as expected", so it fades as real ratings come in.
Sources: Koren, Bell and Volinsky, Matrix factorization techniques for recommender systems
(2009); Koren, Factorization meets the neighborhood (2008), for what the choice of films tells.
"""

import dataclasses
import functools

import keras
import numpy as np
from keras import layers, regularizers

__all__ = [
    "FactorTables",
    "bias_model",
    "factor_model",
    "multiply_first",
    "train_factors",
    "unit_rows",
    "who_rated_what",
]


def bias_model(n_users, n_movies, *, factors=50, penalty=1e-4):
    """Build the lesson's model `dot(user factors, film factors) + user bias + film bias`.

    The L2 penalty is on the factors alone, and the ratings are predicted as they are, without
    their mean taken out. Compile it yourself, or use `train_factors`.
    Source: the course's lesson4.ipynb, "Bias"; notebook 06, section 7.

    Parameters
    ----------
    n_users, n_movies : int
        Ids go from 0 to one less.
    factors : int
        Numbers per user and film.
    penalty : float
        Added to the mean squared error: this times the sum of all squared factors.

    Returns
    -------
    keras.Model
        Inputs `[user, movie]`: two (batch,) arrays of integers; output (batch, 1), in stars.
        Layers "user_factors", "movie_factors", "user_bias", "movie_bias".
    """
    user = keras.Input((), dtype="int32", name="user")
    movie = keras.Input((), dtype="int32", name="movie")

    def table(rows, columns, strength, name):
        regularizer = regularizers.L2(strength) if strength else None
        return layers.Embedding(int(rows), columns, embeddings_regularizer=regularizer, name=name)

    user_vector = table(n_users, factors, penalty, "user_factors")(user)
    movie_vector = table(n_movies, factors, penalty, "movie_factors")(movie)
    match = layers.Dot(axes=1)([user_vector, movie_vector])
    bias = [table(n_users, 1, 0, "user_bias")(user), table(n_movies, 1, 0, "movie_bias")(movie)]
    return keras.Model([user, movie], layers.Add()([match, *bias]))


@dataclasses.dataclass(frozen=True, eq=False)
class FactorTables:
    """A trained recommender as plain arrays, k factors to a user and a film.

    Attributes
    ----------
    mean : float
        What was taken out of the ratings before training, in stars; 0 where nothing was.
    user_factors, movie_factors : numpy.ndarray
        (n_users, k) and (n_movies, k).
    user_bias, movie_bias : numpy.ndarray
        (n_users,) and (n_movies,), in stars.
    """

    mean: float
    user_factors: np.ndarray
    movie_factors: np.ndarray
    user_bias: np.ndarray
    movie_bias: np.ndarray

    @classmethod
    def of(cls, model, mean=0.0):
        """Read the tables of a `bias_model` or `factor_model`; what is known besides is added in.

        Parameters
        ----------
        model : keras.Model
            Trained.
        mean : float
            Of the ratings it was trained on, where it predicts deviations from it.

        Returns
        -------
        FactorTables
        """
        parts = []
        for layer in model.layers:  # of `multiply_first`, too
            parts += [layer.table, layer.dense] if isinstance(layer, _Product) else [layer]
        weights = {part.name: part.get_weights()[0] for part in parts if part.weights}

        def table(side, kind):
            known = weights.get(f"{side}_table")
            added = 0 if known is None else known @ weights[f"{side}_table_to_{kind}"]
            return weights[f"{side}_{kind}"] + added

        return cls(
            float(mean),
            table("user", "factors"),
            table("movie", "factors"),
            table("user", "bias")[:, 0],
            table("movie", "bias")[:, 0],
        )

    def predict(self, user, movie):
        """Return the stars that users are expected to give films.

        Parameters
        ----------
        user, movie : numpy.ndarray
            (n,) integer ids each.

        Returns
        -------
        numpy.ndarray
            (n,) stars.

        Raises
        ------
        ValueError
            If an id is not an integer, or out of range.
        """
        user = _ids("user", user, len(self.user_bias))
        movie = _ids("movie", movie, len(self.movie_bias))
        match = np.sum(self.user_factors[user] * self.movie_factors[movie], axis=-1)
        return self.mean + match + self.user_bias[user] + self.movie_bias[movie]

    def expected(self, factors, bias):
        """Return the stars that one person, known or new, is expected to give each film.

        Parameters
        ----------
        factors : numpy.ndarray
            (k,), a row of `user_factors` or what `newcomer` found.
        bias : float
            In stars.

        Returns
        -------
        numpy.ndarray
            (n_movies,) stars.
        """
        return self.mean + self.movie_bias + self.movie_factors @ factors + bias

    def newcomer(self, movie, rating, *, factor_strength=12.0, bias_strength=3.0):
        """Find a new user's factors and bias, with the films as they are and no training.

        With the films fixed, the penalised squared error of one user is a ridge regression with
        k + 1 unknowns, which is solved exactly. It pulls towards zero, so it is for a centred
        `factor_model` without `user_table`; the lesson's tables keep a part of the mean in their
        user biases, and there zero is far too low.
        Source: the user's half of alternating least squares, Koren, Bell and Volinsky (2009).

        Parameters
        ----------
        movie : numpy.ndarray
            (n,) integer ids of the films rated; none is fine, and gives zeros.
        rating : numpy.ndarray
            (n,) stars.
        factor_strength, bias_strength : float
            Penalties in imaginary ratings, as the tables were trained with.

        Returns
        -------
        factors : numpy.ndarray
            (k,).
        bias : float
            In stars.

        Raises
        ------
        ValueError
            If there is not one finite rating a film, an id is no film's, or a strength is
            negative or infinite.
        """
        movie, rating = np.asarray(movie), np.asarray(rating, float)
        if movie.ndim != 1 or movie.shape != rating.shape:
            raise ValueError(f"Received {movie.shape} films and {rating.shape} ratings.")
        movie = _ids("movie", movie, len(self.movie_bias))
        if not np.isfinite(rating).all():
            raise ValueError(f"Rating {np.flatnonzero(~np.isfinite(rating))[0]} is not finite.")
        if not (0 <= factor_strength < np.inf and 0 <= bias_strength < np.inf):
            raise ValueError(
                f"{factor_strength=}, {bias_strength=}: numbers of ratings from 0 upwards, please."
            )
        vectors = self.movie_factors[movie]
        known = np.column_stack([vectors, np.ones(len(movie))])
        pull = np.diag(np.sqrt([factor_strength] * vectors.shape[1] + [bias_strength]))
        rest = rating - self.mean - self.movie_bias[movie]
        # the penalties as further rows: least squares then also copes with a strength of 0
        both = np.vstack([known, pull]), np.concatenate([rest, np.zeros(len(pull))])
        solution = np.linalg.lstsq(*both)[0]
        return solution[:-1], float(solution[-1])


def train_factors(
    build,
    user,
    movie,
    rating,
    *,
    epochs,
    batch_size,
    learning_rate,
    centre=True,
    falling=True,
    fused=1,
    seed=0,
):
    """Train a recommender with Adam on the mean squared error, and return its tables.

    It trains as notebook 06 does, so that the same `build`, rows and seed give the same weights.
    A `build` is compiled once and kept: the next call with the same one puts fresh weights in.
    (On JAX, Keras draws the rows' order once more the first time a model is fitted, so there the
    first training of a `build` differs from later ones by its order.)

    Parameters
    ----------
    build : callable
        Returns a fresh `bias_model` or `factor_model`; the same object for the same model, such
        as one `functools.partial`.
    user, movie, rating : numpy.ndarray
        (n,) each: ids and stars to learn from.
    epochs, batch_size : int
        As in `model.fit`.
    learning_rate : float
        Of the first epoch.
    centre : bool
        Take the mean out of the ratings; `factor_model` wants that, the lesson's does without.
    falling : bool
        Let the learning rate fall along a straight line towards zero.
    fused : int
        Batches in one compiled program (Keras' `steps_per_execution`): small ones run faster.
    seed : int
        Of the first weights and of the order of the rows.

    Returns
    -------
    FactorTables

    Raises
    ------
    ValueError
        If the columns are not equally long, an id is out of range, a rating is not finite, or a
        number is not positive.
    """
    user, movie, rating = np.asarray(user), np.asarray(movie), np.asarray(rating)
    shapes = {user.shape, movie.shape, rating.shape}
    if len(shapes) > 1 or rating.ndim != 1 or not rating.size:
        raise ValueError(
            f"user {user.shape}, movie {movie.shape}, rating {rating.shape}: three columns of one "
            f"length are needed, with at least one row."
        )
    if not np.isfinite(rating).all():
        raise ValueError(f"Rating {np.flatnonzero(~np.isfinite(rating))[0]} is not finite.")
    for name, size in (("epochs", epochs), ("batch_size", batch_size), ("fused", fused)):
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"{name}={size!r} is not a positive integer.")
    if not 0 < learning_rate < np.inf:
        raise ValueError(f"learning_rate={learning_rate!r} is not a positive number.")
    model, first_state = _prepared(build, fused)
    for name, ids in (("user", user), ("movie", movie)):
        _ids(name, ids, model.get_layer(f"{name}_factors").input_dim)
    model.set_state_tree(first_state)
    keras.utils.set_random_seed(seed)
    if seed:
        model.set_weights(build().get_weights())
    model.optimizer.learning_rate = learning_rate
    mean = rating.mean() if centre else np.float32(0)
    hooks = []
    if falling:
        hooks.append(
            keras.callbacks.LearningRateScheduler(lambda e, _: learning_rate * (1 - e / epochs))
        )
    model.fit([user, movie], rating - mean, batch_size, epochs, 0, callbacks=hooks)
    return FactorTables.of(model, mean)


def _ids(name, ids, count):
    """Return ids as integers, or say which of them are none."""
    ids = np.asarray(ids)
    if not ids.size:
        return ids.astype(int)
    if ids.dtype.kind not in "iu":
        raise ValueError(f"{name} ids are {ids.dtype}, not integers.")
    if ids.min() < 0 or ids.max() >= count:
        raise ValueError(
            f"{name} ids go from {ids.min()} to {ids.max()}; 0 to {count - 1} are accepted."
        )
    return ids


@functools.lru_cache(maxsize=4)
def _prepared(build, fused):
    """Build and compile a model once; return it with its first state."""
    keras.utils.set_random_seed(0)
    model = build()
    model.compile(
        "adam", "mse", jit_compile=True if fused > 1 else "auto", steps_per_execution=fused
    )
    model.optimizer.build(model.trainable_variables)
    return model, model.get_state_tree(value_format="numpy_array")


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


def multiply_first(model, batch_size):
    """Return a `factor_model` that does the same with less work, where a table is small.

    `factor_model` looks up a table's row for each rating of a batch, then multiplies the rows by
    trained weights. A table with fewer rows than the batch has ratings costs less the other way
    round: multiply it once, then look up the product. Predictions and gradients are the same up
    to rounding. Train what this returns; layers and weights are shared with `model`, which
    therefore learns too, and is the one to save.

    Parameters
    ----------
    model : keras.Model
        A `factor_model`, with tables or without.
    batch_size : int
        Of the training to come.

    Returns
    -------
    keras.Model
        The same inputs and output; not compiled.

    Raises
    ------
    ValueError
        If `batch_size` is not a positive integer.
    """
    if (
        isinstance(batch_size, bool)
        or not isinstance(batch_size, int | np.integer)
        or batch_size < 1
    ):
        raise ValueError(f"batch_size={batch_size!r} is not a positive integer.")
    tables = {layer.name: layer for layer in model.layers if layer.name.endswith("_table")}
    small = {name: table for name, table in tables.items() if table.input_dim < batch_size}

    def call(layer, *args, **kwargs):
        name = layer.name.partition("_to_")[0]
        if name not in small:
            return layer(*args, **kwargs)
        if layer is small[name]:
            return args[0]  # the ids go on, to the layers behind the table
        return _Product(small[name], layer)(args[0])

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)


class _Product(layers.Layer):
    """Look up rows of a table's product with a dense layer's weights."""

    def __init__(self, table, dense):
        super().__init__()
        self.table, self.dense = table, dense

    def call(self, ids):
        return keras.ops.take(self.dense(self.table.embeddings), ids, axis=0)


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
