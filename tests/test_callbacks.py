"""The annealing callback against gradients taken another way, and rates worked out by hand."""

import functools
import math
import pickle
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from utils.callbacks import GradientNormAnnealing, square_sum

ROWS = np.random.default_rng(0)
X = ROWS.normal(size=(12, 3)).astype("float32")
Y = (X @ [[1.0], [-2.0], [0.5]] + ROWS.normal(size=(12, 1))).astype("float32")
WORDS = np.array([[1, 1, 2, 1], [2, 2, 2, 2], [0, 1, 0, 3], [3, 3, 1, 1]])
STARS = np.array([1.0, -1.0, 2.0, 0.5], "float32")
COMPILE = keras.backend.backend() == "jax"  # TensorFlow is traced faster without


def line(optimizer, **options):
    """Return a linear model of three inputs that begins at 0."""
    options.setdefault("jit_compile", COMPILE and not options.get("run_eagerly"))
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(1, kernel_initializer="zeros", use_bias=False)]
    )
    model.compile(optimizer, "mse", **options)
    return model


def fit(model, callback, epochs=2, batch_size=3, x=X, y=Y, **options):
    """Fit without shuffling, and return the logged sums."""
    options = {"shuffle": False, "verbose": 0, **options}
    return model.fit(
        x, y, epochs=epochs, batch_size=batch_size, callbacks=[callback], **options
    ).history


def batches(epochs=2, batch_size=3):
    return [
        [(X[i : i + batch_size], Y[i : i + batch_size]) for i in range(0, len(X), batch_size)]
        for _ in range(epochs)
    ]


def descent_sums(rate, epochs=2, every=1, clip=np.inf):
    """Return each epoch's Σ gradient², by NumPy: mean squared error, plain descent."""
    w, sums, held = np.zeros((3, 1)), [], []
    for epoch in batches(epochs):
        total = 0.0
        for x, y in epoch:
            gradient = 2 * x.T.astype(float) @ (x @ w - y) / len(x)
            total += (gradient**2).sum()
            held.append(gradient)
            if len(held) == every:
                w -= rate * np.clip(np.mean(held, axis=0), -clip, clip)
                held = []
        sums.append(total)
    return sums


# --- the statistic ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "expected", "options"),
    [
        ({}, {}, {"jit_compile": True}),
        ({}, {}, {"steps_per_execution": 3}),  # four batches: the last call holds one
        ({}, {}, {"run_eagerly": True}),
        ({"gradient_accumulation_steps": 2}, {"every": 2}, {}),
        ({"clipvalue": 0.01}, {"clip": 0.01}, {}),  # measured before, descended after clipping
        ({"use_ema": True, "ema_momentum": 0.5}, {}, {}),
        ({"loss_scale_factor": 128.0}, {}, {}),
        ({"loss_scale_factor": 128.0, "gradient_accumulation_steps": 2}, {"every": 2}, {}),
    ],
)
def test_sums_are_numpys(optimizer, expected, options):
    model = line(keras.optimizers.SGD(0.05, **optimizer), **options)
    history = fit(model, GradientNormAnnealing())
    np.testing.assert_allclose(
        history["squared_gradients"], descent_sums(0.05, **expected), rtol=1e-5
    )


def test_sums_behind_a_loss_scale_optimizer():
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.05))
    model = line(scaled, steps_per_execution=2)
    history = fit(model, GradientNormAnnealing())
    np.testing.assert_allclose(history["squared_gradients"], descent_sums(0.05), rtol=1e-5)
    assert history["learning_rate"] == pytest.approx([0.05, 0.05])


class Count(keras.callbacks.Callback):
    """Counts each epoch's steps that the optimizer took."""

    def on_train_begin(self, logs=None):
        self.taken, self.before = [], 0

    def on_epoch_end(self, epoch, logs=None):
        now = int(ops.convert_to_numpy(self.model.optimizer.iterations))
        self.taken.append(now - self.before)
        self.before = now


@pytest.mark.parametrize(
    ("policy", "scale", "rtol"), [("float32", 2.0**127, 1e-5), ("mixed_float16", None, 0.01)]
)
def test_skipped_batches_neither_count_nor_cut(policy, scale, rtol):
    """The same three rows in every batch: scaled too high at first, those gradients overflow."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        optimizer = keras.optimizers.SGD(1e-10)
        if policy == "float32":  # else Keras wraps it by itself, and begins at 2^15
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale)
        model = line(optimizer)
    finally:
        keras.config.set_dtype_policy(before)
    x, y = np.tile(10 * X[:3], (4, 1)), np.tile(Y[:3], (4, 1))
    count, annealing = Count(), GradientNormAnnealing(1.1)
    options = {"batch_size": 3, "epochs": 3, "shuffle": False, "verbose": 0}
    history = model.fit(x, y, callbacks=[count, annealing], **options).history
    assert 0 < count.taken[0] < count.taken[1] == count.taken[2] == 4
    each = ((2 * x[:3].T.astype(float) @ y[:3] / 3) ** 2).sum()
    np.testing.assert_allclose(history["squared_gradients"], each * np.array(count.taken), rtol)
    assert annealing.cuts == []


class Spare(layers.Dense):
    """Has a weight that changes no prediction, with a gradient or without one."""

    def __init__(self, used, overwritten):
        super().__init__(1, kernel_initializer="zeros", use_bias=False)
        self.used, self.overwritten = used, overwritten

    def build(self, shape):
        super().build(shape)
        self.spare = self.add_weight(shape=(1,), overwrite_with_gradient=self.overwritten)

    def call(self, x):
        nothing = 100 * (self.spare - ops.stop_gradient(self.spare))
        return super().call(x) + nothing if self.used else super().call(x)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize(("used", "overwritten"), [(False, False), (True, True)])
def test_weights_without_a_gradient_do_not_count(used, overwritten):
    """One that the loss does not use, and one that is handed its new value as a gradient."""
    model = keras.Sequential([keras.Input((3,)), Spare(used, overwritten)])
    model.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=COMPILE)
    history = fit(model, GradientNormAnnealing())
    np.testing.assert_allclose(history["squared_gradients"], descent_sums(0.05), rtol=1e-5)


class ByHand(keras.Model):
    """Two layers, of which a custom train_step trains the second, with the optimizer or without."""

    def __init__(self, idle):
        super().__init__()
        self.first = layers.Dense(3, kernel_initializer="identity", use_bias=False)
        self.second = layers.Dense(1, kernel_initializer="zeros", use_bias=False)
        self.idle = idle

    def call(self, x):
        return self.second(self.first(x))

    def train_step(self, *arguments):
        return (self.jax_step if COMPILE else self.tensorflow_step)(*arguments)

    def tensorflow_step(self, data):
        import tensorflow as tf

        weights = self.second.trainable_variables
        with tf.GradientTape() as tape:
            loss = ops.mean((self(data[0]) - data[1]) ** 2)
        gradients = tape.gradient(loss, [w.value for w in weights])
        if not self.idle:
            self.optimizer.apply(gradients, weights)
        return {"loss": loss}

    def jax_step(self, state, data):
        import jax

        (first, *weights), rest, steps, metrics = state

        def loss(weights):
            predicted, _ = self.stateless_call([first, *weights], rest, data[0])
            return ops.mean((predicted - data[1]) ** 2)

        value, gradients = jax.value_and_grad(loss)(weights)
        if not self.idle:
            weights, steps = self.optimizer.stateless_apply(steps, gradients, weights)
        return {"loss": value}, ([first, *weights], rest, steps, metrics)


def by_hand(optimizer, idle=False):
    model = ByHand(idle)
    model(X)
    model.compile(optimizer, jit_compile=COMPILE)
    model.optimizer.build(model.second.trainable_variables)
    return model


def test_a_custom_train_step_on_some_weights():
    history = fit(by_hand(keras.optimizers.SGD(0.05)), GradientNormAnnealing())
    np.testing.assert_allclose(history["squared_gradients"], descent_sums(0.05), rtol=1e-5)


@pytest.mark.parametrize("statistic", ["gradients", "second_moments"])
def test_an_optimizer_that_is_not_used_is_named(statistic):
    model = by_hand(keras.optimizers.Adam(name="bystander"), idle=True)
    before = state(model.optimizer)
    with pytest.raises(RuntimeError, match="'bystander' was given no gradients"):
        fit(model, GradientNormAnnealing(statistic=statistic))
    assert state(model.optimizer) == before


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
@pytest.mark.parametrize("statistic", ["gradients", "second_moments"])
def test_nothing_trainable_is_zero(statistic):
    model = line("adam")
    model.trainable = False
    model.compile("adam", "mse", jit_compile=COMPILE)
    assert fit(model, GradientNormAnnealing(statistic=statistic))["squared_gradients"] == [0, 0]


def test_sums_of_a_model_without_an_input_shape():
    model = keras.Sequential([layers.Dense(1, kernel_initializer="zeros", use_bias=False)])
    model.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=COMPILE)
    history = fit(model, GradientNormAnnealing())
    np.testing.assert_allclose(history["squared_gradients"], descent_sums(0.05), rtol=1e-5)


def test_second_moments_of_a_model_without_an_input_shape():
    model = keras.Sequential([layers.Dense(1, kernel_initializer="zeros", use_bias=False)])
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=COMPILE)
    sums = [
        fit(one, GradientNormAnnealing(statistic="second_moments"))["squared_gradients"]
        for one in (model, line(keras.optimizers.Adam(0.01)))
    ]
    np.testing.assert_allclose(*sums, rtol=1e-5)


def test_sums_are_finite_differences_of_the_loss():
    """A net with a bend and a bias, whose gradient nobody wrote down; one batch, no step."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, activation="tanh"), layers.Dense(1)]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=COMPILE)
    flat = [w.astype(float) for w in model.get_weights()]

    def loss(weights):
        a, b, c, d = weights
        return np.mean((np.tanh(X @ a + b) @ c + d - Y) ** 2)

    total = 0.0
    for place, weight in enumerate(flat):
        for index in np.ndindex(weight.shape):
            up, down = [w.copy() for w in flat], [w.copy() for w in flat]
            up[place][index] += 1e-4
            down[place][index] -= 1e-4
            total += ((loss(up) - loss(down)) / 2e-4) ** 2
    history = fit(model, GradientNormAnnealing(), epochs=1, batch_size=12)
    assert history["squared_gradients"] == pytest.approx([total], rel=1e-4)


def word_model(optimizer="sgd", **options):
    """Return a model that adds up one number a word."""
    words = keras.Input((4,), dtype="int32")
    vectors = layers.Embedding(5, 2, embeddings_initializer="ones")(words)
    model = keras.Model(words, ops.sum(vectors, axis=(1, 2)))
    model.compile(optimizer, "mse", **{"jit_compile": COMPILE, **options})
    return model


@pytest.mark.parametrize("options", [{"jit_compile": False}, {"jit_compile": True}])
def test_repeated_words_count_together(options):
    """Where a word stands twice its gradients are added, and only then squared."""
    counts = np.array([np.bincount(row, minlength=5) for row in WORDS])
    total = 0.0
    for rows in (slice(0, 2), slice(2, 4)):
        error = 8.0 - STARS[rows]  # four words of two ones each
        gradient = 2 * error @ counts[rows] / 2
        total += 2 * (gradient**2).sum()  # both numbers of a word have the same
    model = word_model(keras.optimizers.SGD(0.0), **options)
    history = fit(model, GradientNormAnnealing(), epochs=1, batch_size=2, x=WORDS, y=STARS)
    assert history["squared_gradients"] == pytest.approx([total], rel=1e-5)


@pytest.mark.slow
def test_words_with_accumulation_and_loss_scale():
    plain = fit(word_model(keras.optimizers.SGD(0.0)), GradientNormAnnealing(), 1, 2, WORDS, STARS)
    inner = keras.optimizers.SGD(0.0, gradient_accumulation_steps=2)
    scaled = word_model(keras.optimizers.LossScaleOptimizer(inner))
    other = fit(scaled, GradientNormAnnealing(), 1, 2, WORDS, STARS)
    assert other["squared_gradients"] == pytest.approx(plain["squared_gradients"], rel=1e-5)


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=9),
    st.integers(1, 3),
    st.integers(0, 2**31),
)
@settings(max_examples=25, deadline=None)
def test_square_sum_of_rows_is_that_of_their_sum(words, width, seed):
    tf = pytest.importorskip("tensorflow") if keras.backend.backend() == "tensorflow" else None
    if tf is None:
        pytest.skip("only TensorFlow hands over rows")
    values = np.random.default_rng(seed).normal(size=(len(words), width)).astype("float32")
    dense = np.zeros((5, width))
    np.add.at(dense, words, values)
    rows = tf.IndexedSlices(tf.constant(values), tf.constant(words))
    got = float(square_sum(rows, keras.Variable(np.zeros((5, width)))))
    assert got == pytest.approx((dense**2).sum(), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "decay"),
    [
        (keras.optimizers.Adam(0.01, beta_2=0.9), 0.9),
        (keras.optimizers.RMSprop(0.01, rho=0.8), 0.8),
        (keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01, beta_2=0.9)), 0.9),
    ],
)
def test_second_moments_are_root_mean_squares(optimizer, decay):
    """With a gradient that never changes, √v corrected is its size, whatever the epoch."""
    model = line(optimizer)
    model.compile(optimizer, lambda true, predicted: predicted, jit_compile=COMPILE)
    history = fit(model, GradientNormAnnealing(statistic="second_moments"), 3, len(X))
    expected = np.abs(X.mean(axis=0)).sum()  # the loss is linear in the weights
    np.testing.assert_allclose(history["squared_gradients"], [expected] * 3, rtol=1e-5)


# --- the rule ---------------------------------------------------------------------------------


class Dictated(GradientNormAnnealing):
    """Follows the rule, but on statistics that a test dictates."""

    def __init__(self, values, **options):
        super().__init__(**options)
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        self._meter.read = lambda: (self.values[epoch], self.values[epoch])
        super().on_epoch_end(epoch, logs)


class NoModel:
    """What the rule needs of a model, without any training."""

    def __init__(self, rate):
        self.optimizer = keras.optimizers.Adam(rate)
        self.optimizer.build([keras.Variable(0.0)])
        self.built, self.trainable_variables = True, []


def rates(values, rate=1.0, **options):
    """Return the rate after each epoch, given each epoch's statistic; `cuts` tells the same."""
    callback = Dictated(values, statistic="second_moments", **options)
    callback.set_model(NoModel(rate))
    callback.on_train_begin()
    after, changes, before = [], [], float(np.float32(rate))
    for epoch in range(len(values)):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {})
        after.append(float(ops.convert_to_numpy(callback.model.optimizer.learning_rate)))
        if after[-1] != before:
            changes.append((epoch, before, after[-1]))
        before = after[-1]
    callback.on_train_end()
    assert callback.cuts == changes
    return after


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        # the sheet: against the least so far; exactly twice is not more than twice
        ([4, 8, 9, 3, 7, 5], {}, [1, 1, 1 / 4, 1 / 4, 1 / 16, 1 / 16]),
        # the notes: against the epoch before
        ([4, 8, 9, 3, 7, 5], {"reference": "previous"}, [1, 1, 1, 1, 1 / 4, 1 / 4]),
        ([1, 3, 3, 3], {}, [1, 1 / 4, 1 / 16, 1 / 64]),
        ([1, 3, 3, 3], {"cooldown": 1}, [1, 1 / 4, 1 / 4, 1 / 16]),
        ([1, 3, 0.5, 2], {"cooldown": 1}, [1, 1 / 4, 1 / 4, 1 / 16]),  # it learns while it waits
        ([1, 3, 3], {"min_learning_rate": 0.125}, [1, 1 / 4, 1 / 8]),
        ([1, 3], {"min_learning_rate": 2.0}, [1, 1]),  # never up to the least rate
        ([1, 2.5, 2.5], {"threshold": 3.0}, [1, 1, 1]),
        ([1, 3], {"factor": 0.5}, [1, 0.5]),
        ([1, math.inf, 3], {}, [1, 1 / 4, 1 / 16]),  # infinity is too much, but no reference
        ([1, math.inf, 3], {"reference": "previous"}, [1, 1 / 4, 1 / 16]),
        ([math.nan, 1, 3], {}, [1, 1, 1 / 4]),
        ([1, math.nan, 1.5], {}, [1, 1, 1]),
        ([0, 1, 3], {}, [1, 1, 1 / 4]),  # everything is more than twice 0
        ([1, 0, 1.5, 3], {}, [1, 1, 1, 1 / 4]),
        ([1, 0, 1.5, 3], {"reference": "previous"}, [1, 1, 1, 1]),
    ],
)
def test_rates_by_hand(values, options, expected):
    assert rates(values, **options) == expected


def test_the_least_rate_is_reached_once():
    """In float32 1e-3 is a little more than 1e-3: there, nothing is left to cut."""
    least = np.float32(1e-3)
    assert rates([1, 3, 3, 3, 3], 0.01, min_learning_rate=1e-3)[1:] == [
        np.float32(0.0025),
        *[least] * 3,
    ]


@given(
    st.lists(st.floats(0) | st.just(math.nan), min_size=1, max_size=12),
    st.floats(1e-8, 10),
    st.sampled_from(["minimum", "previous"]),
    st.floats(1.01, 5),
    st.floats(0.01, 0.99),
    st.floats(0, 2),
    st.integers(0, 3),
)
@settings(max_examples=40, deadline=None)
def test_the_rate_never_rises(values, rate, reference, threshold, factor, least, cooldown):
    taken = rates(
        values,
        rate,
        reference=reference,
        threshold=threshold,
        factor=factor,
        min_learning_rate=least,
        cooldown=cooldown,
    )
    steps = np.diff([np.float32(rate), *taken])
    assert (steps <= 0).all()
    assert min(taken) >= min(np.float32(least), np.float32(rate))
    cut = np.flatnonzero(steps)
    assert (np.diff(cut) > cooldown).all()


class SheetAdam(keras.optimizers.Optimizer):
    """The rule of the sheet adam_ann: neither a correction for the start nor an epsilon."""

    def build(self, variables):
        super().build(variables)
        self.m, self.v = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    def update_step(self, gradient, variable, learning_rate):
        m, v = (slots[self._get_variable_index(variable)] for slots in (self.m, self.v))
        self.assign(m, 0.9 * m + 0.1 * gradient)
        self.assign(v, 0.95 * v + 0.05 * ops.square(gradient))
        self.assign_sub(variable, ops.cast(learning_rate, "float32") * m / ops.sqrt(v))


def test_the_sheets_rule_in_full():
    """Its 29 rows as batches of one, in Keras and in the NumPy replay: equal cuts and sums.

    Only the first epochs are compared: the trace is chaotic, and Keras counts in float32.
    """
    from utils import update_rules

    rule = update_rules.SheetAdam(beta_1=0.9, beta_2=0.95, learning_rate=1.0)
    rule.carries_last_row = True  # as Keras does; the sheet throws the last row's step away
    begin = {"epochs": 6, "start": (35.0, 1.0)}  # b and a: from here the first cut comes early
    epochs = update_rules.replay(rule, annealing=update_rules.Annealing(), **begin)
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    model.compile(SheetAdam(1.0), "mse", jit_compile=COMPILE)
    model.set_weights([np.full((1, 1), 1.0), np.full(1, 35.0)])
    x, y = update_rules.POINTS.T[:, :, None]
    annealing = GradientNormAnnealing(statistic="second_moments")
    history = fit(model, annealing, 6, 1, x, y)
    np.testing.assert_allclose(history["squared_gradients"], [e.measure for e in epochs], rtol=1e-3)
    assert history["learning_rate"] == [e.learning_rate for e in epochs]
    assert history["learning_rate"] == [1.0, 1.0, 1.0, 0.25, 0.25, 0.25]


# --- fits, and what is left behind ------------------------------------------------------------


def state(optimizer):
    return [v.name for v in optimizer.variables], sorted(vars(optimizer))


def test_nothing_else_changes_and_nothing_is_left():
    """Losses and weights equal those of a twin without the callback, before, while and after."""
    models = [line(keras.optimizers.Adam(0.01)) for _ in range(2)]
    losses = []
    for model, callback in zip(
        models, (GradientNormAnnealing(1e9), keras.callbacks.Callback()), strict=True
    ):
        fit(model, keras.callbacks.Callback())  # made and traced without it
        before, function = state(model.optimizer), model.train_function
        history = fit(model, callback)
        losses.append(history["loss"])
        assert state(model.optimizer) == before
        assert model.train_function is function
        losses[-1] += fit(model, keras.callbacks.Callback())["loss"]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)
    np.testing.assert_allclose(models[0].get_weights()[0], models[1].get_weights()[0], rtol=1e-5)


def test_a_second_fit_begins_anew():
    """Its reference is its own: from a worse start no cut comes from the first fit's minimum."""
    model = line(keras.optimizers.SGD(0.05), run_eagerly=True)
    annealing = GradientNormAnnealing()
    first = fit(model, annealing, epochs=4)
    model.set_weights([np.full((3, 1), 50.0)])
    second = fit(model, annealing, epochs=2)
    assert second["squared_gradients"][0] > 100 * first["squared_gradients"][-1]
    assert second["learning_rate"] == pytest.approx([0.05, 0.05])
    assert annealing.cuts == []


def test_a_second_fit_measures_right_after_a_new_compile():
    model, annealing = line(keras.optimizers.SGD(0.5)), GradientNormAnnealing(1e9)
    fit(model, annealing)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    model.set_weights([np.zeros((3, 1))])
    history = fit(model, annealing)
    np.testing.assert_allclose(history["squared_gradients"], descent_sums(0.05), rtol=1e-5)


class Stumble(keras.callbacks.Callback):
    """Breaks a fit off in its second batch."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            raise KeyboardInterrupt


class Observe(keras.callbacks.Callback):
    """Keeps the rate that each epoch's first batch is trained with."""

    def on_train_begin(self, logs=None):
        self.rates = []

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 0:
            self.rates.append(float(ops.convert_to_numpy(self.model.optimizer.learning_rate)))


@pytest.mark.parametrize("other", ["plateau before", "scheduler after"])
def test_the_logged_rate_is_the_one_trained_with(other):
    model = line(keras.optimizers.SGD(0.5), run_eagerly=True)
    observe = Observe()
    if other == "plateau before":
        values = [1, 1, 3, 3]
        plateau = keras.callbacks.ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=1e9)
        callbacks = [plateau, Dictated(values), observe]
        expected = [0.5, 0.5, 0.25, 0.25 * 0.5 * 0.25]  # both cut after the third epoch
    else:
        schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.5 / (epoch + 1))
        callbacks = [Dictated([1] * 4), schedule, observe]
        expected = [0.5, 0.25, 0.5 / 3, 0.125]
    history = model.fit(X, Y, epochs=4, callbacks=callbacks, verbose=0).history
    assert observe.rates == pytest.approx(expected)
    assert history["learning_rate"] == observe.rates


@pytest.mark.parametrize("when", ["before", "during"])
def test_somebody_elses_wrapping_stays(when):
    model, calls = line(keras.optimizers.SGD(0.05), run_eagerly=True), []

    def wrap(*_):
        inner = model.optimizer.apply

        def theirs(*arguments, **options):
            calls.append(1)
            return inner(*arguments, **options)

        model.optimizer.apply = theirs

    if when == "before":
        wrap()
    during = keras.callbacks.LambdaCallback(on_train_begin=wrap if when == "during" else None)
    annealing = GradientNormAnnealing()
    model.fit(X, Y, callbacks=[annealing, during], verbose=0)
    assert vars(model.optimizer)["apply"].__name__ == "theirs" and len(calls) == 1
    model.set_weights([np.zeros((3, 1))])
    history = fit(model, annealing)
    np.testing.assert_allclose(history["squared_gradients"], descent_sums(0.05), rtol=1e-5)
    assert vars(model.optimizer)["apply"].__name__ == "theirs" and len(calls) == 9


def test_a_train_function_made_meanwhile_is_made_anew():
    model, made = line(keras.optimizers.SGD(0.05)), []

    def make(epoch, logs):
        model.make_train_function(force=True)
        made.append(model.train_function)

    others = keras.callbacks.LambdaCallback(on_epoch_begin=make)
    annealing = GradientNormAnnealing()
    for _ in range(2):
        model.set_weights([np.zeros((3, 1))])
        options = {"epochs": 2, "batch_size": 3, "shuffle": False, "verbose": 0}
        history = model.fit(X, Y, callbacks=[annealing, others], **options).history
        np.testing.assert_allclose(history["squared_gradients"], descent_sums(0.05), rtol=1e-5)
        assert model.train_function not in (None, *made)


@pytest.mark.parametrize("statistic", ["gradients", "second_moments"])
def test_pickles_after_a_fit(statistic):
    model, annealing = line(keras.optimizers.Adam(0.5)), GradientNormAnnealing(statistic=statistic)
    fit(model, annealing)
    annealing.cuts = [(1, 0.5, 0.125)]
    copy = pickle.loads(pickle.dumps(annealing))
    assert (copy.statistic, copy.cuts) == (statistic, annealing.cuts)
    assert len(fit(model, copy)["squared_gradients"]) == 2


def test_after_an_interrupted_fit_with_another_statistic():
    model = line(keras.optimizers.Adam(0.05))
    fit(model, keras.callbacks.Callback(), epochs=1)
    before = state(model.optimizer)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=3, callbacks=[GradientNormAnnealing(), Stumble()], verbose=0)
    assert state(model.optimizer) != before
    fit(model, GradientNormAnnealing(statistic="second_moments"))
    assert state(model.optimizer) == before


@pytest.mark.parametrize("again", ["same callback", "another callback", "new compile"])
def test_after_an_interrupted_fit(again):
    model, annealing = line(keras.optimizers.SGD(0.05)), GradientNormAnnealing()
    fit(model, keras.callbacks.Callback(), epochs=1)  # so that the optimizer is built
    before = state(model.optimizer)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=3, callbacks=[annealing, Stumble()], verbose=0)
    old = model.optimizer
    model.set_weights([np.zeros((3, 1))])
    if again == "another callback":
        annealing = GradientNormAnnealing()
    elif again == "new compile":
        model.compile(keras.optimizers.SGD(0.05), "mse")
    history = fit(model, annealing)
    np.testing.assert_allclose(history["squared_gradients"], descent_sums(0.05), rtol=1e-5)
    assert state(model.optimizer) == before and state(old) == before


def test_rate_is_cut_in_earnest():
    """From far too high a rate the sums explode; each cut reaches the steps that follow."""
    model, annealing = line(keras.optimizers.SGD(1.5), run_eagerly=True), GradientNormAnnealing()
    history = fit(model, annealing, epochs=12)
    assert len(annealing.cuts) >= 2 and history["loss"][-1] < history["loss"][0]
    for epoch, before, after in annealing.cuts:
        assert after == pytest.approx(before / 4)
        assert history["learning_rate"][epoch] == before
        if epoch + 1 < 12:
            assert history["learning_rate"][epoch + 1] == after


@pytest.mark.parametrize("statistic", ["gradients", "second_moments"])
@pytest.mark.parametrize("other", ["gradients", "second_moments"])
def test_two_of_them_are_refused(statistic, other):
    model = line(keras.optimizers.Adam(0.05))
    before, observe = state(model.optimizer), Observe()
    two = [GradientNormAnnealing(statistic=each) for each in (statistic, other)]
    with pytest.raises(RuntimeError, match="only one"):
        model.fit(X, Y, callbacks=[*two, observe], verbose=0)
    assert "apply" not in before[1] and "apply" not in vars(model.optimizer)
    assert getattr(observe, "rates", []) == []
    fit(model, two[0])


@pytest.mark.slow
def test_saved_models_know_nothing_of_it(tmp_path):
    """A checkpoint made while it is at work loads without complaint, optimizer included."""
    path = tmp_path / "{epoch}.keras"
    model = line(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)))
    for order in (1, -1):
        callbacks = [GradientNormAnnealing(), keras.callbacks.ModelCheckpoint(path)][::order]
        model.fit(X, Y, epochs=1, callbacks=callbacks, verbose=0)
        loaded = keras.models.load_model(tmp_path / "1.keras")
        for one, other in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
            assert np.array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(other))


def test_says_when_it_cuts(capsys):
    model = line(keras.optimizers.SGD(1.5), run_eagerly=True)
    fit(model, GradientNormAnnealing(verbose=1), epochs=4)
    assert "learning rate 0.375" in capsys.readouterr().out


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"threshold": 1.0}, "threshold"),
        ({"threshold": math.nan}, "threshold"),
        ({"factor": 1.0}, "factor"),
        ({"factor": 0.0}, "factor"),
        ({"reference": "min"}, "reference"),
        ({"statistic": "norm"}, "statistic"),
        ({"min_learning_rate": -1.0}, "min_learning_rate"),
        ({"cooldown": -1}, "cooldown"),
        ({"cooldown": 1.5}, "cooldown"),
        ({"cooldown": True}, "cooldown"),
        *(({name: None}, name) for name in ("threshold", "factor", "reference", "statistic")),
        *(({name: None}, name) for name in ("min_learning_rate", "cooldown")),
    ],
)
def test_bad_arguments_are_named(options, name):
    with pytest.raises(ValueError, match=f"{name}=.*must be"):
        GradientNormAnnealing(**options)


@pytest.mark.parametrize("statistic", ["gradients", "second_moments"])
@pytest.mark.parametrize(
    "rate", [keras.optimizers.schedules.CosineDecay(0.1, 10), functools.partial(float, 0.1)]
)
def test_schedules_are_refused(rate, statistic):
    model = line(keras.optimizers.Adam(rate))
    with pytest.raises(TypeError, match="Compile with a number"):
        fit(model, GradientNormAnnealing(statistic=statistic))
    assert "apply" not in vars(model.optimizer)


def test_any_integer_will_do_as_cooldown():
    assert rates([1, 3, 3, 3], cooldown=np.int64(1)) == [1, 1 / 4, 1 / 4, 1 / 16]


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "lion", "adafactor", "muon"])
def test_no_second_moments_no_fit(optimizer, built):
    """Refused before the first batch, also where Keras has yet to build the model."""
    model, observe = line(optimizer), Observe()
    if not built:
        model = keras.Sequential([layers.Dense(1)])
        model.compile(optimizer, "mse", jit_compile=COMPILE)
    callbacks = [observe, GradientNormAnnealing(statistic="second_moments")]
    with pytest.raises(ValueError, match="second_moments"):
        model.fit(X, Y, callbacks=callbacks, verbose=0)
    assert observe.rates == []


@pytest.mark.parametrize("optimizer", ["Adam", "AdamW", "Lamb", "Nadam", "RMSprop"])
def test_second_moments_are_found(optimizer):
    """After one batch, corrected for the start at 0, √v is the size of the gradient."""
    model = line(getattr(keras.optimizers, optimizer)(), run_eagerly=True)
    history = fit(model, GradientNormAnnealing(statistic="second_moments"), 1, len(X))
    expected = np.abs(2 * X.T.astype(float) @ Y / len(X)).sum()
    assert history["squared_gradients"] == pytest.approx([expected], rel=1e-4)


def test_replicas_are_refused():
    model = NoModel(0.1)
    model.distribute_strategy = SimpleNamespace(num_replicas_in_sync=2)
    for statistic in ("second_moments", "gradients"):  # the former is the same on all
        callback = GradientNormAnnealing(statistic=statistic)
        callback.set_model(model)
        callback.set_params({})
        if statistic == "gradients":
            with pytest.raises(ValueError, match="on 2 replicas"):
                callback.on_train_begin()
        else:
            callback.on_train_begin()
            callback.on_train_end()


def test_a_model_without_an_optimizer_is_refused():
    with pytest.raises(ValueError, match="optimizer=None"):
        fit(line(None), GradientNormAnnealing())
