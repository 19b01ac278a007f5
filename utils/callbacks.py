"""The lesson's learning-rate annealing: less speed when the squared gradients grow again."""

import math
from numbers import Integral, Real

import keras
import numpy as np
from keras import ops

__all__ = ["GradientNormAnnealing"]

REFERENCES = ("minimum", "previous")
STATISTICS = ("gradients", "second_moments")
MARK = "_gradient_norm_annealing"  # where a model keeps who is at work on it


class GradientNormAnnealing(keras.callbacks.Callback):
    """Cut the learning rate when the squared gradients of an epoch grow; never raise it.

    Near a minimum, so the lesson argues, gradients shrink; where they grow, the last steps jumped
    out of the valley and shorter ones are in order. After each epoch a statistic of its squared
    gradients is compared with a reference, and `learning_rate *= factor` where it exceeds
    `threshold` times that. A statistic that is infinite or NaN, as after a step into nowhere, or 0
    is no reference; an infinite one cuts, NaN does not.

    `GradientNormAnnealing(reference="minimum", statistic="second_moments")` is the rule of the
    course's sheet adam_ann, `GradientNormAnnealing(reference="previous")` that of the notes.

    The model is compiled with any optimizer, as ever, and may have been fitted before. During
    `fit` the optimizer's `apply` is wrapped, which costs one tracing; afterwards the optimizer
    is as it was. After a `fit` that was interrupted, the model's next one with such a callback
    puts it right. Models and weights that are saved meanwhile, as .keras or .weights.h5, know
    nothing of it. One such callback a `fit`.

    Parameters
    ----------
    threshold : float
        Growth that is too much, above 1. A doubling of a sum of squares is not a doubling of
        `second_moments`, which is a sum of roots: that is four times the squares.
    factor : float
        What the rate is multiplied by, between 0 and 1.
    reference : {"minimum", "previous"}
        The least statistic of all epochs of this fit so far, or that of the epoch before.
    statistic : {"gradients", "second_moments"}
        `"gradients"`: the sum over the epoch's batches and all weights of the squared gradients
        as the optimizer receives them: after the loss scale is divided out, before clipping
        and before gradients are accumulated or averaged over batches. A batch that a
        `LossScaleOptimizer` skips does not count, and epochs are compared by their mean over the
        batches that do.
        `"second_moments"`: the sum over all weights of √v at the end of the epoch, v the running
        mean of squared gradients that Adam, AdamW, Lamb, Nadam and RMSprop keep; corrected for
        its start at 0, as Adam does, where the optimizer tells its `beta_2` or `rho`. Free of
        cost within the epoch.
    min_learning_rate : float
        The rate is not cut below this; a rate that begins below it stays.
    cooldown : int
        Epochs after a cut in which there is no other.
    verbose : {0, 1}
        1: print a line at each cut.

    Attributes
    ----------
    cuts : list of (int, float, float)
        Of the last fit: each cut's epoch, counted from 0, and the rate before and after it, as the
        optimizer keeps them.

    Raises
    ------
    ValueError
        If an argument is out of range; at the beginning of `fit`, if the model has no optimizer,
        or one that does not keep a second moment for every weight, or several replicas of a
        `tf.distribute` strategy each see gradients of their own.
    TypeError
        At the beginning of `fit`, if the learning rate is a `LearningRateSchedule` or another
        callable, which nobody else can set.
    RuntimeError
        At the beginning of `fit`, if another such callback is in it; at the end of an epoch, if
        the model's optimizer was given no gradients, because its `train_step` uses another.

    Notes
    -----
    `logs`, and with it the history that `fit` returns, gains `"squared_gradients"`, the
    epoch's statistic (a sum of roots with `"second_moments"`, as the sheet's `avg_grad2`), and
    `"learning_rate"`, the rate that the epoch was trained with. `LearningRateScheduler` and
    `ReduceLROnPlateau` log the rate too, and would write the one just cut if they came after.

    Source: fast.ai, Practical Deep Learning for Coders 1 (v1), lesson 4, and its workbook
    graddesc.xlsm, sheet adam_ann.
    """

    def __init__(
        self,
        threshold=2.0,
        factor=0.25,
        reference="minimum",
        statistic="gradients",
        *,
        min_learning_rate=0.0,
        cooldown=0,
        verbose=0,
    ):
        super().__init__()
        number = isinstance(threshold, Real) and 1 < threshold < math.inf
        _check(number, "threshold", threshold, "a number above 1")
        number = isinstance(factor, Real) and 0 < factor < 1
        _check(number, "factor", factor, "a number between 0 and 1")
        _check(reference in REFERENCES, "reference", reference, f"one of {REFERENCES}")
        _check(statistic in STATISTICS, "statistic", statistic, f"one of {STATISTICS}")
        number = isinstance(min_learning_rate, Real) and 0 <= min_learning_rate < math.inf
        _check(number, "min_learning_rate", min_learning_rate, "a number, 0 or more")
        number = isinstance(cooldown, Integral) and not isinstance(cooldown, bool) and cooldown >= 0
        _check(number, "cooldown", cooldown, "an integer, 0 or more")
        self.threshold = threshold
        self.factor = factor
        self.reference = reference
        self.statistic = statistic
        self.min_learning_rate = min_learning_rate
        self.cooldown = cooldown
        self.verbose = verbose
        self.cuts = []
        self._meter = None

    def __getstate__(self):
        """Leave out what sits in the optimizer; the next fit makes it anew."""
        return {**vars(self), "_meter": None}

    def on_train_begin(self, logs=None):
        """Look at the optimizer, refuse what cannot work, and forget the last fit."""
        other = vars(self.model).get(MARK)
        for meter in (self._meter, other):
            if meter is not None:  # where a fit was interrupted, it is still in place
                meter.remove()
        # callbacks of one fit share its `params`; those of an earlier one had others
        if other not in (None, self._meter) and other.params is self.params:
            raise RuntimeError(f"Two {type(self).__name__} in one fit: only one can cut the rate.")
        optimizer = self.model.optimizer
        if optimizer is None:
            raise ValueError(
                f"{type(self).__name__} needs an optimizer whose learning rate it can cut; the "
                f"model was compiled with optimizer=None."
            )
        if not isinstance(optimizer.learning_rate, keras.Variable):
            raise TypeError(
                f"{type(self).__name__} sets the learning rate, but that of the model's "
                f"{_chain(optimizer)[-1].name!r} optimizer is a schedule or another callable. "
                f"Compile with a number."
            )
        if self._meter is None or not self._meter.fits(self.model):
            meter = _GradientMeter if self.statistic == "gradients" else _MomentMeter
            self._meter = meter(self.model)
        self._meter.install(self.params)
        self.cuts = []
        self._compared_with = None
        self._pause = 0

    def on_epoch_begin(self, epoch, logs=None):
        """Begin a new sum."""
        self._meter.reset()
        self._trained_with = None

    def on_train_batch_begin(self, batch, logs=None):
        """Read the rate at the epoch's first batch."""
        # no earlier: LearningRateScheduler sets it as the epoch begins, perhaps after us;
        # no later: at the epoch's end ReduceLROnPlateau may have cut it before us
        if self._trained_with is None:
            self._trained_with = self._rate()

    def on_epoch_end(self, epoch, logs=None):
        """Compare, cut if need be, and log."""
        total, value = self._meter.read()
        if logs is not None:
            logs["squared_gradients"], logs["learning_rate"] = total, self._trained_with
        if self._pause:
            self._pause -= 1
        elif self._compared_with is not None and value > self.threshold * self._compared_with:
            self._cut(epoch)
        self._remember(value)

    def on_train_end(self, logs=None):
        """Leave the optimizer as it was found."""
        self._meter.remove()  # and keep it: another fit need not trace again

    def _rate(self):
        return float(ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def _cut(self, epoch):
        """Multiply the rate, down to the least allowed, and begin the cooldown."""
        before = self._rate()
        least = min(self.min_learning_rate, before)
        self.model.optimizer.learning_rate = max(before * self.factor, least)
        after = self._rate()  # rounded to what the optimizer can keep, perhaps to what it was
        if after >= before:
            return
        self.cuts.append((epoch, before, after))
        self._pause = self.cooldown
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: squared gradients grew; learning rate {after:.3g}")

    def _remember(self, value):
        """Keep what later epochs are compared with; everything is more than twice nothing."""
        if value == 0 or not math.isfinite(value):
            return
        if self.reference == "previous" or self._compared_with is None:
            self._compared_with = value
        self._compared_with = min(self._compared_with, value)


class _Meter:
    """Take the statistic of one model's epochs; while it does, the model knows."""

    def __init__(self, model):
        self.model = model
        self.optimizers = _chain(model.optimizer)
        self.inner = self.optimizers[-1]

    def fits(self, model):
        """Tell whether this model still has the optimizer it had."""
        return self.model is model and self.optimizers[0] is model.optimizer

    def install(self, params):
        self.params = params
        setattr(self.model, MARK, self)

    def remove(self):
        if vars(self.model).get(MARK) is self:
            delattr(self.model, MARK)

    def reset(self):
        self._before = self._progress()

    def read(self):
        """Refuse an epoch in which the optimizer took no part; zeros would hide it."""
        if self.model.trainable_variables and self._progress() == self._before:
            self.remove()
            raise RuntimeError(
                f"The model's optimizer {self.optimizers[0].name!r} was given no gradients in this "
                f"epoch: its train_step uses another. Accepted: a model that trains with the "
                f"optimizer it was compiled with."
            )

    def _progress(self):
        """Return counts of which one changes at every batch, also at one that is skipped."""
        names = ("_iterations", "step_counter", "dynamic_scale")
        counts = [getattr(each, name, None) for each in self.optimizers for name in names]
        return [float(ops.convert_to_numpy(count)) for count in counts if count is not None]


class _GradientMeter(_Meter):
    """Sum the squared gradients that a model's optimizer is given, until removed.

    The optimizer's public `apply` is wrapped, where gradients arrive after a LossScaleOptimizer has
    unscaled them and before they are clipped or accumulated. The sum and the number of batches in
    it are one of the optimizer's variables, for on JAX only those survive a step; what is saved
    meanwhile goes without it.
    """

    def __init__(self, model):
        super().__init__(model)
        strategy = getattr(model, "distribute_strategy", None)
        if strategy is not None and strategy.num_replicas_in_sync > 1:
            raise ValueError(
                f"statistic='gradients' on {strategy.num_replicas_in_sync} replicas would see each "
                f"one's gradients before they are added. Accepted: one replica, or "
                f"statistic='second_moments'."
            )
        self.total = None
        self.tracked = False  # whether the sum is among the optimizer's variables
        self._found = vars(self.inner).get("apply")  # somebody else's, or None
        self._plain = self._metered = None  # the model's train function without us and with us

    def fits(self, model):
        """Tell whether this model still has the optimizer and train function it had."""
        same = super().fits(model) and vars(self.inner).get("apply") is self._found
        return same and model.train_function is self._plain

    def install(self, params):
        """Wrap the optimizer; trace the train function again, for the old one knows nothing."""
        super().install(params)
        if self.total is None:
            self.total = self.inner.add_variable((2,), dtype="float32", name="squared_gradients")
            self.tracked = True
        else:
            self._track(True)
        self._apply = self.inner.apply
        self._replaced = []
        self._replace(self.inner, "apply", self.apply)
        for optimizer in self.optimizers:
            for name in ("save_own_variables", "load_own_variables"):
                self._replace(optimizer, name, self._without_total(getattr(optimizer, name)))
        self._plain = self.model.train_function
        if self._metered is None:
            self.model.make_train_function(force=True)
            self._metered = self.model.train_function
        self.model.train_function = self._metered

    def apply(self, grads, trainable_variables=None):
        """Take note of the gradients, then do as the optimizer does."""
        grads, variables = list(grads), self.inner._trainable_variables
        if trainable_variables is not None:
            variables = trainable_variables = list(trainable_variables)
        parts = [
            square_sum(gradient, variable)
            for gradient, variable in zip(grads, variables, strict=False)  # Keras refuses others
            # float8 training hands over scales in the place of gradients
            if gradient is not None and not getattr(variable, "overwrite_with_gradient", False)
        ]
        if parts and self.tracked:  # not where somebody else's wrapping has outlived ours
            scale = self.inner.loss_scale_factor or 1.0
            self.total.assign_add(ops.stack([sum(parts) / scale**2, 1.0]))
        return self._apply(grads, trainable_variables)

    def reset(self):
        super().reset()
        self.total.assign([0.0, 0.0])

    def read(self):
        """Return the epoch's sum, and its mean over batches, by which epochs are compared."""
        super().read()
        total, batches = map(float, ops.convert_to_numpy(self.total))
        return total, total / max(batches, 1.0)

    def remove(self):
        """Undo everything; what somebody else has put in its place meanwhile stays."""
        super().remove()
        if not self.tracked:
            return
        for optimizer, name, found, ours in self._replaced:
            if vars(optimizer).get(name) is ours:
                delattr(optimizer, name)
                if found is not None:
                    setattr(optimizer, name, found)
        self._track(False)
        if self.model.train_function is self._metered:
            self.model.train_function = self._plain
        elif self.model.train_function not in (self._plain, None):
            # made meanwhile by somebody else, and traced with us in it
            self.model.make_train_function(force=True)

    def _replace(self, optimizer, name, method):
        self._replaced.append((optimizer, name, vars(optimizer).get(name), method))
        setattr(optimizer, name, method)

    def _track(self, tracked):
        self.tracked = tracked
        (self.inner._track_variable if tracked else self.inner._untrack_variable)(self.total)

    def _without_total(self, method):
        def without_total(store):
            if not self.tracked:
                return method(store)
            self._track(False)
            try:
                return method(store)
            finally:
                self._track(True)

        return without_total


class _MomentMeter(_Meter):
    """Read the sum of √v that an optimizer holds anyway."""

    def __init__(self, model):
        super().__init__(model)
        if model.built and not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        if model.optimizer.built:
            _second_moments(self.inner)
        else:  # ask another of its kind
            probe = type(self.inner).from_config(self.inner.get_config())
            probe.build([keras.Variable(np.zeros((2, 2)))])
            _second_moments(probe)

    def read(self):
        """Return the sum of roots, to be logged and to be compared."""
        super().read()
        moments = _second_moments(self.inner)
        roots = sum(float(ops.convert_to_numpy(ops.sum(ops.sqrt(v)))) for v in moments)
        decay = getattr(self.inner, "beta_2", None) or getattr(self.inner, "rho", None)
        steps = int(ops.convert_to_numpy(self.inner.iterations))
        if decay and steps:
            roots /= math.sqrt(1 - decay**steps)
        return roots, roots


def _second_moments(optimizer):
    """Return v of every weight of a built optimizer, or refuse one that has none for some."""
    moments = [v for v in optimizer.variables if v.name.endswith("_velocity")]
    weights = [
        w
        for w in optimizer._trainable_variables
        if not getattr(w, "overwrite_with_gradient", False)
    ]
    # Adafactor's v is no running mean with a constant decay, and Muon keeps it for some weights
    other = isinstance(optimizer, (keras.optimizers.Adafactor, keras.optimizers.Muon))
    if other or len(moments) != len(weights):
        raise ValueError(
            f"statistic='second_moments' reads what Adam, AdamW, Lamb, Nadam and RMSprop keep for "
            f"every weight; received {type(optimizer).__name__}. Accepted: one of those, or "
            f"statistic='gradients'."
        )
    return moments


def square_sum(gradient, variable):
    """Return the sum of the squares of a gradient's elements.

    Parameters
    ----------
    gradient : tensor
        Of the variable's shape; or, from an embedding on TensorFlow, the rows of the batch's
        words (`tf.IndexedSlices`), in which a word stands as often as it occurs. Its rows are
        added first, for its gradient is their sum.
    variable : keras.Variable
        What it is the gradient of.

    Returns
    -------
    tensor
        (), float32.
    """
    if hasattr(gradient, "indices"):
        rows = ops.convert_to_tensor(gradient.values)
        words = ops.cast(ops.convert_to_tensor(gradient.indices), "int32")
        n = ops.shape(words)[0]
        # the last place where each word stands, found without sorting the batch
        last = ops.segment_max(ops.arange(n), words, num_segments=variable.shape[0])
        gradient = ops.segment_sum(rows, ops.take(last, words), num_segments=n)
    return ops.sum(ops.square(ops.cast(gradient, "float32")))


def _chain(optimizer):
    """Return an optimizer and those it wraps, the outermost first."""
    chain = [optimizer]
    while hasattr(chain[-1], "inner_optimizer"):
        chain.append(chain[-1].inner_optimizer)
    return chain


def _check(holds, name, value, accepted):
    if not holds:
        raise ValueError(f"{name}={value!r}: must be {accepted}.")
