import functools
import math

import keras
import numpy as np
import pytest
from keras import layers

from utils.evaluation import (
    fit_and_score,
    mean_history,
    outcome_table,
    probabilities,
    restarted,
    summarise,
)


def rows(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)).astype("float32")
    return x, (x[:, 0] + 0.5 * rng.normal(size=n) > 0).astype("int8")


TRAIN, VALIDATION, TEST = rows(200, 0), rows(100, 1), rows(100, 2)


def build(metrics=("accuracy",), units=1):
    model = keras.Sequential(
        [layers.Input((3,)), layers.Dropout(0.2), layers.Dense(units, activation="sigmoid")]
    )
    # eagerly: nothing to trace, which is what would take the time here
    model.compile("adam", "binary_crossentropy", metrics=list(metrics), run_eagerly=True)
    return model


@functools.cache
def first():
    return outcome()


def outcome(seed=0, epochs=4, **options):
    return fit_and_score(
        build, TRAIN, VALIDATION, TEST, seed=seed, epochs=epochs, batch_size=100, **options
    )


def test_takes_the_best_epoch_and_scores_it_on_test():
    result = first()
    best = result.history["val_accuracy"]
    assert len(best) == 4
    assert result.epoch == 1 + int(np.argmax(best))
    assert result.validation_accuracy == max(best)
    model = build()
    model.set_weights(result.weights)
    predicted = model.predict(TEST[0], verbose=0)[:, 0]
    np.testing.assert_allclose(result.probabilities, predicted, atol=1e-6)
    np.testing.assert_allclose(probabilities(model, TEST[0], batch_size=30), predicted, atol=1e-6)
    assert result.accuracy == pytest.approx(model.evaluate(*TEST, verbose=0)[1])
    assert model.evaluate(*VALIDATION, verbose=0)[1] == pytest.approx(max(best))


class Counted(keras.Sequential):
    """A network that counts how often its training step is gone through in Python."""

    steps = 0

    def train_step(self, *args, **kwargs):
        self.steps += 1
        return super().train_step(*args, **kwargs)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's way of tracing")
def test_the_training_step_is_traced_once():
    built = []

    def traced():
        model = Counted([layers.Input((3,)), layers.Dense(1, activation="sigmoid")])
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"], jit_compile=False)
        built.append(model)
        return model

    fit_and_score(traced, TRAIN, VALIDATION, TEST, seed=0, epochs=1, batch_size=100)
    plain = traced()  # which goes through it a second time: the oracle of this test
    plain.fit(*TRAIN, batch_size=100, verbose=0)
    assert [model.steps for model in built] == [1, 2]


def test_an_epoch_that_spoils_the_weights_is_not_taken():
    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            sign = 1.0 if epoch < 2 else -1.0  # two good epochs, then the answer reversed
            kernel = np.array([[8 * sign], [0.0], [0.0]], "float32")
            self.model.layers[-1].set_weights([kernel, np.zeros(1, "float32")])

    assert outcome(callbacks=[Spoil()]).epoch <= 2


def test_a_seed_gives_the_same_training_again_and_another_seed_another():
    again, other = outcome(), outcome(seed=1)
    assert first().history == again.history
    np.testing.assert_array_equal(first().probabilities, again.probabilities)
    assert not np.array_equal(first().probabilities, other.probabilities)

    table = outcome_table([first(), other])
    assert table["seed"].tolist() == [0, 1]
    assert table["test"].tolist() == [first().accuracy, other.accuracy]
    assert table["validation"].tolist() == [
        max(o.history["val_accuracy"]) for o in (first(), other)
    ]
    loss = mean_history([first(), other])["loss"]
    np.testing.assert_allclose(
        loss, (np.array(first().history["loss"]) + other.history["loss"]) / 2
    )


def test_refuses_models_it_cannot_score():
    for wrong, says in (
        (lambda: build(metrics=()), "accuracy"),
        (lambda: keras.Sequential([layers.Input((3,)), layers.Dense(1)]), "accuracy"),
        (lambda: build(units=2), r"\(None, 2\)"),
    ):
        with pytest.raises(ValueError, match=says):
            fit_and_score(wrong, TRAIN, VALIDATION, TEST, seed=0, epochs=1)


def test_summary_by_hand():
    summary = summarise([1.0, 2.0, 3.0])
    assert (summary.mean, summary.sd, summary.n) == (2.0, 1.0, 3)
    # Student's t with two degrees of freedom: 4.302653 for 95 %
    assert summary.half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert str(summary) == "2.0000 ± 1.0000, interval ± 2.4841 (n = 3)"


def test_one_repetition_has_no_spread():
    summary = summarise([0.5])
    assert summary.sd is None and summary.half_width is None
    assert str(summary) == "0.5000 (one repetition)"


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [1.0, math.nan]])
def test_summary_refuses(values):
    with pytest.raises(ValueError, match="finite numbers"):
        summarise(values)


def test_summary_refuses_confidence_in_percent():
    with pytest.raises(ValueError, match="between 0 and 1"):
        summarise([1.0, 2.0], confidence=95)


def test_a_column_of_labels_is_scored_as_a_row_of_them():
    column = [(x, y[:, None]) for x, y in (TRAIN, VALIDATION, TEST)]
    result = fit_and_score(build, *column, seed=0, epochs=4, batch_size=100)
    assert result.accuracy == pytest.approx(np.mean((result.probabilities > 0.5) == TEST[1]))
    assert result.accuracy == pytest.approx(first().accuracy)


def test_a_diverged_network_gets_no_score():
    broken = TEST[0] * np.nan, TEST[1]
    with pytest.raises(ValueError, match="diverged"):
        fit_and_score(build, TRAIN, VALIDATION, broken, seed=0, epochs=1, batch_size=100)


def test_every_test_row_needs_a_label():
    with pytest.raises(ValueError, match="100 test rows with 99 labels"):
        fit_and_score(build, TRAIN, VALIDATION, (TEST[0], TEST[1][1:]), seed=0, epochs=1)


def test_a_restarted_model_trains_as_a_fresh_one():
    settings = {"epochs": 2, "batch_size": 100}
    results = []
    for before in (1, 2):  # leaves other traces each time
        used = build()
        fit_and_score(lambda: used, TRAIN, VALIDATION, TEST, seed=before, **settings)  # noqa: B023
        used.optimizer.learning_rate = 0.5
        again = restarted(used, build())
        assert float(again.optimizer.learning_rate) == pytest.approx(1e-3)
        started = functools.partial(restarted, used)
        parts = TRAIN, VALIDATION, TEST
        results.append(fit_and_score(lambda: started(build()), *parts, seed=5, **settings))  # noqa: B023
    if keras.backend.backend() == "tensorflow":  # JAX: the order of a first fit is another
        results.append(fit_and_score(build, TRAIN, VALIDATION, TEST, seed=5, **settings))
    for other in results[1:]:
        assert results[0].history == other.history  # the dropout's draws included
        for a, b in zip(results[0].weights, other.weights, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("where", [0, 1, 2])
@pytest.mark.parametrize(
    ("other", "says"),
    [
        (lambda y: y + 1, r"labels such as .*2"),
        (lambda y: 2 * y - 1, r"labels such as .*-1"),
        (lambda y: y + (np.arange(len(y)) == 7) * (2 - y), r"labels such as .*2"),
        (lambda y: np.where(y == 1, 1.0, np.nan), "labels such as .*nan"),
        (lambda y: np.where(y == 1, 0.9, 0.1), "labels such as .*0.[19]"),
        (lambda y: np.array(["n", "p"])[y], "labels such as .*'[np]'"),
        (lambda y: y[:50], r"rows with 50 labels"),
        (lambda y: np.stack([y, 1 - y], axis=1), r"of shape \(\d+, 2\)"),
        (lambda y: y[:0], "rows with 0 labels"),
    ],
)
def test_refuses_labels_other_than_0_and_1(other, says, where):
    def never():
        raise AssertionError("this is known before anything is built")

    parts = [TRAIN, VALIDATION, TEST]
    parts[where] = parts[where][0], other(parts[where][1])
    with pytest.raises(ValueError, match=says) as error:
        fit_and_score(never, *parts, seed=0, epochs=1)
    assert ("training", "validation", "test")[where] in str(error.value)


def test_no_rows_are_no_score():
    with pytest.raises(ValueError, match="0 validation rows with 0 labels"):
        fit_and_score(build, TRAIN, (TEST[0][:0], TEST[1][:0]), TEST, seed=0, epochs=1)


def test_restarts_only_with_the_same_kind():
    with pytest.raises(ValueError, match="same function built"):
        restarted(build(), build(units=2))


def graph(**edit):
    """Build and compile a network with two branches, or one that is edited in a single place."""
    chosen = {"rate": 0.2, "activation": "relu", "epsilon": 1e-3, "seed": None, "begun": 0.0}
    chosen |= {"loss": "binary_crossentropy", "optimizer": keras.optimizers.Adam, "options": {}}
    chosen |= {
        "learning_rate": 0.1,
        "penalty": None,
        "factor": 2.0,
        "column": 0,
        "skip": False,
        "training": None,
    }
    chosen |= {"inner": "tanh", "wrapped": "tanh", "name": None, "dtype": None}
    chosen |= {"training": None} | edit
    inputs = keras.Input((4,))
    inner = keras.Sequential(
        [layers.Input((4,)), layers.Dense(3, activation=chosen["inner"], name=chosen["name"])]
    )
    begun = keras.initializers.Constant(np.full((4, 3), chosen["begun"]))
    a, b = inner(inputs), layers.Dense(3, chosen["activation"], kernel_initializer=begun)(inputs)
    b = layers.BatchNormalization(epsilon=chosen["epsilon"], dtype=chosen["dtype"])(b)
    b = layers.Dropout(chosen["rate"], seed=chosen["seed"])(b, training=chosen["training"])
    x = layers.Concatenate()([a, b])
    x = x * chosen["factor"] + (b if chosen["skip"] else inputs)[:, chosen["column"], None]
    part = layers.Dense(2, activation=chosen["wrapped"], name=chosen["name"] and "part")
    x = layers.TimeDistributed(part)(keras.ops.expand_dims(x, 1))
    x = layers.Dense(1, "sigmoid", kernel_regularizer=chosen["penalty"])(x)
    model = keras.Model(inputs, x)
    optimizer = chosen["optimizer"](chosen["learning_rate"], **chosen["options"])
    model.compile(optimizer, chosen["loss"], run_eagerly=True)
    return model


@functools.cache
def old():
    return graph()


Cosine = functools.partial(keras.optimizers.schedules.CosineDecay, decay_steps=10)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"rate": 0.3}, "rate=0.2.*rate=0.3"),
        ({"activation": "tanh"}, "activation='relu'.*activation='tanh'"),
        ({"inner": "relu"}, "activation='tanh'.*activation='relu'"),
        ({"wrapped": "relu"}, "activation='tanh'.*activation='relu'"),
        ({"epsilon": 1e-2}, "epsilon=0.001.*epsilon=0.01"),
        ({"dtype": "mixed_bfloat16"}, "dtype=float32.*dtype=mixed_bfloat16"),
        ({"penalty": "l2"}, "kernel_regularizer=None.*L2"),
        ({"factor": 3.0}, "2.0.*3.0"),
        ({"column": 1}, "of GetItem.*0.*of GetItem.*1"),
        ({"skip": True}, "output 0 of call"),
        ({"training": True}, "training=True"),
        ({"loss": "mse"}, "binary_crossentropy.*mse"),
        ({"loss": keras.losses.BinaryCrossentropy(from_logits=True)}, "from_logits=True"),
        ({"optimizer": keras.optimizers.Adamax}, "optimizer Adam.*optimizer Adamax"),
        ({"options": {"beta_1": 0.5}}, "beta_1=0.9.*beta_1=0.5"),
        ({"options": {"clipnorm": 1.0}}, "clipnorm=None.*clipnorm=1.0"),
    ],
)
def test_does_not_restart_an_edited_network(edit, says):
    before = [keras.ops.convert_to_numpy(variable) for variable in old().variables]
    with pytest.raises(ValueError, match=f"(?s){says}.*same function built"):
        restarted(old(), graph(**edit))
    for kept, variable in zip(before, old().variables, strict=True):
        np.testing.assert_array_equal(kept, keras.ops.convert_to_numpy(variable))


def test_does_not_restart_another_schedule():
    model = graph(learning_rate=Cosine(0.1))
    restarted(model, graph(learning_rate=Cosine(0.1)))
    with pytest.raises(ValueError, match=r"initial_learning_rate=0.1.*initial_learning_rate=0.9"):
        restarted(model, graph(learning_rate=Cosine(0.9)))


@pytest.mark.parametrize(
    "other", [{}, {"seed": 7}, {"begun": 5.0}, {"learning_rate": 0.5}, {"name": "mine"}]
)
def test_restarts_with_other_numbers_seeds_and_names(other):
    model, fresh = graph(), graph(**other)
    keras.Model(model.input, model.layers[1].output)(np.zeros((1, 4)))  # used elsewhere meanwhile
    model(keras.Input((4,)))
    assert restarted(model, fresh) is model
    for a, b in zip(model.get_weights(), fresh.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(model.optimizer.learning_rate) == pytest.approx(other.get("learning_rate", 0.1))


def test_restarts_a_model_with_a_call_of_its_own():
    class Own(keras.Model):
        def __init__(self, rate):
            super().__init__()
            self.forget, self.answer = layers.Dropout(rate), layers.Dense(1)

        def call(self, x):
            return self.answer(self.forget(x))

    def made(rate):
        model = Own(rate)
        model(np.zeros((1, 3)))
        model.compile("sgd", lambda y, p: keras.ops.mean(p), run_eagerly=True)
        return model

    first = made(0.1)
    assert restarted(first, made(0.1)) is first
    with pytest.raises(ValueError, match=r"rate=0.1.*rate=0.2"):
        restarted(first, made(0.2))


def test_a_constant_table_is_not_written_out(monkeypatch):
    def never(self):
        raise AssertionError("a table of words takes a tenth of a second to write out")

    model, fresh = graph(), graph()
    monkeypatch.setattr(keras.initializers.Constant, "get_config", never)
    assert restarted(model, fresh) is model


def test_restarts_only_what_is_compiled():
    bare = keras.Sequential([layers.Input((3,)), layers.Dense(1)])
    for pair in ((bare, build()), (build(), bare)):
        with pytest.raises(ValueError, match="Compile both"):
            restarted(*pair)
