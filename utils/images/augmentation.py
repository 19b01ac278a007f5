"""The lesson's five kinds of image augmentation in one Keras layer, each in a stated unit."""

import math
from numbers import Real

import keras
from keras import ops

__all__ = ["Augmentation"]

GEOMETRIC = 7  # draws for rotation, two shifts, shear, two zooms and the flip


@keras.saving.register_keras_serializable("lessons")
class Augmentation(keras.layers.Layer):
    """Move, turn, shear and tint each image a little, anew at every call; in training only.

    Each image draws its own values, uniformly within ± each range. All geometric kinds are one
    affine map, so an image is interpolated once (bilinearly); where the map reaches beyond the
    border, the nearest pixel is repeated. The map takes the place (row r, column q) of an output
    pixel to that of the input it is read from, both measured from the image's centre:

        input = R(θ) · (S(φ) · Z · F · output + t)

    with R(θ) = [[cos θ, −sin θ], [sin θ, cos θ]] (positive θ turns the picture clockwise),
    t = (height shift · height, width shift · width), S(φ) = [[1, −sin φ], [0, cos φ]],
    Z = diag(zoom of rows, zoom of columns) and F = diag(1, ±1). Order, signs and units are
    those of Keras 1's `ImageDataGenerator`, which the lesson used; its centre was half
    a pixel or a whole one off, and it took the nearest pixel instead of interpolating.

    Parameters
    ----------
    width_shift, height_shift : float
        Largest shift, as a share of the image's width or height.
    shear : float
        Largest angle of shear in radians, as in Keras 1: the lesson's 0.1 is 5.7 degrees.
        (Later generators of that name take degrees, where 0.1 does next to nothing.)
    rotation : float
        Largest rotation in degrees.
    channel_shift : float
        Largest shift of brightness in grey levels, images being 0 to 255; red, green and blue are
        shifted each by a value of its own. The result is clipped to 0..255. (Keras 1 clipped to
        each image's own darkest and brightest value.) With 0, images may have any range.
    zoom : float
        Rows and columns are each scaled by a factor from 1 − zoom to 1 + zoom; above 1 the
        picture shrinks, as in Keras 1.
    horizontal_flip : bool
        Mirror every second image, left to right.
    seed : int, optional
        Two layers with the same seed draw the same values, call by call.

    Raises
    ------
    ValueError
        If a range is out of bounds, or an input is not (batch, height, width, channels).

    Notes
    -----
    Input (batch, height, width, channels), any number type; output likewise in the layer's
    compute dtype. Without `training=True` nothing is changed. Not for `tf.data` pipelines on
    another backend than TensorFlow.

    Source: fast.ai, Practical Deep Learning for Coders 1 (v1), lesson 4, State Farm.

    Examples
    --------
    >>> lesson = Augmentation(0.1, 0.05, shear=0.1, rotation=15, channel_shift=20, seed=0)
    >>> lesson(images, training=True)
    """

    def __init__(
        self,
        width_shift=0.0,
        height_shift=0.0,
        shear=0.0,
        rotation=0.0,
        channel_shift=0.0,
        zoom=0.0,
        horizontal_flip=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value, most, unit in (
            ("width_shift", width_shift, 1, "a share of the width from 0 to 1"),
            ("height_shift", height_shift, 1, "a share of the height from 0 to 1"),
            ("shear", shear, math.pi / 2, "an angle in radians from 0 to π/2 (1.57)"),
            ("rotation", rotation, 180, "an angle in degrees from 0 to 180"),
            ("channel_shift", channel_shift, 255, "grey levels from 0 to 255"),
            ("zoom", zoom, 0.99, "a number from 0 to 0.99"),
        ):
            if not isinstance(value, Real) or not 0 <= value <= most:
                raise ValueError(f"{name}={value!r}: must be {unit}.")
        self.width_shift = float(width_shift)
        self.height_shift = float(height_shift)
        self.shear = float(shear)
        self.rotation = float(rotation)
        self.channel_shift = float(channel_shift)
        self.zoom = float(zoom)
        self.horizontal_flip = bool(horizontal_flip)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True  # it has no weights

    def call(self, images, training=False):
        """Return the images, changed if `training`."""
        if not training:
            return ops.cast(images, self.compute_dtype)
        n, channels = ops.shape(images)[0], images.shape[-1]
        draws = keras.random.uniform(
            (n, GEOMETRIC + channels), -1.0, 1.0, dtype="float32", seed=self.seed_generator
        )
        return self.transform(images, draws)

    def transform(self, images, draws):
        """Change each image by given draws: what `call` does with random ones.

        Parameters
        ----------
        images : array or tensor
            (n, height, width, channels).
        draws : array or tensor
            (n, 7 + channels) in −1 to 1, to be multiplied by the ranges: rotation, shift of rows,
            of columns, shear, zoom of rows, of columns, flip (below 0: yes), and each channel.

        Returns
        -------
        tensor
            (n, height, width, channels) in the layer's compute dtype.
        """
        images, draws = ops.cast(images, "float32"), ops.cast(draws, "float32")
        if len(images.shape) != 4:
            raise ValueError(
                f"Augmentation received shape {tuple(images.shape)}: must be (batch, height, "
                f"width, channels). Put a single image into a batch: image[None]."
            )
        moves = (self.rotation, self.height_shift, self.width_shift, self.shear, self.zoom)
        if any(moves) or self.horizontal_flip:
            images = _bilinear(images, *self._places(images, draws))
        if self.channel_shift:
            shift = self.channel_shift * draws[:, None, None, GEOMETRIC:]
            images = ops.clip(images + shift, 0.0, 255.0)
        return ops.cast(images, self.compute_dtype)

    def draws(self, n, channels, random):
        """Draw for `transform` by a `numpy.random.Generator`: (n, 7 + channels) float32."""
        return random.uniform(-1, 1, (n, GEOMETRIC + channels)).astype("float32")

    def _places(self, images, draws):
        """Return row and column that each output pixel is read from, (n, height, width) each."""
        _, rows, columns, _ = ops.shape(images)
        height, width = ops.cast(rows, "float32"), ops.cast(columns, "float32")
        middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
        one = [draws[:, number, None, None] for number in range(GEOMETRIC)]
        turn = math.radians(self.rotation) * one[0]
        down = self.height_shift * height * one[1]
        right = self.width_shift * width * one[2]
        shear = self.shear * one[3]
        row = ops.arange(rows, dtype="float32")[None, :, None] - middle_row
        column = ops.arange(columns, dtype="float32")[None, None, :] - middle_column
        row, column = (1 + self.zoom * one[4]) * row, (1 + self.zoom * one[5]) * column
        if self.horizontal_flip:
            column = ops.where(one[6] < 0, -column, column)
        row, column = row - ops.sin(shear) * column + down, ops.cos(shear) * column + right
        cos, sin = ops.cos(turn), ops.sin(turn)
        row, column = cos * row - sin * column, sin * row + cos * column
        return row + middle_row, column + middle_column

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self):
        """Return the arguments the layer was made with."""
        return super().get_config() | {
            "width_shift": self.width_shift,
            "height_shift": self.height_shift,
            "shear": self.shear,
            "rotation": self.rotation,
            "channel_shift": self.channel_shift,
            "zoom": self.zoom,
            "horizontal_flip": self.horizontal_flip,
            "seed": self.seed,
        }


def _bilinear(images, row, column):
    """Read images at fractional places; beyond the border, the nearest pixel.

    `keras.ops.image.affine_transform` says the same, but on TensorFlow XLA cannot compile it,
    and on JAX it interpolates between channels too, at six times the time.
    """
    n, height, width, channels = ops.shape(images)
    row, column = ops.clip(row, 0, height - 1), ops.clip(column, 0, width - 1)
    top, left = ops.floor(row), ops.floor(column)
    down, right = (row - top)[..., None], (column - left)[..., None]
    top, left = ops.cast(top, "int32"), ops.cast(left, "int32")
    below, beside = ops.minimum(top + 1, height - 1), ops.minimum(left + 1, width - 1)
    pixels = ops.reshape(images, (-1, channels))
    first = ops.arange(n, dtype="int32")[:, None, None] * (height * width)

    def at(row, column):
        return ops.take(pixels, first + row * width + column, axis=0)

    upper = at(top, left) * (1 - right) + at(top, beside) * right
    lower = at(below, left) * (1 - right) + at(below, beside) * right
    return upper * (1 - down) + lower * down
