# %% [markdown]
# # 03 Learning-rate annealing: slow down when the gradients grow
#
# **Lesson 4**, "Jeremy's Dynamic Learning Rate".
#
# A step that is too long jumps across the valley and back. The lesson offers a rule that notices
# by itself: *when the squared gradients have doubled, divide the learning rate by four*. It tells it
# twice, in its notes and in its spreadsheet `graddesc`, and the two are not the same rule. We replay
# the sheet's, test the notes' premise, and let three versions race against a constant rate and two
# other ways to slow down.
#
# **What you will learn**
#
# * why a constant learning rate keeps bouncing, and what a rule of three lines does about it;
# * two rules that go by one name: the sheet's and the notes';
# * when gradients do shrink towards a minimum, and two cases in which they do not;
# * how to use the rule in Keras, as a callback, and when something simpler is better.
#
# | scale | time on two processor cores | memory |
# |---|---|---|
# | quick | about 45 seconds | 1 GB |
# | full | 17 minutes on a busy machine | 1 GB |
#
# **Data.** The sheet's 29 points, and scikit-learn's 1,797 handwritten digits of 8×8 pixels,
# which come with the library ([UCI](https://archive.ics.uci.edu/dataset/80), CC BY 4.0).

# %%
from utils.session import start  # fails? another `utils` is in the way: see the README

lesson = start("03 Learning-rate annealing")

# %% [markdown]
# All sizes stand here. Quick scale shows that everything works, with one seed; full scale takes five,
# so that luck can be told from skill.

# %%
starts = lesson.pick(quick=4, full=40)  # random starts of the sheet
seeds = lesson.pick(quick=[0], full=[0, 1, 2, 3, 4])
epochs = lesson.pick(quick=10, full=30)  # of the digits
batch_size = 32
high_rate = 0.1  # a hundred times Adam's default

# %%
import math

import keras
import numpy as np
import pandas as pd
from keras import layers, ops

# %%
from utils import update_rules
from utils.callbacks import GradientNormAnnealing
from utils.evaluation import summarise
from utils.plots import COLOURS, curves, figure, intervals, show
from utils.update_rules import POINTS, TRUTH, SheetAdam, replay

# %% [markdown]
# ## 1. The sheet: a line that cannot sit still
#
# The sheet fits a line through 29 points of y = 2x + 30. It begins at a = b = 1 and takes one
# row at a time by Adam with a learning rate of 1. A pass through all rows is an epoch. Notebook 02 took
# the rules apart; here we only watch. The rate never changes. What do you expect after 50 epochs?
# (`slip` and `carry` are two errors of the sheet; section 2 is about them.)


# %%
def sheet(slip=True, carry=False, **options):
    """Replay 50 epochs of the sheet adam_ann; return its epochs."""
    rule = SheetAdam(learning_rate=1.0, beta_1=0.9, beta_2=0.95, slip=slip)
    rule.carries_last_row = carry
    return replay(rule, epochs=50, **options)


# %%
def errors(done):
    """Return how far a or b, whichever is worse, is off after each epoch."""
    return np.array([abs(epoch.end - TRUTH).max() for epoch in done])


constant = sheet()
b, a = constant[-1].end
print(f"after 50 epochs: a = {a:.3f}, b = {b:.3f}; the truth: a = 2, b = 30")

# %% [markdown]
# It found the neighbourhood, and now runs about in it: Adam divides a step by √v, so that it is about
# as long as the rate, however near the line is. The remedy watches the sheet's cell N33, √v of b plus √v of a, where v is Adam's moving
# average of squared gradients. The rule is three lines:


# %%
class Rule:
    """Divide by four what has more than doubled since its best; fed once an epoch."""

    least = math.inf

    def __call__(self, measure):
        factor = 0.25 if measure > 2 * self.least else 1.0
        self.least = min(self.least, measure)
        return factor


# %%
annealed = sheet(annealing=Rule())
b, a = annealed[-1].end
print(f"after 50 epochs: a = {a:.5f}, b = {b:.5f}")

# %%
fig, panels = figure(1, 2, width=9, height=3.6, sharey=True)
for panel, (name, done) in zip(
    panels, {"constant rate": constant, "annealed": annealed}.items(), strict=True
):
    ends = np.array([0.0, 100.0])
    for epoch in done[-8:]:
        b, a = epoch.end
        panel.plot(ends, a * ends + b, color=COLOURS["orange"], linestyle="-", linewidth=1)
    panel.plot(*POINTS.T, "o", color=COLOURS["blue"], markersize=4)
    panel.set(title=f"{name}: lines after the last eight epochs", xlabel="x")
panels[0].set_ylabel("y")
show(
    fig,
    alt="The 29 points with eight lines each. Left, at a constant rate, the lines fan out around the "
    "points; right, annealed, they lie on each other and through all points.",
)

# %%
cut = [n for n in range(1, 50) if annealed[n].learning_rate < annealed[n - 1].learning_rate]
fig, (left, right) = figure(1, 2, width=10)
left.set_yscale("log")
curves(left, {"constant": errors(constant), "annealed": errors(annealed)}, y="error of a or b")
left.set(title="The rule finds the line")
right.set_yscale("log")
measures = {"constant": constant, "annealed": annealed}
curves(right, {n: [e.measure for e in done] for n, done in measures.items()}, y="√v of b + √v of a")
right.plot(cut, [annealed[n - 1].measure for n in cut], "o", color=COLOURS["black"])
right.set(title="What it watches; dots: the rate is cut")
show(
    fig,
    alt="Left: with a constant rate the larger error of a and b stays near 1; annealed it falls to "
    f"{errors(annealed)[-1]:.0e}. Right: the measure falls in waves, a cut wherever it has more than doubled.",
)

# %% [markdown]
# With the constant rate the error goes up and down around 1 for as long as you care to watch. With the rule
# it falls by orders of magnitude, and nobody told it when. Some dots come in pairs: v is an average,
# still remembers the rise, and the rule cuts again. But would a smaller constant rate not do? Try.

# %%
for rate in (0.3, 0.1, 0.03):
    rule = SheetAdam(learning_rate=rate, beta_1=0.9, beta_2=0.95, slip=True)
    print(f"constant rate {rate}: error {errors(replay(rule, epochs=50))[-1]:.2f}")

# %% [markdown]
# The middle one is best, and still far worse: high rates bounce, low ones do not arrive. `utils.update_rules.Annealing` is this very rule;
# let us make sure, and record the lesson's claim.

# %%
theirs = sheet(annealing=update_rules.Annealing())
assert [e.learning_rate for e in theirs] == [e.learning_rate for e in annealed]
bounce = errors(constant)[-10:]
lesson.claim(
    "annealing.line",
    measured=errors(annealed)[-1],
    note=f"as in the sheet; its slip J5 mended {errors(sheet(slip=False, annealing=Rule()))[-1]:.0e}; "
    f"without annealing {bounce.min():.1f} to {bounce.max():.1f} over the last ten epochs",
)

# %% [markdown]
# ## 2. Two slips in the sheet, and some luck
#
# > **Then and now.** Cell J5 of the sheet points to `Intro!F5`, an empty cell of another sheet, where
# > its neighbours point to their own column F. So the second row's gradient for b never reaches the
# > average m. And the next epoch begins with the guesses of row 32 *before* that row's update, so one
# > step in 29 is thrown away.
#
# Do the slips help or hurt? Let us mend each, both, and neither.

# %%
rows = []
for slip in (True, False):
    for carry in (False, True):
        done = sheet(slip, carry, annealing=Rule())
        rates = [e.learning_rate for e in done]
        rows.append(
            {
                "J5": "as in the sheet" if slip else "mended",
                "last row": "mended" if carry else "as in the sheet",
                "cuts": int(sum(np.diff(rates) < 0)),
                "error, annealed": f"{errors(done)[-1]:.1e}",
                "error, constant rate": f"{errors(sheet(slip, carry))[-1]:.1e}",
            }
        )
pd.DataFrame(rows)

# %% [markdown]
# Surprised? With the last row's step kept, as it should be, the error after 50 epochs is *larger*; with J5
# mended it is much smaller. Before you make anything of that, move the start by a billionth.

# %%
moved = sheet(start=(1 + 1e-9, 1), annealing=Rule())
print(f"error {errors(annealed)[-1]:.1e}; start moved by a billionth: {errors(moved)[-1]:.1e}")

# %% [markdown]
# Such paths are chaotic: the slightest change moves every cut that follows. One path proves little,
# then. So start from many places, and count.


# %%
def from_many_starts(slip, carry):
    """Return the error after 50 epochs from each of some random starts."""
    places = np.random.default_rng(0).uniform([0, 0], [40, 4], (starts, 2))
    return [errors(sheet(slip, carry, start=p, annealing=Rule()))[-1] for p in places]


variants = {
    "as in the sheet": from_many_starts(True, False),
    "J5 mended": from_many_starts(False, False),
    "last row mended": from_many_starts(True, True),
    "both mended": from_many_starts(False, True),
}

# %%
fig, axes = figure()
for height, off in enumerate(variants.values()):
    axes.plot(np.maximum(off, 1e-9), np.full(len(off), height), "|", ms=14, color=COLOURS["blue"])
axes.axvline(1e-3, color=COLOURS["orange"], linestyle="--")
axes.set_xscale("log")
axes.set_yticks(range(len(variants)), list(variants))
axes.set(ylim=(3.5, -0.5), xlabel="error of a or b after 50 epochs (dashed: the claim's 1e-3)")
axes.set(title=f"One mark for each of {starts} starts")
shares = ", ".join(f"{n} {np.mean(np.array(o) <= 1e-3):.0%}" for n, o in variants.items())
show(fig, alt=f"Errors after 50 epochs over many decades. Within 1e-3: {shares}.")
print(f"within 1e-3: {shares}")

# %% [markdown]
# At full scale the rule works from most places in each variant, from all in none, and mending the slips
# makes little difference. Two things go wrong: cuts in quick succession leave a rate too small to
# arrive, and it can never rise again; or the cuts come too late for 50 epochs.
#
# > **Then and now.** The notes describe another rule than the sheet computes. Their reference is the epoch
# > before; the sheet's is the *least* value so far. Their statistic is the sum of squared gradients; the
# > sheet's is a sum of *roots*, so that its doubling is a quadrupling of squares. Only the factor of four is the same.
#
# ## 3. Do gradients shrink towards a minimum?
#
# "If we are approaching a minimum, we expect the sum of squared gradients to always decrease from one epoch
# to the next", say the notes. It sounds obvious. We test it with plain gradient descent on the line, in a few lines of NumPy: all
# rows at once or a few at a time, with and without noise in y, and once with a rate that is too high. In which of
# the five do you expect it to hold?


# %%
def line_sums(noise, batch, rate=0.1, passes=300, seed=0):
    """Return each epoch's sum of squared gradients, descending on the 29 points."""
    rng = np.random.default_rng(seed)
    x = POINTS[:, 0] / 100  # so that y = 30 + 200 x, and one rate suits both weights
    y, w, sums = 30 + 200 * x + noise * rng.normal(size=29), np.ones(2), []
    for _ in range(passes):
        order, total = rng.permutation(29), 0.0
        for rows in np.split(order, range(batch, 29, batch)):
            error = w[0] + w[1] * x[rows] - y[rows]
            gradient = 2 * np.array([error.mean(), (error * x[rows]).mean()])
            w, total = w - rate * gradient, total + gradient @ gradient
        sums.append(total)
    return np.array(sums)


# %%
cases = {
    "all rows, exact": line_sums(0, 29),
    "all rows, noise": line_sums(10, 29),
    "8 rows, exact": line_sums(0, 8),
    "8 rows, noise": line_sums(10, 8),
}
tried = cases | {"all rows, rate too high": line_sums(0, 29, rate=0.85, passes=20)}
pd.DataFrame(
    {
        "epochs": {n: len(s) for n, s in tried.items()},
        "with a rise": {n: int(sum(np.diff(s) > 0)) for n, s in tried.items()},
        "more than doubled": {n: int(sum(s[1:] > 2 * s[:-1])) for n, s in tried.items()},
    }
)

# %%
fig, axes = figure(height=4)
axes.set_yscale("log")
shares = {name: np.where(s > 1e-8 * s[0], s / s[0], np.nan) for name, s in cases.items()}
curves(axes, shares, y="sum of squares, first = 1")
axes.set(title="Noise leaves a floor when batches are small", ylim=(1e-8, 3))
show(
    fig,
    alt="Sums of squared gradients over 300 epochs. With all rows at once they fall smoothly; with 8 rows and "
    "exact points they fall with ripples; with 8 rows and noise they stay on a floor and jump up and down.",
)

# %% [markdown]
# With all rows at once and a rate that is not too high the premise holds: no rise at all. With a rate that is too
# high every epoch brings a rise, and yet none doubles the one before: the notes' rule would sleep on, the sheet's, which
# compares with the least, would not. With small batches the premise fails. Which rows share a batch changes from epoch to
# epoch, and the sum with it, though here the trend is down. With noise even the trend ends: at the very minimum each batch still pulls
# somewhere, only their *mean* is zero. The sum stays on a floor and doubles by chance. Cutting there is not wrong, since shorter
# steps average the pull out; but the rule cut because of chance, not because a step went too far.
#
# The second failure needs no noise. Near a saddle, a flat point that is a minimum in one direction and a maximum in another, the gradient is small, and grows as descent *gets away*. The smallest
# case: fit 1 by a product of two weights that both begin at 0.05.

# %%
w, sums, losses = np.array([0.05, 0.05]), [], []
for _ in range(60):
    gradient = -2 * (1 - w[0] * w[1]) * w[::-1]
    sums.append(gradient @ gradient)
    losses.append((1 - w[0] * w[1]) ** 2)
    w = w - 0.05 * gradient
rule = Rule()
first = next(n for n, value in enumerate(sums) if rule(value) < 1)
print(f"the sheet's rule would cut after step {first + 1}, at a loss of {losses[first]:.3f}")
growth = np.divide(sums[1:], sums[:-1]).max()
print(f"the notes' rule never would: from step to step the square grows {growth:.2f}-fold at most")

# %%
fig, axes = figure()
curves(axes, {"loss": losses, "squared gradient": sums}, x="step", y="value")
axes.axvline(first + 1, color=COLOURS["grey"], linestyle=":")
axes.text(first + 2, 0.5, "the sheet's rule\nwould cut", color=COLOURS["grey"])
axes.set(title="Leaving a saddle looks like bouncing")
show(
    fig,
    alt="The loss falls from 1 to 0 without a rise, while the squared gradient first grows sixtyfold. "
    f"The sheet's rule would cut at step {first + 1}, long before the descent is done.",
)

# %% [markdown]
# The loss never rises, and yet the squared gradient grows manyfold. A rule that compares with the *least* value cuts when
# nearly all of the descent is still to come; the notes' rule does not, for it compares with the step before. So growing gradients are a hint, not a proof. Whether the hint is worth having, only real models can tell.
#
# ## 4. By hand, then as a callback
#
# First the notes' rule by hand: plain descent on the line, row by row, a rate that is too high, the sum of squared gradients compared with
# the epoch before.

# %%
x, y = POINTS[:, :1] / 100, POINTS[:, 1:] / 100
w, rate, before, by_hand = np.zeros(2), 0.95, math.inf, []
for _ in range(10):
    total = 0.0
    for row in range(29):
        gradient = 2 * (w[0] + w[1] * x[row, 0] - y[row, 0]) * np.array([1, x[row, 0]])
        w, total = w - rate * gradient, total + gradient @ gradient
    by_hand.append((total, rate))
    if total > 2 * before:
        rate /= 4
    before = total

# %% [markdown]
# In Keras the optimizer meets the gradients inside a compiled function, where no callback can look. `GradientNormAnnealing`
# wraps the optimizer's `apply` in a function that adds up while `fit` runs, and removes it afterwards. The model is compiled as always.

# %%
model = keras.Sequential([keras.Input((1,)), layers.Dense(1, kernel_initializer="zeros")])
model.compile(keras.optimizers.SGD(0.95), "mse")
annealing = GradientNormAnnealing(reference="previous")
fitted = model.fit(
    x, y, batch_size=1, epochs=10, shuffle=False, verbose=0, callbacks=[annealing]
).history

# %%
both = pd.DataFrame(by_hand, columns=["sum, by hand", "rate, by hand"], index=range(1, 11))
both["sum, callback"], both["rate, callback"] = fitted["squared_gradients"], fitted["learning_rate"]
both.index.name = "epoch"
both.map("{:.4g}".format)

# %%
assert np.allclose(both["sum, by hand"], both["sum, callback"], rtol=1e-3)
assert np.allclose(both["rate, by hand"], both["rate, callback"])

# %% [markdown]
# In the second epoch the sum grows a hundred-thousandfold. One cut, and from the fourth epoch on it falls. Hand and
# callback agree.
#
# > **Then and now.** The lesson's notebooks set `model.optimizer.lr = …`; once a model had been fitted, that did nothing. In
# > Keras 3 the name is `learning_rate`, and `.lr` is still accepted in silence and still does nothing. A callback that sets the right name
# > takes effect at the next step.

# %%
model.optimizer.lr = 0.001
print(f"after setting .lr: {float(model.optimizer.learning_rate):.4f}")
model.optimizer.learning_rate = 0.001
print(f"after setting .learning_rate: {float(model.optimizer.learning_rate):.4f}")

# %% [markdown]
# ## 5. A real model, from a rate that is too high
#
# The digits: three fifths to train on, a fifth to choose by, a fifth to score on. The net has two
# hidden layers. Its rate, 0.1, is a hundred times Adam's default: of .01, .03 and .1, tried beforehand
# on a similar net, the one at which a constant rate visibly suffers. We build and compile the net once;
# each run puts new weights in and clears the optimizer.

# %%
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

pixels, digit = load_digits(return_X_y=True)
pixels = (pixels / 16).astype("float32")


def parts(seed):
    """Split into (pixels, digits) to train on, to choose by, and to score on."""
    x, rest, y, labels = train_test_split(
        pixels, digit, test_size=0.4, random_state=seed, stratify=digit
    )
    halves = train_test_split(rest, labels, test_size=0.5, random_state=seed, stratify=labels)
    return (x, y), (halves[0], halves[2]), (halves[1], halves[3])


# %%
fig, axes = figure(1, 8, width=8, height=1.3)
for panel, image in zip(axes, pixels, strict=False):
    panel.imshow(image.reshape(8, 8), cmap="Greys")
    panel.axis("off")
show(fig, alt="Eight handwritten digits, 0 to 7, each of 8 by 8 grey pixels.")


# %%
def build(beta_2=0.999):
    """Return the compiled net for the digits."""
    hidden = [layers.Dense(64, activation="relu") for _ in range(2)]
    net = keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(high_rate, beta_2=beta_2)
    # an epoch of batches in one call: less waiting between them
    steps = math.ceil(len(parts(0)[0][0]) / batch_size)
    net.compile(optimizer, loss, metrics=["accuracy"], steps_per_execution=steps)
    optimizer.build(net.trainable_variables)
    return net


# %%
def renew(net, seed, rate):
    """Put fresh weights in, and make the optimizer forget."""
    keras.utils.set_random_seed(seed)
    net.set_weights(keras.models.clone_model(net).get_weights())
    for variable in net.optimizer.variables:  # its averages, its count of steps, its rate
        variable.assign(ops.zeros_like(variable))
    net.optimizer.learning_rate = rate


# %% [markdown]
# Six ways to choose the rate. *Constant* does nothing. *Cosine* sinks along half a wave, by the clock. *Plateau* divides by four
# when the validation loss has not improved for four epochs. The last three are this lesson's: the notes' rule, the sheet's, and a cross of
# both, squared gradients against their least. Which will win?


# %%
def cosine(epoch):
    """Return half a cosine wave, from the high rate down to nearly 0."""
    return high_rate * (1 + math.cos(math.pi * epoch / epochs)) / 2


policies = {
    "constant": [],
    "cosine": [keras.callbacks.LearningRateScheduler(cosine)],
    "plateau": [keras.callbacks.ReduceLROnPlateau(factor=0.25, patience=4)],
    "notes": [GradientNormAnnealing(reference="previous")],
    "sheet": [GradientNormAnnealing(reference="minimum", statistic="second_moments")],
    "cross": [GradientNormAnnealing(reference="minimum")],
}


# %%
def train(net, callbacks, seed, rate=high_rate):
    """Train once; return the history, with each epoch's rate, and the test accuracy."""
    learn, choose, score = parts(seed)
    renew(net, seed, rate)
    rates = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: rates.append(float(net.optimizer.learning_rate))
    )
    options = {"epochs": epochs, "batch_size": batch_size, "verbose": 0}
    history = net.fit(
        *learn, validation_data=choose, callbacks=[*callbacks, note], **options
    ).history
    predicted = ops.convert_to_numpy(net(score[0])).argmax(axis=1)
    return {**history, "rate": rates, "test": float(np.mean(predicted == score[1]))}


# %%
net = build()
runs = {name: [] for name in policies}
for name, callbacks in lesson.steps(list(policies.items()), "policy"):
    runs[name] = [train(net, callbacks, seed) for seed in seeds]


# %%
def mean(name, what):
    """Return the mean over seeds, by epoch."""
    return np.mean([run[what] for run in runs[name]], axis=0)


# %%
distinct = {}  # policies that came out alike share a line and a label
for name in policies:
    key = mean(name, "loss").round(6).tobytes()
    distinct[key] = [*distinct.get(key, []), name]
labels = {" = ".join(names): names[0] for names in distinct.values()}
fig, panels = figure(1, 3, width=13, height=4)
drawn = {"rate": "learning rate", "loss": "training loss", "val_accuracy": "validation accuracy"}
for panel, (what, label) in zip(panels, drawn.items(), strict=True):
    if what != "val_accuracy":
        panel.set_yscale("log")
    curves(panel, {label: mean(name, what) for label, name in labels.items()}, y=label)
panels[0].set(title=f"From a rate of {high_rate}, mean of {len(seeds)} seeds")
panels[1].set(title="A falling rate lets the loss fall on")
panels[2].set(title="and the accuracy rise")
last = ", ".join(f"{name} {mean(name, 'val_accuracy')[-1]:.3f}" for name in policies)
show(
    fig,
    alt=f"Training loss, validation accuracy and rate by epoch for six policies. Last accuracy: {last}.",
)

# %% [markdown]
# Now the test rows, scored once. Because all policies share splits and starting weights, the fair comparison is paired: how much better
# than the constant rate, seed by seed. The interval is a 95 % one, by Student's t; a single seed has none.

# %%
tests = {name: np.array([run["test"] for run in done]) for name, done in runs.items()}
gains = {name: summarise(test - tests["constant"]) for name, test in tests.items()}
table = pd.DataFrame({"test accuracy": {name: test.mean() for name, test in tests.items()}})
table["gain over constant"] = {name: gain.mean for name, gain in gains.items()}
table["± (95 %)"] = {name: gain.half_width for name, gain in gains.items()}
table["times it fell"] = {
    name: np.mean([sum(np.diff(r["rate"]) < 0) for r in done]) for name, done in runs.items()
}
table.round(4).fillna("–")

# %%
fig, axes = figure()
shown = {n: (g.mean, g.half_width or 0.0) for n, g in gains.items() if n != "constant"}
what = "paired, 95 % interval" if len(seeds) > 1 else "one seed, no interval"
intervals(axes, shown, x=f"test accuracy gained over the constant rate ({what})")
axes.axvline(0, color=COLOURS["grey"], linestyle=":")
axes.set(title="What slowing down is worth, from a rate that is too high")
said = ", ".join(f"{name} {gain:+.3f}" for name, (gain, _) in shown.items())
show(fig, alt=f"Gain in test accuracy over the constant rate: {said}.")

# %% [markdown]
# ## 6. The verdict
#
# In our full run, from a rate that is too high:
#
# * **What it gains.** On average the notes' rule and the cross end well above the constant rate, with nothing planned and no validation
#   rows looked at, and no worse than the plateau, which needs those rows. But nothing is proved: the 95 % intervals reach below
#   zero. A rate this high lets some seeds get lost and others not.
# * **Where it does not win.** The cosine wave, which looks at nothing but the clock, does about as well.
# * **Where it fails.** The sheet's rule never cut; its curve *is* the constant's, and lies hidden under it. Why does a rule that was so good on the line
#   do nothing here? Ask how far back its v looks.

# %%
memory = 1 / (1 - 0.999)
steps = math.ceil(len(parts(0)[0][0]) / batch_size)
print(f"an epoch has {steps} steps; v looks back about {memory:.0f}: {memory / steps:.0f} epochs")
print(f"in the sheet an epoch has {len(POINTS)} steps, and v looks back {1 / (1 - 0.95):.0f}")

# %% [markdown]
# Keras' Adam averages its squares over 1,000 steps (β₂ = 0.999), about the whole of a full-scale training; the sheet over 20 (β₂ = 0.95), less than an epoch. A statistic
# that slow hardly doubles from one epoch to another. (That v begins at zero the callback corrects, as Adam does.) Exercise 2 gives the rule its short memory back.
#
# ## 7. Make it your own
#
# Compile any model with a number as its learning rate, and add the callback to `fit`. It works on models fitted before,
# with embeddings, gradient accumulation, loss scaling, several steps per execution; a `LearningRateSchedule` it refuses, since two
# cannot steer. `min_learning_rate` and `cooldown`, epochs of rest after a cut, keep it from stopping too soon; `verbose=1` tells of each cut.

# %%
mine = GradientNormAnnealing(reference="minimum", cooldown=2, min_learning_rate=1e-4)
run = train(net, [mine], seed=0)
print(f"test accuracy {run['test']:.3f}")
for epoch, before, after in mine.cuts:
    print(f"epoch {epoch + 1}: {before:.4g} -> {after:.4g}")

# %% [markdown]
# ## 8. Exercises
#
# **1. Was the race fair?** Choose the rate well instead: 0.01. What is the rule worth then?
#
# <details><summary>Answer</summary>
#
# In our full run the annealed nets, cosine and cross alike, end nearly two points above the constant rate. But look at the
# larger effect: at 0.01 each of the three beats every policy from 0.1. Choosing the rate comes first; annealing comes second, and no rule
# that only cuts makes up for a bad start.
#
# </details>

# %%
for name in ("constant", "cosine", "cross"):
    if name == "cosine":
        slow = [keras.callbacks.LearningRateScheduler(lambda epoch: cosine(epoch) / 10)]
    else:
        slow = policies[name]
    scores = [train(net, slow, seed, rate=0.01)["test"] for seed in seeds]
    print(f"{name}: test accuracy {summarise(scores)}")

# %% [markdown]
# **2. Give the sheet's rule its own memory.** In the sheet β₂ is 0.95, so that v looks back over 20 steps, less than an epoch. Build
# the net with `beta_2=0.95` and try again.
#
# <details><summary>Answer</summary>
#
# In our full run it does cut now, but less than once a run, and the gain is lost in the spread. The sum of
# roots runs over all 8,970 weights and has to double as a whole; the line had two.
#
# </details>

# %%
short_memory = build(beta_2=0.95)
for name in ("constant", "sheet"):
    done = [train(short_memory, policies[name], seed) for seed in seeds]
    cuts = np.mean([sum(np.diff(run["rate"]) < 0) for run in done])
    print(f"{name}: test accuracy {summarise([r['test'] for r in done])}, {cuts:.1f} cuts")

# %% [markdown]
# **3. How high is the floor?** Take the line of section 3, with noise of 10, at its very best a and b. What is the expected squared gradient of a
# batch of n rows there? Work it out for n = 1, 8 and 29.
#
# <details><summary>Answer</summary>
#
# The mean gradient is 0 there, so only the variance between rows is left, and the mean of n rows drawn
# without repeats has a variance of that over n, times (29 - n) / 28. For all 29 rows it is 0: no floor.
#
# </details>

# %%
rng = np.random.default_rng(0)
u = np.column_stack([np.ones(29), POINTS[:, 0] / 100])
noisy = u @ [30, 200] + 10 * rng.normal(size=29)
each = 2 * (u @ np.linalg.lstsq(u, noisy, rcond=None)[0] - noisy)[:, None] * u
for n in (1, 8, 29):
    drawn = [each[rng.permutation(29)[:n]].mean(axis=0) for _ in range(20_000)]
    formula = (each**2).sum() / 29 / n * (29 - n) / 28
    print(
        f"n = {n:2}: simulated {np.mean(np.square(drawn).sum(axis=1)):7.2f}, formula {formula:7.2f}"
    )

# %% [markdown]
# ## What you learned
#
# * A constant rate that is too high finds the valley and then runs about in it; a rate that falls lets it settle.
# * The sheet's rule compares a sum of roots with its least so far, the notes' a sum of squares with the epoch before: two rules.
# * Gradients shrink towards a minimum with all rows at once and a rate that is not too high. Small batches leave a floor, and the way out of a saddle makes gradients grow.
# * A rate that only falls never forgives a cut made too early. One chaotic path proves nothing: try many starts, compare in pairs.
#
# **Next:** notebook 04, *State Farm on a sample*, chooses learning rates, penalties and augmentations on a small part of
# the data.
