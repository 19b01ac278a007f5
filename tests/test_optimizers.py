"""`Eve`: Adam when frozen, the NumPy rule when not, alike on every backend, or a clear refusal."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

from utils import update_rules
from utils.optimizers import Eve

BACKEND = keras.backend.backend()


def regression(rows=64):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3))
    return x.astype("float32"), (x @ [[1.0], [-2.0], [0.5]] + 0.3).astype("float32")


def linear(optimizer, **options):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile(optimizer, "mse", **options)
    return model


def fit(model, batch_size, epochs=1, rows=64):
    history = model.fit(
        *regression(rows), batch_size=batch_size, epochs=epochs, shuffle=False, verbose=0
    )
    return history.history["loss"]


def feedback(model):
    return float(ops.convert_to_numpy(model.optimizer.feedback))


def weights(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


# ---- with its feedback frozen it is Adam ----


def words_net(optimizer):
    """Return a net with rows that repeat in a batch, a penalty and dropout-free layers."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            layers.Embedding(20, 5),
            layers.Flatten(),
            layers.Dense(6, activation="tanh", kernel_regularizer="l2"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param(
            {"clipnorm": 0.1, "weight_decay": 0.05, "amsgrad": True}, marks=pytest.mark.slow
        ),
        pytest.param(
            {"gradient_accumulation_steps": 2, "global_clipnorm": 0.5, "use_ema": True},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["plain", "clipped and decayed", "accumulated and averaged"],
)
def test_frozen_it_equals_adam_on_a_model(options):
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 20, (96, 4)), rng.integers(0, 3, 96)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.02, 4, 0.9)
    ends = []
    for optimizer in (Eve(schedule, c=1.0, **options), keras.optimizers.Adam(schedule, **options)):
        model = words_net(optimizer)
        model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
        ends.append(weights(model))
    np.testing.assert_allclose(*ends, rtol=0, atol=1e-6)
    assert np.abs(ends[0] - weights(words_net("sgd"))).max() > 0.01, "it did train"


# ---- with its feedback at work it is the NumPy rule ----


def numpy_eve(batches, **options):
    """Return the weights and d of `update_rules.Eve`, gradients written down by hand."""
    rule, w = update_rules.Eve(**options), np.zeros(4)
    for x, y in batches:
        error = x @ w[:3, None] + w[3] - y
        gradient = 2 * np.append((error * x).mean(0), error.mean())
        w = rule.step(w, gradient, float((error**2).mean()))
    return w, rule.d


OPTIONS = {"learning_rate": 0.05, "beta_3": 0.8, "c": 5.0, "minimum": 0.01}


@pytest.mark.parametrize(
    "run",
    [{"steps_per_execution": 3}, pytest.param({"jit_compile": False}, marks=pytest.mark.slow)],
    ids=str,
)
def test_steps_equal_those_of_the_numpy_rule(run):
    model = linear(Eve(**OPTIONS), **run)
    fit(model, batch_size=8, epochs=4)
    x, y = regression()
    w, d = numpy_eve([(x[i : i + 8], y[i : i + 8]) for i in range(0, 64, 8)] * 4, **OPTIONS)
    np.testing.assert_allclose(weights(model), w, rtol=1e-4, atol=1e-5)
    assert feedback(model) == pytest.approx(d, rel=1e-3)
    assert abs(d - 1) > 0.1, "and Eve is not Adam here"


def test_accumulated_batches_count_as_one():
    accumulated = linear(Eve(**OPTIONS, gradient_accumulation_steps=4))
    whole = linear(Eve(**OPTIONS))
    fit(accumulated, batch_size=4, epochs=3)
    fit(whole, batch_size=16, epochs=3)
    np.testing.assert_allclose(weights(accumulated), weights(whole), rtol=1e-4, atol=1e-5)
    assert feedback(accumulated) == pytest.approx(feedback(whole), rel=1e-3)


def test_penalties_belong_to_the_loss():
    def one_step(penalty):
        dense = layers.Dense(1, kernel_initializer="ones", kernel_regularizer=penalty)
        model = keras.Sequential([keras.Input((3,)), dense])
        model.compile(Eve(0.05, beta_3=0.0, c=100.0), "mse")
        fit(model, batch_size=32)
        return feedback(model)

    # a large, nearly constant part of the loss makes its change relatively small
    assert one_step(keras.regularizers.L1(10.0)) < one_step(None) / 2


def test_at_or_below_the_minimum_the_steps_are_the_smallest():
    model = linear(Eve(0.05, beta_3=0.0, c=7.0, minimum=1e6))
    fit(model, batch_size=32)
    assert feedback(model) == 7.0


def test_a_loss_that_is_not_finite_slows_it_but_does_not_stay():
    variable, losses = (
        keras.Variable(np.ones(2, "float32")),
        [1.0, np.inf, np.inf, np.nan, 2.0, 1.0],
    )
    eve = Eve(0.1, beta_3=0.5, c=4.0)
    eve.build([variable])
    # changes: 4 four times, then (2 - 1) / 1
    for loss, d in zip(losses, [1.0, 2.5, 3.25, 3.625, 3.8125, 2.40625], strict=True):
        eve.scale_loss(ops.convert_to_tensor(loss, "float32"))
        eve.apply([ops.ones(2)])
        assert float(ops.convert_to_numpy(eve.feedback)) == d
    assert np.isfinite(ops.convert_to_numpy(variable)).all()


# ---- saving, configuration, scaling ----


def test_saved_and_loaded_it_goes_on_as_if_nothing_had_happened(tmp_path):
    straight = linear(Eve(**OPTIONS, clipvalue=3.0))
    fit(straight, batch_size=8, epochs=2)
    stopped = linear(Eve(**OPTIONS, clipvalue=3.0))
    fit(stopped, batch_size=8)
    stopped.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, Eve) and feedback(loaded) == feedback(stopped)
    fit(loaded, batch_size=8)
    np.testing.assert_allclose(weights(loaded), weights(straight), rtol=1e-6, atol=1e-7)


def test_config_goes_round():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    eve = Eve(schedule, 0.8, 0.95, 0.9, 3.0, 0.2, 1e-5, weight_decay=0.01, amsgrad=True)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(eve))
    assert isinstance(again, Eve) and again.get_config() == eve.get_config()
    assert (again.beta_3, again.c, again.minimum, again.amsgrad) == (0.9, 3.0, 0.2, True)


def test_a_static_loss_scale_does_not_reach_the_feedback():
    plain, scaled = linear(Eve(**OPTIONS)), linear(Eve(**OPTIONS, loss_scale_factor=512.0))
    for model in (plain, scaled):
        fit(model, batch_size=8)
    assert feedback(scaled) == pytest.approx(feedback(plain), rel=1e-5)
    np.testing.assert_allclose(weights(scaled), weights(plain), rtol=1e-4, atol=1e-6)


def test_the_learning_rate_can_be_set_between_fits():
    model = linear(Eve(0.05))
    fit(model, batch_size=32)
    before = weights(model)
    model.optimizer.learning_rate = 0.0
    fit(model, batch_size=32)
    assert (weights(model) == before).all()


# ---- where no loss arrives it says so ----


@pytest.fixture
def float16():
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


def test_loss_scaling_is_refused_by_name_and_the_way_out_works(float16):
    with pytest.raises(Exception, match=rf"(?s){BACKEND} backend.*LossScaleOptimizer"):
        fit(linear(Eve()), batch_size=32)
    model = linear(Eve(**OPTIONS, loss_scale_factor=64.0), auto_scale_loss=False)
    fit(model, batch_size=8, epochs=4)
    assert abs(feedback(model) - 1) > 0.1


def test_gradients_without_a_loss_are_refused():
    variable = keras.Variable(np.ones(2, "float32"))
    eve = Eve()
    eve.build([variable])
    with pytest.raises(RuntimeError, match=rf"{BACKEND} backend"):
        eve.apply([ops.ones(2)])
    eve.scale_loss(ops.convert_to_tensor(1.0))
    eve.apply([ops.ones(2)])
    with pytest.raises(RuntimeError, match="no loss"):  # a loss serves one step
        eve.apply([ops.ones(2)])


def test_what_no_step_can_be_made_of_is_refused():
    eve = Eve()
    with pytest.raises(ValueError, match=r"scalar loss, received shape \(3,\)"):
        eve.scale_loss(ops.ones(3))
    eve.scale_loss(1.0)
    with pytest.raises(ValueError, match="without `variables`"):  # Keras' own words
        eve.apply([ops.ones(2)])


@pytest.mark.skipif(BACKEND != "jax", reason="that loop is JAX's")
def test_a_jax_loop_that_skips_scale_loss_is_refused():
    import jax

    model = linear(Eve())
    x, y = regression()
    model.optimizer.build(model.trainable_variables)

    def loss(trainable, frozen):
        predicted, frozen = model.stateless_call(trainable, frozen, x)
        return ops.mean(ops.square(predicted - y)), frozen

    def step(trainable, frozen, variables):
        (_, frozen), gradients = jax.value_and_grad(loss, has_aux=True)(trainable, frozen)
        return model.optimizer.stateless_apply(variables, gradients, trainable)

    state = [
        [v.value for v in group]
        for group in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
        )
    ]
    with pytest.raises(RuntimeError, match="jax backend"):
        jax.jit(step)(*state)


REPLICAS = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras, numpy as np
from utils.optimizers import Eve
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(Eve(), "mse")
model.fit(np.ones((8, 1)), np.ones((8, 1)), verbose=0)
"""


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.distribute is TensorFlow's")
def test_several_replicas_are_refused():
    done = subprocess.run([sys.executable, "-c", REPLICAS], capture_output=True, text=True)
    assert done.returncode != 0 and "the strategy has 2 (TensorFlow)" in done.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("beta_1", 1.0), ("beta_2", -0.1), ("beta_3", 1.5)],
        *[("c", 0.5), ("c", np.inf), ("c", None), ("minimum", None), ("minimum", np.nan)],
    ],
)
def test_bad_constants_are_refused(option, value):
    with pytest.raises(ValueError, match=f"{option}={value}"):
        Eve(**{option: value})
