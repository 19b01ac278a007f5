"""VGG16's convolutions at any width and image size, and a network split after its convolutions."""

from pathlib import Path

import keras
from keras import layers, ops

from utils import fetch, switches
from utils.batchnorm import insert_batchnorm, is_activation

__all__ = [
    "Preprocessing",
    "imagenet_base",
    "insert_batchnorm",
    "split_at_last_convolution",
    "vgg16",
]

# K. Simonyan and A. Zisserman (2015), arXiv:1409.1556, table 1, column D
BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
MEAN = (103.939, 116.779, 123.68)  # of ImageNet's training images: blue, green, red


@keras.saving.register_keras_serializable("lessons")
class Preprocessing(layers.Layer):
    """What VGG16's weights expect: ImageNet's mean subtracted, channels as blue, green, red.

    Takes (images, height, width, 3) red, green, blue from 0 to 255. The same as
    `keras.applications.vgg16.preprocess_input`, as a layer, so that nobody forgets it.
    """

    def call(self, images):
        """Return the images as the network's first convolution wants them."""
        images = ops.cast(images, self.compute_dtype)
        return ops.flip(images, axis=-1) - ops.convert_to_tensor(MEAN, self.compute_dtype)


def vgg16(input_shape=(224, 224, 3), *, width=1.0, weights=None, pool=True, seed=0):
    """Return the convolutional part of VGG16, preprocessing included.

    Thirteen 3×3 convolutions with ReLU in five blocks, each but maybe the last followed by 2×2 max
    pooling. Layers are called as in `keras.applications.VGG16(include_top=False)` and hold weights
    of the same shapes in the same order.

    Parameters
    ----------
    input_shape : tuple of int
        (height, width, 3), at least 32 pixels each way (16 without the last pooling). Images are
        red, green, blue, 0 to 255.
    width : float
        Filters, as a multiple of VGG16's 64 to 512; at 1/8 they are 8 to 64.
    weights : path, optional
        A weights file of the convolutional part, in Keras' "notop" layout; for width 1. Without it
        the weights are drawn (He, 2015) and know nothing.
    pool : bool
        Whether the last pooling is included. Features before it are four times as many.
    seed : int
        Of drawn weights.

    Returns
    -------
    keras.Model
        (images, height, width, 3) to (images, height // 32, width // 32, 512 × width) float32;
        // 16 without the last pooling.

    Raises
    ------
    ValueError
        If the size or width is out of range, or weights do not fit.
    """
    least = 32 if pool else 16
    if len(input_shape) != 3 or input_shape[2] != 3 or min(input_shape[:2]) < least:
        raise ValueError(
            f"input_shape={tuple(input_shape)}: VGG16 takes (height, width, 3) with at least "
            f"{least} pixels each way."
        )
    if not 1 / 64 <= width <= 8:
        raise ValueError(f"width={width}: the filters are a multiple, from 1/64 to 8, of VGG16's.")
    if weights is not None and width != 1:
        raise ValueError(f"width={width} with weights={weights}: a file of weights is of width 1.")
    x = inputs = keras.Input(input_shape, name="images")
    x = Preprocessing(name="preprocessing")(x)
    for block, filters in enumerate(BLOCKS, start=1):
        for number, count in enumerate(filters, start=1):
            x = layers.Conv2D(
                round(count * width),
                3,
                padding="same",
                activation="relu",
                kernel_initializer=keras.initializers.HeNormal(
                    seed=1000 * seed + 10 * block + number
                ),
                name=f"block{block}_conv{number}",
            )(x)
        if pool or block < len(BLOCKS):
            x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    model = keras.Model(inputs, x, name="vgg16")
    if weights is not None:
        model.load_weights(_file(weights))
    return model


def imagenet_base(input_shape=(224, 224, 3), *, pool=True, seed=0):
    """Return VGG16's convolutions with ImageNet's weights; where there are none, a narrow stand-in.

    The stand-in has an eighth of the filters and drawn weights: it is quick, and its features are
    random projections that know no objects. It says so.

    Parameters
    ----------
    input_shape, pool, seed
        As in `vgg16`.

    Returns
    -------
    keras.Model
        Frozen (`trainable` is False). `model.name` is `"vgg16_imagenet"` or `"vgg16_standin"`.

    Raises
    ------
    utils.fetch.DataUnavailable
        If `LESSONS_SOURCE` is `real` and the weights cannot be had.
    ValueError
        As `vgg16`.
    """
    if fetch.source_of("vgg16") == "real":
        folder = fetch.locate("vgg16") or fetch.fetch("vgg16")
        (file,) = folder.glob("*notop.h5")
        model = vgg16(input_shape, weights=file, pool=pool)
        model.name = "vgg16_imagenet"
    else:
        why = ", for the data folder holds none" if switches.source() == "auto" else ""
        print(
            f"vgg16: STAND-IN{why}. An eighth of VGG16's width with random weights: it has seen no "
            "image, and its scores are no findings. ImageNet's weights: "
            "python -m utils.fetch get vgg16"
        )
        model = vgg16(input_shape, width=1 / 8, pool=pool, seed=seed)
        model.name = "vgg16_standin"
    model.trainable = False
    return model


def split_at_last_convolution(model, *, pool_first=False):
    """Return a model's layers up to its last convolution, and the rest, as two models.

    Put one after the other they compute what `model` does; they share its weights, and `model`
    stays as it is. Compute the features once, then train the second model on them.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional; one chain of layers.
    pool_first : bool
        Give the first model the pooling that follows the convolution, if one does: the same
        features in a quarter of the space.

    Returns
    -------
    features, head : keras.Model
        The first ends after the last `Conv2D` and its activation, be that its own, or the layer
        after it (behind batch normalization, if that is between them).

    Raises
    ------
    ValueError
        If the layers are no chain, no `Conv2D` is among them or within a model among them, or
        nothing follows it.
    """
    chain = _chain(model)
    places = [i for i, (layer, _) in enumerate(chain) if isinstance(layer, layers.Conv2D)]
    if not places:
        raise ValueError(f"{model.name!r} has no Conv2D layer to split at.")
    last = _end_of_activation([layer for layer, _ in chain], places[-1])
    if pool_first and last + 1 < len(chain) and _is_pooling(chain[last + 1][0]):
        last += 1
    if last + 1 == len(chain):
        raise ValueError(
            f"{model.name!r} ends with {chain[last][0].name!r}: nothing would be left for the head."
        )
    between = chain[last][1]
    features = keras.Model(model.inputs[0], between, name=f"{model.name}_features")
    head = keras.Model(between, model.outputs[0], name=f"{model.name}_head")
    return features, head


def _file(weights):
    path = Path(weights)
    if not path.is_file():
        raise ValueError(f"weights={weights!r}: there is no such file.")
    return path


def _chain(model):
    """Return (layer, output tensor) from the input to the output of a model without branches."""
    advice = "Give one chain of layers, flat: keras.Sequential([*base.layers, ...])."
    if not getattr(model, "inputs", None):
        raise ValueError(f"{model.name!r} is not built, or is no functional model. {advice}")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"{model.name!r} has {len(model.inputs)} inputs, {len(model.outputs)} outputs. {advice}"
        )
    chain, tensor = [], model.outputs[0]
    while tensor is not model.inputs[0]:
        layer, number, _ = tensor._keras_history
        if isinstance(layer, keras.Model):
            raise ValueError(f"{layer.name!r} is a model within {model.name!r}. {advice}")
        before = layer._inbound_nodes[number].input_tensors
        if len(before) != 1:
            raise ValueError(f"{layer.name!r} joins {len(before)} branches. {advice}")
        chain.append((layer, tensor))
        tensor = before[0]
    return chain[::-1]


def _end_of_activation(chain, convolution):
    """Return the place in the chain of the activation that belongs to a convolution."""
    place = convolution
    if chain[convolution].activation is keras.activations.linear:
        after = chain[convolution + 1 :]
        normalised = bool(after) and isinstance(after[0], layers.BatchNormalization)
        if len(after) > normalised and is_activation(after[normalised]):
            place = convolution + 1 + normalised
    return place


def _is_pooling(layer):
    return isinstance(layer, (layers.MaxPooling2D, layers.AveragePooling2D))
