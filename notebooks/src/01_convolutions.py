# %% [markdown]
# # 01 Convolutions: follow one number through a network
#
# **Lesson 4**, "Convolutions Revisited", "Max Pooling" and "Dense Layer".
#
# The lesson walks through a small convolutional network in a spreadsheet: an image, two layers of
# filters, a pooling, and one number at the end. Here is that walk again. Every step is a picture
# of cells that you can check with a pencil, then NumPy, then Keras. At the end you have the
# spreadsheet itself, alive: change a weight and watch it run through.
#
# **What you will learn**
#
# * what one cell of a convolution is: products, added up, nothing else;
# * why a filter has as many layers as its input has channels, and how to see that it must;
# * what zero padding changes, and what max pooling loses and gains;
# * how a gradient finds its way back to a filter, by hand;
# * what changes when filters are learned instead of made up.
#
# | scale | time on two processor cores | memory |
# |---|---|---|
# | quick | about half a minute | 1.0 GB |
# | full | 11 minutes on a busy machine | 1.2 GB |
#
# **Data.** We draw the seven ourselves. Section 12 uses the 1,797 digits that come with
# scikit-learn, from the UCI repository: [Alpaydin and Kaynak (1998)](https://doi.org/10.24432/C50P49),
# CC BY 4.0.

# %%
from utils.session import start  # fails? another `utils` is in the way: see the README

lesson = start("01 Convolutions")

# %%
seeds = lesson.pick(quick=[0], full=[0, 1, 2, 3, 4])  # trainings of section 12
epochs = lesson.pick(quick=8, full=40)
size = 28  # pixels down and across, as in the lesson

# %%
import functools

import keras
import numpy as np
import pandas as pd
from keras import layers
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle
from sklearn.datasets import load_digits
from xlsxwriter.utility import xl_col_to_name

from utils.convolutions import convolve, max_pool
from utils.evaluation import summarise
from utils.plots import COLOURS, figure, intervals, show
from utils.spreadsheets import position, read_workbook, write_convolutions
from utils.switches import build_folder, data_folder, source

# %% [markdown]
# ## 1. A seven is a table of numbers
#
# The lesson's image is a handwritten 7 from MNIST. Ours is drawn with two strokes: a pixel is
# dark, 1, where it lies on a stroke, white, 0, where it is far away, and grey in between.


# %%
def stroke(start, end, width=1.6):
    """Return the ink, 0 to 1, that a straight stroke between two (row, column) leaves."""
    start, end = np.array(start, float), np.array(end, float)
    pixels = np.stack(np.indices((size, size)), axis=-1)
    along = ((pixels - start) @ (end - start)) / ((end - start) @ (end - start))
    nearest = start + np.clip(along, 0, 1)[..., None] * (end - start)
    distance = np.linalg.norm(pixels - nearest, axis=-1)
    return np.clip(width - distance, 0, 1).round(2)


seven = np.maximum(stroke((7, 7), (7, 20)), stroke((7, 20), (22, 11)))

# %% [markdown]
# All pictures below are drawn by one function: positive cells blue, negative ones orange, 0 white,
# each table on its own scale; the numbers where there is room; a frame around the window we are
# talking about.

# %%
SIGNED = LinearSegmentedColormap.from_list("s", [COLOURS["orange"], "white", COLOURS["blue"]])


def table(axes, values, title, *, mark=None, numbers=False, grey=False, corner=(0, 0)):
    """Draw an array as cells; `mark` frames (row, column, height, width), rows and columns from 0."""
    top, left = corner
    extent = (left - 0.5, left + values.shape[1] - 0.5, top + values.shape[0] - 0.5, top - 0.5)
    limit = (1 if grey else np.abs(values).max() or 1) * (1.6 if numbers else 1)
    look = {"cmap": "Greys", "vmin": 0} if grey else {"cmap": SIGNED, "vmin": -limit}
    axes.imshow(values, vmax=limit, extent=extent, **look)
    axes.set_title(title, fontsize=10)
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color="#B8B8B8", linewidth=0.8)
    if numbers:
        for (i, j), value in np.ndenumerate(values):
            axes.text(left + j, top + i, f"{value + 0:.4g}", ha="center", va="center", fontsize=9)
    if mark:
        row, column, height, width = mark
        frame = {"fill": False, "edgecolor": COLOURS["pink"], "linewidth": 2.2, "zorder": 5}
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), width, height, **frame))


# %%
fig, (whole, corner) = figure(1, 2, width=9, height=4.4)
table(whole, seven, f"{size} × {size} pixels", mark=(4, 15, 9, 9), grey=True)
table(corner, seven[4:13, 15:24], "the framed part, in numbers", grey=True, numbers=True)
show(fig, alt="Left: a grey 7 of two strokes. Right: the numbers behind its upper right corner.")

# %% [markdown]
# ## 2. One window, nine products, one sum
#
# A *filter* is a small table of weights. Lay it over a window of the image of the same size,
# multiply cell by cell, add up: that is one output. Our first filter looks for the upper edge of
# a bar: white above, dark in the middle. The second, for later, likes strokes that run like `/`.
# Here it is at the upper edge of the bar.

# %%
top_edge = np.array([[-1.0, -1, -1], [1, 1, 1], [0, 0, 0]])
slant = np.array([[-1.0, 0, 1], [0, 1, 0], [1, 0, -1]])
row, column = 6, 17  # counted from 0; we follow this window to the end
window = seven[row : row + 3, column : column + 3]
print(f"sum of the nine products: {(window * top_edge).sum():.2f}")

# %%
fig, axes = figure(1, 4, width=10.5, height=2.9, width_ratios=[2, 1.3, 1.3, 1.3])
mark = (row, column, 3, 3)
table(axes[0], seven[2:14, 12:26], "part of the image", mark=mark, corner=(2, 12), grey=True)
table(axes[1], window, "its window", numbers=True, grey=True)
table(axes[2], top_edge, "× filter, cell by cell", numbers=True)
table(axes[3], window * top_edge, f"= products; sum {(window * top_edge).sum():.2f}", numbers=True)
show(fig, alt="A 3 by 3 window of the image, the filter, and their nine products with their sum.")

# %% [markdown]
# And what would it say in a window that is dark all over? Nothing: three times minus one, three
# times plus one. A filter answers to a difference it was made for. Now slide it over every window. The code says
# what each cell of a spreadsheet would say; it even works if the window has several channels.


# %%
def slide(image, weights):
    """Return the sum of products of a filter with each window of an image."""
    height, width = weights.shape[:2]
    rows, columns = image.shape[0] - height + 1, image.shape[1] - width + 1
    output = np.empty((rows, columns))
    for i in range(rows):
        for j in range(columns):
            output[i, j] = (image[i : i + height, j : j + width] * weights).sum()
    return output


# %% [markdown]
# Two filters give two tables. Stacked, they are one output with two *channels*: channel 1 knows where upper edges are, channel 2 where
# strokes slant. Before you look: where in the 7 is each of them strongest?

# %%
conv1 = np.stack([slide(seven, top_edge), slide(seven, slant)], axis=-1)
print("a 3 × 3 window fits into 28 pixels 26 times:", conv1.shape)

# %%
fig, axes = figure(1, 3, width=10.5, height=3.8)
table(axes[0], seven, "image", mark=mark, grey=True)
for channel, name in enumerate(("upper edges", "slants")):
    title = f"conv 1, channel {channel + 1}: {name}"
    table(axes[channel + 1], conv1[:, :, channel], title, mark=(row, column, 1, 1))
show(
    fig,
    alt="The 7 with one 3 by 3 window framed, and the two channels of conv 1 with the one cell framed "
    "that this window gives. Channel 1 is blue along upper edges and orange along lower ones, "
    "channel 2 is blue along the diagonal stroke.",
)

# %% [markdown]
# ## 3. The second layer: a filter as deep as its input
#
# Now the input has two channels. What should a filter of the second layer look like? The
# lesson says: a 3 × 3 table for *each* channel, together 3 × 3 × 2; multiply, and add up over both. Our
# first one wants an upper edge above *and* a slant below: the corner of a 7. The second is drawn
# at random.

# %%
rng = np.random.default_rng(7)
filters1 = np.stack([top_edge, slant], axis=-1)[
    :, :, None, :
]  # height, width, channels in, filters
corner_of_seven = np.zeros((3, 3, 2))
corner_of_seven[0, :, 0] = 1  # an upper edge, channel 1, in the top row
corner_of_seven[2, :, 1] = 1  # a slant, channel 2, in the bottom row
filters2 = np.stack([corner_of_seven, rng.normal(size=(3, 3, 2)).round(1)], axis=-1)
conv2 = np.stack([slide(conv1, filters2[..., 0]), slide(conv1, filters2[..., 1])], axis=-1)
print("filters of layer 2:", filters2.shape, "· conv 2:", conv2.shape)

# %% [markdown]
# One cell of conv 2, followed: the largest of channel 1. It was made from two windows, one
# in each channel. The upper left cell of the first is the cell we have followed so far.

# %%
r2, c2 = np.unravel_index(conv2[:, :, 0].argmax(), conv2.shape[:2])
window2 = conv1[r2 : r2 + 3, c2 : c2 + 3]
fig, axes = figure(2, 4, width=10.5, height=5.2, width_ratios=[1.8, 1, 1, 1])
for channel in (0, 1):
    first, weights = window2[:, :, channel], corner_of_seven[:, :, channel]
    name = f"conv 1, channel {channel + 1}"
    table(axes[channel, 0], conv1[:, :, channel], name, mark=(r2, c2, 3, 3))
    table(axes[channel, 1], first, "its window", numbers=True)
    table(axes[channel, 2], weights, f"filter, channel {channel + 1}", numbers=True)
    products = first * weights
    table(axes[channel, 3], products, f"products; sum {products.sum():.2f}", numbers=True)
both = conv2[r2, c2, 0]
fig.suptitle(f"conv 2, channel 1, row {r2 + 1}, column {c2 + 1}: both sums together, {both:.2f}")
show(
    fig,
    alt="Two rows, one for each channel of conv 1: the framed window, the filter's layer for this "
    f"channel, and their products with their sum. The two sums add up to {both:.2f}.",
)

# %% [markdown]
# ### Could both channels share one 3 × 3 filter?
#
# The notes call that inflexible. It is worse: some things it cannot see at all. With one shared
# filter, the output is filter × channel 1 + filter × channel 2, and that is filter × (channel 1 +
# channel 2). So whoever swaps the two channels changes nothing. Take a thing that is *edge above
# slant*, and its opposite, *slant above edge*.

# %%
edge_above = np.zeros((3, 3, 2))
edge_above[0, :, 0] = edge_above[2, :, 1] = 1
slant_above = edge_above[:, :, ::-1]  # the channels swapped
shared = rng.normal(size=(10_000, 3, 3, 1))  # ten thousand shared filters, at random
apart = (shared * edge_above).sum((1, 2, 3)) - (shared * slant_above).sum((1, 2, 3))
print("shared filters that tell the two apart:", (np.abs(apart) > 1e-9).sum(), "of", len(apart))
for name, seen in (("edge above slant", edge_above), ("slant above edge", slant_above)):
    print(f"3 × 3 × 2 filter on {name}: {(seen * corner_of_seven).sum():.0f}")

# %%
fig, axes = figure(2, 3, width=8.2, height=4.8)
for line, (name, seen) in enumerate(
    {"edge above slant": edge_above, "slant above edge": slant_above}.items()
):
    table(axes[line, 0], seen[:, :, 0], f"{name}: channel 1", numbers=True)
    table(axes[line, 1], seen[:, :, 1], "channel 2", numbers=True)
    table(axes[line, 2], seen.sum(-1), "all that a shared filter sees", numbers=True)
show(
    fig, alt="Two patterns with their channels swapped. The sum of the channels is the same table."
)

# %% [markdown]
# ### Colour: 3 × 3 × 3
#
# A photograph has three channels, so the first filters of a network for photographs are 3 × 3 × 3.
# Put pure red beside pure green. One shared filter sees red + green + blue, the same number on both
# sides; where is the border for it? A filter with a layer for each colour finds it.

# %%
red, green = np.array([0.9, 0, 0]), np.array([0, 0.9, 0])
picture = np.where(np.arange(10)[None, :, None] < 5, red, green) * np.ones((10, 1, 1))
red_to_green = np.zeros((3, 3, 3))
red_to_green[:, 0, 0] = red_to_green[:, 2, 1] = 1  # red at the left, green at the right
red_to_green[:, 2, 0] = red_to_green[:, 0, 1] = -1
summed, in_colour = picture.sum(axis=-1), slide(picture, red_to_green)
print(f"red + green + blue: {summed.min()} to {summed.max()}; the filter: up to {in_colour.max()}")

# %%
fig, axes = figure(1, 3, width=9, height=3.1)
axes[0].imshow(picture)
axes[0].set(xticks=[], yticks=[])
axes[0].grid(visible=False)
axes[0].set_title("red beside green", fontsize=10)
table(axes[1], summed, "all that a shared filter sees", grey=True)
table(axes[2], in_colour, "what the 3 × 3 × 3 filter says")
show(
    fig,
    alt="A red and a green half; their sum, a square without any border; the filter marks the border.",
)

# %% [markdown]
# ## 4. Max pooling: keep the largest of four
#
# Cut each channel into squares of 2 × 2 and keep the largest number of each. Half as high, half
# as wide; nothing is learned here.


# %%
def pool(channel):
    """Return the largest value of each 2 × 2 square; what fills no square is dropped."""
    rows, columns = channel.shape[0] // 2, channel.shape[1] // 2
    output = np.empty((rows, columns))
    for i in range(rows):
        for j in range(columns):
            output[i, j] = channel[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max()
    return output


# %%
pooled = np.stack([pool(conv2[:, :, 0]), pool(conv2[:, :, 1])], axis=-1)
i, j = r2 // 2, c2 // 2  # the square that holds the cell we follow
fig, axes = figure(1, 3, width=10.5, height=3.8, width_ratios=[1.6, 0.8, 1.3])
table(axes[0], conv2[:, :, 0], "conv 2, channel 1: 24 × 24", mark=(2 * i, 2 * j, 2, 2))
square = conv2[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, 0]
table(axes[1], square.round(2), f"largest: {square.max():.2f}", numbers=True)
table(axes[2], pooled[:, :, 0], "max pool, channel 1: 12 × 12", mark=(i, j, 1, 1))
show(fig, alt="A framed 2 by 2 square of conv 2, its four numbers, and the one cell it becomes.")

# %% [markdown]
# ## 5. The dense layer, and the whole way
#
# One weight for each cell of the pooling, two tables of 12 × 12. Multiply, add up everything: one
# number, the *activation*. For ten classes there would be ten such pairs of tables.

# %%
dense = rng.normal(size=pooled.shape).round(2)
activation = (pooled * dense).sum()
print(f"{pooled.size} products, added up: {activation:.5f}")
ours = pooled[i, j, 0] * dense[i, j, 0]
print(f"one of them is ours: {pooled[i, j, 0]:.2f} × {dense[i, j, 0]:.2f} = {ours:.2f}")

# %% [markdown]
# What does one cell of the pooling see of the image? Go backwards: 2 × 2 cells of conv 2, which
# need 4 × 4 cells of conv 1, which need 6 × 6 pixels.

# %%
fig, axes = figure(1, 5, width=11, height=2.9, width_ratios=[1.15, 1.08, 1, 0.8, 0.8])
table(axes[0], seven, "image", mark=(2 * i, 2 * j, 6, 6), grey=True)
table(axes[1], conv1[:, :, 0], "conv 1", mark=(2 * i, 2 * j, 4, 4))
table(axes[2], conv2[:, :, 0], "conv 2", mark=(2 * i, 2 * j, 2, 2))
table(axes[3], pooled[:, :, 0], "max pool", mark=(i, j, 1, 1))
table(axes[4], dense[:, :, 0], "dense weights", mark=(i, j, 1, 1))
fig.suptitle(f"channel 1 of each; channel 2 likewise. In the end one number: {activation:.2f}")
show(
    fig,
    alt="The 7, conv 1, conv 2, max pool and the dense weights side by side; frames of 6, 4, 2, 1 and "
    "1 cells follow one cell of the pooling back to the image.",
)

# %% [markdown]
# ## 6. The same numbers from Keras
#
# Three layers, holding our weights. Keras wants a batch of images with a channel axis at the end:
# (1, 28, 28, 1). Do you expect exactly equal numbers? Keras computes with 32 bits, NumPy with 64.


# %%
def network(filters1, filters2, dense):
    """Build the lesson's network in Keras with given weights, its layers named."""
    image = keras.Input((size, size, 1))
    x = layers.Conv2D(2, 3, use_bias=False, name="conv1")(image)
    x = layers.Conv2D(2, 3, use_bias=False, name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Dense(1, use_bias=False, name="dense")(layers.Flatten()(x))
    model = keras.Model(image, x)
    model.set_weights([filters1, filters2, dense.reshape(-1, 1)])
    return model


# %%
def largest_difference(model, image, ours):
    """Return the largest difference of any layer, as a share of that layer's largest number."""
    outputs = [model.get_layer(name).output for name in ("conv1", "conv2", "pool", "dense")]
    theirs = keras.Model(model.input, outputs)(image[None, :, :, None].astype("float32"))
    theirs = [keras.ops.convert_to_numpy(output)[0] for output in theirs]
    return max(np.abs(t - o).max() / np.abs(o).max() for t, o in zip(theirs, ours, strict=True))


# %%
model = network(filters1, filters2, dense)
off = largest_difference(model, seven, [conv1, conv2, pooled, np.array([activation])])
print(f"Keras against our loops, all layers: off by {off:.0e} of the largest number")
assert off < 1e-6
ready_made = max_pool(convolve(convolve(seven[:, :, None], filters1), filters2))
print("utils.convolutions against our loops:", np.allclose(ready_made, pooled, rtol=0, atol=1e-12))

# %% [markdown]
# `utils.convolutions` holds the same sums for any size, stride and padding, without loops. We use
# it from here on.
#
# > **Then and now.** In mathematics a convolution turns the filter by half a turn before laying it
# > on; what networks do is called cross-correlation. Keras 1 on Theano did turn it, Keras 3 does
# > not, so filters of that time had to be converted. `Convolution2D(2, 3, 3, border_mode="valid")`
# > is now `Conv2D(2, 3, padding="valid")`, and channels come last, not first.
#
# ## 7. The workbook
#
# All this as a spreadsheet, in which every cell of conv 1, conv 2, max pool and the activation is
# a formula. `write_convolutions` stores NumPy's value with each formula, so that the file looks
# right even where nothing can compute. (The tests let LibreOffice compute every cell again.)

# %%
path = build_folder() / "workbooks" / "convolutions.xlsx"
places = write_convolutions(path, seven, filters1, filters2, dense)
sheet = read_workbook(path)["convolutions"]
formulas = read_workbook(path, formulas=True)["convolutions"]
print(f"{path.name}: {np.count_nonzero(formulas)} formulas, for instance in row 7:")
for name in ("conv 1/1", "conv 2/1", "max pool 1", "activation"):
    print(f"{name} begins with ={formulas[position(places[name])[:2]]}")

# %% [markdown]
# Open it in Excel or LibreOffice: it lies in the folder `build/workbooks`. Change a weight of
# filter 1/1, that is layer 1, filter 1, and watch both channels of conv 2, both poolings and the
# activation follow. Two cells at the top left choose a cell of the
# pooling, and all that it sees is marked in red. The pictures below are drawn from the file's own
# cells: first the whole sheet, then its part around filter 1/1.


# %%
def draw_sheet(axes, rows, columns, *, numbers):
    """Draw a part of the workbook: rows and columns are (first, last + 1), counted from 0."""
    for name, place in places.items():
        row, column, height, width = position(place)
        values = sheet[row : row + height, column : column + width].astype(float)
        limit, extent = 1.5 * np.abs(values).max(), (column, column + width, row + height, row)
        colours, lowest = ("Greys", 0) if name == "image" else (SIGNED, -limit)
        axes.imshow(values, colours, vmin=lowest, vmax=limit, extent=extent, aspect="auto")
        axes.add_patch(Rectangle((column, row), width, height, fill=False, edgecolor="#C8C8C8"))
    for (row, column), value in np.ndenumerate(sheet[slice(*rows), slice(*columns)]):
        words = isinstance(value, str)
        if value is None or not (numbers or (words and row == 1)):
            continue
        text = value if words else f"{value:.2f}" if value else "0"
        place = (columns[0] + column + (0.1 if words else 0.95), rows[0] + row + 0.75)
        axes.text(
            *place,
            text,
            fontsize=8 if numbers else 7,
            ha="left" if words else "right",
            clip_on=True,
        )
    axes.set(xlim=columns, ylim=rows[::-1])
    axes.grid(visible=False)


# %%
fig, axes = figure(width=11, height=4.6)
draw_sheet(axes, (2, sheet.shape[0] + 1), (0, sheet.shape[1] + 6), numbers=False)
axes.set_axis_off()
blocks = {"image": 6, "conv 1/1": 4, "conv 1/2": 4, "conv 2/1": 2, "max pool 1": 1}
for name, seen in blocks.items():
    row, column = position(places[name])[:2]
    across, down = (j, i) if seen == 1 else (2 * j, 2 * i)
    look = {"fill": False, "edgecolor": "#B00000", "linewidth": 1.2}
    axes.add_patch(Rectangle((column + across, row + down), seen, seen, **look))
row, column = position(places["activation"])[:2]
axes.text(column, row + 4, f"{sheet[row, column]:.5f}", fontsize=8)
show(
    fig,
    alt="The workbook from left to right: the image, two filters, conv 1, filters of two channels, "
    "conv 2, max pool, dense weights, and the activation in the last cell.",
)

# %%
top, left = position(places["filter 1/1"])[:2]
fig, axes = figure(width=11, height=4.2)
rows, columns = (top - 3, top + 14), (left - 1, left + 24)
draw_sheet(axes, rows, columns, numbers=True)
axes.hlines(range(*rows), *columns, color="#E6E6E6", linewidth=0.6)
axes.vlines(range(*columns), *rows, color="#E6E6E6", linewidth=0.6)
axes.set_xticks(np.arange(*columns) + 0.5, [xl_col_to_name(c) for c in range(*columns)])
axes.set_yticks(np.arange(*rows) + 0.5, [str(r + 1) for r in range(*rows)])
axes.tick_params(labeltop=True, labelbottom=False, length=0)
axes.set_ylabel("row of the sheet")
show(fig, alt="A part of the sheet with letters and row numbers: filter 1/1 and cells of conv 1.")

# %% [markdown]
# ## 8. The lesson's own sheet
#
# In the lesson's sheet all weights are random numbers between 0 and 1, and the activation is
# 1814.9177. Do our functions give that? The digit is MNIST's and the weights are the sheet's, so
# they are not part of this project. Who has the sheet (`conv-example.xlsx`, in
# [the course's repository](https://github.com/fastai/courses/tree/master/deeplearning1/excel)) saves it as `course-goldens/conv-conv-example.csv` in the data folder; then the cells
# below compare.

# %%
saved = data_folder() / "course-goldens" / "conv-conv-example.csv"
at_hand = saved.exists() and source() != "standin"
lesson_sheet = pd.read_csv(saved, header=None) if at_hand else None
print("the lesson's sheet:", "read" if at_hand else "not at hand")


# %%
def of_sheet(cells, row, column, height, width, step=1):
    """Return a block of the lesson's sheet; `step` 2 takes every other row and column."""
    block = cells.iloc[row : row + height * step : step, column : column + width * step : step]
    return block.to_numpy(float)


def lesson_inputs(cells):
    """Return the sheet's image, the filters of both layers, and the dense weights (12 × 13)."""
    first = [of_sheet(cells, row, 29, 3, 3) for row in (10, 37)]
    second = [[of_sheet(cells, row + down, 60, 3, 3) for down in (0, 4)] for row in (10, 37)]
    weights = [of_sheet(cells, row, 117, 12, 13, step=2) for row in (3, 32)]
    filters = np.moveaxis(first, 0, -1)[:, :, None, :], np.transpose(second, (2, 3, 1, 0))
    return of_sheet(cells, 1, 0, 28, 28), *filters, np.moveaxis(weights, 0, -1)


# %% [markdown]
# > **Then and now.** The sheet differs from what the lesson says of it. Its conv 2 is 24 × 25: the
# > last column is one too many and reads a blank column beside conv 1; so the pooling and the
# > dense weights are 12 × 13, not 12 × 12. The notes describe zero padding; the sheet has none.
# > There is no ReLU and no bias either. The surplus column and the missing ReLU do not show in
# > the result: the digit's border is blank, so that column is 0, and no weight is negative, so a ReLU
# > would change nothing. With padding the number would be another one.
#
# We leave the surplus column out. If it is 0, the activation does not change.

# %%
if at_hand:
    image, first, second, weights = lesson_inputs(lesson_sheet)
    weights = weights[:, :12]  # the thirteenth column meets zeros
    outputs = [convolve(image[:, :, None], first)]
    outputs += [convolve(outputs[0], second)]
    outputs += [max_pool(outputs[1])]
    outputs += [np.array([(outputs[2] * weights).sum()])]
    book = build_folder() / "workbooks" / "lesson_sheet.xlsx"
    place = position(write_convolutions(book, image, first, second, weights)["activation"])[:2]
    in_book = read_workbook(book)["convolutions"][place]
    keras_off = largest_difference(network(first, second, weights), image, outputs)

# %%
if at_hand:
    expected = [of_sheet(lesson_sheet, 2, 33, 26, 26), of_sheet(lesson_sheet, 3, 64, 24, 24)]
    expected += [of_sheet(lesson_sheet, 3, 90, 12, 12, step=2), lesson_sheet.iloc[3, 143]]
    ours = [output[..., 0] for output in outputs]  # the first channel of each block
    off = max(np.abs(o - np.float64(e)).max() for o, e in zip(ours, expected, strict=True))
    surplus = of_sheet(lesson_sheet, 3, 88, 24, 1)
    print(
        f"1,397 cells: off by {off:.0e} at most; the surplus column's largest: {surplus.max():.0f}"
    )
    note = f"cells of the sheet to {off:.0e}, Keras to {keras_off:.0e}, workbook {in_book:.4f}"
    lesson.claim("conv.dense-activation", outputs[-1][0], note=note)
else:
    lesson.not_measured("conv.dense-activation", why="the lesson's sheet is not at hand")

# %% [markdown]
# ## 9. Padding: what happens at the border
#
# Without padding each layer loses a pixel on every side. With zeros around the image a 3 × 3
# filter fits everywhere, and the output is as large as the input: Keras calls it `"same"`, and
# `"valid"` is the sheet's way. Fill in the sizes in your head before you run this.

# %%
sizes = {}
for padding in ("valid", "same"):
    first = convolve(seven[:, :, None], filters1, padding=padding)
    second = convolve(first, filters2, padding=padding)
    shapes = [(28, 28, 1), first.shape, second.shape, max_pool(second).shape]
    sizes[padding] = [" × ".join(map(str, shape)) for shape in shapes]
    sizes[padding].append(str(np.prod(shapes[-1])))
pd.DataFrame(sizes, index=["image", "conv 1", "conv 2", "max pool", "dense weights"])

# %% [markdown]
# Zeros are not nothing: at the border a filter meets an edge that is not in the picture. Average
# a uniformly grey image over 3 × 3, and with padding its border comes out paler.

# %%
uniform, averaging = np.ones((6, 6)), np.full((3, 3, 1, 1), 1 / 9)
inside = convolve(uniform[:, :, None], averaging)[:, :, 0]
padded = convolve(uniform[:, :, None], averaging, padding="same")[:, :, 0]
fig, axes = figure(1, 3, width=9.5, height=3.8, width_ratios=[8, 4, 6])
table(axes[0], np.pad(uniform, 1), "in its zeros", mark=(0, 0, 3, 3), numbers=True, grey=True)
table(axes[1], inside.round(2), "valid: 4 × 4", numbers=True)
table(axes[2], padded.round(2), "same: 6 × 6", mark=(0, 0, 1, 1), numbers=True)
show(
    fig,
    alt="A grey image in a frame of zeros. Averaged without padding it stays 1 everywhere; with "
    "padding its border becomes 0.67 and its corners 0.44.",
)

# %% [markdown]
# ## 10. What pooling loses, and what it gains
#
# It loses *place*: which of the four was the largest is forgotten. Where in its square a dot
# lies makes no difference; one step further, in the next square, it does.

# %%
dots = {"a dot": (2, 2), "moved by one": (3, 3), "moved by two": (4, 4)}
fig, axes = figure(1, 6, width=11, height=2.4, width_ratios=[1, 0.6] * 3)
for number, (name, (row, column)) in enumerate(dots.items()):
    dot = np.zeros((6, 6))
    dot[row, column] = 1
    square = (row // 2 * 2, column // 2 * 2, 2, 2)
    table(axes[2 * number], dot, name, mark=square, grey=True)
    table(axes[2 * number + 1], pool(dot), "pooled", grey=True)
show(
    fig,
    alt="A dot in a 2 by 2 square gives the same pooling wherever in the square it lies; in the next "
    "square it gives another.",
)

# %% [markdown]
# In a whole picture some strokes cross into the next square and some do not. Move the 7 by one
# pixel to the right and down. Which changes most, the pixels, conv 2 or the pooling? (By how much: the
# length of the difference over the length of what was there.)

# %%
moved = np.roll(seven, (1, 1), axis=(0, 1))
moved_conv2 = convolve(convolve(moved[:, :, None], filters1), filters2)
pairs = {"pixels": (seven, moved), "conv 2": (conv2, moved_conv2)}
pairs["max pool"] = pooled, max_pool(moved_conv2)
for name, (before, after) in pairs.items():
    print(f"{name}: changed by {np.linalg.norm(after - before) / np.linalg.norm(before):.0%}")

# %% [markdown]
# It gains *view*. After the pooling three cells lie where six lay before, so that a filter sees
# further with the same nine weights. We ask the network instead of a formula: light up each pixel alone, and
# mark those that reach one cell in the middle of the last layer.


# %%
def sees(*steps):
    """Return the mask of pixels that reach the middle cell after some layers."""
    images = np.eye(size * size).reshape(-1, size, size, 1)  # one lit pixel in each
    for step in steps:
        images = np.stack([step(image) for image in images])
    middle = images[:, images.shape[1] // 2, images.shape[2] // 2, 0]
    return (middle > 0).reshape(size, size)


# %%
ones = functools.partial(convolve, filters=np.ones((3, 3, 1, 1)))
views = {
    "conv": sees(ones),
    "conv, conv": sees(ones, ones),
    "conv, conv, conv": sees(ones, ones, ones),
    "conv, conv, pool, conv": sees(ones, ones, max_pool, ones),
}

# %%
fig, axes = figure(1, 4, width=11, height=3.2)
for panel, (name, view) in zip(axes, views.items(), strict=True):
    top, left = np.argwhere(view)[0]
    across = view.sum(axis=0).max()
    mark = (top, left, across, across)
    table(panel, 0.6 * seven, f"{name}: {across} × {across}", mark=mark, grey=True)
show(
    fig,
    alt="What one cell sees of the image: 3 by 3 pixels after one convolution, 5 by 5 after two, 7 by 7 "
    "after three, but 10 by 10 where a pooling stands before the third.",
)

# %% [markdown]
# ## 11. One step of gradient descent, by hand
#
# So far nobody has chosen the weights. Say the activation should be 1 for a seven: the loss is
# (activation − 1)². How the loss changes with a number is that number's *gradient*, its share of the
# blame. We find the shares by going backwards (*backpropagation*):
#
# * a dense weight: twice the error × the pooled cell it was multiplied with, and the other way round
#   for the pooled cell;
# * a pooled cell hands its share on to the one of four cells that was the largest;
# * a filter's weight was used in every window, so its shares add up over all windows. That is a
#   convolution again: of the layer's input, with the shares as the filter;
# * a cell of conv 1 was used in up to nine windows of each channel of conv 2: it adds up weight ×
#   share over them.


# %%
def loss_of(filters1, filters2, dense):
    """Return the loss of the whole network."""
    last = max_pool(convolve(convolve(seven[:, :, None], filters1), filters2))
    return ((last * dense).sum() - 1) ** 2


def back_through_pool(conv, shares):
    """Give each pooled cell's share to the largest of its four cells."""
    back = np.zeros_like(conv)
    for i, j, k in np.ndindex(shares.shape):
        window = conv[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, k]
        row, column = np.unravel_index(window.argmax(), window.shape)
        back[2 * i + row, 2 * j + column, k] = shares[i, j, k]
    return back


# %%
def back_to_filters(image, shares):
    """Return each weight's share: over all windows, input times the output's share."""
    channels, outputs = range(image.shape[2]), range(shares.shape[2])
    kinds = [[slide(image[:, :, c], shares[:, :, f]) for f in outputs] for c in channels]
    return np.transpose(kinds, (2, 3, 0, 1))


def back_to_input(image, filters, shares):
    """Return each input cell's share: over all windows it was in, weight times share."""
    back = np.zeros_like(image)
    for i, j, f in np.ndindex(shares.shape):
        back[i : i + 3, j : j + 3] += shares[i, j, f] * filters[..., f]
    return back


# %% [markdown]
# One warning. Our tidy filters give some squares two equal largest numbers, from different pixels:
# there the loss has a corner and no slope. So all weights are first disturbed a little, which
# changes the activation, too.

# %%
weights = [array + 0.1 * rng.normal(size=array.shape) for array in (filters1, filters2, dense)]
conv1_now = convolve(seven[:, :, None], weights[0])
conv2_now = convolve(conv1_now, weights[1])
blame = 2 * ((max_pool(conv2_now) * weights[2]).sum() - 1)
conv2_shares = back_through_pool(conv2_now, blame * weights[2])
conv1_shares = back_to_input(conv1_now, weights[1], conv2_shares)
gradients = [
    back_to_filters(seven[:, :, None], conv1_shares),
    back_to_filters(conv1_now, conv2_shares),
    blame * max_pool(conv2_now),
]
print(f"loss {loss_of(*weights):.2f}; gradients:", *[g.shape for g in gradients])

# %% [markdown]
# Is that right? Nudge each of the weights by a millionth up and down, and see how the loss
# changes. A mistake in any line above would show here.


# %%
def nudged(which, place, nudge):
    """Return the loss after one weight has been nudged."""
    changed = [array.copy() for array in weights]
    changed[which][place] += nudge
    return loss_of(*changed)


# %%
for which, name in enumerate(("filters 1", "filters 2", "dense weights")):
    slopes = np.zeros_like(weights[which])
    for place in np.ndindex(slopes.shape):
        slopes[place] = (nudged(which, place, 1e-6) - nudged(which, place, -1e-6)) / 2e-6
    off = np.abs(slopes - gradients[which]).max() / np.abs(slopes).max()
    print(f"{name}: {slopes.size} slopes, off by {off:.0e} of the largest")

# %% [markdown]
# Now step against the gradient. A small step should lower the loss by about the rate times the
# gradient's squared length. And Keras? It does not hand out its gradient, but its step shows it: old
# weights minus new, over the rate. We let it take a longer step, since a tiny one would drown in the
# rounding to 32 bits.

# %%
length = sum((g**2).sum() for g in gradients)
rate = 0.01 * loss_of(*weights) / length  # meant to take off one per cent
stepped = [w - rate * g for w, g in zip(weights, gradients, strict=True)]
print(f"loss {loss_of(*weights):.3f} → {loss_of(*stepped):.3f}; ", end="")
print(f"rate × squared length: {rate * length:.3f}")
largest = max(np.abs(g).max() for g in gradients)
model = network(*weights)
model.compile(keras.optimizers.SGD(1 / largest), "mse")
model.train_on_batch(seven[None, :, :, None].astype("float32"), np.ones((1, 1)))
pairs = zip(model.get_weights(), weights, gradients, strict=True)
off = max(np.abs((w - k.reshape(w.shape)) - g / largest).max() for k, w, g in pairs)
print(f"Keras' gradient against ours: off by {off:.0e} of the largest slope")

# %%
fig, axes = figure(1, 4, width=10.5, height=2.9)
for channel, name in enumerate(("upper edges", "slants")):
    now, wish = weights[0][:, :, 0, channel].round(2), -gradients[0][:, :, 0, channel]
    wish = (wish / np.abs(wish).max()).round(2)
    table(axes[2 * channel], now, f"filter 1/{channel + 1}: {name}", numbers=True)
    table(axes[2 * channel + 1], wish, "where its step goes", numbers=True)
show(fig, alt="Both filters of layer 1, and beside each the direction in which the step moves it.")

# %% [markdown]
# ## 12. The next step: bias, ReLU, ten outputs, learned filters
#
# A real network adds a *bias* to each output of a filter, and a *ReLU*, which turns all below
# zero into zero. Without something like the ReLU, layers in a row are one linear layer,
# however many; a bias is not enough. The dense layer gets ten outputs, one for each digit, and a softmax, which turns ten numbers into
# probabilities. And the weights are learned.
#
# These digits are 8 × 8 pixels. A thousand train, the others test; the epochs were fixed
# beforehand. The baseline is one dense layer on the pixels. Beside it stand three networks with two
# layers of convolutions; the first of them, with averages for pooling and no ReLU, is linear all
# the way. What do you expect of the four?

# %%
digits = load_digits()
pixels, label = digits.images[..., None].astype("float32") / 16, digits.target
order = np.random.default_rng(0).permutation(len(label))
train, test = order[:1000], order[1000:]
print(f"{len(train)} digits to train on, {len(test)} to test on, {pixels.shape[1:]} each")


# %%
def digit_model(relu, pooling):
    """Build a network for the digits; without pooling it has no convolutions either."""
    steps = [keras.Input((8, 8, 1))]
    if pooling:
        activation = "relu" if relu else None
        steps += [layers.Conv2D(n, 3, padding="same", activation=activation) for n in (8, 16)]
        steps += [pooling(2)]
    return keras.Sequential([*steps, layers.Flatten(), layers.Dense(10, activation="softmax")])


# %%
def train_digits(kind, seed):
    """Train one network, and return it with its accuracy on the test digits."""
    keras.utils.set_random_seed(seed)
    learner = digit_model(*kinds[kind])
    loss = "sparse_categorical_crossentropy"
    learner.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    learner.fit(pixels[train], label[train], batch_size=100, epochs=epochs, verbose=0)
    return learner, learner.evaluate(pixels[test], label[test], verbose=0)[1]


# %%
kinds = {
    "one dense layer": (False, None),
    "no ReLU, mean pool": (False, layers.AveragePooling2D),
    "no ReLU, max pool": (False, layers.MaxPooling2D),
    "ReLU, max pool": (True, layers.MaxPooling2D),
}
trained = {kind: [train_digits(kind, seed) for seed in seeds] for kind in kinds}
scores = {kind: summarise([score for _, score in pairs]) for kind, pairs in trained.items()}
for kind, score in scores.items():
    print(f"{kind}: {trained[kind][0][0].count_params()} weights, test accuracy {score}")

# %%
fig, axes = figure(height=2.5)
rows = {kind: (score.mean, score.half_width or 0) for kind, score in scores.items()}
what = "95 % interval over seeds" if len(seeds) > 1 else "one seed, no interval"
intervals(axes, rows, x=f"accuracy on the test digits ({what})")
said = ", ".join(f"{kind} {score.mean:.3f}" for kind, score in scores.items())
show(fig, alt=f"Test accuracy of the four networks: {said}.")

# %% [markdown]
# In our full run the two linear networks, shallow and deep, are level, and the other two are well
# ahead of them and level with each other. (At quick scale, with few epochs, the deep linear one is
# ahead of the shallow one: it can say no more, it gets there sooner.) To take the largest of four is
# not linear either, and for digits this small that bends enough. Where layers follow each other
# without a pooling, the ReLU is all there is.
#
# What have the filters of the first layer become? Here they are, and below each what it makes of
# one test digit, after the ReLU. Orange beside blue compares neighbours, as our edge filter does;
# mostly blue takes a sum. Pale blue where the image is empty is the bias.

# %%
learner = trained["ReLU, max pool"][0][0]
first = learner.layers[0]
kernels = first.get_weights()[0]
one = pixels[test[:1]]
responses = keras.ops.convert_to_numpy(first(one))[0]
fig, axes = figure(2, 9, width=11, height=2.9)
axes[0, 0].set_axis_off()
table(axes[1, 0], one[0, :, :, 0], f"a {label[test[0]]}", grey=True)
for number in range(8):
    table(axes[0, number + 1], kernels[:, :, 0, number], f"filter {number + 1}")
    table(axes[1, number + 1], responses[:, :, number], "")
show(fig, alt="Eight learned 3 by 3 filters, and the response of each to one test digit below it.")

# %% [markdown]
# ## 13. Make it your own
#
# Any grey image and any filters of these shapes go into a workbook. Here is a diagonal cross
# instead of the 7, in a smaller square; put your own array in its place. For a photograph, take
# one channel, and keep it small: a spreadsheet with a million formulas is no fun.

# %%
yours = np.maximum(np.eye(12), np.eye(12)[::-1])
your_pooled = max_pool(convolve(convolve(yours[:, :, None], filters1), filters2))
your_file = build_folder() / "workbooks" / "yours.xlsx"
write_convolutions(your_file, yours, filters1, filters2, np.ones(your_pooled.shape))
print(f"written: {your_file.name}, {your_file.stat().st_size / 1000:.0f} kB")

# %% [markdown]
# ## 14. Exercises
#
# **1. Two layers, one layer.** Without ReLU two convolutions in a row equal a single one with a
# larger filter. How large? Find its weights for channel 1 of conv 2, and check.
#
# <details><summary>Answer</summary>
#
# 5 × 5: each weight of layer 2 puts down a copy of layer 1's filter, shifted to its own place.
# Put a ReLU between them, and no such filter exists: the best of all, found by least squares, misses.
#
# </details>

# %%
combined = np.zeros((5, 5))
for row, column, channel in np.ndindex(3, 3, 2):
    weight = filters2[row, column, channel, 0]
    combined[row : row + 3, column : column + 3] += weight * filters1[:, :, 0, channel]
print("equal without ReLU:", np.allclose(slide(seven, combined), conv2[:, :, 0]))
with_relu = slide(np.maximum(conv1, 0), filters2[..., 0])
windows = np.lib.stride_tricks.sliding_window_view(seven, (5, 5)).reshape(-1, 25)
best = windows @ np.linalg.lstsq(windows, with_relu.ravel(), rcond=None)[0]
missed = np.linalg.norm(best - with_relu.ravel()) / np.linalg.norm(with_relu)
print(f"with a ReLU between, the best 5 × 5 filter of all misses by {missed:.0%}")

# %% [markdown]
# **2. Stride instead of pooling.** `Conv2D(..., strides=2)` also halves height and width: it skips
# every other window. Compute conv 2 with stride 2 and compare with every other cell of conv 2.
# And when the 7 moves by one pixel, to each of its eight neighbouring places: which changes more,
# this or the pooling?
#
# <details><summary>Answer</summary>
#
# It is every other cell, exactly. Nothing is chosen for being large, so it is luck whether the
# strongest cell is kept: in most directions a shift changes it more than the pooling, not in all.
#
# </details>

# %%
strided = convolve(conv1, filters2, stride=2)
print("equals every other cell:", np.allclose(strided, conv2[::2, ::2]))


def changed(down, right):
    """Return how much a shift of the 7 changes the strided layer and the pooling."""
    moved = np.roll(seven, (down, right), axis=(0, 1))[:, :, None]
    again = convolve(convolve(moved, filters1), filters2)
    pairs = (strided, again[::2, ::2]), (pooled, max_pool(again))
    return [np.linalg.norm(new - old) / np.linalg.norm(old) for old, new in pairs]


# %%
steps = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]
changes = pd.DataFrame([changed(*step) for step in steps], columns=["stride 2", "max pool"])
changes.index = [f"{down:+d} down, {right:+d} right" for down, right in steps]
changes.round(2)

# %% [markdown]
# **3. A filter as finder.** Which 3 × 3 filter gives its largest answer on the 7 at the lower end
# of the long stroke? Think of what surrounds that place.
#
# <details><summary>Answer</summary>
#
# Ink in the middle, above it and above to the right; none elsewhere. Weights of -1 for what must be
# empty matter as much as the positive ones: without them many places would do as well.
#
# </details>

# %%
stroke_end = np.array([[-1.0, 1, 1], [-1, 2, -1], [-1, -1, -1]])
answer = slide(seven, stroke_end)
row, column = np.unravel_index(answer.argmax(), answer.shape)
print(f"strongest in the window that begins at row {row + 1}, column {column + 1}")
lenient = slide(seven, np.maximum(stroke_end, 0))
print("without the -1s, windows that share the largest answer:", (lenient == lenient.max()).sum())
fig, axes = figure(1, 3, width=8.5, height=3, width_ratios=[1.4, 0.7, 1.3])
table(axes[0], seven, "image", mark=(row, column, 3, 3), grey=True)
table(axes[1], stroke_end, "filter", numbers=True)
table(axes[2], answer, "answer", mark=(row, column, 1, 1))
show(fig, alt="The strongest answer of the filter lies at the lower end of the long stroke.")

# %% [markdown]
# ## What you learned
#
# * A cell of a convolution is a sum of products over a window, and over all channels; so a filter
#   has as many layers as its input has channels.
# * Without padding a layer loses a border; with zeros it keeps its size and meets an edge there.
# * Pooling forgets place within its squares and widens what later filters see.
# * A filter's gradient is a convolution too; nudging every weight a little confirms it.
# * The lesson's sheet gives its 1814.9177 by our functions too, without its surplus column.
#
# **Next:** notebook 02, *optimizers*, asks how long a step should be, and in which direction.
