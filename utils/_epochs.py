"""A `keras.utils.PyDataset` that knows which epoch it is in, on every backend."""

import sys

import keras

from utils._whole_numbers import whole_number

__all__ = ["EpochDataset"]


class EpochDataset(keras.utils.PyDataset):
    """Base of datasets whose batches are a function of a seed and the number of the epoch.

    A subclass has `draw_order`, which reads `self.epoch`; its `__init__` calls it for the first
    epoch. For a later one it is called when the epoch before ends, for Keras' workers fetch
    batches before they hear `on_epoch_begin`.

    Each pass of `fit` is an epoch, and a second `fit` goes on where the first ended; `evaluate`
    and `predict` leave the epoch as it is. Leave `fit`'s `steps_per_epoch` alone: each of its
    epochs ends one here too, so that the order changes before all rows have been taken.

    Parameters
    ----------
    initial_epoch : int
        Number of the first epoch, from 0.
    **kwargs
        `workers`, `use_multiprocessing` and `max_queue_size` of `keras.utils.PyDataset`.

    Attributes
    ----------
    epoch : int
        The epoch whose batches it gives now. Set it to walk through other epochs by hand.

    Raises
    ------
    ValueError
        If an epoch is not a whole number of at least 0.
    """

    def __init__(self, initial_epoch=0, **kwargs):
        if keras.backend.backend() != "tensorflow":
            # elsewhere `fit` looks at a batch to build the model, and Keras (3.15) keeps what its
            # workers fetched meanwhile: each epoch would be fed with batches of the one before
            kwargs |= {"workers": min(kwargs.get("workers", 1), 1), "use_multiprocessing": False}
        super().__init__(**kwargs)
        self._epoch = whole_number("initial_epoch", initial_epoch, least=0)

    @property
    def epoch(self):
        """The epoch whose batches it gives now."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch):
        self._epoch = whole_number("epoch", epoch, least=0)
        self.draw_order()

    def draw_order(self):
        """Prepare the batches of epoch `self.epoch`."""
        raise NotImplementedError

    def on_epoch_end(self):
        """Go on to the next epoch, if it is one of training that ended."""
        if _of_training():
            self.epoch += 1


def _of_training():
    """Return whether `on_epoch_end` is called by `fit` for an epoch of its own, or by hand.

    Keras calls it in the reset at the start of `fit`, too, which ends none, and after `evaluate`
    and `predict`; no argument or attribute tells, so the callers are looked at.
    """
    frame = sys._getframe(2)
    while frame:
        if frame.f_globals.get("__name__", "").startswith("keras."):
            if frame.f_code.co_name in ("reset", "evaluate", "predict"):
                return False
            if frame.f_code.co_name == "fit":
                return True
        frame = frame.f_back
    return True
