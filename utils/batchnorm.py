"""Batch normalization put into a trained network without a change of what it computes."""

import itertools
import math

import keras
import numpy as np
from keras import ops

from utils._whole_numbers import whole_number

__all__ = ["insert_batchnorm", "is_activation"]

KINDS = {
    "dense": (keras.layers.Dense,),
    "conv": (
        keras.layers.Conv1D,
        keras.layers.Conv2D,
        keras.layers.Conv3D,
        keras.layers.Conv1DTranspose,
        keras.layers.Conv2DTranspose,
        keras.layers.Conv3DTranspose,
        keras.layers.DepthwiseConv1D,
        keras.layers.DepthwiseConv2D,
        keras.layers.SeparableConv1D,
        keras.layers.SeparableConv2D,
    ),
}
KINDS["all"] = KINDS["dense"] + KINDS["conv"]
# layers whose weights only shift and scale: what stands before them can still be an output layer
SCALING = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
    keras.layers.PReLU,
)


def insert_batchnorm(model, data, layers="dense", position="after", batch_size=32):
    """Return a network with batch normalization in it that computes what `model` computes.

    Each inserted layer normalises with the mean and variance that its units have on `data`, and
    undoes it: gamma = √(variance + epsilon), beta = mean. (The course's notebook set gamma to
    the variance, and the loss rose from 1.52 to 4.76.) In inference the outputs stay the same;
    in training each batch is normalised by its own statistics, which is what batch
    normalization is for.

    The statistics are those of the network as it was, of all chosen layers in one pass over
    `data`, added up in float64. Memory does not depend on how many rows there are.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional, with any branches, inputs and outputs. It is left untouched.
    data : array(s), keras.utils.PyDataset, tf.data.Dataset or another iterable of batches
        Inputs such as the network was trained on: an array, or what the model takes, a list or
        a dict of arrays; without labels. Batches may be (inputs, labels), of which the inputs
        are used.
    layers : {"dense", "conv", "all"} or list of str
        Which hidden layers get batch normalization: all `Dense`, all convolutions, both, or
        those named. Never an output layer, by which is meant the last one with a kernel on some
        way to an output.
    position : {"after", "before"}
        After the layer's activation, as in the course, or between its linear part and its
        activation, as in Ioffe and Szegedy. An activation counts as the layer's if it is its
        own or, where that is linear, the only thing that follows. A layer without one is
        followed by batch normalization either way.
    batch_size : int
        Of arrays; batches stay as they are.

    Returns
    -------
    keras.Model
        Functional, not compiled, with weights of its own. `"fc1"` is followed by
        `"fc1_batchnorm"`, trainable if `"fc1"` is, and with `position="before"` by
        `"fc1_activation"` if its activation was its own.

    Raises
    ------
    ValueError
        If the model is no graph of layers, or a layer can't be made anew from its config; if a
        chosen layer is not there, of another kind, an output layer, called more than once or
        normalised already, its activation has weights and can't be parted from it, or the name of
        what goes there is taken; if `data` is no such thing, endless or empty, its arrays differ
        in their rows, or a row is infinite or NaN or makes a unit so. The message names the
        layer or the row.

    Notes
    -----
    "The same" is to rounding, about 1e-7 of what each layer puts out. A unit that never changes
    has gamma = √epsilon, and a single row makes all units of dense layers so: right, but in
    training they then vary little at first. Positions that a mask would skip count like others.

    Source: fast.ai, Practical Deep Learning for Coders 1 (v1), lesson 5; S. Ioffe and C. Szegedy
    (2015), arXiv:1502.03167. Statistics of batches are merged as in T. F. Chan, G. H. Golub and
    R. J. LeVeque (1983), The American Statistician 37(3), 242-247.

    Examples
    --------
    >>> normalised = insert_batchnorm(model, x_train)
    >>> normalised.compile("adam", "categorical_crossentropy")
    """
    if position not in ("after", "before"):
        raise ValueError(f'position={position!r}: must be "after" or "before".')
    batch_size = whole_number("batch_size", batch_size, least=1)
    _refuse_other_than_graphs(model)
    inserted = []

    def normalised(layer, tensor):
        batchnorm = keras.layers.BatchNormalization(
            axis=_axis(layer),
            trainable=layer.trainable,
            dtype=_policy(layer),
            name=f"{layer.name}_batchnorm",
        )
        inserted.append(batchnorm)
        return batchnorm(tensor)

    network = _rebuilt(model, _places(model, layers, position), normalised)
    for batchnorm, moments in _measured(network, inserted, data, batch_size):
        _set_statistics(batchnorm, *moments)
    return network


def is_activation(operation):
    """Return whether a layer or operation is an activation function, such as `ReLU`."""
    known = {name.replace("_", "") for name in dir(keras.activations)}
    kinds = (keras.layers.Activation, keras.layers.PReLU)
    return isinstance(operation, kinds) or type(operation).__name__.lower() in known


# ---- which layers, and where ----


def _refuse_other_than_graphs(model):
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        name = getattr(model, "name", model)
        raise ValueError(
            f"{name!r} is not built, or is no Sequential or functional model. Give a Sequential "
            f"model an Input; build others as keras.Model(inputs, outputs)."
        )


def _places(model, layers, position):
    """Return where batch normalization goes: layer name -> "inside", "here" or "behind"."""
    calls = _calls(model)
    users = {}
    for call in itertools.chain(*calls.values()):
        for tensor in call.input_tensors:
            users.setdefault(id(tensor), []).append(call)
    places = {}
    for name in _chosen(model, layers, calls):
        if len(calls[name]) > 1:
            raise ValueError(
                f"Layer {name!r} is called {len(calls[name])} times, so its units have no one "
                f"mean and variance. Name the other layers."
            )
        (call,) = calls[name]
        layer, followers = call.operation, users.get(id(call.outputs[0]), [])
        own = layer.activation is not keras.activations.linear
        behind = not own and len(followers) == 1 and is_activation(followers[0].operation)
        _refuse_normalised(name, followers)
        if behind:
            _refuse_normalised(name, users.get(id(followers[0].outputs[0]), []))
        _refuse_unusable(layer, position, own, calls)
        if position == "after":
            places[name] = "behind" if behind else "here"
        else:
            places[name] = "inside" if own else "here"
    return places


def _calls(model):
    """Return the calls that make up a model's graph: operation name -> its nodes."""
    calls, waiting, seen = {}, list(model.outputs), set()
    while waiting:
        node = _origin(waiting.pop())
        if id(node) not in seen:
            seen.add(id(node))
            calls.setdefault(node.operation.name, []).append(node)
            waiting += node.input_tensors
    return calls


def _origin(tensor):
    operation, number, _ = tensor._keras_history
    return operation._inbound_nodes[number]


def _chosen(model, layers, calls):
    """Return the names of the chosen layers."""
    every = {layer.name: layer for layer in model.layers if layer.name in calls}
    if isinstance(layers, str) and layers in KINDS:
        return _of_kind(model, layers, every)
    if not isinstance(layers, (list, tuple)) or not layers or len(set(layers)) < len(layers):
        raise ValueError(
            f'layers={layers!r}: must be "dense", "conv", "all", or a list of layer names, each '
            f"once."
        )
    last = _output_layers(model)
    for name in layers:
        if not isinstance(every.get(name), KINDS["all"]):
            kind = f"is a {type(every[name]).__name__}" if name in every else "is not there"
            known = ", ".join(n for n, layer in every.items() if isinstance(layer, KINDS["all"]))
            raise ValueError(
                f"Layer {name!r} {kind}. The dense layers and convolutions of {model.name!r} are "
                f"{known or 'none'}."
            )
        if name in last:
            raise ValueError(
                f"Layer {name!r} is an output layer: no layer with a kernel follows it on some way "
                f"to an output. Name hidden layers."
            )
    return layers


def _of_kind(model, layers, every):
    kinds, last = KINDS[layers], _output_layers(model)
    for layer in every.values():
        if isinstance(layer, keras.Model) and any(
            isinstance(inner, kinds) for inner in layer._flatten_layers()
        ):
            raise ValueError(
                f"{layer.name!r} is a model within {model.name!r}, and its layers are out of "
                f"reach. Make one flat model, such as keras.Sequential([*base.layers, ...]) or "
                f"keras.Model(base.inputs, head(base.outputs)), or name layers outside of it."
            )
    names = [n for n, layer in every.items() if isinstance(layer, kinds) and n not in last]
    if not names:
        raise ValueError(
            f"{model.name!r} has no hidden layer of the kind layers={layers!r}; its output "
            f"layers, which get no batch normalization, are {', '.join(sorted(last)) or 'none'}."
        )
    return names


def _output_layers(model):
    """Return the names of the last layers with a kernel on the ways to the outputs."""
    found, waiting, seen = set(), list(model.outputs), set()
    while waiting:
        node = _origin(waiting.pop())
        if id(node) in seen:
            continue
        seen.add(id(node))
        if getattr(node.operation, "weights", None) and not isinstance(node.operation, SCALING):
            found.add(node.operation.name)
        else:
            waiting += node.input_tensors
    return found


def _refuse_normalised(name, followers):
    for call in followers:
        if isinstance(call.operation, keras.layers.BatchNormalization):
            raise ValueError(
                f"Layer {name!r} has batch normalization already: {call.operation.name!r}. Name "
                f"the other layers."
            )


def _refuse_unusable(layer, position, own, calls):
    inside = own and position == "before"
    if inside and getattr(layer.activation, "weights", None):
        raise ValueError(
            f"The activation of layer {layer.name!r} has weights, and cannot be parted from it: "
            f'position="before" wants it as a layer behind {layer.name!r}.'
        )
    for name in [f"{layer.name}_batchnorm"] + inside * [f"{layer.name}_activation"]:
        if name in calls:
            raise ValueError(
                f"What is inserted at {layer.name!r} would be called {name!r}, and there is such a "
                f"layer. Build the model with another name for it."
            )


# ---- the new network ----


def _rebuilt(model, places, put):
    """Return a copy of a model with what `put` makes of a layer and its output at each place."""
    pairs, own, waiting = [], {}, {}

    def copied(layer):
        try:
            config = layer.get_config()
            if places.get(layer.name) == "inside":
                moved = config.keys() & {"activation", "activity_regularizer"}
                own[layer.name] = {key: config[key] for key in moved}
                config |= dict.fromkeys(moved)
            copy = type(layer).from_config(config)
        except Exception as error:  # whatever a layer's own code raises
            raise ValueError(
                f"Layer {layer.name!r} cannot be made anew from its config: {error} Register what "
                f"is your own with keras.saving.register_keras_serializable."
            ) from error
        if isinstance(layer, keras.Layer):
            pairs.append((layer, copy))
        return copy

    def called(layer, *args, **kwargs):
        output = layer(*args, **kwargs)
        for tensor in keras.tree.flatten((args, kwargs)):
            if id(tensor) in waiting:  # this layer is the activation of another one
                output = put(waiting.pop(id(tensor))[0], output)
        place = places.get(layer.name)
        if place == "behind":
            waiting[id(output)] = layer, output
        elif place is not None:
            output = put(layer, output)
        if place == "inside":
            activation = keras.layers.Activation(
                **own[layer.name], dtype=_policy(layer), name=f"{layer.name}_activation"
            )
            output = activation(output)
        return output

    if isinstance(model, keras.Sequential):
        graph = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    else:  # without what `model` was compiled with
        graph = keras.Model(model.input, model.output, name=model.name)
    network = keras.models.clone_model(graph, clone_function=copied, call_function=called)
    for layer, copy in pairs:
        copy.set_weights(layer.get_weights())
        for part in copy._flatten_layers():
            if isinstance(part, keras.layers.Normalization):
                part.finalize_state()  # it computes with what it once read from its weights
    if not model.trainable:
        network.trainable = False
    return network


def _axis(layer):
    """Return the axis of a layer's units."""
    return 1 if getattr(layer, "data_format", None) == "channels_first" else -1


def _policy(layer):
    """Return the name of a layer's precision, of a quantized one that which it was before."""
    return layer.dtype_policy.name.rpartition("_from_")[2]


def _set_statistics(batchnorm, mean, variance):
    """Give a layer a mean and a variance to normalise by, and what undoes that."""
    dtype = batchnorm.moving_mean.dtype
    with np.errstate(over="ignore"):  # refused below
        mean, variance = mean.astype(dtype), variance.astype(dtype)
    if not np.isfinite(variance).all():
        raise ValueError(
            f"The variance before {batchnorm.name!r} is beyond {dtype}. Scale the inputs."
        )
    gamma = np.sqrt(variance.astype("float64") + batchnorm.epsilon).astype(dtype)
    batchnorm.set_weights([gamma, mean, mean, variance])


# ---- its statistics ----


class _Meter(keras.Model):
    """A network that skips some of its layers, and puts out statistics of what they take in."""

    axes = {}  # noqa: RUF012  until there are some: Keras runs through the graph once before

    def __init__(self, network, skipped):
        super().__init__(network.input, network.output, name=network.name)
        self.axes = {layer.name: layer.axis for layer in skipped}

    def _run_through_graph(self, inputs, operation_fn=lambda operation: operation, call_fn=None):
        found = {}

        def operation(layer):
            if layer.name not in self.axes:
                return operation_fn(layer)

            def measured(tensor, **options):  # what the layer is told besides, such as a mask
                found[layer.name] = _of_each_row(tensor, self.axes[layer.name])
                return tensor

            return measured

        super()._run_through_graph(inputs, operation, call_fn)
        return found


def _measured(network, inserted, data, batch_size):
    """Yield inserted layers and the mean and variance of what they take in, in float64."""
    meter = _Meter(network, inserted)
    totals = {layer.name: (0, 0.0, 0.0) for layer in inserted}
    rows = most = 0
    for here, batch in _batches(data, batch_size, network):
        most = max(most, here)
        _refuse_infinite(keras.tree.flatten(batch), rows, "is infinite or NaN")
        found = meter.predict_on_batch(_filled_up(batch, most - here))
        for name, total in totals.items():
            positions, mean, squares = (np.asarray(x)[:here] for x in found[name])
            unit = name.removesuffix("_batchnorm")
            what = f"is finite, but makes a unit of {unit!r} infinite or NaN"
            _refuse_infinite((mean, squares), rows, what)
            totals[name] = _merged(total, _of_rows(int(positions[0]), mean, squares))
        rows += here
    if rows == 0:
        raise ValueError("data has no rows to measure the means and variances of units on.")
    network._clear_losses()  # activity penalties while measuring
    for layer in inserted:
        n, mean, squares = totals[layer.name]
        yield layer, (mean, squares / n)


def _filled_up(batch, missing):
    """Repeat the last row of a short batch: another shape would be compiled anew."""
    if not missing:
        return batch
    return keras.tree.map_structure(
        lambda x: np.pad(x, [(0, missing)] + [(0, 0)] * (x.ndim - 1), mode="edge"), batch
    )


def _of_each_row(x, axis):
    """Return, for the units of each row: positions, mean, summed squared differences from it."""
    x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    shape, axis = ops.shape(x), axis % len(x.shape)
    inner = [a for a in range(1, len(shape)) if a != axis]
    positions = math.prod(shape[a] for a in inner)

    def total(values):
        for a in inner:  # one axis after the other: short sums lose few digits, and are quicker
            values = ops.sum(values, axis=a, keepdims=True)
        return values

    mean = total(x) / ops.cast(positions, x.dtype)
    squares = total(ops.square(x - mean))
    units = (-1, x.shape[axis])
    return ops.full(shape[:1], positions), ops.reshape(mean, units), ops.reshape(squares, units)


def _of_rows(positions, mean, squares):
    """Return count, mean and summed squares of rows together, each of as many positions."""
    middle = mean.mean(0, dtype="float64")
    apart = np.square(mean - middle).sum(0)
    return positions * len(mean), middle, squares.sum(0, dtype="float64") + positions * apart


def _merged(one, other):
    """Return count, mean and summed squares of two sets of positions together."""
    (n, mean, squares), (m, other_mean, other_squares) = one, other
    apart = other_mean - mean
    return (
        n + m,
        mean + apart * (m / (n + m)),
        squares + other_squares + apart**2 * (n * m / (n + m)),
    )


def _refuse_infinite(arrays, rows_before, what):
    """Refuse rows that are not finite in all arrays; whole numbers are."""
    floats = [x for x in arrays if x.dtype.kind == "f"]
    with np.errstate(over="ignore", invalid="ignore"):
        if all(np.isfinite(x.sum()) for x in floats):  # then so are all terms, and it is quick
            return
    good = np.all([np.isfinite(x).reshape(len(x), -1).all(1) for x in floats], axis=0)
    if not good.all():  # else the sum overflowed
        raise ValueError(
            f"Row {rows_before + int(good.argmin())} of data {what}. Leave such rows out, or mend "
            f"them or the network."
        )


def _batches(data, batch_size, network):
    """Yield the number of rows and the inputs of each batch, as NumPy arrays."""
    leaves = keras.tree.flatten(data)
    if isinstance(data, keras.utils.PyDataset):
        batches = map(data.__getitem__, range(_finite(data.num_batches)))
    elif all(getattr(leaf, "shape", ()) for leaf in leaves):
        batches = _slices(data, leaves, batch_size, network)
    elif hasattr(data, "__iter__") and not isinstance(data, (list, tuple, dict, str)):
        if hasattr(data, "cardinality") and int(data.cardinality()) == -1:
            _finite(None)
        batches = data
    else:
        raise ValueError(
            f"data is a {type(data).__name__}: must be an array, a list or dict of arrays as the "
            f"model takes them, a PyDataset, or another iterable of batches."
        )
    for batch in batches:
        x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        x = keras.tree.map_structure(np.asarray, x)
        shapes = [array.shape for array in keras.tree.flatten(x)]
        few = len(shapes) < len(network.inputs)
        if few or not all(shapes) or len({shape[0] for shape in shapes}) != 1:
            raise ValueError(
                f"A batch of data has inputs of the shapes {_listed(shapes)}, and {network.name!r} "
                f"takes {len(network.inputs)}. Give one array an input, of equally many rows: "
                f"(inputs, labels) or (inputs,), where inputs may be a tuple or a dict."
            )
        if shapes[0][0]:
            yield shapes[0][0], x


def _finite(number):
    if number is None:
        raise ValueError("data is endless. Give one pass of it, such as data.take(100).")
    return number


def _slices(data, leaves, batch_size, network):
    """Yield (inputs,) of successive rows."""
    rows = {int(leaf.shape[0]) for leaf in leaves}
    if len(leaves) != len(network.inputs) or len(rows) != 1:
        shapes = [tuple(leaf.shape) for leaf in leaves]
        raise ValueError(
            f"data has the shapes {_listed(shapes)}, and {network.name!r} takes "
            f"{len(network.inputs)} inputs. Give it one array an input, of equally many rows, and "
            f"no labels."
        )
    for start in range(0, *rows, batch_size):
        stop = start + batch_size
        yield (keras.tree.map_structure(lambda leaf: leaf[start:stop], data),)  # noqa: B023


def _listed(shapes):
    return ", ".join(map(str, shapes)) or "none"
