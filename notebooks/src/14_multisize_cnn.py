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
# * what several sizes are worth at equal numbers of parameters, and what pooling over the whole
#   review is worth;
# * which phrases the filters of each size have learned to hear;
# * how to improve a network step by step without fooling yourself;
# * why two readers of different kinds, asked together, beat the better one.
#
# | scale | time on two processor cores | memory |
# |---|---|---|
# | quick | about a minute | 1.4 GB |
# | full | about an hour | 2.5 GB |
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
rows = lesson.pick(quick=2100, full=None)  # reviews of each half at most; None: all
held_out = lesson.pick(quick=500, full=5000)  # training reviews that everything is chosen on
length = lesson.pick(quick=120, full=500)  # words kept of each; the lesson's 500
columns = lesson.pick(quick=120, full=25)  # a batch's longest review is filled up to a multiple
batch_size = lesson.pick(quick=32, full=64)  # the lesson's 64
seeds = lesson.pick(quick=[0], full=[0, 1, 2])
flattened_epochs = lesson.pick(quick=3, full=4)  # the lesson's: 2, and 2 more
pooled_epochs = lesson.pick(quick=4, full=4)
tried_filters, tried_epochs = lesson.pick(quick=(16, 4), full=(100, 6))  # to choose the recipe
final_filters, final_epochs = lesson.pick(quick=(16, 4), full=(64, 5))  # to train it on all
precision = lesson.pick(quick="float32", full="mixed_bfloat16")  # see above

# %%
import json
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
from utils.linear_text import LINEAR, as_text, fit_linear
from utils.naive_bayes import NaiveBayesLogisticRegression
from utils.plots import COLOURS, figure, intervals, labels, show
from utils.switches import PROJECT

# %% [markdown]
# ## 1. Side by side
#
# A filter of size 3 sees three words at a time and answers with one number, as in notebook 11. Here is
# what filters of three sizes see of one sentence, each at the place where it might answer loudest.
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
    said = f"{size} words: " + " ".join(sentence[first : first + size])
    axes.text(ends[0], height * 0.5 + 0.1, said, color=COLOURS[colour], va="bottom", fontsize=9)
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
# > between -0.05 and 0.05; today's `Conv1D` begins with a spread two and a half times as wide. Through 48,000
# > inputs and a dropout of .7 that is much: begun today's way, this network stood still through nearly its whole
# > first epoch in our trials. `kernel_initializer="random_uniform"` begins it as then.
#
# Four epochs, then, as in the lesson; the held-out reviews choose among them.


# %%
@lesson.remember(
    depends=(side_by_side, fit_and_score, repr(reviews), table, to_learn, to_choose, precision)
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
    note=f"trained on 20,000 reviews, epoch chosen on 5,000 others, test scored once; {score}",
    data=reviews,
    seeds=len(seeds),
)

# %% [markdown]
# The lesson's .9036 is the better of four looks at the test reviews, from one seed, after
# learning from 25,000 reviews. Ours learned from 20,000, and the test reviews saw each network
# once. Subtract all that before you compare. In our full run a point is missing all the same;
# learning from all reviews might bring some of it. What no accounting explains comes in section
# 5.
#
# ## 2. Half of the work is padding
#
# A review has some 230 words, but every row has 500 columns; the rest is filled up with zeros, and
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
    for rows, part in in_batches(ids, np.arange(len(ids)), 250):
        p[rows] = ops.convert_to_numpy(model.predict_on_batch(part))[:, 0]
    return p


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
@lesson.remember(depends=(network, in_batches, ask, repr(reviews), table, to_learn, to_choose,
                          precision, columns))  # fmt: skip
def train(
    recipe, seed, epochs, on_all=False, rate=1e-3, batch_size=batch_size, trust=0.0, penalty=1.0
):
    """Train by a recipe, the rate falling to nothing, and return what came of it."""
    keras.utils.set_random_seed(seed)
    rows, y = (everything if on_all else to_learn), reviews.y_train.astype("float32")
    if trust:  # labels, softened by what the trigram model thinks of reviews it was not shown
        y[rows] = (1 - trust) * y[rows] + trust * unseen(rows, penalty)
    model, shuffle = network(**recipe), np.random.default_rng(seed)
    steps = epochs * int(np.ceil(len(rows) / batch_size))
    falling = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.02)
    model.compile(keras.optimizers.Adam(falling), "binary_crossentropy")
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
# (`unseen` is for section 6.) Now the question: flatten or pool? The pooled network gets half of the lesson's
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
# stand anywhere: in notebook 11 pooling cost one size of filters nothing. Here, in our full run,
# it costs a point and a half, at a twentieth of the parameters and a fifth of the time. How much
# of that is due to pooling, and how much to half of the filters and no hidden layer, this does
# not part; section 6 has a network that pools and is ahead.
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
bars = {"sizes 3, 4, 5 " + k if k[0] != "s" else "size 4 only, pooled": s for k, s in bars.items()}

# %%
for height, values in enumerate(on_held.values()):
    axes.plot(values, [height + 0.22] * len(values), "|", color=COLOURS["grey"], markersize=9)
intervals(
    axes,
    {k: (s.mean, s.half_width or 0) for k, s in bars.items()},
    x="accuracy on held-out reviews",
)
axes.set_title(f"Flattened or pooled, several sizes or one ({reviews.source} data; ticks: seeds)")
show(fig, alt="Held-out accuracy: " + "; ".join(f"{k} {s}" for k, s in bars.items()))

# %%
print(f"3, 4 and 5 minus 4 only: {minus(on_held['pooled'], on_held['size 4 only'])}")

# %% [markdown]
# Is the interval wider than the difference? Then three seeds cannot tell several sizes from one. It is often
# said that several sizes bring the lesson's step from .8978 to .9036. But on that step the vectors were
# set free, two epochs were added, and the network grew to nearly three times its size. At equal numbers of
# weights, the sizes alone are worth what is printed above.
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
            first = where[r, f] - (size - 1) // 2
            ids = reviews.x_train[some[r]][max(first, 0) : first + size]
            windows.setdefault(reviews.decode(ids), None)
        side = "praise" if leaning[f] > 0 else "blame"
        phrases.append((size, side, " | ".join(list(windows)[:3])))

# %%
pd.DataFrame(phrases, columns=["size", "leans to", "answers loudest to"]).style.hide()

# %% [markdown]
# These are phrases that one would underline, and variants of one another, for words with like vectors make like
# answers. But a filter of five words need not use all five. At the windows where a filter
# answers loudest, each of its words adds a share to the answer (its weights times the word's vector).
# Sort the shares within a window, largest first: how many words carry the answer?

# %%
vectors = model.get_layer(index=1).get_weights()[0]
carried = {}

# %%
for branch, size, parts in zip(branches, lesson_like["sizes"], heard, strict=True):
    loud, where = (np.concatenate(part) for part in zip(*parts, strict=True))
    kernel, shares = branch.get_weights()[0], []
    for f in range(kernel.shape[2]):
        for r in np.argsort(-loud[:, f])[:20]:
            first = where[r, f] - (size - 1) // 2
            ids = reviews.x_train[some[r]][max(first, 0) : first + size]
            if len(ids) == size and loud[r, f] > 0:
                adds = (vectors[ids] * kernel[:, :, f]).sum(axis=1)
                shares.append(np.sort(adds)[::-1] / adds.sum())
    carried[f"{size} words"] = np.median(shares, axis=0)

# %%
fig, axes = figure()
for (name, shares), colour in zip(carried.items(), ("blue", "orange", "green"), strict=True):
    axes.plot(range(1, len(shares) + 1), 100 * shares, "o-", color=COLOURS[colour], label=name)
axes.set(title="What each word of a window adds to a loud answer", xticks=range(1, 6))
axes.set(
    xlabel="words of the window, the one that adds most first", ylabel="share of the answer, %"
)
axes.legend(title="filters of")
said = "; ".join(f"{k}: {', '.join(f'{s:.0%}' for s in v)}" for k, v in carried.items())
show(fig, alt=f"Median share of a filter's answer by word, largest first, for each size: {said}.")

# %% [markdown]
# The first word or two carry much of the answer in filters of every size. A long filter is, in good part, a short
# one with room around it, and that is why the sizes differ so little.
#
# ## 5. What counting can do
#
# The lesson stops here, with .9036 against a published .883. Notebook 11 had three linear models that
# count words, pairs and triples, on the same 5,000 words and 500 tokens. Here they are once more, by
# the same rule as the networks: the penalty chosen on the held-out reviews, then trained on all.


# %%
@lesson.remember(depends=(fit_linear, LINEAR, as_text, repr(reviews), to_learn, to_choose))
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
        f"{name:>20}: C = {run['C']:<4}, held-out {held:.4f}, test {accuracy(run['test'], y_test):.4f}"
    )
print(f"{'the lesson network':>20}: test {score}")

# %% [markdown]
# In our full run both models that count pairs are ahead of the lesson's network, of ours and of the .9036
# on record, and the triples by a point. They are from 2012, have no idea that *superb* and *splendid* are
# alike, and train in a minute. A new architecture has to be shown beside them, or it shows nothing.
#
# ## 6. Can a convolution catch up?
#
# We tried, one change at a time. The rule: seed 0, trained on 20,000, compared on the 5,000 held-out
# reviews; the test reviews are not touched. What would you change first: the network, the words it
# starts from, or the way it is trained?

# %%
best = {"sizes": (2, 3, 4, 5), "filters": tried_filters, "pools": ("max", "mean"), "second": 50,
        "forget": 0.3, "blur": 0, "dropout": 0.5}  # fmt: skip
tried = {
    "the recipe": (best, {}),
    "half of the words forgotten": (best | {"forget": 0.5}, {}),
    "labels softened by the trigrams": (best, {"trust": 0.5}),
}
tried = dict(list(tried.items())[: lesson.pick(quick=1, full=None)])

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
def paired(p, q, labels):
    """Return the difference in accuracy on the same reviews, and half its 95 % interval."""
    apart = ((p > 0.5) == labels).astype(float) - ((q > 0.5) == labels)
    return apart.mean(), 1.96 * apart.std() / np.sqrt(len(labels))


# %%
held_p = {}
for name, (recipe, options) in lesson.steps(tried.items()):
    run = train(recipe, seeds[0], tried_epochs, rate=2e-3, **options)
    held_p[name] = run["choose"][-1]

# %%
chosen = held_p["the recipe"]
apart = {name: paired(p, chosen, y_choose) for name, p in held_p.items() if p is not chosen}
for name, p in held_p.items():
    difference = "" if p is chosen else ", {:+.4f} ± {:.4f}".format(*apart[name])
    print(f"{name:>31}: {accuracy(p, y_choose):.4f}{difference}")
print(
    f"{'naive Bayes, triples':>31}: {accuracy(counting['naive Bayes, triples']['choose'], y_choose):.4f}"
)

# %% [markdown]
# In our full run forgetting half of the words is too much, by a difference as wide as its interval. Softened
# labels come out a little ahead, but by less than the interval, and another seed moves a network by two or
# three thousandths as well. So we leave the labels alone: one idea less to explain. And even so the
# trigrams are still ahead on these reviews.
#
# Now the recipe on all 25,000 training reviews, three seeds, the test reviews once. To save time it gets
# fewer filters and one epoch less than in the trials.

# %%
small = best | {"filters": final_filters}
final = [train(small, seed, final_epochs, on_all=True, rate=2e-3) for seed in lesson.steps(seeds)]

# %%
best_score = score_of(final)
lesson.claim(
    "multisize.best",
    best_score.mean,
    sd=best_score.sd,
    note=f"one network, sizes 2 to 5, {final_filters} filters each; recipe chosen on 5,000 "
    f"held-out training reviews, then trained on all 25,000, test scored once; {best_score}",
    data=reviews,
    seeds=len(seeds),
)

# %%
over = minus(*([accuracy(run["test"], y_test) for run in runs] for runs in (final, flattened)))
print(f"minus the lesson's network: {over}")

# %% [markdown]
# In our full run it is ahead of the lesson's network as we trained that, with a ninth of the parameters: by
# looking at four sizes, at how much as well as whether, by a faster start and a slower finish. It
# misses the .905 that we had aimed at by less than a thousandth, is level with the .9036 on record and with the
# pairs, and stays a point below the triples. All our networks start with GloVe; the triples start with nothing.
#
# ## 7. Two readers
#
# The network reads phrases softly: what it learned of *superb* it applies to *splendid*. The trigrams
# remember exactly, and hundreds of thousands of them. Do they fail on the same reviews?

# %%
triples = counting["naive Bayes, triples"]

# %%
right = {"network": (chosen > 0.5) == y_choose, "trigrams": (triples["choose"] > 0.5) == y_choose}
pd.crosstab(
    *(pd.Series(np.where(r, "right", "wrong"), name=name) for name, r in right.items()),
    normalize=True,
).round(3)

# %% [markdown]
# Where they differ, a referee could win. The simplest adds their **log-odds**, log(p / (1 - p)): two
# witnesses whose evidence is independent add up so, and who is surer speaks louder. How much weight the
# trigrams should have is chosen on the held-out reviews. Where will the best mixture lie?


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
curve = [accuracy(mix([chosen], triples["choose"], w), y_choose) for w in weights]

# %%
weight = weights[int(np.argmax(curve))]

# %%
fig, axes = figure()
axes.plot(range(len(weights)), curve, "o-")
axes.axhline(accuracy(triples["choose"], y_choose), color=COLOURS["orange"], linestyle="--")
axes.text(len(weights) - 1, accuracy(triples["choose"], y_choose), "trigrams alone", va="top",
          ha="right", color=COLOURS["orange"])  # fmt: skip
axes.set_xticks(range(len(weights)), [f"{w:g}" for w in weights])
axes.set(title=f"Two readers together ({reviews.source} data)", ylabel="held-out accuracy")
axes.set(xlabel="weight of the trigrams' log-odds (the networks' is 1)")
said = ", ".join(f"{w:g}: {a:.4f}" for w, a in zip(weights, curve, strict=True))
show(fig, alt=f"Held-out accuracy against the trigrams' weight rises and falls again: {said}.")

# %%
together = mix([run["test"] for run in final], triples["test"], weight)
gain, half = paired(together, triples["test"], y_test)

# %%
each = summarise([accuracy(mix([r["test"]], triples["test"], weight), y_test) for r in final])
lesson.claim(
    "sentiment.best",
    accuracy(together, y_test),
    note=f"log-odds of {len(final)} networks (mean) plus {weight:g} times those of naive Bayes on triples, "
    f"weight chosen on held-out reviews; {gain:+.4f} ± {half:.4f} over the latter alone, paired "
    f"over reviews; with one network {each}",
    data=reviews,
    seeds=len(seeds),
)

# %%
print(f"minus the trigrams alone: {gain:+.4f} ± {half:.4f}; with one network instead: {each}")

# %% [markdown]
# The sum is ahead of either, in our full run by more than its interval, and it is the best figure in these
# notebooks. Nothing in it is clever. Each reader is wrong on some reviews where the other is right, as the table
# above counted, and the surer one is more often right.
#
# ## 8. What it costs
#
# All models of this notebook: the test accuracy, and the processor time it took to train them once with
# settings already chosen. Which would you take into a product?

# %%
cost = {name: (accuracy(run["test"], y_test), run["seconds"]) for name, run in counting.items()}
named = {"the lesson's network": flattened, "best network": final}
for name, runs in named.items():
    cost[name] = score_of(runs).mean, np.mean([run["seconds"] for run in runs])

# %%
seconds = sum(run["seconds"] for run in final) + triples["seconds"]
cost["all together"] = accuracy(together, y_test), seconds

# %%
costs = pd.DataFrame(cost, index=["test accuracy", "processor seconds"]).T
costs.sort_values("test accuracy").round({"test accuracy": 4, "processor seconds": 1})

# %%
fig, axes = figure(width=9, height=4.4)
kinds = [name in counting for name in costs.index]
for kind, colour, label in ((True, "orange", "counting"), (False, "blue", "networks")):
    some_costs = costs[np.array(kinds) == kind]
    axes.semilogx(some_costs["processor seconds"], some_costs["test accuracy"], "o",
                  color=COLOURS[colour], label=label)  # fmt: skip
axes.set(title=f"Accuracy and what it costs ({reviews.source} data)", ylabel="test accuracy")
axes.set(xlabel="processor seconds to train once")
axes.margins(x=0.2, y=0.12)
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
labels(axes, costs[["processor seconds", "test accuracy"]].to_numpy(), list(costs.index))
said = "; ".join(f"{name} {a:.3f}, {s:,.0f} s" for name, (a, s) in cost.items())
show(fig, alt=f"Test accuracy against processor seconds, counting models and networks: {said}.")

# %%
for path in sorted((PROJECT / "results").glob("1[136]_*.json")):
    for claim in json.loads(path.read_text(encoding="utf-8")):
        if claim["id"] in ("imdb.hidden", "imdb.convolution", "glove.frozen", "glove.fine-tuned",
                           "lstm.imdb") and claim["measured"]:  # fmt: skip
            print(f"recorded at full scale, {claim['data']}: {claim['id']} {claim['measured']:.4f}")

# %% [markdown]
# What should the lesson have said? That a network which pools needs a small part of the parameters, and that
# the best one here does so. That several sizes are a sound default, but not where its gain came from. That .883 was the
# wrong record to beat, for models that count pairs are past .90 on the same words. And that the two
# kinds of model should not compete, but vote.
#
# ## Make it your own
#
# **Your texts and labels**: make ids as in notebook 11, and hand `train`'s loop your matrix in the place of
# `reviews.x_train`. Begin with the trigram model, and keep its figure in sight. **The network you have**
# explains itself a little: for a new text, ask which windows it heard loudest.

# %%
reader = network(**small)
reader.set_weights(final[0]["weights"])
branches = [layer for layer in reader.layers if isinstance(layer, layers.Conv1D)]
listen = keras.Model(reader.input, [branch.output for branch in branches])

# %%
text = "The plot is thin and the end is silly, but the acting is superb: a film worth every minute."
ids = reviews.encode(text)[-columns:]
print(f"p(positive) = {float(np.asarray(reader.predict_on_batch(ids[None])).ravel()[0]):.2f}")

# %%
for branch, answers in zip(branches, listen.predict_on_batch(ids[None]), strict=True):
    size, answers = branch.kernel_size[0], np.asarray(answers, "float32")[0]
    first = int(answers.max(axis=1).argmax()) - (size - 1) // 2
    print(f"size {size}, loudest at: {reviews.decode(ids[max(first, 0) : first + size])}")

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
reader = network(**small)
reader.set_weights(final[0]["weights"])
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
# Networks that differ only by their seed make partly different mistakes; averaging is worth some
# thousandths, for three times the computing. A reader of another kind brings more.
#
# </details>

# %%
alone = mix([run["test"] for run in final], np.full(len(y_test), 0.5), 0)
print(f"one network {best_score.mean:.4f}, {len(final)} averaged {accuracy(alone, y_test):.4f}, "
      f"with trigrams {accuracy(together, y_test):.4f}")  # fmt: skip

# %% [markdown]
# **3.** When the network says .95, is it right in 95 of 100 cases? Compare the stated with the true share,
# for the network, the trigrams and the mixture.
#
# <details><summary>Answer</summary>
#
# Adding the log-odds of two witnesses assumes that they know different things. They read the same
# review, so the sum is too sure of itself; for the accuracy that does not matter, for a decision that
# weighs costs it does. Halve the log-odds, or fit their scale on held-out reviews.
#
# </details>

# %%
told = {"network": final[0]["test"], "trigrams": triples["test"], "mixture": together}

# %%
rows_of_table = {}
for name, p in told.items():
    sure = np.maximum(p, 1 - p)  # of the answer given
    bins = pd.cut(sure, [0.5, 0.7, 0.9, 0.99, 1.0], include_lowest=True).astype(str)
    correct = pd.Series(((p > 0.5) == y_test).astype(float))
    rows_of_table[name] = correct.groupby(bins).mean()
pd.DataFrame(rows_of_table).rename_axis("says it is right with").T.round(3)

# %% [markdown]
# ## What you learned
#
# * Branches are layers called on the same tensor; what is flattened must have one length, what is pooled need
#   not, and half of the work was padding.
# * Compare architectures at equal parameters, over seeds; most differences one hears of are smaller than
#   their intervals.
# * Put the strongest simple model into the same table before you call anything a record.
# * Models of different kinds make different mistakes. Add their log-odds.
#
# Next: **15 RNN from graphs**, networks that carry a state from word to word.
