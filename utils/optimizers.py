"""`Eve` for `model.compile`: Adam with feedback from the loss."""

import math

import keras
from keras import ops

__all__ = ["Eve"]


@keras.saving.register_keras_serializable("lessons")
class Eve(keras.optimizers.Adam):
    r"""Adam, its rate divided by how much the loss changes, measured against how high it is.

    For step t with batch loss f(t), the learning rate is divided by d(t), where d(1) = 1 and

        change(t) = |f(t) - f(t-1)| / (min(f(t), f(t-1)) - minimum), clipped to [1 / c, c]
        d(t) = beta_3 d(t-1) + (1 - beta_3) change(t)

    so that a loss that jumps about lowers the rate, and one that hardly changes raises it.
    With `c=1` the feedback is frozen at d = 1, and Eve is `keras.optimizers.Adam`.

    The loss is the whole objective of the batch, penalties included, as `model.fit` hands it to
    every optimizer's `scale_loss`; nothing has to be added to the model. It works on TensorFlow,
    JAX and PyTorch. Under gradient accumulation f is the mean of the accumulated batches' losses.

    Parameters
    ----------
    learning_rate : float or keras.optimizers.schedules.LearningRateSchedule
        Before it is divided by d; `learning_rate` reads and sets this one.
    beta_1, beta_2, epsilon
        As in `keras.optimizers.Adam`; both betas at least 0 and below 1. The paper has epsilon
        1e-8, Keras 1e-7.
    beta_3 : float
        Of the moving average d, from 0 to 1.
    c : float
        Finite, at least 1. The rate stays between learning_rate / c and learning_rate * c.
    minimum : float
        The least value the loss can have, f* in the paper: 0 for a plain cross-entropy or
        squared error. At or below it, and where a loss is not finite, the change counts as
        `c`: towards the smallest steps.
    **options
        Further options of `keras.optimizers.Adam`: `amsgrad`, `weight_decay`, `clipnorm`,
        `clipvalue`, `global_clipnorm`, `use_ema`, `gradient_accumulation_steps`, ...
        `weight_decay` is multiplied with the undivided rate. With `use_ema`, a second `fit` fails
        on JAX in Keras 3.15, whatever the optimizer.

    Attributes
    ----------
    feedback : keras.Variable
        The coefficient d, a scalar; there once the optimizer is built.

    Raises
    ------
    ValueError
        If a beta, `c` or `minimum` lies outside its range, if the loss is not a scalar, or under
        a `tf.distribute` strategy of several replicas, each of which would see its own loss.
    RuntimeError
        If gradients arrive without a loss: in a `LossScaleOptimizer` (mixed_float16, unless
        compiled with `auto_scale_loss=False`), or in a training loop that calls `apply` but
        not `scale_loss`.

    Notes
    -----
    Hayashi, Koushik and Neubig, "Eve: a gradient based optimization method with locally and
    globally adaptive learning rates", arXiv 1611.01505v3, equation 8. Lesson 4 describes the
    paper's first version.
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        beta_3=0.999,
        c=10.0,
        minimum=0.0,
        epsilon=1e-7,
        name="eve",
        **options,
    ):
        for which, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= beta < 1:
                raise ValueError(f"{which}={beta!r}: must be at least 0 and below 1.")
        if not 0 <= beta_3 <= 1:
            raise ValueError(f"beta_3={beta_3!r}: must lie between 0 and 1.")
        if c is None or not 1 <= c < math.inf:
            raise ValueError(f"c={c!r}: must be finite and at least 1.")
        if minimum is None or not math.isfinite(minimum):
            raise ValueError(f"minimum={minimum!r}: must be a finite number.")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, name=name, **options)
        self.beta_3, self.c, self.minimum = beta_3, c, minimum
        self._loss = None  # of the batch whose gradients come next; see `scale_loss`

    def build(self, variables):
        """Make the moving averages, and the three numbers the feedback needs."""
        if self.built:
            return
        super().build(variables)
        self.feedback = self.add_variable((), "ones", "float32", name="feedback")
        self._previous_loss = self.add_variable((), "zeros", "float32", name="previous_loss")
        self._summed_loss = self.add_variable((), "zeros", "float32", name="summed_loss")

    def scale_loss(self, loss):
        """Keep the loss for the `apply` that follows.

        It is kept as a plain attribute, not as a variable: Keras' JAX trainer drops what
        `scale_loss` assigns. Both calls belong to one step, hence to one trace: make them in the
        same `tf.function` or `jax.jit`. On JAX this runs inside `value_and_grad`; `stop_gradient`
        returns the value from outside of it. Were that ever to change, JAX would raise its error
        about leaked tracers.
        """
        kept = ops.stop_gradient(ops.cast(loss, "float32"))
        if kept.ndim:
            raise ValueError(f"Eve needs a scalar loss, received shape {tuple(kept.shape)}.")
        self._loss = kept
        return super().scale_loss(loss)

    def apply(self, grads, trainable_variables=None):
        """Bring the feedback up to date, then take Adam's step."""
        loss, self._loss = self._loss, None
        if loss is None:
            raise RuntimeError(
                f"Eve got gradients but no loss ({keras.backend.backend()} backend). "
                "Was it wrapped by LossScaleOptimizer, as compile does under mixed_float16? "
                "It keeps the loss to itself: compile(..., auto_scale_loss=False), with "
                "Eve(loss_scale_factor=1024.0) if gradients underflow, or use mixed_bfloat16. "
                "In your own training loop, call loss = optimizer.scale_loss(loss) first."
            )
        _refuse_replicas()
        if not self.built:
            if trainable_variables is None:
                return super().apply(grads)  # which says that there is nothing to build on
            self.build(list(trainable_variables))
        self._update_feedback(loss)
        return super().apply(grads, trainable_variables)

    def _update_feedback(self, loss):
        # values, not variables, and no branches: so it traces alike on every backend
        d, previous, summed = map(
            ops.convert_to_tensor, (self.feedback, self._previous_loss, self._summed_loss)
        )
        batches = self.gradient_accumulation_steps or 1
        due = ops.equal(self._iterations % batches, batches - 1)
        summed = summed + loss
        loss = summed / batches

        height, gap = ops.minimum(loss, previous) - self.minimum, ops.abs(loss - previous)
        usable = ops.logical_and(height > 0, ops.isfinite(gap))
        change = gap / ops.where(usable, height, 1.0)
        change = ops.where(usable, ops.clip(change, 1 / self.c, self.c), self.c)
        compared = ops.logical_and(due, self.iterations > 0)  # the first step has no f(t - 1)
        averaged = self.beta_3 * d + (1 - self.beta_3) * change
        self.feedback.assign(ops.where(compared, averaged, d))
        self._previous_loss.assign(ops.where(due, loss, previous))
        self._summed_loss.assign(ops.where(due, 0.0, summed))

    def update_step(self, gradient, variable, learning_rate):
        """Take Adam's step with the rate divided by the feedback."""
        rate = ops.cast(learning_rate, "float32") / self.feedback
        super().update_step(gradient, variable, rate)

    def get_config(self):
        """Return what it takes to make this optimizer again."""
        return {
            **super().get_config(),
            "beta_3": self.beta_3,
            "c": self.c,
            "minimum": self.minimum,
        }


def _refuse_replicas():
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        raise ValueError(
            f"Eve sees one replica's loss only; the strategy has {replicas} (TensorFlow)."
        )
