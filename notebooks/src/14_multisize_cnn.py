# %% [markdown]
# # 14 Multi-size CNN: phrases of three, four and five words
#
# **Lesson 5**, "Multi-size CNN" (1:31 to 1:43).
#
# *Not bad* is two words, *worth every penny* three, *on the edge of your seat* six. Why should all
# filters be five words wide? The lesson sets filters of three sizes side by side and reaches its
# best score, .9036. We build that network, ask what the sizes have to do with it, and then do what
# the lesson did not: put the linear models of 2012 beside it, and try to beat them.
#
# **What you will learn**
#
# * how the functional API joins branches, and which line of the original no longer runs;
# * what several sizes are worth at equal numbers of parameters, and what a network saves that pools
#   over the whole review;
# * which phrases the filters of each size have learned to hear;
# * how to test a change to a network without fooling yourself;
# * why two readers of different kinds, asked together, beat the better one.
#
# | scale | time on two processor cores | memory |
# |---|---|---|
# | quick | about 45 seconds | 1.1 GB |
# | full | about two hours (estimated) | 2.5 GB |
#
# **Data.** 25,000 + 25,000 film reviews ([Maas and others 2011](https://aclanthology.org/P11-1015/), who
# ask to be cited) and [GloVe](https://nlp.stanford.edu/projects/glove/) 6B with 50 numbers a word
# (Pennington, Socher and Manning 2014; public domain). Without a download, generated stand-ins of
# the same shape take their places.

# %%
from utils.session import start  # fails? another `utils` is in the way: see the README

lesson = start("14 Multisize CNN", data=["imdb", "glove"])

# %% [markdown]
# All sizes stand here; skip them at first reading. At full scale the networks multiply numbers of
# 16 bits (`mixed_bfloat16`): on a recent processor that halves the time. One without such
# instructions is slower with it; set `float32` there.

# %%
rows = lesson.pick(quick=1760, full=None)  # reviews of each half at most; None: all
held_out = lesson.pick(quick=480, full=5000)  # training reviews that everything is chosen on
length = lesson.pick(quick=90, full=500)  # words kept of each; the lesson's 500
columns = lesson.pick(quick=90, full=25)  # a batch's longest review is filled up to a multiple
batch_size = lesson.pick(quick=40, full=64)  # the lesson's 64
asked_at_once = lesson.pick(quick=160, full=250)  # reviews that a network is asked about at once
seeds = lesson.pick(quick=[0], full=[0, 1, 2])
flattened_epochs = lesson.pick(quick=3, full=4)  # the lesson's: 2, and 2 more
pooled_epochs = lesson.pick(quick=3, full=4)
folds = lesson.pick(quick=3, full=5)  # parts that the trigrams judge, each from the others
best_filters, best_second, best_epochs = lesson.pick(quick=(16, 16, 3), full=(100, 50, 6))
small_filters, small_epochs = lesson.pick(quick=(8, 4), full=(64, 5))  # the same, to save time
precision = lesson.pick(quick="float32", full="mixed_bfloat16")  # see above

# %%
import time

# %%
import keras
import numpy as np
import pandas as pd
from keras import layers, ops
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import StratifiedKFold, train_test_split

# %%
from utils.datasets import load_glove, load_imdb
from utils.embeddings import WordEmbedding, embedding_matrix
from utils.evaluation import fit_and_score, summarise
from utils.linear_text import LINEAR, TextModel, as_text, fit_linear
from utils.naive_bayes import NaiveBayesLogisticRegression
from utils.plots import COLOURS, figure, intervals, labels, show

# %% [markdown]
# ## 1. Side by side
#
# A filter of size 3 sees three words at a time and answers with one number, as in notebook 11. Here is
# what filters of three sizes see of one sentence, each at a place where it might answer loudest (we
# picked the places by hand; section 4 asks trained filters).
# The network does not choose a size: it runs them all, and lays their answers side by side.

# %%
text = "the plot is thin but it is worth every penny and not bad at all"
sentence = text.split()
fig, axes = figure(width=9.5, height=2.2)
for place, word in enumerate(sentence):
    axes.text(place, 0, word, ha="center", va="center")

# %%
windows = ((3, 7, "blue"), (4, 11, "orange"), (5, 0, "green"))  # size, first word, colour
for height, (size, first, colour) in enumerate(windows, start=1):
    ends = [first - 0.45, first + size - 0.55]
    bar = {"color": COLOURS[colour], "linestyle": "-", "linewidth": 5, "solid_capstyle": "butt"}
    axes.plot(ends, [height * 0.5] * 2, **bar)
    said = {"color": COLOURS[colour], "va": "bottom", "fontsize": 9}
    axes.text(ends[0], height * 0.5 + 0.1, f"{size} words", **said)
axes.set(xlim=(-0.8, len(sentence) - 0.2), ylim=(-0.4, 2.1))
axes.axis("off")
show(
    fig,
    alt="A sentence of fifteen words with three coloured bars above it: one over three words, worth "
    "every penny; one over four, not bad at all; one over five, the plot is thin but.",
)

# %% [markdown]
# The data are those of notebook 13: 5,000 words, 500 to a review, GloVe's vectors for the words it
# knows, divided by three as in the lesson. We set aside 5,000 of the training reviews and make
# *every* choice on them, of epochs, of recipes, of mixtures. The test reviews score what has been
# chosen, once.

# %%
reviews, glove = load_imdb(length=length, rows=rows), load_glove()
counts = np.bincount(reviews.x_train.ravel(), minlength=5000)
matrix, coverage = embedding_matrix(reviews.words, glove, counts=counts)
table = matrix / 3  # the lesson's scale

# %%
everything = np.arange(len(reviews.y_train))
to_learn, to_choose = train_test_split(
    everything, test_size=held_out, stratify=reviews.y_train, random_state=0
)
print(reviews, coverage, sep="\n")

# %% [markdown]
# The functional API (notebook 10) makes branches easy: call several layers on the same tensor, and
# concatenate what comes out. Three times 64 filters, pooled in pairs and laid out in one row, make
# 48,000 numbers for a review. Where will the parameters be?


# %%
def side_by_side(columns=length):
    """Build the lesson's network: 64 filters of each of three sizes, flattened."""
    ids = keras.Input((columns,), dtype="int32")
    begun = keras.initializers.Constant(table)
    words = WordEmbedding(5000, 50, 0.2, embeddings_initializer=begun, dtype=precision)(ids)
    words = layers.Dropout(0.2, dtype=precision)(words)
    found, look = [], {"padding": "same", "activation": "relu", "dtype": precision}
    for size in (3, 4, 5):
        x = layers.Conv1D(64, size, kernel_initializer="random_uniform", **look)(words)
        x = layers.MaxPooling1D(2, dtype=precision)(x)
        found.append(layers.Flatten(dtype=precision)(x))
    x = layers.Concatenate(dtype=precision)(found)  # of 48,000 numbers
    x = layers.Dropout(0.5, dtype=precision)(x)
    x = layers.Dense(100, activation="relu", dtype=precision)(x)
    x = layers.Dropout(0.7, dtype="float32")(x)
    model = keras.Model(ids, layers.Dense(1, activation="sigmoid", dtype="float32")(x))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


# %%
if length == 500:
    assert side_by_side().count_params() == 5_088_793  # as the lesson's
model = side_by_side()
shares = {layer.name: layer.count_params() for layer in model.layers if layer.count_params()}
for name, count in shares.items():
    print(f"{name:>16}: {count:9,} parameters, {count / model.count_params():.1%}")

# %% [markdown]
# > **Then and now.** The original gave the graph of branches `Input((vocab_size, 50))`, the size of
# > the *vocabulary*, 5,000, where the length of a review, 500, belongs. Keras 1 did not look. Keras 3
# > does:

# %%
graph_in = keras.Input((5000, 50))  # the lesson's line
graph = keras.Model(graph_in, layers.Conv1D(64, 3, padding="same")(graph_in))
try:
    graph(keras.Input((500, 50)))
except ValueError as error:
    print(f"ValueError: {error}"[:220])

# %% [markdown]
# > It then trained two epochs, set the embedding's `trainable` to `False` and the learning rate to
# > 1e-5, and trained two more: .9036. Neither had any effect, for the model was not compiled again
# > (notebook 13). So its record is the fourth epoch of plain training, picked on the test reviews.
#
# > A third difference shows in no message. The Keras of that year began a `Convolution1D` with numbers
# > between -0.05 and 0.05; today's `Conv1D` begins here with a spread two to two and a half times as wide.
# > Begun so, this network stood still through nearly its whole first epoch in our trials; we do not know exactly
# > why. `kernel_initializer="random_uniform"` begins it as then.
#
# Four epochs, then, as in the lesson; the held-out reviews choose among them.


# %%
@lesson.remember(
    depends=(
        side_by_side,
        WordEmbedding,
        fit_and_score,
        repr(reviews),
        length,
        table,
        to_learn,
        to_choose,
        batch_size,
        precision,
    )
)
def train_flattened(seed, epochs):
    """Train the lesson's network; return what it says of the test reviews, and the seconds."""
    x, y, begun = reviews.x_train, reviews.y_train, time.process_time()
    parts = (
        (x[to_learn], y[to_learn]),
        (x[to_choose], y[to_choose]),
        (reviews.x_test, reviews.y_test),
    )
    sizes = {"epochs": epochs, "batch_size": batch_size, "verbose": lesson.verbose}
    outcome = fit_and_score(side_by_side, *parts, seed=seed, **sizes)
    seconds = (time.process_time() - begun) * outcome.epoch / epochs
    return {"epoch": outcome.epoch, "history": outcome.history, "seconds": seconds,
            "test": outcome.probabilities}  # fmt: skip


# %%
def accuracy(p, labels):
    """Return the share of reviews whose likelier label is the right one."""
    return float(np.mean((p > 0.5) == labels))


# %%
y_choose, y_test = reviews.y_train[to_choose], reviews.y_test
flattened = [train_flattened(seed, flattened_epochs) for seed in lesson.steps(seeds)]
for seed, run in zip(seeds, flattened, strict=True):
    held = np.round(run["history"]["val_accuracy"], 4)
    test = accuracy(run["test"], y_test)
    print(f"seed {seed}: held-out by epoch {held}, epoch {run['epoch']} taken, test {test:.4f}")


# %%
def score_of(runs):
    """Summarise the test accuracy of several trainings."""
    return summarise([accuracy(run["test"], y_test) for run in runs])


# %%
score = score_of(flattened)
lesson.claim(
    "multisize.lesson-model",
    score.mean,
    sd=score.sd,
    note=f"trained on {len(to_learn):,} reviews, epoch chosen on {held_out:,} others, test scored "
    f"once; {score}",
    data=reviews,
    seeds=len(seeds),
)

# %% [markdown]
# The lesson's .9036 is the best of four looks at the test reviews, from one seed, after
# learning from 25,000 reviews. Ours learned from 20,000, and the test reviews saw each network
# once. Those differences all favour the lesson. In our full run a point is missing; how much of it
# they explain we did not measure.
#
# A word on the signs. After a claim, ± is the spread (standard deviation) of the seeds; where it
# says *interval*, a 95 % interval for the mean over seeds. In sections 6 and 7 there are intervals
# of another kind: for the luck of which reviews were drawn, with the networks as they are.
#
# ## 2. Half of the work is padding
#
# Every row has 500 columns, and most reviews are shorter; the rest is filled up with zeros, and
# convolved. A network that flattens needs its rows of one length. One that pools each filter over the
# *whole* review, to the one number "how loudly did it answer anywhere", does not: it can take reviews
# of like length together and cut off the common padding. How much is saved?


# %%
def in_batches(ids, rows, size, shuffle=None):
    """Yield batches of row numbers of like length, and their ids without the common padding."""
    words = (ids > 0).sum(axis=1)
    rows = rows if shuffle is None else shuffle.permutation(rows)
    batches = []
    for first in range(0, len(rows), 50 * size):  # fifty batches at a time are sorted by length
        some = rows[first : first + 50 * size]
        some = some[np.argsort(words[some], kind="stable")]
        batches += [some[i : i + size] for i in range(0, len(some), size)]
    for i in range(len(batches)) if shuffle is None else shuffle.permutation(len(batches)):
        longest = columns * max(int(np.ceil(words[batches[i]].max() / columns)), 1)
        yield batches[i], ids[batches[i], -longest:]


# %%
batches = in_batches(reviews.x_train, everything, 64, np.random.default_rng(0))
cells = sum(ids.size for _, ids in batches)
print(f"{(reviews.x_train > 0).sum() / reviews.x_train.size:.0%} of all cells hold a word")
print(f"of {reviews.x_train.size:,} cells, sorted batches compute {cells:,}")

# %%
batch, ids = next(in_batches(reviews.x_train, everything, 64, np.random.default_rng(0)))
assert (ids > 0).sum() == (reviews.x_train[batch] > 0).sum()  # no word is lost

# %% [markdown]
# Within a batch the reviews are of like length, but which fifty batches are sorted together, and in
# which order they come, is drawn anew each epoch. Now the network for it. It has more switches than the
# lesson's; section 6 needs them, and they are explained there.


# %%
def network(
    sizes=(3, 4, 5), filters=64, pools=("max",), second=0, forget=0.2, blur=0.2, dropout=0.5,
    hidden=0,
):  # fmt: skip
    """Build filters of several sizes side by side, each pooled over the whole review."""
    ids = keras.Input((None,), dtype="int32")
    begun = keras.initializers.Constant(table)
    words = [WordEmbedding(5000, 50, forget, embeddings_initializer=begun, dtype=precision)(ids)]
    if second:
        words.append(WordEmbedding(5000, second, forget, dtype=precision)(ids))
    words = layers.Concatenate(dtype=precision)(words) if second else words[0]
    words = layers.Dropout(blur, dtype=precision)(words) if blur else words
    found, is_word = [], ops.cast(ops.not_equal(ids, 0), "float32")
    share = is_word / ops.maximum(ops.sum(is_word, axis=1, keepdims=True), 1.0)
    for size in sizes:
        convolution = layers.Conv1D(
            filters, size, padding="same", activation="relu", dtype=precision
        )
        fired = convolution(words)
        if "max" in pools:
            found.append(layers.GlobalMaxPooling1D(dtype=precision)(fired))
        if "mean" in pools:
            found.append(ops.einsum("bl,blf->bf", ops.cast(share, fired.dtype), fired))
    x = layers.Concatenate(dtype="float32")(found) if len(found) > 1 else found[0]
    x = layers.Dropout(dropout, dtype="float32")(x)
    if hidden:
        x = layers.Dropout(0.7)(layers.Dense(hidden, activation="relu")(x))
    return keras.Model(ids, layers.Dense(1, activation="sigmoid", dtype="float32")(x))


# %% [markdown]
# Two functions more: one asks a network about many reviews, the other trains it. The learning rate
# falls to nearly nothing along a cosine, so that the last epoch can be taken as it is, and no epoch
# has to be picked.


# %%
def ask(model, ids):
    """Return the probabilities of label 1, batch by batch of like length."""
    p = np.empty(len(ids), "float32")
    for rows, part in in_batches(ids, np.arange(len(ids)), asked_at_once):
        p[rows] = ops.convert_to_numpy(model.predict_on_batch(part))[:, 0]
    return p


# %%
@lesson.remember(depends=(network, WordEmbedding, in_batches, ask, repr(reviews), table, to_learn,
                          to_choose, precision, columns, asked_at_once))  # fmt: skip
def train(recipe, seed, epochs, on_all=False, rate=1e-3, batch_size=batch_size, targets=None):
    """Train by a recipe, the rate falling to nothing, and return what came of it."""
    keras.utils.set_random_seed(seed)
    rows = np.arange(len(reviews.y_train)) if on_all else to_learn
    y = reviews.y_train.astype("float32") if targets is None else targets
    model, shuffle = network(**recipe), np.random.default_rng(seed)
    steps = epochs * int(np.ceil(len(rows) / batch_size))
    falling = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.02)
    model.compile(keras.optimizers.Adam(falling), "binary_crossentropy")
    model.optimizer.build(model.trainable_variables)  # else TensorFlow traces the first step twice
    result, seconds = {"choose": [], "parameters": model.count_params()}, 0.0
    for _ in range(epochs):
        begun = time.process_time()
        for batch, ids in in_batches(reviews.x_train, rows, batch_size, shuffle):
            model.train_on_batch(ids, y[batch])
        seconds += time.process_time() - begun
        if not on_all:
            result["choose"].append(ask(model, reviews.x_train[to_choose]))
    if on_all:
        result["test"] = ask(model, reviews.x_test)
    return result | {"seconds": seconds, "weights": model.get_weights()}


# %% [markdown]
# (What other `targets` than the labels are for, section 6 says.) Now the question: flatten or pool? The pooled network gets half of the lesson's
# filters, 32 of each size, and no hidden layer: its 96 answers go straight to the verdict. It does not know
# where in a review anything stood, and has a small part of the lesson's parameters. What will it lose?

# %%
pooled_filters = 32  # a size: half of the lesson's
lesson_like = {"sizes": (3, 4, 5), "filters": pooled_filters}
pooled = [train(lesson_like, seed, pooled_epochs, rate=2e-3) for seed in lesson.steps(seeds)]

# %%
on_held = {
    "flattened": [run["history"]["val_accuracy"][run["epoch"] - 1] for run in flattened],
    "pooled": [accuracy(run["choose"][-1], y_choose) for run in pooled],
}

# %%
pd.DataFrame(
    {
        "parameters": [f"{side_by_side().count_params():,}", f"{pooled[0]['parameters']:,}"],
        "processor seconds": [
            round(np.mean([r["seconds"] for r in q])) for q in (flattened, pooled)
        ],
        "held-out accuracy": [str(summarise(values)) for values in on_held.values()],
    },
    index=list(on_held),
)


# %%
def minus(ones, others):
    """Summarise the differences, seed by seed."""
    return summarise(np.subtract(ones, others))


print(f"pooled minus flattened: {minus(on_held['pooled'], on_held['flattened'])}")

# %% [markdown]
# Set the difference beside its interval, and then beside the price. The flattened network spends
# nearly all of its five million weights on knowing *where* a phrase stood, and a verdict may
# stand anywhere. In our full run it is a point and a half ahead all the same, at twenty times the
# parameters and several times the seconds (in its time the scoring after each epoch is counted
# too). But that is not the price of pooling: this pooled network also has half of the filters, no
# hidden layer, another learning rate, and its last epoch instead of its best one. Section 6 has
# one that pools and is ahead.
#
# ## 3. One size, or several?
#
# The pooled network spends a certain number of weights on its filters. Spend as many on filters
# of size 4 only, the middle one: more filters, all alike. Which will do better, and by how much?


# %%
def filters_for(sizes, budget=pooled_filters * (3 * 2 + 12 * 50)):
    """Return how many filters of each size have as many weights, bias and verdict included."""
    return round(budget / sum(50 * size + 2 for size in sizes))


four = lesson_like | {"sizes": (4,), "filters": filters_for((4,))}

# %%
one_size = [train(four, seed, pooled_epochs, rate=2e-3) for seed in lesson.steps(seeds)]
on_held["size 4 only"] = [accuracy(run["choose"][-1], y_choose) for run in one_size]
print(f"3 × {pooled_filters} filters, {pooled[0]['parameters']:,} parameters; "
      f"{four['filters']} of size 4, {one_size[0]['parameters']:,}")  # fmt: skip

# %%
fig, axes = figure(height=2.6)
bars = {name: summarise(values) for name, values in on_held.items()}
each = pooled_filters
names = (
    "flattened, 3 × 64 of 3, 4, 5",
    f"pooled, 3 × {each} of 3, 4, 5",
    f"pooled, {3 * each} of 4",
)
bars = dict(zip(names, bars.values(), strict=True))

# %%
for height, values in enumerate(on_held.values()):
    axes.plot(values, [height + 0.22] * len(values), "|", color=COLOURS["grey"], markersize=9)
intervals(
    axes,
    {k: (s.mean, s.half_width or 0) for k, s in bars.items()},
    x="accuracy on held-out reviews",
)
axes.set_title(f"Filters of three sizes, or of one ({reviews.source} data; ticks: seeds)")
show(fig, alt="Held-out accuracy: " + "; ".join(f"{k} {s}" for k, s in bars.items()))

# %%
print(f"3, 4 and 5 minus 4 only: {minus(on_held['pooled'], on_held['size 4 only'])}")

# %% [markdown]
# The lower two rows have equal numbers of weights. Is the interval wider than the difference? Then three
# seeds cannot tell several sizes from one. It is often said that several sizes bring the lesson's step from
# .8978 to .9036. But on that step the vectors were set free, two epochs were added, and the network grew to
# nearly three times its size. In our full run the interval contains zero, and it contains the lesson's .0058
# too: so the sizes are not shown to be worth anything, nor shown to be worth nothing.
#
# ## 4. What do they hear?
#
# For each filter of the pooled network, find the held-out reviews in which it answers loudest, and the
# words in its window there. We show, for each size, the filters that lean most to praise and to
# blame: that answer louder in positive than in negative reviews, on average, or the reverse.

# %%
model = network(**lesson_like)
model.set_weights(pooled[0]["weights"])
branches = [layer for layer in model.layers if isinstance(layer, layers.Conv1D)]
listen = keras.Model(model.input, [branch.output for branch in branches])


def window(ids, place, size):
    """Return the ids that a filter of this size saw at a place; fewer at the row's ends."""
    first = place - (size - 1) // 2  # where padding="same" puts it
    return ids[max(first, 0) : first + size]


# %%
some = to_choose[: lesson.pick(quick=250, full=2000)]
heard = [[] for _ in branches]  # for each size: how loud (reviews, filters), and where
for first in range(0, len(some), 250):
    fired = listen.predict_on_batch(reviews.x_train[some[first : first + 250]])
    for parts, answers in zip(heard, fired, strict=True):
        answers = np.asarray(answers, "float32")
        parts.append((answers.max(axis=1), answers.argmax(axis=1)))

# %%
y_some, phrases = reviews.y_train[some], []
for size, parts in zip(lesson_like["sizes"], heard, strict=True):
    loud, where = (np.concatenate(part) for part in zip(*parts, strict=True))
    leaning = loud[y_some == 1].mean(axis=0) - loud[y_some == 0].mean(axis=0)
    for f in np.argsort(leaning)[[-1, -2, 1, 0]]:
        windows = {}
        for r in np.argsort(-loud[:, f])[:12]:
            ids = window(reviews.x_train[some[r]], where[r, f], size)
            windows.setdefault(reviews.decode(ids), None)
        side = "praise" if leaning[f] > 0 else "blame"
        phrases.append((size, side, " | ".join(list(windows)[:3])))

# %%
pd.DataFrame(phrases, columns=["size", "leans to", "answers loudest to"]).style.hide()

# %% [markdown]
# Many are phrases that one would underline, and variants of one another, for words with like vectors make like
# answers; remember that these are the loudest windows of the filters that lean most. (One with fewer words
# than its size stood at the end of a row.) But a filter of five words need not use all five. At the windows
# where a filter answers loudest, each of its words adds a share to the answer (its weights times the word's
# vector). Sort the shares within a window, largest first: how many words carry the answer?

# %%
vectors = model.get_layer(index=1).get_weights()[0]
carried = {}

# %%
for branch, size, parts in zip(branches, lesson_like["sizes"], heard, strict=True):
    loud, where = (np.concatenate(part) for part in zip(*parts, strict=True))
    kernel, shares = branch.get_weights()[0], []
    for f in range(kernel.shape[2]):
        for r in np.argsort(-loud[:, f])[:20]:
            ids = window(reviews.x_train[some[r]], where[r, f], size)
            if len(ids) == size and loud[r, f] > 0:
                adds = (vectors[ids] * kernel[:, :, f]).sum(axis=1)
                shares.append(np.sort(adds)[::-1] / adds.sum())
    carried[f"{size} words"] = np.median(shares, axis=0)

# %%
fig, axes = figure()
for (name, shares), colour in zip(carried.items(), ("blue", "orange", "green"), strict=True):
    axes.plot(range(1, len(shares) + 1), 100 * shares, "o-", color=COLOURS[colour], label=name)
axes.set(title="What each word of a window adds to a loud answer", xticks=range(1, 6))
axes.set(xlabel="rank of the word by its share", ylabel="share of the answer, % (median)")
axes.axhline(0, color=COLOURS["grey"], linestyle="-", linewidth=1)
axes.legend(title="filters of")
said = "; ".join(f"{k}: {', '.join(f'{s:.0%}' for s in v)}" for k, v in carried.items())
show(fig, alt=f"Median share of a filter's answer by word, largest first, for each size: {said}.")

# %% [markdown]
# The two words that add most carry nearly all of a loud answer, in filters of every size. That may be why we
# could not see a difference between the sizes. (A share below zero: a word that speaks against the answer.)
#
# ## 5. What counting can do
#
# The lesson stops here, with .9036 against a published .883 (Maas and others, 2011). Notebook 11 had three linear
# models that count words, pairs and triples, on the same 5,000 words and 500 tokens. Here they are
# once more: the penalty is chosen on the held-out reviews, and for the test column they then learn
# from all 25,000, 5,000 more than the lesson's network had. The held-out column is the fair one.


# %%
@lesson.remember(depends=(fit_linear, TextModel, NaiveBayesLogisticRegression, LINEAR, as_text,
                          repr(reviews), to_learn, to_choose))  # fmt: skip
def linear(name):
    """Choose a linear model's penalty, then train it on all; return it and what it says."""
    x, y = reviews.x_train, reviews.y_train
    begun = time.process_time()
    model = fit_linear(name, (x[to_learn], y[to_learn]), (x[to_choose], y[to_choose]))
    p_choose, chosen = model.probabilities(x[to_choose]), time.process_time()
    vectorizer, classifier = clone(model.vectorizer), clone(model.classifier)
    classifier.fit(vectorizer.fit_transform(as_text(x)), y)
    seconds = time.process_time() - chosen
    p_test = classifier.predict_proba(vectorizer.transform(as_text(reviews.x_test)))[:, 1]
    return {"C": classifier.C, "choose": p_choose, "test": p_test, "seconds": seconds,
            "choosing": chosen - begun}  # fmt: skip


# %%
counting = {name: linear(name) for name in lesson.steps(LINEAR)}
for name, run in counting.items():
    held = accuracy(run["choose"], y_choose)
    print(
        f"{name:>20}: C = {run['C']:<4} held-out {held:.4f}, test {accuracy(run['test'], y_test):.4f}"
    )
held = summarise(on_held["flattened"])
print(f"{'the lesson network':>20}: {'':8} held-out {held.mean:.4f}, test {score.mean:.4f}")

# %% [markdown]
# In our full run both models that count pairs are ahead of the lesson's network as we trained it, on the held-out
# reviews by a point and by more than two. Beside the .9036 on record the pairs are level and the triples a
# point up. The triples are from 2012 (Wang and Manning, who had .9122 on all words); they have no idea that
# *superb* and *splendid* are alike, and train in a minute. A new architecture has to be shown beside them, or
# it shows nothing.
#
# ## 6. Can a convolution catch up?
#
# We tried many changes; here is where we ended, and two more that did not earn a place. The aim was .905 on
# the test reviews. The rule: seed 0, trained on 20,000, compared on the 5,000 held-out reviews; the test
# reviews are not touched. What would you change first: the network, the words it starts from, or the
# way it is trained?

# %%
best = {"sizes": (2, 3, 4, 5), "filters": best_filters, "pools": ("max", "mean"),
        "second": best_second, "forget": 0.3, "blur": 0, "dropout": 0.5}  # fmt: skip

# %% [markdown]
# *The recipe* has four sizes, two to five. It reports for each filter the loudest answer and also the
# **mean** one: not only "was there a superlative" but "how much of that". It has two tables: GloVe's
# vectors, trained on, and beside them fifty numbers a word that begin at random (Kim, 2014, had two
# as well, the second a frozen copy). It forgets three words in ten (notebook 13), and learns at 0.002.
# Earlier trials on the same held-out reviews, not repeated here, led to it: the second table and the
# doubled learning rate each helped, and averaging the weights of the last three epochs did not.
#
# *Labels softened* is a stranger idea. Some labels are odd: a review that recommends, filed as negative.
# Let the trigram model judge each training review *after learning from the others only*, and take the
# mean of label and judgement as the target.


# %%
@lesson.remember(depends=(NaiveBayesLogisticRegression, as_text, repr(reviews)))
def unseen(rows, penalty, folds=5):
    """Return what the trigram model says of each of these rows, having learned from the others."""
    texts, y = np.array(as_text(reviews.x_train[rows]), dtype=object), reviews.y_train[rows]
    said = np.empty(len(rows), "float32")
    for learn, rest in StratifiedKFold(folds, shuffle=True, random_state=0).split(texts, y):
        cut = {"token_pattern": r"\S+", "min_df": 2, "ngram_range": (1, 3)}
        vectorizer = CountVectorizer(binary=True, **cut)
        classifier = NaiveBayesLogisticRegression(C=penalty, max_iter=500)
        classifier.fit(vectorizer.fit_transform(texts[learn]), y[learn])
        said[rest] = classifier.predict_proba(vectorizer.transform(texts[rest]))[:, 1]
    return said


# %%
def softened(rows, trust=0.5):
    """Return all labels, those of the rows mixed with what the trigrams say of them unseen."""
    y = reviews.y_train.astype("float32")
    y[rows] = (1 - trust) * y[rows] + trust * unseen(rows, penalty=1.0, folds=folds)
    return y


# %%
def paired(p, q, labels):
    """Return the difference in accuracy on the same reviews, and half its 95 % interval."""
    apart = ((p > 0.5) == labels).astype(float) - ((q > 0.5) == labels)
    return apart.mean(), 1.96 * apart.std() / np.sqrt(len(labels))


# %%
tried = {
    "the recipe": (best, {}),
    "labels softened by the trigrams": (best, {"targets": softened(to_learn)}),
    "half of the words forgotten": (best | {"forget": 0.5}, {}),
}
tried = dict(list(tried.items())[: lesson.pick(quick=2, full=None)])

# %%
held_p = {}
for name, (recipe, options) in lesson.steps(tried.items()):
    run = train(recipe, seeds[0], best_epochs, rate=2e-3, **options)
    held_p[name] = run["choose"][-1]

# %%
plain, chosen = held_p["the recipe"], held_p["labels softened by the trigrams"]
apart = {name: paired(p, plain, y_choose) for name, p in held_p.items() if p is not plain}
for name, p in held_p.items():
    difference = "" if p is plain else ", {:+.4f} ± {:.4f}".format(*apart[name])
    print(f"{name:>31}: {accuracy(p, y_choose):.4f}{difference}")
print(
    f"{'naive Bayes, triples':>31}: {accuracy(counting['naive Bayes, triples']['choose'], y_choose):.4f}"
)

# %% [markdown]
# In our full run softened labels come out a little higher and forgetting half of the words lower, both by less
# than their intervals, and another seed moves a network by two or three thousandths as well. The trigrams are
# still ahead of all.
#
# Now to the test reviews, after training on all 25,000, three seeds. In truth we went there three times. We
# first left the labels alone, for a gain below its interval is no gain shown, and to save time trained a smaller
# edition; then the full one; and then, with the aim just missed, the one that had stood highest on the held-out
# reviews from the beginning. A rule fixed beforehand would have sent it at once. All three are told:

# %%
small = best | {"filters": small_filters}
editions = {
    "labels softened": (best, best_epochs, {"targets": softened(everything)}),
    "labels as they are": (best, best_epochs, {}),
    "labels as they are, smaller": (small, small_epochs, {}),
}
editions = dict(list(editions.items())[: lesson.pick(quick=2, full=None)])

# %%
trained = {name: [train(recipe, seed, epochs, on_all=True, rate=2e-3, **options) for seed in seeds]
           for name, (recipe, epochs, options) in lesson.steps(editions.items())}  # fmt: skip
for name, runs in trained.items():
    print(f"{name:>27}: test {score_of(runs)}")
final = trained["labels softened"]

# %%
earlier, best_score = list(trained)[1:], score_of(final)
lesson.claim(
    "multisize.best",
    best_score.mean,
    sd=best_score.sd,
    note=f"one network, sizes 2 to 5, {best_filters} filters each, {best_epochs} epochs, the highest on "
    f"{held_out:,} held-out training reviews, then trained on all {len(everything):,}; {best_score}; "
    f"scored on test before it: {'; '.join(f'{k} {score_of(trained[k])}' for k in earlier)}",
    data=reviews,
    seeds=len(seeds),
)

# %%
over = minus(*([accuracy(run["test"], y_test) for run in runs] for runs in (final, flattened)))
print(f"minus the lesson's network: {over}")

# %% [markdown]
# In our full run the labels as they are miss the aim by a thousandth, and so does the smaller edition: the filters
# were not what was lacking. Softened labels pass it, by three thousandths.
# That is more than the held-out reviews had promised; it is what the triples taught the network (the idea is
# known as distillation: Hinton, Vinyals and Dean, 2015). Beside the lesson's network as we trained that, it is a
# point and a half ahead, with an eighth of the parameters and 5,000 more reviews; which of its changes did it, we
# did not part. It is ahead of the .9036 on record, level with the pairs or a little ahead, and still half a
# point below the triples. All our networks start with GloVe; the triples start with nothing.
#
# ## 7. Two readers
#
# The network reads phrases softly: what it learned of *superb* it applies to *splendid*. The trigrams
# remember exactly, and hundreds of thousands of them. Do they fail on the same reviews? (The network here has
# learned from the labels as they are.)

# %%
triples = counting["naive Bayes, triples"]

# %%
right = {"network": (plain > 0.5) == y_choose, "trigrams": (triples["choose"] > 0.5) == y_choose}
wrong = {name: 1 - r.mean() for name, r in right.items()}
print(f"both wrong if they failed independently: {wrong['network'] * wrong['trigrams']:.3f}")
pd.crosstab(
    *(pd.Series(np.where(r, "right", "wrong"), name=name) for name, r in right.items()),
    normalize=True,
).round(3)

# %% [markdown]
# They are far from independent: some reviews mislead both. But where exactly one is right, a referee could
# win. The simplest adds their **log-odds**, log(p / (1 - p)): two witnesses whose evidence is independent
# add up so, and who is surer speaks louder. How much weight the trigrams should have is chosen on the
# held-out reviews, and which network to take as well: the better one alone, which has looked over the
# trigrams' shoulder, or the more independent one? Where will the best mixture lie?


# %%
def log_odds(p):
    """Return log(p / (1 - p)), with probabilities kept off 0 and 1."""
    p = np.clip(np.asarray(p, float), 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


# %%
def mix(networks, counts, weight):
    """Return the probabilities of the mixture: networks' mean log-odds, plus weighted counts'."""
    together = np.mean([log_odds(p) for p in networks], axis=0) + weight * log_odds(counts)
    return 1 / (1 + np.exp(-together))


# %%
weights = np.array([0, 0.25, 0.5, 0.75, 1, 1.5, 2, 4, 8])
asked = {"labels as they are": plain, "labels softened": chosen}
curves = {name: [accuracy(mix([p], triples["choose"], w), y_choose) for w in weights]
          for name, p in asked.items()}  # fmt: skip

# %%
partner = max(curves, key=lambda name: max(curves[name]))
weight = weights[int(np.argmax(curves[partner]))]
print(f"the best on held-out reviews: the network with {partner}, the trigrams' weight {weight:g}")

# %%
differ = right["network"] != right["trigrams"]
network_surer = np.abs(log_odds(plain)) > np.abs(log_odds(triples["choose"]))
surer = np.where(network_surer, right["network"], right["trigrams"])[differ].mean()
print(f"where the two differ, the surer is right in {surer:.0%} of the cases")

# %%
fig, axes = figure()
for (name, curve), colour in zip(curves.items(), ("blue", "green"), strict=True):
    axes.plot(range(len(weights)), curve, "o-", color=COLOURS[colour], label=f"network: {name}")
axes.legend(loc="lower right")
axes.axhline(accuracy(triples["choose"], y_choose), color=COLOURS["orange"], linestyle="--")
axes.annotate("trigrams alone", (len(weights) - 1, accuracy(triples["choose"], y_choose)), (0, -6),
              textcoords="offset points", va="top", ha="right", color=COLOURS["orange"])  # fmt: skip
axes.set_xticks(range(len(weights)), [f"{w:g}" for w in weights])
axes.set(title=f"Two readers together ({reviews.source} data)", ylabel="held-out accuracy")
axes.set(xlabel="weight of the trigrams' log-odds, not to scale (the network's is 1)")
said = "; ".join(f"{name} {np.round(curve, 4).tolist()}" for name, curve in curves.items())
show(fig, alt="Held-out accuracy against the trigrams' weight, which is 0 for the network alone, "
     f"for {said}.")  # fmt: skip

# %%
voters = trained[partner]
together = mix([run["test"] for run in voters], triples["test"], weight)
gain, half = paired(together, triples["test"], y_test)

# %%
each = summarise([accuracy(mix([r["test"]], triples["test"], weight), y_test) for r in voters])
lesson.claim(
    "sentiment.best",
    accuracy(together, y_test),
    note=f"log-odds of {len(voters)} networks ({partner}; mean) plus {weight:g} times those of naive Bayes on triples, "
    f"weight chosen on held-out reviews; {gain:+.4f} ± {half:.4f} over the latter alone, paired "
    f"over reviews; with one network {each}",
    data=reviews,
    seeds=len(seeds),
)

# %%
print(f"minus the trigrams alone: {gain:+.4f} ± {half:.4f}; with one network instead: {each}")

# %% [markdown]
# Softening makes the network better alone and worse in company: what it has from the trigrams it cannot tell
# them. So, in our full run, the labels as they are go into the mixture, though the network that learned from them lost the
# contest of section 6. (The weight was chosen with one network that had learned from 20,000 reviews; here are
# three that learned from all. Around the best weight the curve is flat.) The sum is ahead of the trigrams, in our
# full run by more than the interval, and it is the best figure in these notebooks. Nothing in it is clever.
# Each reader is wrong on some reviews where the other is right, and the surer of the two is more often right
# than not.
#
# ## 8. What it costs
#
# All models of this notebook: the test accuracy, and the processor time it took to train them once with
# settings already chosen (what the trigrams took to soften the best network's labels, a few minutes, is not
# counted). Which would you take into a product?

# %%
cost = {name: (accuracy(run["test"], y_test), run["seconds"]) for name, run in counting.items()}
named = {"the lesson's network": flattened, "best network": final}
for name, runs in named.items():
    cost[name] = score_of(runs).mean, np.mean([run["seconds"] for run in runs])

# %%
seconds = sum(run["seconds"] for run in voters) + triples["seconds"]
cost["all together"] = accuracy(together, y_test), seconds

# %%
costs = pd.DataFrame(cost, index=["test accuracy", "processor seconds"]).T
costs.sort_values("test accuracy").round({"test accuracy": 4, "processor seconds": 1})

# %%
fig, axes = figure(width=9, height=4.4)
kinds = ["counting" if name in counting else "network" for name in costs.index[:-1]] + ["both"]
for kind, colour in (("counting", "orange"), ("network", "blue"), ("both", "green")):
    of_kind = costs[np.array(kinds) == kind]
    axes.semilogx(of_kind["processor seconds"], of_kind["test accuracy"], "o",
                  color=COLOURS[colour], label=kind)  # fmt: skip
axes.set(title=f"Accuracy and what it costs ({reviews.source} data)", ylabel="test accuracy")
axes.set(xlabel="processor seconds to train once")
axes.margins(x=0.2, y=0.12)
axes.legend(loc="lower right")
labels(axes, costs[["processor seconds", "test accuracy"]].to_numpy(), list(costs.index))
said = "; ".join(f"{name} {a:.3f}, {s:,.0f} s" for name, (a, s) in cost.items())
show(fig, alt=f"Test accuracy against processor seconds, counting models and networks: {said}.")

# %% [markdown]
# What should the lesson have said? That a network which pools needs a small part of the parameters, and that
# the best one here does so. That several sizes are a fair default, and that nobody has shown its gain to come
# from them: three other things changed on the same step. That .883 was the wrong record to beat, for models
# that count pairs are past .90 on the same words. And that the two kinds of model should not compete, but vote.
#
# ## Make it your own
#
# **Your texts and labels**: make ids as in notebook 11, and put yours in the places of `reviews`, `to_learn`
# and `to_choose`. Begin with the trigram model, and keep its figure in sight. **The network you have**
# explains itself a little: for a new text, ask where each size answered loudest. (That is not yet why it
# decided as it did: the filters have different weights in the verdict.)

# %%
reader = network(**best)
reader.set_weights(final[0]["weights"])
branches = [layer for layer in reader.layers if isinstance(layer, layers.Conv1D)]
listen = keras.Model(reader.input, [branch.output for branch in branches])

# %%
text = "The plot is thin and the end is silly, but the acting is superb: a film worth every minute."
_, ids = next(in_batches(reviews.encode(text)[None], np.array([0]), 1))
print(f"p(positive) = {ask(reader, ids)[0]:.2f}")

# %%
for branch, answers in zip(branches, listen.predict_on_batch(ids), strict=True):
    size, answers = branch.kernel_size[0], np.asarray(answers, "float32")[0]
    loudest = window(ids[0], int(answers.max(axis=1).argmax()), size)
    print(f"size {size}, loudest at: {reviews.decode(loudest)}")

# %% [markdown]
# **On Kaggle**, a mixture by log-odds is the cheapest step up the leaderboard that there is: keep the
# held-out predictions of every model you ever train, in a folder, by name, and try sums of them.
#
# ## Exercises
#
# **1.** Shuffle the words of 2,000 test reviews and ask the best network again. How much does it lose? What
# would the bag of words lose?
#
# <details><summary>Answer</summary>
#
# The bag of words loses nothing, for it never knew the order. The network was trained on phrases, and
# misses them; but look how much it still knows: most of the verdict is in the words.
#
# </details>

# %%
shuffle = np.random.default_rng(0)
few = shuffle.permutation(len(y_test))[:2000]
mixed = reviews.x_test[few].copy()
for row in mixed:
    row[row > 0] = shuffle.permutation(row[row > 0])

# %%
ordered = accuracy(ask(reader, reviews.x_test[few]), y_test[few])
print(
    f"best network, in order {ordered:.4f}, shuffled {accuracy(ask(reader, mixed), y_test[few]):.4f}"
)

# %% [markdown]
# **2.** How much of the mixture is due to having several networks? Average the log-odds of the best network's
# seeds, without the trigrams. (With one seed, at quick scale, there is nothing to average.)
#
# <details><summary>Answer</summary>
#
# Little. Networks that differ only by their seed make partly different mistakes; averaging them is worth some
# thousandths, for three times the computing. One reader of another kind brings more than two further seeds.
#
# </details>

# %%
alone = mix([run["test"] for run in voters], np.full(len(y_test), 0.5), 0)
print(f"one network {score_of(voters).mean:.4f}, {len(voters)} averaged {accuracy(alone, y_test):.4f}, "
      f"one with trigrams {each.mean:.4f}, all with trigrams {accuracy(together, y_test):.4f}")  # fmt: skip

# %% [markdown]
# **3.** When the network says .95, is it right in 95 of 100 cases? Compare the stated with the true share,
# for the network, the trigrams and the mixture.
#
# <details><summary>Answer</summary>
#
# Adding the log-odds of two witnesses assumes that they know different things. They read the same
# review, so the sum is surer of itself than it may be; for the accuracy that does not matter, for a decision
# that weighs costs it does. One factor for all log-odds mends most of it. Fit it on held-out reviews, not, as
# here to show its size, on the test reviews.
#
# </details>

# %%
told = {"network": voters[0]["test"], "trigrams": triples["test"], "mixture": together}

# %%
edges, cells = [0.5, 0.7, 0.9, 0.99, 1.0], {}
for name, p in told.items():
    sure = np.maximum(p, 1 - p)  # of the answer given
    bins = pd.cut(sure, edges, include_lowest=True, labels=["to .7", "to .9", "to .99", "above"])
    found = pd.DataFrame({"says": sure, "is right": ((p > 0.5) == y_test).astype(float)})
    cells[name] = found.groupby(bins, observed=True).mean().stack()
pd.DataFrame(cells).unstack().T.round(3)

# %%
signs = 2 * y_test - 1
scales = np.linspace(0.3, 1.5, 25)
for name, p in told.items():
    losses = [np.log1p(np.exp(-signs * scale * log_odds(p))).mean() for scale in scales]
    print(f"{name}: log-odds fit best times {scales[int(np.argmin(losses))]:.2f}")

# %% [markdown]
# ## What you learned
#
# * Branches are layers called on the same tensor; what is flattened must have one length, what is pooled need
#   not, and half of the work was padding.
# * Compare architectures at equal parameters, over seeds. Three seeds show a difference of a point, not one of
#   a thousandth.
# * Put the strongest simple model into the same table before you call anything a record.
# * Models of different kinds make different mistakes. Add their log-odds.
#
# Next: **15 RNN from graphs**, networks that carry a state from word to word.
