"""Honest scores: the epoch chosen on validation rows, the test rows scored once, over seeds."""

import dataclasses
import itertools
import math
import numbers

import keras
import numpy as np
import pandas as pd
from scipy import stats

from utils._labels import zero_or_one

__all__ = [
    "Outcome",
    "Summary",
    "fit_and_score",
    "mean_history",
    "outcome_table",
    "probabilities",
    "restarted",
    "summarise",
]


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What one training of a two-class network came to.

    Attributes
    ----------
    seed : int
        Of weights, dropout and the order of rows.
    epoch : int
        The chosen epoch, counted from 1: the best on the validation rows.
    history : dict of str to list of float
        One value an epoch, as Keras names them: loss, accuracy, val_loss, val_accuracy.
    weights : list of numpy.ndarray
        After the chosen epoch, for `model.set_weights`.
    probabilities : numpy.ndarray
        (test rows,) float32, of label 1.
    accuracy : float
        On the test rows.
    """

    seed: int
    epoch: int
    history: dict
    weights: list
    probabilities: np.ndarray
    accuracy: float

    @property
    def validation_accuracy(self):
        """Accuracy on the validation rows after the chosen epoch."""
        return self.history["val_accuracy"][self.epoch - 1]


def fit_and_score(
    build, train, validation, test, *, seed, epochs, batch_size=64, callbacks=(), verbose=0
):
    """Train one network, take its best epoch on the validation rows, and score that one on test.

    Parameters
    ----------
    build : callable
        Returns a fresh compiled model with one sigmoid output and the metric `"accuracy"`.
    train, validation, test : (x, y)
        Inputs, and labels 0 or 1, (n,) or (n, 1). The test rows are looked at once, after the
        choice.
    seed : int
        Set before `build` is called, so that a seed gives the same model again.
    epochs, batch_size : int
        As in `model.fit`.
    callbacks : sequence of keras.callbacks.Callback
        Further ones.
    verbose : int
        As in `model.fit`.

    Returns
    -------
    Outcome

    Raises
    ------
    ValueError
        If the model is not compiled with the metric `"accuracy"`, has another output than
        one probability a row, or diverged; or if there is not one label a row, or one is
        neither 0 nor 1.
    """
    for (x, y), name in ((train, "training"), (validation, "validation"), (test, "test")):
        labels = zero_or_one(y, len(x), name)  # of the last, the test rows, the score is made
    x_test, y_test = test[0], labels
    keras.utils.set_random_seed(seed)
    model = build()
    if model.output_shape[1:] != (1,):
        raise ValueError(
            f"The model's output has shape {model.output_shape}; one probability a row, "
            f"(None, 1), is needed."
        )
    metrics = (model.get_compile_config() or {}).get("metrics") if model.compiled else None
    if "accuracy" not in (metrics or ()):
        raise ValueError(f"Received metrics={metrics!r}; compile with metrics=['accuracy'].")
    _make_variables(model, train)
    keep_best = keras.callbacks.EarlyStopping(
        "val_accuracy", mode="max", patience=epochs, restore_best_weights=True
    )
    history = model.fit(
        *train,
        validation_data=validation,
        epochs=epochs,
        batch_size=batch_size,
        callbacks=[keep_best, *callbacks],
        verbose=verbose,
    ).history
    predicted = probabilities(model, x_test)
    if not np.isfinite(predicted).all():
        raise ValueError("The network gives numbers that are not finite: it diverged.")
    return Outcome(
        seed=seed,
        epoch=keep_best.best_epoch + 1,
        history={name: [float(value) for value in values] for name, values in history.items()},
        weights=model.get_weights(),
        probabilities=predicted,
        accuracy=float(np.mean((predicted > 0.5) == y_test)),
    )


def _make_variables(model, train):
    """Make the optimizer's and the metrics' variables.

    TensorFlow traces a training step twice if they are made in the first trace.
    """
    model.optimizer.build(model.trainable_variables)
    x, y = (np.asarray(part[:1]) for part in train)
    model.compute_metrics(x, y, model(x, training=False))
    model.reset_metrics()


def probabilities(model, x, *, batch_size=500):
    """Return a two-class network's probabilities of label 1.

    As `model.predict`, but with nothing to compile first, which is most of the time where many
    small networks are asked once.

    Parameters
    ----------
    model : keras.Model
        With one sigmoid output.
    x : numpy.ndarray
        (n, ...), inputs.
    batch_size : int
        Rows at a time.

    Returns
    -------
    numpy.ndarray
        (n,) float32.
    """
    batches = (x[start : start + batch_size] for start in range(0, len(x), batch_size))
    return np.concatenate(
        [keras.ops.convert_to_numpy(model(rows, training=False))[:, 0] for rows in batches]
    )


def outcome_table(outcomes):
    """Return a table of what each training came to.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of one model, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row a training: the seed, the chosen epoch, the accuracy on the validation rows after
        it, and on the test rows.
    """
    rows = [(o.seed, o.epoch, o.validation_accuracy, o.accuracy) for o in outcomes]
    return pd.DataFrame(rows, columns=["seed", "epoch chosen", "validation", "test"])


def mean_history(outcomes):
    """Average the learning curves of several trainings.

    Parameters
    ----------
    outcomes : sequence of Outcome
        With equally many epochs.

    Returns
    -------
    dict of str to numpy.ndarray
        (epochs,) each, by Keras' name: loss, accuracy, val_loss, val_accuracy.
    """
    histories = [outcome.history for outcome in outcomes]
    return {name: np.mean([h[name] for h in histories], axis=0) for name in histories[0]}


@dataclasses.dataclass(frozen=True)
class Summary:
    """Mean, spread and interval of a few repetitions.

    Attributes
    ----------
    mean : float
        Of the values.
    sd : float or None
        The sample standard deviation (n - 1); None where there is one repetition.
    half_width : float or None
        The interval is mean ± half_width, by Student's t; None where there is one repetition.
    n : int
        How many repetitions.
    """

    mean: float
    sd: float | None
    half_width: float | None
    n: int

    def __str__(self):
        if self.n == 1:
            return f"{self.mean:.4f} (one repetition)"
        return f"{self.mean:.4f} ± {self.sd:.4f}, interval ± {self.half_width:.4f} (n = {self.n})"


def summarise(values, *, confidence=0.95):
    """Summarise repetitions over seeds or splits, or paired differences between two models.

    Parameters
    ----------
    values : sequence of float
        One a repetition.
    confidence : float
        Of the interval, between 0 and 1.

    Returns
    -------
    Summary

    Raises
    ------
    ValueError
        If there are no values, one is not finite, or the confidence is out of range.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"values={values!r}: one or more finite numbers are needed.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence!r} is not between 0 and 1.")
    n, mean = len(values), float(values.mean())
    if n == 1:
        return Summary(mean, None, None, 1)
    sd = float(values.std(ddof=1))
    quantile = float(stats.t.ppf((1 + confidence) / 2, n - 1))
    return Summary(mean, sd, quantile * sd / math.sqrt(n), n)


def restarted(model, fresh):
    """Put a fresh model's numbers into one that is compiled already, and return the latter.

    It trains as the fresh one would, to the last digit, and saves what a first step costs: a second
    or two of compiling, which is most of the time where many small networks are trained. (On JAX
    Keras draws the rows' order once more when a model is fitted for the first time, so there a
    fresh one sees the rows in another order.)

    Parameters
    ----------
    model : keras.Model
        Compiled; it may have been trained.
    fresh : keras.Model
        Built and compiled by the same function, and not trained. Its weights, its layers' seeds
        and its optimizer's numbers, the learning rate among them, are copied. Nothing else is, so
        all else but names and initializers has to be the same.

    Raises
    ------
    ValueError
        If one is not compiled, or they differ in their variables, in a layer's options or in what
        it is called on, in the loss or in the optimizer.
    """
    if not (model.compiled and fresh.compiled):
        raise ValueError(f"Compile both {model.name!r} and {fresh.name!r} before one is restarted.")
    pairs = []
    for made in (model, fresh):
        made.optimizer.build(made.trainable_variables)
        pairs.append([*made.variables, *made.optimizer.variables])
    shapes = [[tuple(v.shape) for v in variables] for variables in pairs]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"{model.name!r} has {len(shapes[0])} variables, {fresh.name!r} {len(shapes[1])}, or "
            f"their shapes differ: restart a model by one that the same function built."
        )
    for old, new in itertools.zip_longest(_recipe(model), _recipe(fresh)):
        if old != new:
            raise ValueError(
                f"{model.name!r} has {old}, {fresh.name!r} {new}: restart a model by one that the "
                f"same function built."
            )
    for old, new in zip(*pairs, strict=True):
        old.assign(new)
    return model


def _recipe(model):
    """Return what a compiled model is made of, in words, but for names and numbers to begin with.

    Its optimizer, its loss, and each layer with what it is called on.
    """
    parts = [f"the optimizer {_told(model.optimizer)}", f"the loss {_told(model.loss)}"]
    return parts + _graph(model)


def _graph(model):
    calls, waiting = {}, []  # the calls by number, in the order of first sight from the outputs

    def origin(tensor):
        if not isinstance(tensor, keras.KerasTensor):
            return tensor
        operation, node, output = tensor._keras_history
        if (id(operation), node) not in calls:
            calls[id(operation), node] = len(calls)
            waiting.append(operation._inbound_nodes[node])
        return f"output {output} of call {calls[id(operation), node]}"

    if getattr(model, "outputs", None) is None:  # a model with a call of its own
        return [f"the layer {_told(layer)}" for layer in model.layers]
    parts = [f"the outputs {[origin(tensor) for tensor in model.outputs]}"]
    for node in waiting:  # which grows
        options = {  # that are in use; Keras may write training=False or mask=None, or nothing
            key: value
            for key, value in node.arguments.kwargs.items()
            if value is not None and value is not False
        }
        given = keras.tree.map_structure(origin, [node.arguments.args, options])
        parts.append(f"call {len(parts) - 1}, of {_told(node.operation)} on {_told(given)}")
    return parts


def _told(thing):
    """Write down a layer, an optimizer or a loss, or a part of its config."""
    if isinstance(thing, dict) and thing.get("class_name") == "DTypePolicy":
        return thing["config"]["name"]
    if isinstance(thing, dict):
        kept = (
            f"{key}={_told(value)}"
            for key, value in thing.items()
            if key not in ("name", "seed", "build_config", "compile_config")
            and not key.endswith("_initializer")
            and not (key == "learning_rate" and isinstance(value, float))  # copied
        )
        return f"({', '.join(kept)})"
    if isinstance(thing, (list, tuple)):
        return f"[{', '.join(map(_told, thing))}]"
    if isinstance(thing, keras.Model):
        return f"{type(thing).__name__} of {_graph(thing)}"
    if hasattr(thing, "get_config"):
        try:
            return type(thing).__name__ + _told(_config(thing))
        except NotImplementedError:  # a layer of one's own that cannot be told
            return type(thing).__name__
    if thing is None or isinstance(thing, (str, slice, numbers.Number)):
        return repr(thing)
    return getattr(thing, "__qualname__", type(thing).__name__)


def _config(thing):
    """Return a config without initializers: a constant one would write out its whole table."""
    twin = object.__new__(type(thing))
    for name, value in vars(thing).items():
        twin.__dict__[name] = None if isinstance(value, keras.initializers.Initializer) else value
    return twin.get_config()
