# %% [markdown]
# # 08 Batch norm: a new layer in a trained network
#
# **Lesson 5**, "Introducing Batch Normalization into a Pre-Trained Model" (0:01:55): batch norm
# review, using batch norm with VGG.
#
# VGG won prizes in 2014. Batch normalization was published a few months later, so VGG has none. Can
# it be put in afterwards, without spoiling weights that took weeks to train? And what does one gain?
#
# **What you will learn**
#
# * what batch normalization computes, forward and backward, in ten lines of NumPy;
# * why it behaves differently in training and in use, and what that hides;
# * how to insert it into a trained network so that nothing changes, and how a missing square root in
#   the course's own code tripled the loss;
# * whether it then pays: the lesson's two claims, faster training and less overfitting, measured
#   apart, with and without dropout.
#
# | scale | time on two processor cores | memory |
# |---|---|---|
# | quick | under a minute | 1.1 GB |
# | full | about a quarter of an hour (estimated) | 2.1 GB |
#
# **Data.** At full scale: the convolutions of [VGG16](https://arxiv.org/abs/1409.1556), trained on
# ImageNet (Oxford's Visual Geometry Group, CC BY 4.0), on the photographs of
# [dogs and cats](https://www.kaggle.com/c/dogs-vs-cats-redux-kernels-edition), for use in the
# competition, not for passing on. Otherwise: a narrow VGG, trained in section 2 on the handwritten
# digits 0 to 4 that come with scikit-learn (from the UCI repository, CC BY 4.0) and moved to 5 to 9.

# %%
from utils.session import start  # fails? another `utils` is in the way: see the README

lesson = start("08 VGG batchnorm")

# %%
import functools
import logging
import time
import types

import joblib
import keras
import numpy as np
import pandas as pd
from keras import layers, ops
from matplotlib import ticker
from scipy import optimize

from utils import switches
from utils.evaluation import restarted, summarise
from utils.fetch import source_of
from utils.plots import COLOURS, curves, figure, intervals, show

logging.getLogger("tensorflow").setLevel("ERROR")  # it warns of many small networks

# %% [markdown]
# ## 1. Batch norm from the ground up
#
# A hidden layer hands over a table: a row for each picture of the batch, a column for each unit. One
# unit speaks in ones, another in tens. The next layer has to live with that, and each step of
# training shifts it. Batch norm works on each column: subtract its mean, divide by its standard deviation;
# then multiply by γ and add β, two numbers a unit, which are trained.


# %%
def batch_norm(x, gamma=1.0, beta=0.0, epsilon=1e-3):
    """Normalise each column of a batch; then scale and shift it."""
    mean, variance = x.mean(axis=0), x.var(axis=0)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


# %%
rng = np.random.default_rng(0)
outputs = rng.gamma([2.0, 1.0, 9.0], [1.0, 20.0, 3.0], (64, 3))  # 64 pictures, three units

# %%
gamma, beta = np.array([0.5, 1.0, 2.0]), np.array([0.0, 3.0, -3.0])
stages = {
    "what three units say": outputs,
    "normalised": batch_norm(outputs),
    "times γ, plus β": batch_norm(outputs, gamma, beta),
}
fig, axes = figure(1, 3, width=10, height=3.2)
for panel, (name, values) in zip(axes, stages.items(), strict=True):
    for unit, colour in enumerate(("blue", "orange", "green")):
        places = unit + np.linspace(-0.25, 0.25, len(values))
        panel.plot(places, values[:, unit], "o", color=COLOURS[colour], markersize=3)
    panel.set(title=name, xlabel="unit", ylabel="output", xticks=range(3))
show(
    fig,
    alt="Outputs of three units for 64 pictures: at first each in a range of its own; normalised, all "
    "about zero with the same spread; then each with the spread γ around the place β.",
)

# %% [markdown]
# ε keeps the division alive where a unit says the same to everything. Is that all that Keras' layer
# does? Give it the same γ and β, and compare. (Its four lists of numbers are γ, β, the moving mean
# and the moving variance, in this order.)

# %%
layer = layers.BatchNormalization()  # epsilon=1e-3, momentum=0.99
layer.build(outputs.shape)
layer.set_weights([gamma, beta, np.zeros(3), np.ones(3)])
by_layer = ops.convert_to_numpy(layer(outputs.astype("float32"), training=True))
print(f"largest difference: {np.abs(by_layer - batch_norm(outputs, gamma, beta)).max():.1e}")

# %% [markdown]
# **The way back.** Write z for the normalised table and g for the slope of the loss *L* by each output; a bar is
# the mean over the batch. β gets the column sums of g, γ those of g z. For the layer below it is longer, as each
# picture also moves the mean and the spread of its batch:
#
# $$\frac{\partial L}{\partial x} = \frac{\gamma}{\sqrt{\mathrm{var} + \varepsilon}}\,
# \left(g - \overline{g} - z\,\overline{g z}\right)$$


# %%
def slopes(x, gamma, g, epsilon=1e-3):
    """Return the slopes of the loss by x, gamma and beta, given those by each output."""
    deviation = np.sqrt(x.var(axis=0) + epsilon)
    z = (x - x.mean(axis=0)) / deviation
    below = gamma / deviation * (g - g.mean(axis=0) - z * (g * z).mean(axis=0))
    return below, (g * z).sum(axis=0), g.sum(axis=0)


# %% [markdown]
# Do not trust a formula that you can check: nudge every number a little and see what a loss does.

# %%
aim = rng.normal(size=outputs.shape)


def loss_of(flat):
    """Return half the squared distance to `aim`, for outputs, γ and β in one row."""
    return 0.5 * ((batch_norm(flat[:-6].reshape(-1, 3), flat[-6:-3], flat[-3:]) - aim) ** 2).sum()


# %%
def slopes_of(flat):
    """Return the slopes of `loss_of`."""
    x, gamma, beta = flat[:-6].reshape(-1, 3), flat[-6:-3], flat[-3:]
    return np.concatenate([s.ravel() for s in slopes(x, gamma, batch_norm(x, gamma, beta) - aim)])


# %%
everything = np.concatenate([outputs.ravel(), gamma, beta])
off = optimize.check_grad(loss_of, slopes_of, everything)
print(f"off by {off / np.linalg.norm(slopes_of(everything)):.1e} of the slopes' length")
below = slopes_of(everything)[:-6].reshape(-1, 3)
print("column sums of the slopes for the layer below:", np.abs(below.sum(axis=0)).round(9))
print("their share along z:", np.abs((below * batch_norm(outputs)).mean(axis=0)).round(4))

# %% [markdown]
# The last two lines say what the formula is for. What reaches the layer below has no part that would
# shift a whole column, and (but for ε) none that would stretch it: mean and spread would be
# normalised away, so there is nothing to learn about them. γ and β alone decide these, two numbers in
# place of thousands of weights that would have to move together.
#
# **In use** there may be one picture only, and its answer must not depend on who else is in the
# batch. So the layer keeps moving averages while it trains, and normalises by those:

# %%
fresh = layers.BatchNormalization()
x = outputs.astype("float32")
fresh(x, training=True)
moved = 0.99 * 0 + 0.01 * outputs.mean(axis=0)
print("moving mean after one batch:", ops.convert_to_numpy(fresh.moving_mean).round(4))
print("by hand:                    ", moved.round(4))
same = [ops.convert_to_numpy(fresh(x[:rows], training=False))[0] for rows in (64, 1)]
print(f"in use, alone or among 64: {np.abs(same[0] - same[1]).max():.1e} apart")

# %% [markdown]
# Notebook 04 shows how long such an average takes, and what happens to those who ask too early.
#
# In training the company matters. Here is one picture, again and again, in batches with others. How
# much does its normalised output change from batch to batch? Guess: for batches of 4, 64, 256.

# %%
crowd = rng.gamma(1.0, 20.0, 20_000)
sizes, spread = 2 ** np.arange(2, 10), []
for size in sizes:
    batches = rng.choice(crowd, (1000, size))
    batches[:, 0] = 30.0  # our picture
    spread.append(batch_norm(batches.T)[0].std())
    if size in (4, 64, 256):
        print(f"batches of {size}: its output varies by {spread[-1]:.3f}")

# %%
fig, axes = figure(width=6.5, height=3.2)
axes.loglog(sizes, spread, "o-", color=COLOURS["blue"])
axes.loglog(sizes, spread[-1] * np.sqrt(sizes[-1] / sizes), ":", color=COLOURS["grey"])
axes.annotate("as 1/√size", (sizes[3], spread[-1] * (sizes[-1] / sizes[3]) ** 0.5), (-14, -10),
              textcoords="offset points", ha="right", color=COLOURS["grey"])  # fmt: skip
axes.set_xticks(sizes, sizes)
axes.set_yticks([0.1, 0.2, 0.5], ["0.1", "0.2", "0.5"])
axes.minorticks_off()
axes.set(xlabel="pictures in the batch", ylabel="standard deviation")
axes.set_title("The same picture in other company gets another output")
show(
    fig,
    alt=f"The output of one picture varies less the larger the batch: {spread[0]:.2f} in batches of "
    f"{sizes[0]}, {spread[-1]:.2f} in batches of {sizes[-1]}, about as one over the root of the size.",
)

# %% [markdown]
# That is noise, added to every unit in every step, and dropout is noise too. It is one reason to
# believe the lesson when it says that batch norm "tends to reduce overfitting". Section 6 asks
# whether it does.
#
# Last: γ and β can take it all back. With γ = √(var + ε) and β = mean the layer does nothing.

# %%
undone = batch_norm(outputs, np.sqrt(outputs.var(axis=0) + 1e-3), outputs.mean(axis=0))
print(f"largest change: {np.abs(undone - outputs).max():.1e}")

# %% [markdown]
# ## 2. A network that is already trained
#
# All sizes stand here. At full scale we take photographs of 64 pixels, a twelfth of the area that the
# course used, so that two cores can also retrain convolutions; notebook 09 takes larger ones and aims
# for the best score. Here the question is what batch norm changes, not how far one can get.

# %%
photographs = lesson.pick(
    quick=False, full={source_of("vgg16"), source_of("dogs_vs_cats")} == {"real"}
)
print("this run:", "ImageNet's VGG16, photographs" if photographs else "a narrow VGG, digits")
pixels = 64 if photographs else 32
precision = "mixed_bfloat16" if photographs else "float32"  # of the frozen convolutions; see below
train_rows, held_out_rows, chunk = (1000, 1500, 500) if photographs else (200, 400, 200)
hidden = 256 if photographs else 64  # units of each of the head's two hidden layers
batch_size = 64 if photographs else 25
old_epochs = 3  # of the narrow VGG on its own digits
first_epochs = lesson.pick(quick=6, full=3)  # of the head that batch norm is put into
steps_shown = lesson.pick(quick=8, full=30)  # after it
epochs = lesson.pick(quick=4, full=12)  # of a head
block_epochs = lesson.pick(quick=1, full=2)  # of the last block of convolutions and a head
rates = lesson.pick(quick=[1e-2], full=[3e-4, 1e-3, 3e-3, 1e-2])
block_rates = lesson.pick(quick=[1e-3], full=[1e-4, 1e-3])
choosing = lesson.pick(quick=1, full=0)  # the seed that chooses learning rates
seeds = lesson.pick(quick=[1], full=[1, 2, 3, 4, 5])  # those that are scored
target = lesson.pick(quick=0.5, full=0.1)  # training loss that the race of section 5 goes to

# %%
if photographs:
    from utils.datasets import load_dogs_vs_cats
    from utils.images import ImageBatches, load_images

    data = load_dogs_vs_cats()
    label, names = data.label, data.class_names
    some = np.linspace(0, len(data) - 1, 6).astype(int)
    thumbnails = load_images(data.paths(some), (pixels, pixels))
else:
    from sklearn.datasets import load_digits

    digits = load_digits()
    enlarged = np.kron(digits.images, np.ones((1, pixels // 8, pixels // 8))) * (255 / 16)
    images, digit = np.repeat(enlarged[..., None], 3, -1).astype("float32"), digits.target
    data = types.SimpleNamespace(source="real", edition="digits of scikit-learn")
    old, new = digit < 5, digit >= 5
    label, names = digit[new] - 5, "56789"
    some = np.arange(6)
    thumbnails = images[new][some].astype("uint8")

# %%
# Kaggle's photographs are not for passing on: say True in a copy that stays with you
show_pictures = not photographs or data.source == "stand-in"
if show_pictures:
    fig, axes = figure(1, 6, width=9, height=1.9)
    for panel, picture, which in zip(axes, thumbnails, some, strict=True):
        panel.imshow(picture)
        panel.set_title(names[label[which]])
        panel.axis("off")
    show(fig, alt=f"Six of the pictures: {', '.join(names[label[which]] for which in some)}.")
print(
    f"{len(label):,} pictures of {len(names)} kinds: {', '.join(names)}; {data.source}, {data.edition}"
)

# %% [markdown]
# The old task is ImageNet, or, for the narrow VGG, the digits 0 to 4. The new one is what is named
# above: at quick scale the digits 5 to 9, at full scale cats and dogs, 5,000 photographs (a published page does
# not show them). The network never saw these pictures.

# %%
from utils.vgg import imagenet_base, vgg16

if photographs:
    keras.config.set_dtype_policy(precision)
    try:
        base = imagenet_base((pixels, pixels, 3))
    finally:  # else all that is built later would be of mixed precision too
        keras.config.set_dtype_policy("float32")
else:
    base = vgg16((pixels, pixels, 3), width=1 / 8)
    scores = layers.Dense(5, activation="softmax", kernel_initializer="zeros")
    network = keras.Model(base.input, scores(layers.Flatten()(base.output)))
    network.compile(keras.optimizers.Adam(3e-4), "sparse_categorical_crossentropy")
    network.fit(images[old], digit[old], 32, old_epochs, verbose=lesson.verbose)
print(f"{base.name}: {len(base.layers)} layers, {base.count_params():,} weights")

# %% [markdown]
# As in the course, what the frozen convolutions make of each picture is computed once. We stop after
# the **fourth** of five blocks, since section 5 retrains the fifth. (Processors with bfloat16
# arithmetic go through frozen convolutions faster; notebook 09 measures what it changes. On one without,
# set `precision` to `"float32"`.)

# %%
bottom = keras.Model(base.input, base.get_layer("block4_pool").output)
if photographs:
    from utils.images import extract_features

    place = (
        switches.build_folder()
        / "cache"
        / lesson.slug
        / f"block4-{pixels}-{precision}-{data.edition}"
    )
    batches = ImageBatches(data.paths(), label, size=(pixels, pixels))
    features = extract_features(
        bottom, batches, place, dtype="float16", progress=lesson.steps
    ).array
else:
    features = bottom.predict(images[new], verbose=0)
print("features of block 4:", features.shape, features.dtype)

# %% [markdown]
# On top of it come the fifth block, with its trained weights, and a new head shaped like VGG's, but
# smaller: two hidden layers, one output a class, and dropout only where we say so. Its moving averages
# move by a tenth in each step, not by a hundredth as by default: we take too few steps for that.


# %%
def head(x, dropout=0.0, normalise=False):
    """Put two hidden layers on a tensor, with batch norm after each if wanted, and an output."""
    for name in ("fc1", "fc2"):
        x = layers.Dense(hidden, activation="relu", kernel_initializer="he_normal", name=name)(x)
        if normalise:
            x = layers.BatchNormalization(momentum=0.9, name=f"{name}_batchnorm")(x)
        x = layers.Dropout(dropout)(x)
    return layers.Dense(len(names), activation="softmax", name="scores")(x)


# %%
def trained_block():
    """Build block 5, with its trained weights."""
    x = inputs = keras.Input(bottom.output_shape[1:])
    copies = []
    for layer in base.layers[-4:]:
        config = layer.get_config() | {"trainable": True, "dtype": "float32"}
        copies.append(type(layer).from_config(config))
        x = copies[-1](x)
    for layer, copy in zip(base.layers[-4:], copies, strict=True):
        copy.set_weights(layer.get_weights())
    return keras.Model(inputs, layers.Flatten(name="flat")(x))


# %% [markdown]
# Between the two stands a division by one number, the spread of block 5's features, so that the head
# gets numbers about 1 in size. Without it, batch norm might win only by mending the scale; section 5
# looks at that, too.
#
# Some rows are held out for good. What we train on is drawn anew for each seed, so that the
# intervals at the end cover the luck of that draw as well; the held-out rows stay the same.

# %%
order = np.random.default_rng(0).permutation(len(label))
held_out, pool = order[:held_out_rows], order[held_out_rows:]


def draw(seed):
    """Return the rows to train on."""
    return np.random.default_rng(seed).choice(pool, train_rows, replace=False)


# %%
@lesson.remember(depends=(trained_block,))
def pooled(features, weights):
    """Return what block 5, with these trained weights, makes of block 4's features."""
    return trained_block().predict(features, chunk, verbose=0)


# %%
raw = pooled(features, [w for layer in base.layers[-4:] for w in layer.get_weights()])
scale = float(raw[pool].std())
deep = raw / scale
print(f"{deep.shape[1]:,} features of block 5; before the division they spread by {scale:.3g}")


# %%
def top(dropout=0.0):
    """Build block 5, the division, and a new head."""
    block = trained_block()
    x = layers.Rescaling(1 / scale)(block.output)
    return keras.Model(block.input, head(x, dropout), name="top")


# %% [markdown]
# Two baselines before any network: always the most frequent answer, and a linear model.

# %%
from sklearn.linear_model import LogisticRegression

first = draw(0)
frequent = np.bincount(label[first]).argmax()
linear = LogisticRegression(C=0.01, max_iter=300)
linear.fit(deep[first], label[first])
print(f"the most frequent answer: {np.mean(label[held_out] == frequent):.3f}")
print(f"linear: {linear.score(deep[held_out], label[held_out]):.3f}")


# %%
def score(model, x, y):
    """Return a model's loss and accuracy, as the model is used: nothing dropped, moving averages."""
    parts = [model.predict_on_batch(x[i : i + chunk]) for i in range(0, len(x), chunk)]
    found = np.concatenate(parts)
    loss = -np.log(found[np.arange(len(y)), y] + 1e-7).mean()
    return float(loss), float(np.mean(found.argmax(axis=1) == y))


# %%
def build(normalise, dropout=0.0, rate=1e-3):
    """Build and compile a head on its own, for the features of block 5."""
    inputs = keras.Input(deep.shape[1:])
    model = keras.Model(inputs, head(inputs, dropout, normalise))
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model


# %%
keras.utils.set_random_seed(0)
plain = build(normalise=False)
plain.fit(deep[first], label[first], batch_size, first_epochs, verbose=0)
before, right = score(plain, deep[held_out], label[held_out])
print(f"our head without batch norm: loss {before:.4f}, accuracy {right:.3f}")

# %% [markdown]
# In our full run the network is right on a few more of 1,500 photographs than the linear model: no difference.
# These features leave a head little to gain in accuracy; keep that in mind in section 6.
#
# ## 3. Put it in by hand
#
# `plain` has learned weights that fit one another. Now a batch norm goes behind each hidden layer.
# First the mean and variance of each hidden unit, from the training rows:

# %%
taps = keras.Model(plain.input, [plain.get_layer(name).output for name in ("fc1", "fc2")])
activations = taps.predict(deep[first], chunk, verbose=0)
moments = [(a.mean(axis=0), a.var(axis=0)) for a in activations]
for name, a, (mean, variance) in zip(("fc1", "fc2"), activations, moments, strict=True):
    print(f"{name}: means {mean.min():.2f} to {mean.max():.2f}, variances {variance.min():.2f} "
          f"to {variance.max():.2f}; {np.mean(a == 0):.0%} zeros")  # fmt: skip

# %% [markdown]
# Then the four lists of each new layer. The defaults are γ = 1, β = 0. The notes say that γ and β
# should be "exactly the standard deviation and mean". The course's notebook had
# `set_weights([var, mean, mean, var])`. And section 1 says √(var + ε). Which of these leave the
# network as it was? The original printed a loss of 1.52 before and 4.76 after "should give identical
# results", and went on.

# %%
ways = {
    "defaults": lambda mean, var: [np.ones_like(var), 0 * mean, 0 * mean, np.ones_like(var)],
    "γ = var, as coded": lambda mean, var: [var, mean, mean, var],
    "γ = √var": lambda mean, var: [np.sqrt(var), mean, mean, var],
    "γ = √(var + ε)": lambda mean, var: [np.sqrt(var + 1e-3), mean, mean, var],
}


# %%
def with_batchnorm(way):
    """Return a copy of `plain` with batch norm behind each hidden layer, set up in one way."""
    model = build(normalise=True)
    for name in ("fc1", "fc2", "scores"):
        model.get_layer(name).set_weights(plain.get_layer(name).get_weights())
    for name, (mean, var) in zip(("fc1", "fc2"), moments, strict=True):
        model.get_layer(f"{name}_batchnorm").set_weights(ways[way](mean, var))
    return model


# %% [markdown]
# We ask each in use, and *as in training*, where a batch is normalised by its own statistics.


# %%
def answers(model, training):
    """Return the probabilities of the held-out rows, in batches as in training."""
    batches = np.array_split(deep[held_out], max(1, held_out_rows // batch_size))
    return np.concatenate([model(batch, training=training) for batch in batches])


def loss_from(found):
    """Return the loss of probabilities."""
    return -np.log(found[np.arange(len(found)), label[held_out]] + 1e-7).mean()


# %%
original = answers(plain, training=False)
rows = {}
for way in ways:
    model = with_batchnorm(way)
    in_use = answers(model, training=False)
    change = np.abs(in_use - original).max()
    rows[way] = loss_from(in_use), loss_from(answers(model, training=True)), change

# %%
table = pd.DataFrame(rows, index=["loss in use", "loss as in training", "largest change"]).T
record = {"before": 1.5168, "after": 4.7634}  # the original's, 1,000 classes, γ = var
print(f"before: loss {before:.4f}; the original's {record['before']} became {record['after']}")
table.map("{:.3g}".format)

# %%
fig, (left, middle) = figure(1, 2, width=10, height=3.2, sharey=True)
for height, (used, trained_way, change) in enumerate(rows.values()):
    left.plot(used / before, height, "o", color=COLOURS["blue"], markersize=8,
              label=None if height else "in use")  # fmt: skip
    left.plot(trained_way / before, height, "s", color=COLOURS["orange"], markersize=7,
              markerfacecolor="none", label=None if height else "as in training")  # fmt: skip
    middle.plot(max(change, 1e-8), height, "o", color=COLOURS["blue"], markersize=8)
left.axvline(1, color=COLOURS["grey"], linestyle=":")
left.set_yticks(range(len(rows)), list(rows))
left.set(ylim=(3.6, -0.6), xlabel="loss / loss of the network as it was")
left.set_title("What happens to the loss")
left.legend(loc="lower right")
middle.set(xscale="log", xlabel="largest change of a probability")
middle.set_title("What the new layers change, in use")
show(
    fig,
    alt="Loss after insertion as a multiple of the loss before, and largest change of a probability: "
    + "; ".join(f"{way}: {u / before:.2f} in use, {t / before:.2f} as in training, change {c:.0e}"
                for way, (u, t, c) in rows.items()),
)  # fmt: skip

# %% [markdown]
# * **Defaults** look harmless in use: the moving averages say mean 0, variance 1, so hardly anything
#   happens. As in training, the batch's own statistics count, and the weights behind
#   get numbers they have never seen. The first step of `fit` would meet that network.
# * **γ = var** is what the course ran: each unit comes out by its own factor √var too wide, or too
#   narrow.
# * **γ = √var** is right but for ε, and that tells for units that hardly vary: they shrink by
#   √(var / (var + ε)). **γ = √(var + ε)** is right to rounding.
#
# As in training even the right one differs: each batch has its own mean and spread. That is the noise of
# section 1, and with batches of this size it is not small. Mind one thing: *in use* the last way changes nothing
# whatever mean and variance one writes down, as long as they are the same in both places. The measured ones
# matter as soon as training normalises by the batch. So look at both columns.
#
# Here is what the layer behind `fc1` gets to see. The defaults change the width of each unit's numbers
# and make its zeros negative; the right way leaves every number where it was, on the dotted line:

# %%
seen = activations[0][:100]
mean, variance = moments[0]
panels = {
    "defaults, as in training": batch_norm(seen),
    "γ = var": variance * (seen - mean) / np.sqrt(variance + 1e-3) + mean,
    "γ = √(var + ε)": batch_norm(activations[0], np.sqrt(variance + 1e-3), mean)[:100],
}
fig, axes = figure(1, 3, width=10, height=3.4)
for panel, (name, after) in zip(axes, panels.items(), strict=True):
    panel.plot([seen.min(), seen.max()], [seen.min(), seen.max()], ":", color=COLOURS["grey"])
    panel.plot(seen.ravel(), after.ravel(), ".", color=COLOURS["blue"], markersize=1.5)
    panel.set(title=name, xlabel="a unit's output", ylabel="after batch norm")
show(
    fig,
    alt="Outputs of fc1 before and after batch norm, in three panels. With default parameters all "
    "lie around zero; with γ = var each unit has a slope of its own; with γ = √(var + ε) "
    "all lie on the diagonal.",
)

# %% [markdown]
# ## 4. Put it in by `insert_batchnorm`
#
# By hand it takes one's own model, names and care, once for each network. `insert_batchnorm` does it
# for any Keras graph: it measures all chosen layers in one pass over the data, a batch at a time, and
# never behind an output layer. Is it the same as ours?

# %%
from utils.vgg import insert_batchnorm

normalised = insert_batchnorm(plain, deep[first], layers="dense", batch_size=chunk)
by_hand = with_batchnorm("γ = √(var + ε)")
for name in ("fc1_batchnorm", "fc2_batchnorm"):
    pairs = zip(*(m.get_layer(name).get_weights() for m in (by_hand, normalised)), strict=True)
    off = max(np.abs(a - b).max() / np.abs(a).max() for a, b in pairs)
    print(f"{name}: largest difference {off:.1e} of the largest number")
print(f"outputs: largest change {np.abs(answers(normalised, False) - original).max():.1e}")

# %% [markdown]
# The course stopped at the dense layers. For a convolution, a unit is a *channel*: its mean runs over
# pictures and places. Block 5 and its head together have five hidden layers:

# %%
whole = top()
for name in ("fc1", "fc2", "scores"):
    whole.get_layer(name).set_weights(plain.get_layer(name).get_weights())
everywhere = insert_batchnorm(whole, features[first], layers="all", batch_size=chunk)
print([layer.name for layer in everywhere.layers if layer.name.endswith("batchnorm")])
pair = [model.predict(features[held_out], chunk, verbose=0) for model in (whole, everywhere)]
identity = float(np.abs(pair[0] - pair[1]).max() / np.abs(pair[0]).max())
lesson.claim(
    "batchnorm.identity",
    identity,
    note=f"block 5 and head, five layers; in the head alone the loss goes from {before:.4f} to "
    f"{rows['γ = var, as coded'][0]:.4f} with γ = var",
    data=data,
)

# %% [markdown]
# `tests/test_batchnorm.py` does this with a hundred random graphs, with branches and skips, and with
# the whole base of VGG16.
#
# > **Then and now.** The course looked inside with a hand-made `K.function`; `keras.Model(inputs, tensor)`
# > does that today. The order of the four lists has not changed. The course called the fourth one
# > "running_std" and remarked that it really holds the variance; the first one needed the deviation, and
# > got the variance as well. And its statistics came from 5,000 *validation* pictures. No label was used,
# > but measure on training rows.
#
# Now go on training, as the course did. Four networks that are, or should be, the same at step 0:


# %%
@functools.cache
def compiled(normalise, dropout):
    """Build and compile a head once."""
    return build(normalise, dropout)


# %%
def watch(fresh):
    """Train for some small steps; return the loss on all training rows, before and after each."""
    normalise = any(isinstance(layer, layers.BatchNormalization) for layer in fresh.layers)
    model = restarted(compiled(normalise, 0.0), fresh)
    model.optimizer.learning_rate = 1e-4
    batches = np.random.default_rng(0).choice(first, (steps_shown, batch_size))
    found = [score(model, deep[first], label[first])[0]]
    for batch in batches:
        model.train_on_batch(deep[batch], label[batch])
        found.append(score(model, deep[first], label[first])[0])
    return found


# %%
copy = build(normalise=False)
copy.set_weights(plain.get_weights())
lines = {"no batch norm": watch(copy)}
for way in ("defaults", "γ = var, as coded", "γ = √(var + ε)"):
    lines[way] = watch(with_batchnorm(way))
fig, axes = figure(width=8, height=3.6)
curves(axes, lines, x="steps of training", y="loss on the training rows, in use", start=0)
axes.set_title("After the insertion, training goes on")
show(
    fig,
    alt="Loss on the training rows by step of training: "
    + "; ".join(f"{name} from {line[0]:.3f} to {line[-1]:.3f}, at most {max(line):.3f}"
                for name, line in lines.items()),
)  # fmt: skip

# %% [markdown]
# Watch the defaults: they begin where the untouched network is. But training normalises by the batch,
# so its steps mend another network than the one that is scored, until the moving averages have caught
# up. γ = var has to unlearn its own start; the course spent an epoch on 2.5 million pictures' features to come
# back from 4.76 to 1.57, where it had been 1.52 without batch norm. And √(var + ε) starts level.
#
# How much harm the defaults do depends on the network. At quick scale the loss climbs away. In our full run, one
# seed and a head three epochs old, they do none: after thirty steps they lie even a little below the right
# insertion, and the untouched network is the lowest nearly throughout, so inserting did not speed this one up
# either. The weights of a network that was tuned for longer have more to lose. The right insertion costs one line
# more and needs no luck.
#
# ## 5. Does it train faster?
#
# So far nothing is gained. The notes promise two things, and they are easily mixed up: what learns
# faster also *over*learns sooner. So the two get sections of their own. First speed.
#
# We train fresh heads on the frozen features, with and without batch norm. After each epoch we note
# the loss on the training rows and on the held-out rows, in use; and the processor time of the steps.


# %%
def fitted(model, x, seed, epochs):
    """Train a compiled model on the rows of a seed; return losses, accuracy and time."""
    parts = [(x[rows].astype("float32"), label[rows]) for rows in (draw(seed), held_out)]
    scores, clock = [[score(model, *part) for part in parts]], []

    def end(epoch, logs):
        clock.append(time.process_time())
        scores.append([score(model, *part) for part in parts])

    notes = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: clock.append(time.process_time()), on_epoch_end=end
    )
    model.fit(*parts[0], batch_size, epochs, callbacks=[notes], verbose=0)
    training, held = np.transpose(scores, (1, 2, 0))  # by epoch, from 0
    record = {"training": training[0], "held out": held[0], "accuracy": held[1]}
    return record | {"seconds": float(np.median(np.diff(clock)[::2]))}


# %%
about = joblib.hash((deep, features.shape, label, held_out, train_rows, batch_size, chunk))


@functools.cache
@lesson.remember(depends=(about, build, head, hidden, fitted, score, draw))
def train_head(normalise, dropout, factor, rate, seed, epochs):
    """Train a fresh head on the features times a factor; return its record."""
    model = compiled(normalise, dropout)
    keras.utils.set_random_seed(seed)
    fresh = restarted(model, build(normalise, dropout, rate))
    return fitted(fresh, deep * np.float32(factor), seed, epochs)


# %% [markdown]
# Three races. *Undivided* is what you get without the division of section 2, as the course had it:
# there, a batch norm behind the first layer also mends the scale. In the others there is less to win by that.
#
# Each rival gets the rate whose training loss is lowest on average over all epochs (on a log scale), in one
# seed. Before you look: will that be the same for both?

# %%
kinds = {"no batch norm": False, "batch norm": True}
races = {  # dropout, and by what the features are multiplied
    "head": (0.0, 1.0),
    "head, undivided": (0.0, scale),
    "head, dropout": (0.5, 1.0),
}
scan = {
    (race, kind): {rate: train_head(kinds[kind], *races[race], rate, choosing, epochs) for rate in rates}
    for race in races
    for kind in kinds
}  # fmt: skip


# %%
def best_of(records):
    """Return the rate whose training loss is lowest on average over all epochs, on a log scale."""
    means = {rate: np.log(record["training"]).mean() for rate, record in records.items()}
    return min(means, key=lambda rate: np.nan_to_num(means[rate], nan=np.inf))


best = {which: best_of(records) for which, records in scan.items()}
print("best rate: " + "; ".join(f"{race}, {kind} {rate:g}" for (race, kind), rate in best.items()))

# %%
fig, axes = figure(1, 2, width=10, height=3.5, sharey=True)
for panel, kind in zip(axes, kinds, strict=True):
    lines = {f"{rate:g}": record["training"] for rate, record in scan["head", kind].items()}
    panel.set(yscale="log", title=f"Head, {kind}, by learning rate")
    panel.axhline(target, color=COLOURS["grey"], linestyle=":")
    curves(panel, lines, y="loss on the training rows", start=0)
show(
    fig,
    alt="Training loss of the head by epoch at several learning rates. After the last epoch: "
    + "; ".join(f"{kind} " + ", ".join(f"{rate:g}: {r['training'][-1]:.1e}" for rate, r in scan["head", kind].items())
                for kind in kinds),
)  # fmt: skip

# %% [markdown]
# In our full run it is not: batch norm takes three times the rate, but beside dropout both take the same. That
# was one seed. Now the others, at every rate, to the dotted line: a training loss of 0.1 at full scale. In
# between two epochs we read along a straight line, on a log scale.


# %%
def crossing(record, goal):
    """Return after how many epochs the training loss falls to a goal; not a number if never."""
    below, losses = np.flatnonzero(record["training"] <= goal), np.log(record["training"])
    if not len(below):
        return np.nan
    after = below[0]
    if after == 0:
        return 0.0
    return after - (np.log(goal) - losses[after]) / (losses[after - 1] - losses[after])


def saved(race, cost, goal=target):
    """Return the share of a cost that batch norm saves on the way to a goal, for each seed."""
    costs = [[crossing(r, goal) * cost(r) for r in records] for records in zip(*race, strict=True)]
    return [1 - normal / bare if bare else 0.0 for bare, normal in costs]


# %%
steps_an_epoch = -(-train_rows // batch_size)
by_rate = {
    rate: [[train_head(n, *races["head"], rate, s, epochs) for s in seeds] for n in kinds.values()]
    for rate in rates
}
needed = {  # mean and half-width of the interval, where all seeds arrive
    kind: {
        rate: summarise([crossing(r, target) * steps_an_epoch for r in pair[number]])
        for rate, pair in by_rate.items()
        if all(record["training"].min() <= target for record in pair[number])
    }
    for number, kind in enumerate(kinds)
}

# %%
fig, axes = figure(width=7, height=3.6)
for (kind, found), colour in zip(needed.items(), ("orange", "blue"), strict=True):
    means, halves = [s.mean for s in found.values()], [s.half_width or 0 for s in found.values()]
    axes.errorbar(
        list(found), means, halves, fmt="o-", color=COLOURS[colour], capsize=3, label=kind
    )
axes.set(xscale="log", xlabel="learning rate", ylabel="steps", ylim=(0, None))
axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
axes.minorticks_off()
axes.legend()
axes.set_title(f"Steps to a training loss of {target}; 95 % intervals")
show(
    fig,
    alt=f"Mean number of steps to a training loss of {target} by learning rate: "
    + "; ".join(f"{kind} " + ", ".join(f"{rate:g}: {s.mean:.0f}" for rate, s in found.items())
                for kind, found in needed.items()),
)  # fmt: skip

# %%
for rate, pair in by_rate.items():
    arrived = [sum(r["training"].min() <= target for r in records) for records in pair]
    text = f"{rate:g}: {arrived[0]} and {arrived[1]} of {len(seeds)} arrive"
    if min(arrived) == len(seeds):
        text += f"; steps saved {summarise(saved(pair, lambda r: 1))}"
    print(text)

# %% [markdown]
# (Mean ± standard deviation over the seeds, then half the width of the mean's 95 % interval. Only the second
# says what we know.) In our full run batch norm saves steps at every rate, a third or more of them on average;
# for this short way 0.001 suits both best. And look at the curves above: without it all rates but the smallest
# jump about; with it all four fall smoothly. That is the *stability* which the notes speak of. But look at their
# right ends, too: after twelve epochs the head without batch norm has the lower training loss at 0.001 and
# at 0.003, and one a hundred times higher at 0.01. Except at that rate, what batch norm buys is a fast beginning.
#
# *Saved* is the share of the steps, or of the seconds, that batch norm needs less; a negative share
# means that it needs more. Next, the last block of convolutions. There the two start as *the same
# function*: trained convolutions and a fresh head. The rival has batch norm inserted behind all five
# hidden layers. One epoch with seed 0 chooses the rate, of two; the smaller won, and a smaller one still
# might be better. (Here, too, the moving averages move by a tenth a step; notebook 04 tells why.)


# %%
def build_block(normalise, rows, rate=1e-4):
    """Build and compile block 5 and a fresh head, with batch norm inserted everywhere if wanted."""
    model = top()
    if normalise:
        model = insert_batchnorm(model, features[rows], layers="all", batch_size=chunk)
        for layer in model.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = 0.9
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model


# %%
@functools.cache
def compiled_block(normalise):
    """Build and compile block 5 and a head once."""
    return build_block(normalise, first)


# %%
@functools.cache
@lesson.remember(
    depends=(about, build_block, top, trained_block, head, hidden, scale, fitted, score, draw)
)
def train_block(normalise, rate, seed, epochs):
    """Train the last block and a fresh head; return the record."""
    model = compiled_block(normalise)
    keras.utils.set_random_seed(seed)
    fresh = build_block(normalise, draw(seed), rate)
    return fitted(restarted(model, fresh), features, seed, epochs)


# %%
LAST = "last block and head"
for kind, normalise in kinds.items():
    records = {rate: train_block(normalise, rate, choosing, 1) for rate in block_rates}
    best[LAST, kind] = best_of(records)
    found = ", ".join(f"{rate:g}: {r['training'][-1]:.4f}" for rate, r in records.items())
    print(f"{LAST}, {kind}: training loss after an epoch, by rate: {found}")

# %% [markdown]
# Now all four races, each rival at the rate chosen for all epochs. (For the short way to the dotted line that is
# not batch norm's best: at 0.001 for both, it saves more.) If all reach the dotted line, that is the finish;
# else it is the lowest training loss that all of them reach.

# %%
runs = {
    race: [
        [train_head(normalise, *way, best[race, kind], seed, epochs) for seed in seeds]
        for kind, normalise in kinds.items()
    ]
    for race, way in races.items()
}
runs[LAST] = [
    [train_block(normalise, best[LAST, kind], seed, block_epochs) for seed in seeds[:3]]
    for kind, normalise in kinds.items()
]


# %%
def finish(race):
    """Return the training loss that every run of a race reaches, at least `target`."""
    return max(target, *(r["training"].min() for records in race for r in records))


# %%
steps, seconds = {}, {}
for name, race in runs.items():
    steps[name] = summarise(saved(race, lambda r: 1, finish(race)))
    seconds[name] = summarise(saved(race, lambda r: r["seconds"], finish(race)))
    each = [np.mean([r["seconds"] for r in records]) for records in race]
    print(f"{name}, to a training loss of {finish(race):.3f}: steps saved {steps[name]}")
    print(f"    seconds saved {seconds[name]}; a step takes {each[1] / each[0]:.2f} times as long")

# %%
same_rate = ", ".join(
    f"{rate:g} {summarise(saved(pair, lambda r: 1, finish(pair))).mean:.3f}"
    for rate, pair in by_rate.items()
)
lesson.claim(
    "batchnorm.speed",
    steps["head"].mean,
    sd=steps["head"].sd,
    note=f"head on frozen features, best learning rate each: steps saved {steps['head']}, seconds "
    f"{seconds['head']}; at one rate for both: {same_rate}; features undivided: {steps['head, undivided']}; with dropout: "
    f"{steps['head, dropout']}; last block: {steps[LAST]}",
    data=data,
    seeds=len(seeds),
)

# %% [markdown]
# Steps are what the papers count; seconds are what you wait for. A step with batch norm does more work,
# so fewer seconds are saved than steps. (Where a step with batch norm seems *cheaper* than one without,
# as in the last block of our full run, that cannot be: other programs shared the machine. Take all seconds here
# as rough.)
#
# **The verdict on speed: yes for the head, to a training loss of 0.1, at each of four rates, in five seeds.**
# Further down it depends on the rate, in the one seed of the scan. For the last block our three seeds, two epochs
# each, cannot tell.
#
# ## 6. Does it overfit less?
#
# The *generalisation gap* is the held-out loss minus the training loss. At the end of training it would
# be unfair: who learns faster has gone further. So draw one against the other. To the right, the training
# rows are known better; lower is better on strangers. Two networks on one curve generalise alike, however
# fast each moves along it. A thin line is a seed, a point on it an epoch, from the first; where a line turns
# back to the left, the training loss has risen again. The large dot is where it *first* comes to the finish,
# dotted: there the gaps are compared.


# %%
def log_scale(axis):
    """Make an axis logarithmic, with plain numbers at 1, 10, ..., and at 2, 5 if there is room."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    low, high = axis.get_view_interval()
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.axes.minorticks_off()


# %%
def gap(record, goal):
    """Return held-out minus training loss, where the training loss falls to the goal."""
    epoch = crossing(record, goal)
    return float(np.interp(epoch, np.arange(len(record["held out"])), record["held out"])) - goal


# %%
fig, axes = figure(2, 2, width=10, height=6.4)
for panel, (name, race) in zip(axes.flat, runs.items(), strict=True):
    for records, kind, colour in zip(race, kinds, ("orange", "blue"), strict=True):
        for number, r in enumerate(records):
            panel.plot(r["training"][1:], r["held out"][1:], ".-", color=COLOURS[colour],
                       markersize=3, linewidth=1, alpha=0.35)  # fmt: skip
            panel.plot(finish(race), gap(r, finish(race)) + finish(race), "o", color=COLOURS[colour],
                       label=None if number else kind)  # fmt: skip
    panel.axvline(finish(race), color=COLOURS["grey"], linestyle=":")
    log_scale(panel.xaxis)
    panel.set(xlabel="training loss, falling", ylabel="held-out loss")
    panel.set_title(name[0].upper() + name[1:])
    panel.invert_xaxis()
axes[0, 0].legend()
show(
    fig,
    alt="Held-out loss against training loss, one line a seed, without and with batch norm, in four "
    f"panels: {', '.join(runs)}. Large dots on a dotted line: where gaps are compared.",
)


# %%
def narrowed(race, goal):
    """Return by how much the second kind narrows the gap of the first, for each seed."""
    bare, normal = ([gap(r, goal) for r in records] for records in race)
    return np.array(bare) - np.array(normal)


# %%
for rate, pair in by_rate.items():
    print(f"head, both at {rate:g}: narrowed by {summarise(narrowed(pair, finish(pair)))}")
gaps = {name: summarise(narrowed(race, finish(race))) for name, race in runs.items()}
for name, race in runs.items():
    each = [np.mean([gap(r, finish(race)) for r in records]) for records in race]
    print(f"{name}: gap {each[0]:.3f} without, {each[1]:.3f} with; narrowed by {gaps[name]}")

# %% [markdown]
# On the head, in our full run, the curves say no. At a training loss of 0.1 and the same rate, the gap with batch
# norm is a little wider at the two smaller rates, and five seeds cannot tell at the two larger ones. At each
# rival's chosen rate, as in the figure, it is wider by .13, and about half of that goes with the rate: .001
# without batch norm, .003 with it. All this is early, after 18 to 33 steps with batch norm, when its moving
# averages still remember their start; further to the right the curves lie on one another.
#
# Now look at the *undivided* features, those of the course. There the network without batch norm pays dearly.
# It names nearly as many strangers rightly (the table below: some two points fewer), but when it is wrong it is
# far too sure of itself. Batch norm narrows that gap by far, and so does one division.
#
# The lesson adds that batch norm lets us "avoid relying too heavily on dropout". Which of the two narrows the
# gap more, and does the second still help once the first is there? All against the bare head, at one training
# loss, each at its chosen rate; and accuracy on the held-out rows when nobody stops early. (Kaggle scores cats
# and dogs by log loss: that is the height of the curves' right ends above, where dropout did not help either.)

# %%
bare = runs["head"][0]
rivals = {
    "batch norm": runs["head"][1],
    "dropout": runs["head, dropout"][0],
    "both": runs["head, dropout"][1],
}
goal = max(finish(runs["head"]), finish(runs["head, dropout"]))
against_bare = {name: summarise(narrowed([bare, rival], goal)) for name, rival in rivals.items()}


def accuracy_gained(race):
    """Return what the second kind gains in accuracy after the last epoch, for each seed."""
    return [b["accuracy"][-1] - a["accuracy"][-1] for a, b in zip(*race, strict=True)]


gained_on_bare = {name: summarise(accuracy_gained([bare, r])) for name, r in rivals.items()}

# %%
fig, axes = figure(1, 2, width=10, height=2.4, sharey=True)
found = {f"gap narrowed, at a training loss of {goal:.2g}": against_bare, "accuracy gained": gained_on_bare}  # fmt: skip
for panel, (what, by_rival) in zip(axes, found.items(), strict=True):
    intervals(panel, {name: (s.mean, s.half_width or 0) for name, s in by_rival.items()}, x=what)
    panel.axvline(0, color=COLOURS["grey"], linestyle=":")
    panel.locator_params(axis="x", nbins=5)
fig.suptitle("Compared with the head that has neither")
show(
    fig,
    alt="Compared with the bare head, mean and interval. "
    + " ".join(f"{what}: " + ", ".join(f"{name} {s.mean:.3f}" for name, s in by_rival.items()) + "."
               for what, by_rival in found.items()),
)  # fmt: skip
print(f"the bare head: gap {np.mean([gap(r, goal) for r in bare]):.3f}, "
      f"accuracy {np.mean([r['accuracy'][-1] for r in bare]):.4f}")  # fmt: skip
for name in rivals:
    print(f"{name}: gap narrowed {against_bare[name]}; accuracy gained {gained_on_bare[name]}")

# %%
gained = {name: summarise(accuracy_gained(race)) for name, race in runs.items()}
pd.DataFrame(
    {
        name: [f"{np.mean([r['accuracy'][-1] for r in records]):.4f}" for records in race]
        + [str(gained[name])]
        for name, race in runs.items()
    },
    index=[*kinds, "gained"],
).T

# %%
same_rate = ", ".join(
    f"{rate:g} {narrowed(pair, finish(pair)).mean():.3f}" for rate, pair in by_rate.items()
)
lesson.claim(
    "batchnorm.overfitting",
    gaps["head"].mean,
    sd=gaps["head"].sd,
    note=f"gap in loss at equal training loss, head: narrowed by {gaps['head']}; both beside dropout "
    f"alone: {gaps['head, dropout']}; dropout beside neither: {against_bare['dropout']}; last block "
    f"{gaps[LAST]}; features undivided {gaps['head, undivided']}; both at one rate: {same_rate}; accuracy gained {gained['head']}, "
    f"{gained['head, dropout']}, {gained[LAST]}, undivided {gained['head, undivided']}",
    data=data,
    seeds=len(seeds),
)

# %% [markdown]
# In our full run neither batch norm nor dropout narrows the gap of this small head on divided features, nor do
# they together, and their accuracies lie within a point of each other. Since dropout itself narrows nothing here,
# this run cannot say whether batch norm could replace it. (The bare head ran at .001, the others at .003; for
# dropout we have no pair at one rate.) For the last block the interval is too wide to tell. **The verdict on
# overfitting: it depends on the scale.** On features as the course had them, yes, by far, and some two points of
# accuracy with it. On features divided by their spread, no; and that division alone does as much as batch norm.
# What "tends to reduce overfitting" may rest on is a network that begins with numbers far too large. (The course
# had dropout as well; undivided with dropout we did not run.)
#
# ## 7. The verdict, in one picture
#
# Each dot is the mean over the seeds, each line its 95 % interval. Right of the dotted line, batch norm
# helps. An interval that crosses the line says that these seeds cannot tell. (At quick scale, with one
# seed, a few steps and no interval, all this is a rehearsal: its signs mean nothing.)

# %%
fig, axes = figure(1, 3, width=12, height=2.6, sharey=True)
found = {"steps saved, share": steps, "gap narrowed, loss": gaps, "accuracy gained": gained}
for panel, (what, by_race) in zip(axes, found.items(), strict=True):
    intervals(panel, {name: (s.mean, s.half_width or 0) for name, s in by_race.items()}, x=what)
    panel.axvline(0, color=COLOURS["grey"], linestyle=":")
    panel.locator_params(axis="x", nbins=5)
axes[1].set_xscale("symlog", linthresh=0.2, linscale=2)  # one gap is ten times the others
axes[1].set(xlim=(-0.5, 1.6), xlabel="gap narrowed (squeezed beyond 0.2)")
axes[1].set_xticks([-0.2, 0, 0.2, 1], ["-0.2", "0", "0.2", "1"])
show(
    fig,
    alt="; ".join(
        f"{what}: " + ", ".join(f"{name} {s.mean:.3f}" for name, s in by_race.items())
        for what, by_race in found.items()
    ),
)

# %% [markdown]
# > **Then and now.** "As a result of simply introducing batch normalization", the notes say, Jeremy reached
# > 98.95 %. The notebook behind it averages five networks, augments the pictures and trains in stages; no
# > run without batch norm stands beside it. Notebook 09 takes that recipe apart, ingredient by ingredient.
#
# ## Make it your own
#
# Any trained Keras model with a graph will do: load yours, insert, compile, train on. Give
# `insert_batchnorm` inputs such as the network was trained on, prepared in the same way: an array, batches
# from disk, a `tf.data` pipeline. We used the thousand rows that we train on.

# %%
mine = keras.Sequential(
    [keras.Input((20,)), layers.Dense(16, "relu", name="first"), layers.Dense(1)], name="mine"
)
x_mine = rng.normal(size=(500, 20)).astype("float32")
better = insert_batchnorm(mine, x_mine)
better.compile("adam", "mse")
print([layer.name for layer in better.layers])

# %% [markdown]
# **On Kaggle**, insert into the head of your pre-trained network first: it changes nothing at the start. Then
# train with and without on the same rows, three to five seeds each; one pair of runs can mislead you, as the
# intervals above show. And see that no batch has a single row, whose variance is 0.
#
# ## Exercises
#
# **1.** Ioffe and Szegedy put batch norm *before* the activation, the course behind it. Does the
# insertion still change nothing? Which statistics does it need now?
#
# <details><summary>Answer</summary>
#
# It changes nothing either way: the layer is undone where it stands, and the activation sees what it
# always saw. The statistics are those of the weighted sums, which may be negative, as the smallest
# mean below shows.
#
# </details>

# %%
earlier = insert_batchnorm(plain, deep[first], position="before", batch_size=chunk)
print([layer.name for layer in earlier.layers][1:4])
means = earlier.get_layer("fc1_batchnorm").get_weights()[2]
print(f"means {means.min():.2f} to {means.max():.2f}")
print(f"largest change {np.abs(answers(earlier, False) - original).max():.1e}")

# %% [markdown]
# **2.** What happens to a batch norm with `trainable = False`, as in training? Guess, then look: it is what
# people trip over when they fine-tune.
#
# <details><summary>Answer</summary>
#
# Today a frozen batch norm runs in inference mode even within `fit`: moving averages, no noise. In the
# course's Keras it went on normalising by the batch. The frozen one below answers as in use.
#
# </details>

# %%
for frozen in (False, True):
    model = with_batchnorm("γ = √(var + ε)")
    model.trainable = not frozen
    in_use = answers(model, training=False)
    apart = np.abs(answers(model, training=True) - in_use).max()
    print(f"frozen {frozen}: in training, answers differ by at most {apart:.1e}")

# %% [markdown]
# **3.** After training you can have batch norm's weights without its cost: in use it only scales and shifts,
# and so does the dense layer behind it. Fold the one into the other.
#
# <details><summary>Answer</summary>
#
# In use the layer gives s x + t, with s = γ / √(var + ε) and t = β − s mean. A dense layer behind it with
# weights W and bias b then computes (s x + t) W + b = x (diag(s) W) + (t W + b).
#
# </details>


# %%
def folded(model, norm, dense):
    """Return the weights of a dense layer that does the work of the batch norm before it, too."""
    gamma, beta, mean, var = model.get_layer(norm).get_weights()
    scale = gamma / np.sqrt(var + model.get_layer(norm).epsilon)
    kernel, bias = model.get_layer(dense).get_weights()
    return scale[:, None] * kernel, (beta - scale * mean) @ kernel + bias


# %%
trained_one = compiled(True, 0.0)  # it has been trained with batch norm above
without = build(normalise=False)
without.get_layer("fc1").set_weights(trained_one.get_layer("fc1").get_weights())
without.get_layer("fc2").set_weights(folded(trained_one, "fc1_batchnorm", "fc2"))
without.get_layer("scores").set_weights(folded(trained_one, "fc2_batchnorm", "scores"))
apart = np.abs(answers(without, False) - answers(trained_one, False)).max()
print(f"without batch norm, {without.count_params():,} weights: answers differ by {apart:.1e}")

# %% [markdown]
# ## What you learned
#
# * Batch norm normalises each unit over the batch, and two trained numbers a unit give mean and spread back;
#   in use, moving averages stand in for the batch.
# * γ = √(var + ε), β = mean, and the same mean and variance as moving averages: inserted so, it changes
#   nothing. γ = var is not that, and the defaults leave a network as it was in use, but not in training.
# * "Faster" and "overfits less" are two claims. Compare speed at the same training loss, and the gap at
#   the same training loss too; with seeds, paired.
# * In our full run it saves the head, on average, a third or more of the steps to a training loss of 0.1, at each
#   of four equal rates; what it saves in seconds is less. It does not overfit less, unless the features come in a bad scale: that it
#   mends, as one division does.
# * After training it can be folded away.
#
# **Next:** notebook 09, *Dogs vs cats*, builds the lesson's best model, and finds out what each of its
# ingredients is worth.
