# %% [markdown]
# # 02 Optimizers: six ways down a hill
#
# **Lesson 4**, "Optimizers Explained": learning rate, momentum, Adagrad, RMSProp, Adam, Eve.
#
# Everybody types `optimizer="adam"`. Few have seen what it does to two weights and 29 points. The
# lesson shows it in a spreadsheet; here the same cells are a few lines of Python each.
#
# **What you will learn**
#
# * momentum, Adagrad, RMSProp, Adam and Eve in two or three lines each, equal to the course's cells;
# * what each does along a valley, off a saddle, and to each weight's rate;
# * how much of that is left on a real network, once every rate has been tuned.
#
# | scale | time on two processor cores | memory |
# |---|---|---|
# | quick | half a minute | 1.0 GB |
# | full | three minutes | 1.0 GB |
#
# **Data.** The 29 points of the course's sheet, and the handwritten digits that come with
# scikit-learn. Nothing is downloaded.

# %%
from utils.session import start  # fails? another `utils` is in the way: see the README

lesson = start("02 Optimizers")

# %% [markdown]
# ## 1. The picture to keep in mind
#
# A long valley, thirty times steeper across than along. All six start at the same place and take
# 80 steps to the star, each at the best rate of a grid. Which will zigzag? Which will swing past?
# You will have written the sheet's version of each; section 8 changes a line or two, and comes back
# to this picture.

# %%
import numpy as np

from utils import update_rules as rules
from utils.plots import COLOURS, curves, figure, intervals, show

turn = np.radians(30)
axes_of_valley = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
hessian = axes_of_valley @ np.diag([1.0, 30.0]) @ axes_of_valley.T
top = axes_of_valley @ [-8.0, 1.0]


def valley(w):
    """Return the loss and its gradient."""
    return 0.5 * w @ hessian @ w, hessian @ w


# %%
SIX = {
    "SGD": rules.SGD,
    "momentum": rules.Momentum,
    "Adagrad": rules.Adagrad,
    "RMSProp": rules.RMSProp,
    "Adam": rules.Adam,
    "Eve": rules.Eve,
}
colours = [COLOURS[c] for c in ("grey", "green", "orange", "pink", "blue", "amber")]
LOOK = dict(zip(SIX, colours, strict=True))  # in every picture


# %%
def at_the_end(path):
    """Return the largest loss of the last ten steps: one step may dip by luck."""
    return path.loss[-10:].max()


def tuned(name, objective, place):
    """Return the rate and the path that ends lowest, of a grid of rates."""
    rates = 10.0 ** np.arange(-3, 1.1, 0.25)
    paths = {rate: rules.descend(SIX[name](rate), objective, place, steps=80) for rate in rates}
    best = min(rates, key=lambda r: np.nan_to_num(at_the_end(paths[r]), nan=np.inf))
    return best, paths[best]


with np.errstate(over="ignore", invalid="ignore"):  # the rates that are too high
    along_valley = {name: tuned(name, valley, top) for name in SIX}


# %%
def contours(panel, loss, x, y, levels):
    """Draw the level lines of a loss of two weights."""
    grid = np.array([[loss(np.array([i, j])) for i in x] for j in y])
    panel.contour(x, y, grid, levels, colors="#BBBBBB", linewidths=0.7)
    panel.grid(visible=False)


# %%
fig, panels = figure(2, 3, width=9.5, height=4.9, sharex=True, sharey=True)
ground = np.linspace(-9, 4, 80), np.linspace(-7, 3.5, 80), 4.0 ** np.arange(-1, 5)
for panel, (name, (rate, path)) in zip(panels.flat, along_valley.items(), strict=True):
    contours(panel, lambda w: valley(w)[0], *ground)
    panel.plot(*path.w.T, ".-", color=LOOK[name], markersize=4, linewidth=1)
    panel.plot(0, 0, "*", color=COLOURS["black"], markersize=11)
    panel.set_title(f"{name}, rate {rate:.2g}")
for panel in panels[1]:
    panel.set_xlabel("first weight")
for panel in panels[:, 0]:
    panel.set_ylabel("second weight")
show(
    fig,
    alt="Six panels, one valley lying at thirty degrees, the path of one rule in each. SGD zigzags "
    "and then creeps along the floor; momentum, Adam and Eve swing past the star and come back; "
    "Adagrad leaps off once and then creeps; RMSProp goes down along the floor.",
)

# %% [markdown]
# The sizes, and what the rest needs.

# %%
digit_rows = lesson.pick(quick=300, full=1000)  # digits to train on
digit_epochs = lesson.pick(quick=2, full=15)
seeds = lesson.pick(quick=[0], full=[0, 1, 2, 3, 4])
rates_tried = lesson.pick(quick=[1, 10], full=[0.3, 1, 3, 10, 30])  # times the usual rate

# %%
import keras
import pandas as pd
from keras import layers, ops
from sklearn.datasets import load_digits

from utils.evaluation import summarise
from utils.optimizers import Eve

# %% [markdown]
# ## 2. The lesson's problem: two weights, 29 points
#
# The sheets learn a line, y = a·x + b. The points lie exactly on y = 2x + 30; the guess begins at
# a = b = 1. One row of the sheet is one step: predict, compare, move. Gradients of the squared
# error: twice the error for b, that times x for a. We write weights as (b, a), in the sheet's
# order.

# %%
POINTS = rules.POINTS


def gradient_of(w, x, y):
    """Return the gradient of (a x + b - y)² by b and by a."""
    return 2 * (w[1] * x + w[0] - y) * np.array([1.0, x])


def pass_down(rule, w, memory):
    """Go through the rows once; `rule` turns weights and gradient into new weights."""
    for x, y in POINTS:
        w = rule(w, gradient_of(w, x, y), memory)
    return w


# %% [markdown]
# The first rule is one line. Is it the sheet's? The workbook came with the numbers it had computed,
# in its cells. For each sheet `SAVED` holds the numbers the sheet started from and those in its last
# row, which comes out right only if all 28 before it did.


# %%
def sgd(w, g, memory):
    return w - 0.0001 * g


def check(name, rule):
    """Pass down a sheet by hand, and print our last guesses beside the workbook's cells."""
    saved = rules.SAVED[name]
    memory = {key: np.array(value) for key, value in saved.constants.items()}
    ours = pass_down(rule, np.array(saved.start), memory)
    for place, (what, index, cell) in saved.cells.items():
        if what == "new_w":
            print(f"{'ba'[index[1]]} = {ours[index[1]]:.12f}; cell {place} of {name}: {cell:.12f}")


check("basic SGD", sgd)

# %% [markdown]
# ## 3. Too low, right, too high
#
# The rate is the only number to choose. Here are a hundredth of the sheet's, the sheet's, and five
# times the sheet's, for a hundred passes. What do you expect of each? And how far will b, which must
# go from 1 to 30, have come?

# %%
runs = {
    f"{word}: {rate:g}": rules.replay(rules.SheetSGD(rate), epochs=100)
    for word, rate in {"too low": 1e-6, "the sheet's": 1e-4, "too high": 5e-4}.items()
}
pd.DataFrame(
    {
        name: {"b (true: 30)": epochs[-1].end[0], "a (true: 2)": epochs[-1].end[1]}
        for name, epochs in runs.items()
    }
).map("{:.4g}".format)


# %%
def sheet_loss(w):
    """Return the mean squared error over the 29 points."""
    return np.mean((w[1] * POINTS[:, 0] + w[0] - POINTS[:, 1]) ** 2)


ends = {name: [(1, 1), *(epoch.end for epoch in epochs)] for name, epochs in runs.items()}
losses = {name: np.array([sheet_loss(w) for w in places]) for name, places in ends.items()}
print({name: float(f"{values[-1]:.3g}") for name, values in losses.items()})


# %%
fig, (left, right) = figure(1, 2, width=10.5, height=3.8)
left.set(yscale="log", title="Loss")
lines = {name: np.where(values < 1e9, values, np.nan) for name, values in losses.items()}
curves(left, lines, x="pass", y="mean squared error", start=0)
contours(right, sheet_loss, np.linspace(0, 32, 90), np.linspace(0, 5, 90), 4.0 ** np.arange(-2, 8))
low, sheets, _ = map(np.array, ends.values())
right.plot(*sheets.T, ".-", color=COLOURS["orange"], markersize=3)
right.plot(*low.T, ".-", color=COLOURS["blue"], markersize=3)  # last: on top
right.plot(30, 2, "*", color=COLOURS["black"], markersize=12)
right.text(1.8, 1.4, "too low", color=COLOURS["blue"])
right.text(6.5, 2.45, "the sheet's", color=COLOURS["orange"])
right.set(title="A hundred passes, from (1, 1) to the star?", xlabel="b", ylabel="a")
show(
    fig,
    alt="Left: the loss after each pass for three rates; the lowest falls slowly, the sheet's falls "
    "at once and then hardly, the highest leaves the picture in three passes. Right: level lines of the loss form a long narrow "
    "valley in the plane of b and a; the lowest rate only reaches its floor, the sheet's has gone a "
    "sixth of the way along it.",
)

# %% [markdown]
# The loss alone would mislead: after a hundred passes the lowest rate is not far above the sheet's.
# But its b has hardly left 1: it has only reached the valley's floor. The loss is a long valley because
# x runs to 99: a small change of a moves the predictions much more than one of b. The steep side
# forbids a higher rate; along the floor even that one crawls. The ratio of the curvatures says how
# badly.

# %%
x = POINTS[:, 0]
flat, steep = np.linalg.eigvalsh(2 * np.array([[1, x.mean()], [x.mean(), (x**2).mean()]]))
print(f"curvature across {steep:.0f}, along {flat:.2f}: ratio {steep / flat:.0f}")
print(f"full-batch descent is stable below a rate of 2 / {steep:.0f} = {2 / steep:.1e}")

# %% [markdown]
# The sheet moves after every row, so this bound is only a guide. Everything below is an answer to
# this one picture: how to go fast along the floor without leaping up the walls.
#
# ## 4. Momentum
#
# Average the last gradients. Across the valley they alternate and cancel; along it they agree.
# Guess: does it act at once, or does it need a few rows to get going?


# %%
def momentum(w, g, memory):
    memory["m"] = 0.9 * memory["m"] + 0.1 * g
    return w - 0.0001 * memory["m"]


check("momentum", momentum)

# %% [markdown]
# A few rows: from an average of zero, the first step is a tenth of the plain one.
#
# > **Then and now.** The sheet *averages*: 0.9 of the old, 0.1 of the new. Keras, PyTorch and the
# > textbook *add up*: the old velocity shortened, plus the whole new step. With the same rate theirs
# > goes ten times as far; the sheet's rate times 0.1 makes the two equal. Copy a rate from one dialect
# > into the other and you are off by that factor.

# %%
random_gradients = np.random.default_rng(0).normal(size=(50, 2))
ours = theirs = np.zeros(2)
average, total = rules.SheetMomentum(0.5, beta=0.9), rules.Momentum(0.5 * 0.1, beta=0.9)
for g in random_gradients:
    ours, theirs = average.step(ours, g), total.step(theirs, g)
print(f"after 50 steps they differ by {np.abs(ours - theirs).max():.0e}")

# %% [markdown]
# ## 5. Adagrad and RMSProp: a rate for every weight
#
# Momentum still has one rate for all. Adagrad divides each weight's rate by the root of the sum of
# its squared gradients: the steep weight gets a small rate, the flat one a large. The sheet does
# something else, though. Read its cells: what is its divisor, and when does it change?


# %%
def sheet_adagrad(w, g, memory):
    return w - 0.001 / memory["norm"] * g  # the norm stays the same for the whole pass


check("adagrad", sheet_adagrad)
one_pass = rules.replay(rules.SAVED["adagrad"].rule())[0]
squares = one_pass.gradient**2
norms = np.sqrt(squares.sum(0))
print("cells F33, G33:", (norms / 29).round(3), "the L2 norms:", norms.round(1))

# %% [markdown]
# > **Then and now.** The sheet's divisor is the root of the sum over *one* pass, divided by 29, used
# > for the whole next pass and then forgotten. Duchi's Adagrad sums over all steps from the first,
# > and acts at every step. The notes worry that it is "expensive to keep track of every gradient".
# > Nobody does: one running sum per weight is enough. And the L2 norm is the root of the
# > *sum* of squares, so the sheet's cell is a 29th of one.


# %%
def adagrad(w, g, memory):
    memory["sum"] = memory["sum"] + g**2  # all that is ever stored
    return w - 5.0 / np.sqrt(memory["sum"]) * g  # tried: from 2 to 20 all arrive


def rmsprop(w, g, memory):
    w = w - 0.02 / np.sqrt(memory["v"]) * g
    memory["v"] = 0.9 * memory["v"] + 0.1 * g**2
    return w


memory, w = {"sum": np.zeros(2)}, np.ones(2)
for _ in range(100):
    w = pass_down(adagrad, w, memory)
print(f"textbook Adagrad, 100 passes: b = {w[0]:.3f}, a = {w[1]:.3f}")
check("rmsprop", rmsprop)

# %% [markdown]
# Dividing by each weight's own gradients makes the valley rounder: b no longer crawls. RMSProp takes
# a moving average in place of the sum, so that its rates can rise again. The sheet uses the average
# from *before* the present gradient; the textbook updates it first. Which order is safer when a
# gradient is suddenly large?
#
# The textbook's: a large gradient is already in its own divisor. The sheet takes the huge step first.
#
# ## 6. Adam: both at once
#
# An average of gradients, divided by the root of an average of their squares. Nothing else.


# %%
def adam(w, g, memory):
    memory["m"] = 0.7 * memory["m"] + 0.3 * g
    memory["v"] = 0.9 * memory["v"] + 0.1 * g**2
    return w - memory["m"] / np.sqrt(memory["v"])


check("adam", adam)

# %% [markdown]
# The rate is 1, ten thousand times that of plain descent. It can be: a step divided by the size of
# the gradients has about the size of the rate, in units of the weight, whatever the units of the
# loss. That is why one default serves so many networks.
#
# > **Then and now.** Both averages begin at zero, so the textbook's Adam corrects their first values,
# > and adds a small ε to the divisor. The sheet does neither. It begins with averages from earlier
# > clicks of the sheet's button.
#
# ## 7. Eve: listen to the loss
#
# Eve divides Adam's rate by one more number, d, an average of how much the loss changed from pass to
# pass, relative to the smaller of the two. A loss that jumps lowers the rate, a quiet loss raises it.


# %%
def eve(w, g, memory):
    before, earlier = memory["losses"]
    d = 0.9 * 1 + 0.1 * abs(before - earlier) / min(before, earlier)  # 1: the last pass's d
    return w + (adam(w, g, memory) - w) / d


check("eve", eve)

# %% [markdown]
# These cells cannot tell Eve from Adam: the two saved losses are exactly two to one, their change is 1,
# and so is d. The coefficient itself is checked by hand in the tests.
#
# Now all cells kept of the six sheets, through `utils.update_rules`, which has the same few lines as
# small classes: guesses, gradients, averages, losses. The claim is that none is off by more than a
# billionth.

# %%
six_sheets = ["basic SGD", "momentum", "adagrad", "rmsprop", "adam", "eve"]
differences = {name: rules.SAVED[name].difference() for name in six_sheets}
cells = sum(len(rules.SAVED[name].cells) for name in six_sheets)
print({name: float(f"{value:.0e}") for name, value in differences.items()})
note = f"{cells} cells, each after 29 rows; Eve's d is 1 in them"
lesson.claim("rules.sheet-cells", max(differences.values()), note=note)

# %% [markdown]
# The sheets have slips of their own, and we keep them so that the cells agree. On every sheet but
# `adagrad` the next pass begins with the last row's guess *before* its update, so one step in 29 is
# thrown away. On `adam_ann` a reference points to an empty cell; notebook 03 shows what
# that does.
#
# The workbook itself, rebuilt with live formulas, is written by the next cell, into the folder
# `build/workbooks`. Open it in Excel or LibreOffice and change a rate.

# %%
from utils.spreadsheets import write_optimizers
from utils.switches import build_folder

path = build_folder() / "workbooks" / "optimizers.xlsx"
sheets = write_optimizers(path)
print(f"{path.name} has the sheets", ", ".join(sheets))

# %% [markdown]
# ## 8. The textbook's dialect
#
# From here on the rules are those of the papers, as Keras has them: momentum a sum, Adagrad
# over all steps, RMSProp with the fresh average, Adam corrected for its start, ε inside the root
# (Adagrad, RMSProp) or added to it (Adam). Here is that Adam, by hand.


# %%
def textbook_adam(w, g, memory):
    memory["t"], memory["m"] = memory["t"] + 1, 0.9 * memory["m"] + 0.1 * g
    memory["v"] = 0.999 * memory["v"] + 0.001 * g**2
    correction = np.sqrt(1 - 0.999 ** memory["t"]) / (1 - 0.9 ** memory["t"])
    return w - 0.1 * correction * memory["m"] / (np.sqrt(memory["v"]) + 1e-7)


ours = theirs = np.zeros(2)
memory, rule = {"t": 0, "m": 0.0, "v": 0.0}, rules.Adam(0.1)
for g in random_gradients:
    ours, theirs = textbook_adam(ours, g, memory), rule.step(theirs, g)
print(f"after 50 steps they differ by {np.abs(ours - theirs).max():.0e}")

# %% [markdown]
# Feed all six, and Keras', the same gradients and compare.

# %%
pairs = {
    "SGD": (rules.SGD(0.1), keras.optimizers.SGD(0.1)),
    "momentum": (rules.Momentum(0.1), keras.optimizers.SGD(0.1, momentum=0.9)),
    "Adagrad": (rules.Adagrad(0.1), keras.optimizers.Adagrad(0.1)),
    "RMSProp": (rules.RMSProp(0.1), keras.optimizers.RMSprop(0.1)),
    "Adam": (rules.Adam(0.1), keras.optimizers.Adam(0.1)),
    "Eve, frozen": (rules.Eve(0.1, c=1), keras.optimizers.Adam(0.1)),
}
for name, (rule, optimizer) in pairs.items():
    w, variable = np.zeros(2), keras.Variable(np.zeros(2, "float32"))
    optimizer.build([variable])
    for g in random_gradients.astype("float32"):
        w = rule.step(w, g.astype(float), loss=1.0)
        optimizer.apply([ops.convert_to_tensor(g)])
    off = np.abs(w - ops.convert_to_numpy(variable)).max() / np.abs(w).max()
    print(f"{name:12} differs by {off:.0e} of its way after 50 steps")

# %% [markdown]
# Keras computes with seven digits, we with sixteen. Adam is further off because Keras keeps 1 - 0.999
# in single precision too, which leaves five digits of it. Back to the valley of section 1. Each rule
# has the best rate of a grid: the one whose largest loss in the last ten steps is lowest. Which one
# wins, and is it the one you expected?

# %%
fig, axes = figure(height=3.8)
axes.set(yscale="log", title="Along the valley, each at its best rate")
lines = {name: path.loss for name, (_, path) in along_valley.items()}
curves(axes, lines, x="step", y="loss", start=0, colours=LOOK)
show(
    fig,
    alt="Loss by step on a logarithmic scale, one curve for each rule: "
    + ", ".join(f"{n} {at_the_end(p):.1e}" for n, (_, p) in along_valley.items())
    + " at most in the last ten steps.",
)
print({n: float(f"{at_the_end(p):.1e}") for n, (_, p) in along_valley.items()})

# %% [markdown]
# Plain descent, by a hair: at its best rate it goes straight down, while momentum, Adam and Eve are
# there sooner, swing past and come back. But nobody tells it that rate in advance, and in a valley thousands of times steeper across than along, like the sheet's, no rate
# is good. Eve goes with Adam: its d needs hundreds of steps to move.
#
# What do the adaptive rules do to each weight's rate? Turn the valley so that it lies along the first
# weight. Draw each weight's rate, step by step.


# %%
def straight_valley(w):
    """Return loss and gradient of a valley along the first weight."""
    return 0.5 * (w[0] ** 2 + 30 * w[1] ** 2), np.array([w[0], 30 * w[1]])


fig, panels = figure(1, 3, width=10, height=3.4, sharey=True)
for panel, name in zip(panels, ("Adagrad", "RMSProp", "Adam"), strict=True):
    path = rules.descend(SIX[name](0.1), straight_valley, [-8.0, 1.0], 300)
    panel.semilogy(path.rate[:, 0], color=LOOK[name], label="flat weight")
    panel.semilogy(path.rate[:, 1], color=LOOK[name], linestyle="--", label="steep weight")
    panel.set(title=f"{name}, rate 0.1", xlabel="step")
panels[0].set_ylabel("what the gradient is multiplied with")
panels[0].legend()
show(
    fig,
    alt="The rates of a flat and a steep weight over 300 steps. Adagrad's fall and stay down; those "
    "of RMSProp and Adam rise again as the gradients shrink; the steep weight's is lower at first.",
)

# %% [markdown]
# Adagrad's rates only fall. If they fall before the minimum is reached, the weight is stuck; that is
# the notes' "one downfall". RMSProp's and Adam's rise again when gradients shrink, and near a minimum
# they always do. RMSProp's rates rise until they reach 2 / curvature, where descent becomes unstable:
# hence its bumps.
#
# ## 9. Off a saddle
#
# The notes say momentum is for saddle points, where the slope nearly vanishes. Start beside a
# ridge, a thousandth off its crest. The way out is down either side. Who sees it first?


# %%
def saddle(w):
    """Return loss and gradient; minima at (0, 1) and (0, -1), a saddle at (0, 0)."""
    x, y = w
    return 0.5 * x**2 + 0.25 * (y**2 - 1) ** 2, np.array([x, y**3 - y])


off_saddle = {name: rules.descend(SIX[name](0.05), saddle, [1.5, 1e-3], 300) for name in SIX}
escapes = {name: int(np.argmax(path.w[:, 1] > 0.5)) or None for name, path in off_saddle.items()}
print("steps until half-way down:", escapes)

# %%
fig, (left, right) = figure(1, 2, width=10.5, height=3.8)
ground = np.linspace(-0.8, 1.7, 70), np.linspace(-0.6, 1.5, 70), np.linspace(0, 1.5, 16)
contours(left, lambda w: saddle(w)[0], *ground)
for name, path in off_saddle.items():
    left.plot(*path.w.T, color=LOOK[name], label=name, alpha=0.8)
    right.plot(path.loss, color=LOOK[name], label=name)
left.plot([0], [1], "*", color=COLOURS["black"], markersize=11)
left.set(title="Paths from the right", xlabel="along the ridge", ylabel="off the ridge")
right.set(title="Loss, rate 0.05 for all", xlabel="step", ylabel="loss")
right.legend()
show(
    fig,
    alt="Left: paths from a point just off a ridge to the minimum beside it; SGD and momentum run "
    "into the saddle first, the adaptive rules turn off early. Right: their losses; the plateau of "
    f"SGD is the longest, and Adagrad arrives last. Steps until half-way down: {escapes}.",
)

# %% [markdown]
# Momentum shortens the wait. RMSProp and Adam hardly wait at all: divided by its own size, a tiny
# slope gives steps as long as a steep one. Adagrad turns off early too, but its rate has already
# shrunk, and it arrives last. At one rate for all this is no race, since a rate means
# something else to each rule; look at the shapes.
#
# ## 10. Eve's flaw
#
# The notes: near a minimum the loss stops changing, so Eve raises the rate and may bounce out. First the
# sheet's Eve, beside the sheet's Adam, from the same saved state.

# %%
saved = rules.SAVED["eve"]
with_feedback, coefficients, changes = [], [], []
rule, w = saved.rule(), saved.start
for _ in range(60):
    coefficients.append(rule.divisor)
    changes.append(rule.change)
    epoch = rules.replay(rule, start=w)[0]
    w = epoch.end
    with_feedback.append(epoch.loss)
plain = rules.SheetAdam(m=np.array(saved.constants["m"]), v=np.array(saved.constants["v"]))
without = [epoch.loss for epoch in rules.replay(plain, epochs=60)]
print(f"median relative change from pass to pass: {np.median(changes):.2f}")

# %%
fig, (left, right) = figure(1, 2, width=10.5, height=3.6)
lines = {"Eve": with_feedback, "Adam": without}
curves(left, lines, x="pass", y="√Σ(error²) of a pass", colours=LOOK)
left.set_title("The sheet's Eve gets no nearer")
curves(right, {"Eve": 1 / np.array(coefficients)}, x="pass", y="learning rate", colours=LOOK)
right.set_title("because its rate rises")
show(
    fig,
    alt="Left: the loss of the sheet's Eve and Adam over sixty passes. Both fall and then bounce, "
    f"Eve between {min(with_feedback):.0f} and {max(with_feedback[10:]):.0f}. Right: Eve's rate, "
    f"from 1 up to {1 / min(coefficients):.1f}.",
)

# %% [markdown]
# At a rate of 1 both bounce, and Eve's feedback, instead of calming things, turns the rate up: the
# median relative change is below 1, so d falls. What it lacks is a lower rate, and that is
# where notebook 03 begins.
#
# > **Then and now.** The lesson's Eve is the paper's first version, of November 2016. The last one
# > measures the change against the height above the *minimum*, f*, keeps it between 1/c and c,
# > and acts at every step: `utils.optimizers.Eve`. For a loss that can reach 0 that cures the flaw;
# > with a wrong f* it is back.
#
# A loss with minimum 1, told and not told to Eve. What will happen to the one that believes
# the minimum to be 0?


# %%
def lifted(w):
    """Return the straight valley's loss plus 1, and its gradient."""
    loss, gradient = straight_valley(w)
    return loss + 1, gradient


three = {
    "Adam": rules.Adam(1.0),
    "Eve, minimum known": rules.Eve(1.0, beta_3=0.99, minimum=1.0),
    "Eve, minimum 0": rules.Eve(1.0, beta_3=0.99),
}
bounced = {n: rules.descend(rule, lifted, [-8.0, 1.0], 400).loss - 1 for n, rule in three.items()}

wrong, w, gains = rules.Eve(1.0, beta_3=0.99), [-8.0, 1.0], []
for _ in range(400):
    w = rules.descend(wrong, lifted, w, 1).w[-1]
    gains.append(1 / wrong.d)
print(f"largest 1 / d of Eve told 0: {max(gains):.1f}")

# %%
fig, axes = figure(height=3.8)
axes.set(yscale="log", title="Told the wrong minimum, Eve leaves the right one")
lines = {name: values + 1e-12 for name, values in bounced.items()}
looks = LOOK | dict.fromkeys(three.keys() - LOOK, LOOK["Eve"])
curves(axes, lines, x="step", y="loss above the minimum", start=0, colours=looks)
late = {name: values[150:].max() for name, values in bounced.items()}
show(
    fig,
    alt="Loss above the minimum by step, logarithmic. Adam and Eve with the known minimum go down "
    "for good; Eve told 0 goes down and then bounces out again. Highest after step 150: "
    + ", ".join(f"{name} {value:.0e}" for name, value in late.items()),
)

# %% [markdown]
# It converges, the loss stops changing, the rate grows several-fold, and out it flies. With weight decay or
# noisy labels the least possible loss is not 0 and nobody knows it. Keep that in mind with Eve.
#
# ## 11. A real network
#
# Toys exaggerate. A small network on scikit-learn's digits, each rule with its own rate, chosen on
# validation digits from a grid around a usual value (this notebook's choice, not Keras' default); the
# test digits are scored once. The network is built once per rule; weights and the optimizer's memory are put back for each run.

# %%
images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32")
order = np.random.default_rng(0).permutation(len(labels))
parts = np.split(order, [digit_rows, digit_rows + 300])
train, validation, test = [(images[part], labels[part]) for part in parts]


def network():
    """Return one hidden layer and ten outputs, uncompiled."""
    hidden = layers.Dense(64, activation="relu")
    return keras.Sequential([keras.Input((64,)), hidden, layers.Dense(10, activation="softmax")])


# %%
usual = {
    "SGD": keras.optimizers.SGD(0.1),
    "momentum": keras.optimizers.SGD(0.03, momentum=0.9),
    "Adagrad": keras.optimizers.Adagrad(0.03),
    "RMSProp": keras.optimizers.RMSprop(0.001),
    "Adam": keras.optimizers.Adam(0.001),
    "Eve": Eve(0.001),
}
models = {}
for name, optimizer in usual.items():
    models[name] = network()
    models[name].compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
    optimizer.build(models[name].trainable_variables)
blank = {n: [ops.convert_to_numpy(v) for v in o.variables] for n, o in usual.items()}


# %%
def run(name, factor, seed):
    """Train from scratch at `factor` times the usual rate; return the loss of each epoch."""
    model, optimizer = models[name], usual[name]
    keras.utils.set_random_seed(seed)
    model.set_weights(network().get_weights())
    for variable, value in zip(optimizer.variables, blank[name], strict=True):
        variable.assign(value)
    usual_rate = float(ops.convert_to_numpy(optimizer.learning_rate))  # put back by the loop above
    optimizer.learning_rate = factor * usual_rate
    return model.fit(*train, batch_size=32, epochs=digit_epochs, verbose=0).history["loss"]


def score(name, part):
    """Return the mean cross-entropy and the accuracy on validation or test digits."""
    images, labels = part
    probabilities = ops.convert_to_numpy(models[name](images))
    given_to_truth = np.nan_to_num(probabilities[np.arange(len(labels)), labels])  # 0: diverged
    loss = -np.log(np.maximum(given_to_truth, 1e-7)).mean()  # Keras clips there too
    return float(loss), float((probabilities.argmax(1) == labels).mean())


# %%
tried = {name: {} for name in usual}
for name in lesson.steps(usual, "optimizer"):
    for factor in rates_tried:
        run(name, factor, seed=100)
        tried[name][factor] = score(name, validation)[0]
chosen = {name: min(losses, key=losses.get) for name, losses in tried.items()}
table = pd.DataFrame(tried).T
relative = table.div(table.min(axis=1), axis=0).add_prefix("rate × ").round(2)
relative.assign(best=table.min(axis=1).round(3)).rename_axis(columns="loss / best of the row")

# %% [markdown]
# Compare with the best of the row: how much does a rate cost that is ten times too low, or three times
# too high? A rule that forgives is worth more in practice than one that wins by a hair. Now the chosen rates, on fresh seeds,
# with the test digits.

# %%
accuracy, histories = {name: [] for name in usual}, {}
for name in lesson.steps(usual, "optimizer"):
    for seed in seeds:
        histories[name] = run(name, chosen[name], seed)
        accuracy[name].append(score(name, test)[1])
for name, values in accuracy.items():
    print(f"{name:9} rate ×{chosen[name]:<4} test accuracy {summarise(values)}")

# %%
fig, (left, right) = figure(1, 2, width=11, height=3.8)
left.set(yscale="log", title="One run of each")
curves(left, histories, y="training loss", colours=LOOK)
summaries = {name: summarise(values) for name, values in accuracy.items()}
rows = {name: (s.mean, s.half_width if s.n > 1 else 0) for name, s in summaries.items()}
intervals(right, rows, x="test accuracy")
right.set_title("Test digits, each at its chosen rate")
show(
    fig,
    alt="Left: training loss by epoch of the six optimizers. Right: test accuracy with intervals: "
    + ", ".join(f"{name} {mean:.3f}" for name, (mean, _) in rows.items()),
)

# %%
gain = summarise(np.subtract(accuracy["Eve"], accuracy["Adam"]))
print(f"Eve minus Adam, seed by seed: {gain}")
print(f"Eve's d after the last run: {float(ops.convert_to_numpy(usual['Eve'].feedback)):.2f}")

# %% [markdown]
# In our full run a tenth of the best rate cost from a third more validation loss to nearly three times
# as much. Three times the best rate ruined plain descent, momentum and Adagrad, with more than twenty
# times the loss; RMSProp, Adam and Eve came away with two and a half times at most. That is worth
# having. Once each had its own rate, the six lay within a few points of each other and their intervals
# overlapped; the lesson's order, each rule better than the one before, does not show on a network
# this small. Eve and Adam cannot be told apart: with the paper's β₃ of .999 the coefficient d takes a
# thousand steps to move, and this run has a few hundred. At quick scale, with one seed and two epochs, nothing is to be read off.
#
# ## 12. Make it your own
#
# Eve goes into any `model.compile`. It needs the loss inside the optimizer, which Keras hands over
# in `scale_loss`; where it does not (mixed float16), it says so and what to do. Tell it the least
# value your loss can have, and save the model as usual.

# %%
model = network()
model.compile(Eve(0.003, beta_3=0.99, minimum=0.0), "sparse_categorical_crossentropy")
model.fit(*train, batch_size=32, epochs=2, verbose=lesson.verbose)
print(
    f"rate {float(model.optimizer.learning_rate):g}, divided by {float(model.optimizer.feedback):.2f}"
)

# %% [markdown]
# > **Then and now.** To change a rate between two `fit`s, set `model.optimizer.learning_rate`. The
# > course's `optimizer.lr = ...` did nothing after the first `fit`, and in Keras 3 never does
# > anything; no error tells you.
#
# ## 13. Exercises
#
# **1. Round the valley.** Subtract the mean of x and divide by its standard deviation, then run
# plain descent on the 29 points. How many passes until a and b are right to a thousandth?
#
# <details><summary>Answer</summary>
#
# A handful, at a rate of 0.05: the curvatures along and across are now equal, and no adaptive rule
# has anything left to do. Normalise your inputs before you choose an optimizer. Batch normalisation
# does the same between layers.
#
# </details>

# %%
scaled = np.column_stack([(x - x.mean()) / x.std(), POINTS[:, 1]])
truth = np.array([30 + 2 * x.mean(), 2 * x.std()])  # b and a in the new units
epochs = rules.replay(rules.SheetSGD(0.05), epochs=20, points=scaled)
errors = np.array([np.abs(epoch.end - truth).max() for epoch in epochs])
print(f"right to a thousandth after {1 + np.argmax(errors < 1e-3)} passes")

# %% [markdown]
# **2. Leave out the correction.** Begin Adam with both averages at zero and no correction, as the
# sheet would. How long is its first step, in units of the rate, with Keras' β₁ = .9 and β₂ = .999?
#
# <details><summary>Answer</summary>
#
# m is 0.1 g and √v is √0.001 |g|, so the step is 0.1/√0.001 times the rate: over three times too
# long, just when least is known. With the correction it is one rate exactly.
#
# </details>

# %%
bare = rules.SheetAdam(1.0, beta_1=0.9, beta_2=0.999)
first = {"uncorrected": bare, "corrected": rules.Adam(1.0)}
for name, rule in first.items():
    print(f"{name}: {-rule.step(np.zeros(1), np.array([7.0]))[0]:.3f} times the rate")

# %% [markdown]
# **3. Turn the valley.** Adagrad, RMSProp and Adam have a rate for each *weight*. What if the valley
# does not lie along a weight? Compare 0 and 30 degrees. Which rules do not care?
#
# <details><summary>Answer</summary>
#
# SGD and momentum: turning the axes turns their paths, no more. Adagrad loses most: along a weight the
# curvature cancels out of its step, gradient over gradients, and one rate suits both weights; at 30
# degrees the curvatures are mixed. The others feel it a little.
#
# </details>

# %%
with np.errstate(over="ignore", invalid="ignore"):
    straight = {name: tuned(name, straight_valley, np.array([-8.0, 1.0]))[1] for name in SIX}
pd.DataFrame(
    {
        "0 degrees": {name: at_the_end(path) for name, path in straight.items()},
        "30 degrees": {name: at_the_end(path) for name, (_, path) in along_valley.items()},
    }
).map("{:.0e}".format)

# %% [markdown]
# ## What you learned
#
# * One rate has to serve the steepest direction; the flattest then crawls. The ratio of curvatures is
#   the difficulty.
# * Momentum averages over time, Adagrad and RMSProp scale each weight, Adam does both, Eve scales
#   all by the loss. Each is two or three lines and at most two numbers per weight.
# * The same name may mean two rules: sum or average, before or after, corrected or not. Compare
#   numbers, not names.
# * Tune the rate before you change the optimizer, and scale the inputs before that.
#
# **Next:** notebook 03, *learning-rate annealing*, gives the sheet's Adam what it lacks.
