# %% [markdown]
# # 06 Collaborative filtering: who will like what?
#
# **Lesson 4**, "Collaborative Filtering", and **lesson 5**, "Collaborative Filtering" (0:10) and
# "Keras Functional API" (0:23).
#
# **What you will learn**
#
# * how to fill the holes of a table of ratings with a few learned numbers per person and film;
# * what an embedding layer is: a look-up, trained like any other layer;
# * what biases, penalties and a neural net each add, beside two honest baselines;
# * which of the lesson's claims hold: about metadata, about the learning rate, about the state of
#   the art;
# * how to go well past the lesson's models, and what each step is worth.
#
# | scale | time on two processor cores | memory |
# |---|---|---|
# | quick | about a minute | 1.2 GB |
# | full | most of an hour on a busy machine | 2.4 GB |
#
# **Data.** MovieLens *ml-latest-small*, about 100,000 ratings, collected by
# [GroupLens](https://grouplens.org/datasets/movielens/) for research use; they ask to cite
# [Harper and Konstan (2015)](https://doi.org/10.1145/2827872). The lesson used the edition of
# October 2016; today's download is a later one. Without a download, a generated stand-in of the
# same shape takes its place.
#
# **Terms.** A *factor* is one learned number of a user or film; the lesson says *latent factor*.
# A *bias* is a user's or film's own offset. MSE is the mean squared error in stars squared, RMSE
# its square root, in stars.

# %%
from utils.session import start  # fails? another `utils` is in the way: see the README

lesson = start("06 Collaborative filtering", data=["movielens"])

# %% [markdown]
# All sizes stand here. Quick scale takes some of the users, one split and few epochs, to show
# that everything works. Full scale takes everything, and scores each model on five splits.

# %%
splits = lesson.pick(quick=[0], full=[0, 1, 2, 3, 4])  # scored, once each
choosing = 100  # the split on which everything is chosen; never scored
people = lesson.pick(quick=100, full=None)  # users; None: all
factors = 50  # numbers per user and film, as in the lesson
dot_batch, fused = lesson.pick(quick=(512, 1), full=(64, 32))  # the lesson's batch is 64
lesson_batch = 512
our_batch, our_rate = lesson.pick(quick=(1024, 0.015), full=(2048, 0.01))
hidings = lesson.pick(quick=2, full=20)  # times that a fifth of the small table is hidden
epochs = {
    "dot product": lesson.pick(quick=4, full=10),
    "bias": lesson.pick(quick=4, full=30),
    "neural net": lesson.pick(quick=3, full=14),
    "ours": lesson.pick(quick=5, full=20),
}
averaged = 2  # models in an average

# %%
import functools

import keras
import numpy as np
import pandas as pd
from keras import layers, ops, regularizers
from scipy import optimize, sparse
from scipy.sparse.linalg import lsqr

from utils.datasets import load_movielens
from utils.evaluation import summarise
from utils.plots import COLOURS, curves, figure, intervals, show
from utils.recommenders import factor_model, unit_rows, who_rated_what
from utils.spreadsheets import position, read_workbook, write_collaborative_filtering
from utils.switches import build_folder

# %% [markdown]
# ## 1. Look at the data
#
# One line is one person's verdict on one film. The loader renumbers users and films from 0 in
# order of appearance, since the ids in the file have gaps and an embedding layer wants none.

# %%
ratings = load_movielens()
user, movie, rating = ratings.user, ratings.movie, ratings.rating
n_users, n_movies = ratings.n_users, ratings.n_movies
print(ratings)
some = np.random.default_rng(1).choice(len(ratings), 5, replace=False)
pd.DataFrame({"user": user[some], "film": ratings.titles[movie[some]], "stars": rating[some]})

# %% [markdown]
# Think of one large table: a row for each user, a column for each film, a rating in each cell.
# How many of its cells do you expect to be filled? And how many ratings does the film in the
# middle of the popularity list have?

# %%
per_movie, per_user = np.bincount(movie), np.bincount(user)
print(f"filled: {len(ratings) / (n_users * n_movies):.1%} of {n_users * n_movies:,} cells")
print(f"ratings of a film: median {np.median(per_movie):.0f}, most {per_movie.max()}")
print(f"ratings by a user: median {np.median(per_user):.0f}, most {per_user.max()}")


# %%
def rank(counts):
    """Return each row's place when the rows are sorted by falling count."""
    places = np.empty(len(counts), int)
    places[np.argsort(-counts, kind="stable")] = np.arange(1, len(counts) + 1)
    return places


# %%
fig, (table, tail) = figure(1, 2, width=10, height=3.8)
table.plot(rank(per_movie)[movie], rank(per_user)[user], ",", color=COLOURS["blue"], alpha=0.4)
table.set(
    title="Who rated what", xlabel="film, the most rated first", ylabel="user, most active first"
)
table.invert_yaxis()
tail.loglog(np.arange(1, n_movies + 1), np.sort(per_movie)[::-1], color=COLOURS["blue"])
tail.yaxis.set_minor_formatter("")
tail.set(title="A few films have many ratings, many have few")
tail.set(xlabel="film, the most rated first", ylabel="ratings of the film")
show(
    fig,
    alt="Left: the table of users and films, a dot for each rating; dense in the corner of active "
    "users and popular films, emptier elsewhere. Right: ratings per film fall steeply with rank.",
)

# %% [markdown]
# ## 2. Two kinds of recommender
#
# A *metadata* recommender looks at what a thing is: genre, year, director. A *collaborative* one
# looks only at who liked what: people who agreed with you so far will probably agree with you
# again. The lesson says that, with enough data, the second kind is much stronger, and that adding
# metadata to it "had no effect". Do you believe that? Write down your guess; section 10 measures
# it.
#
# ## 3. Fifteen people, fifteen films, five numbers each
#
# The lesson begins with a spreadsheet: the 15 users and the 15 films with the most ratings. Here
# is that table, computed from the data.


# %%
def busiest(counts, k=15):
    """Return the numbers of the `k` rows with the highest counts, in rising order."""
    return np.sort(np.argsort(counts, kind="stable")[-k:])


# %%
top_users, top_movies = busiest(per_user), busiest(per_movie)
inside = np.isin(user, top_users) & np.isin(movie, top_movies)
row, column = np.searchsorted(top_users, user[inside]), np.searchsorted(top_movies, movie[inside])
sheet = np.full((15, 15), np.nan)
sheet[row, column] = rating[inside]
known = ~np.isnan(sheet)
print(f"{known.sum()} ratings, {(~known).sum()} blanks, mean {np.nanmean(sheet):.3f}")

# %% [markdown]
# Give every user five numbers and every film five numbers, at random. Predict a rating by
# multiplying them pairwise and adding up: the dot product. With biases, add one number for the
# user and one for the film. That is the whole model; learning means turning the 150, or 180,
# numbers until the predictions fit.


# %%
def sheet_predictions(w):
    """Predict all 225 cells from (30, 5) factors, or (30, 6) with the biases first."""
    users, movies = w[:15], w[15:]
    if w.shape[1] == 5:
        return users @ movies.T
    return users[:, 1:] @ movies[:, 1:].T + users[:, :1] + movies[:, :1].T


# %%
def sheet_rmse(w):
    """Return the root mean squared error over the known cells, as the sheet does."""
    return np.sqrt(np.mean((sheet_predictions(w) - sheet)[known] ** 2))


# %% [markdown]
# Where do the random numbers come from? If the course's own workbook lies beside the real data,
# as csv files, we start from its cells, so that the results can be compared digit by digit.
# Otherwise we draw our own, between 0 and 1 as the sheet does.

# %%
cells = ratings.folder.parent / "course-goldens" / "collab-bias.csv"
if cells.exists() and ratings.edition == "2016-10":
    values = pd.read_csv(cells, header=None).to_numpy()
    start_bias = np.vstack([values[25:40, 0:6], values[18:24, 7:22].T]).astype(float)
    values = pd.read_csv(cells.with_name("collab-dotprod.csv"), header=None).to_numpy()
    start_dot = np.vstack([values[24:39, 1:6], values[18:23, 7:22].T]).astype(float)
else:
    start_bias = np.random.default_rng(0).random((30, 6))
    start_dot = start_bias[:, 1:]
print(f"RMSE at the start: {sheet_rmse(start_dot):.5f}, with biases {sheet_rmse(start_bias):.5f}")

# %% [markdown]
# Excel's Solver needs no derivative; we write ours down. The derivative of a squared error by a
# user's factor is twice the error times the film's factor, and the other way round. Blank cells
# have no error. A finite difference checks the formula before we trust it.


# %%
def loss_and_gradient(flat):
    """Return the sum of squared errors over the known cells, and its gradient."""
    w = flat.reshape(30, -1)
    error = np.where(known, sheet_predictions(w) - sheet, 0.0)
    users, movies = w[:15, -5:], w[15:, -5:]
    gradient = np.vstack([error @ movies, error.T @ users])
    if w.shape[1] == 6:
        gradient = np.column_stack([np.concatenate([error.sum(1), error.sum(0)]), gradient])
    return (error**2).sum(), 2 * gradient.ravel()


# %%
off = optimize.check_grad(
    lambda w: loss_and_gradient(w)[0], lambda w: loss_and_gradient(w)[1], start_bias.ravel()
)
size = np.linalg.norm(loss_and_gradient(start_bias.ravel())[1])
print(f"gradient against finite differences: off by {off / size:.1e} of its length")

# %% [markdown]
# Now descend, by L-BFGS, a method that learns the curvature from the steps it took. What do you
# expect: does adding 30 biases to 150 factors help much?


# %%
def solve(w, most_steps=5_000):
    """Minimise the squared error from the start `w`."""
    found = optimize.minimize(
        loss_and_gradient, w.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": most_steps}
    )
    return found.x.reshape(w.shape)


# %%
solved_dot, solved_bias = solve(start_dot), solve(start_bias)
predict_mean = np.nanstd(sheet)
pd.Series(
    {
        "predict the mean": predict_mean,
        "5 factors": sheet_rmse(solved_dot),
        "5 factors and biases": sheet_rmse(solved_bias),
    }
).rename("RMSE").round(4).to_frame()

# %%
panels = {
    "the ratings; blank: unknown": sheet,
    f"random start, RMSE {sheet_rmse(start_dot):.2f}": sheet_predictions(start_dot),
    f"5 factors, RMSE {sheet_rmse(solved_dot):.2f}": sheet_predictions(solved_dot),
    f"with biases, RMSE {sheet_rmse(solved_bias):.2f}": sheet_predictions(solved_bias),
}
fig, axes = figure(1, 4, width=11, height=3.2, sharey=True)
for panel, (name, shown) in zip(axes, panels.items(), strict=True):
    image = panel.imshow(shown, vmin=0.5, vmax=5)
    panel.set(title=name, xlabel="film", xticks=[], yticks=[])
    panel.grid(visible=False)
axes[0].set_ylabel("user")
fig.colorbar(image, ax=axes, label="stars", shrink=0.8)
show(
    fig,
    alt="Four 15 by 15 tables: the ratings with their blanks; the predictions of random factors, "
    "all too low; those of learned factors, which repeat the ratings and fill the blanks; the same "
    "with biases.",
)

# %% [markdown]
# And the sheet itself, alive: one page for each model, in `build/workbooks`. Open it in Excel or
# LibreOffice, change a factor or a rating, and watch predictions, errors and the RMSE follow.

# %%
path = build_folder() / "workbooks" / "collaborative_filtering.xlsx"
pages = {
    "dot product": {"user_factors": solved_dot[:15], "movie_factors": solved_dot[15:]},
    "bias": {
        "user_factors": solved_bias[:15, 1:], "movie_factors": solved_bias[15:, 1:],
        "user_bias": solved_bias[:15, 0], "movie_bias": solved_bias[15:, 0],
    },
}  # fmt: skip
places = write_collaborative_filtering(path, sheet, pages, movies=ratings.titles[top_movies])
for page, cells in read_workbook(path).items():
    print(f"{page}: RMSE in the workbook {cells[position(places[page]['rmse'])[:2]]:.4f}")

# %% [markdown]
# Where the first table has blanks, the learned ones have numbers: those are the recommendations.
# But are they any good? The sheet has nearly as many numbers to turn as ratings to fit, so a small
# error on the *known* cells proves little. Hide a fifth of them, learn from the rest, and look at
# the hidden ones, a few times over.

# %%
all_known, errors = known, []
for seed in range(hidings):
    rng = np.random.default_rng(seed)
    hidden = all_known & (rng.random((15, 15)) < 0.2)
    known = all_known & ~hidden
    fitted = sheet_predictions(solve(rng.random((30, 6)), most_steps=200))
    errors.append([np.mean((x - sheet)[hidden] ** 2) ** 0.5 for x in (fitted, sheet[known].mean())])
known = all_known
model_rmse, mean_rmse = np.median(errors, axis=0)
print(f"median RMSE on hidden cells: {model_rmse:.2f}; by the mean of the others: {mean_rmse:.2f}")

# %% [markdown]
# What fits the known cells to a third of a star misses the hidden ones by more than a plain mean
# does. The idea is right, but it needs more data, and something that keeps the numbers small.
# Both come below.
#
# ## 4. An embedding layer is a look-up
#
# Keras calls the table of factors an *embedding*. Multiplying a one-hot row by a matrix picks out
# one row of it. The layer does the same without the multiplication, and passes gradients on to
# the rows it picked.

# %%
table = layers.Embedding(input_dim=4, output_dim=3)
picked = ops.convert_to_numpy(table(np.array([2, 0])))
one_hot = np.eye(4)[[2, 0]]
print(np.allclose(picked, one_hot @ table.get_weights()[0]))
picked.round(3)

# %% [markdown]
# > **Then and now.** The lesson looked rows up with `Input((1,))`, which gives vectors of shape
# > (1, 50), and flattened later. A scalar input, `keras.Input(())`, gives (50,) and needs no
# > flattening. `merge(mode='dot')` became the layer `Dot(axes=1)`, `W_regularizer` became
# > `embeddings_regularizer`, and `input_length` is no longer needed.
#
# ## 5. What counts as good?
#
# The lesson drew a random fifth of the ratings for validation, looked at it after every epoch,
# and quoted the best epoch. Its seed, `np.random.seed = 42`, overwrote the function instead of
# calling it, so its splits cannot be repeated. Ours can: `rng.random(n) < .8` in file order.


# %%
kept = user < (people or n_users)


def parts(split):
    """Return the masks of a split's training and validation rows, among the users kept."""
    train, validation = ratings.split(split)
    return train & kept, validation & kept


# %%
def mse(predicted, rows):
    """Return the mean squared error of the predictions of some rows, in stars squared."""
    return float(np.mean((predicted - rating[rows]) ** 2))


def predict(model, pairs):
    """Return a model's predictions as a (n,) array, with nothing to compile."""
    return ops.convert_to_numpy(model(pairs))[:, 0]


# %%
n_train = int(parts(choosing)[0].sum())
print(f"{n_train:,} ratings to train on, {parts(choosing)[1].sum():,} to validate")

# %% [markdown]
# Split 100 is for choosing: epochs, penalties, everything. Splits 0 to 4 are for scoring, once
# each, at the settings chosen. Now two baselines. Always predicting the mean is the floor. Next,
# *biases only*: mean + user's bias + film's bias. Averages of few ratings are unreliable, so each
# is pulled towards zero, as by `strength` imaginary ratings of exactly the expected stars.


# %%
def ridge_biases(train, strength, rounds=15):
    """Fit rating = mean + user bias + film bias by penalised least squares; return all three."""
    u, m, mean = user[train], movie[train], rating[train].mean()
    user_bias = np.zeros(n_users)
    for _ in range(rounds):  # each is the exact answer given the other
        rest = np.bincount(m, rating[train] - mean - user_bias[u], n_movies)
        movie_bias = rest / (np.bincount(m, minlength=n_movies) + strength)
        rest = np.bincount(u, rating[train] - mean - movie_bias[m], n_users)
        user_bias = rest / (np.bincount(u, minlength=n_users) + strength)
    return mean, user_bias, movie_bias


# %%
def bias_errors(split, strength):
    """Return the MSE of the biases alone on a split's validation rows."""
    train, validation = parts(split)
    mean, user_bias, movie_bias = ridge_biases(train, strength)
    predicted = mean + user_bias[user[validation]] + movie_bias[movie[validation]]
    return mse(predicted, validation)


# %% [markdown]
# How many imaginary ratings? We ask the choosing split. With none, a film with a single rating is
# taken at its word; with very many, every film is average.

# %%
tried = {strength: bias_errors(choosing, strength) for strength in (0.01, 1, 2, 4, 8, 16, 32)}
ridge = min(tried, key=tried.get)
print({strength: round(float(mse), 4) for strength, mse in tried.items()}, "→", ridge)

# %%
results = {"predict the mean": [], "biases only": []}
for split in splits:
    train, validation = parts(split)
    results["predict the mean"].append(mse(rating[train].mean(), validation))
    results["biases only"].append(bias_errors(split, ridge))
for name, values in results.items():
    print(f"{name}: MSE {summarise(values)}")

# %% [markdown]
# Anything that calls itself a model has to beat the second of these. On a stand-in there is a
# third line to know, the best that anyone could do: the ratings were generated with noise of a
# known size, and no model can predict that.

# %%
floor = None
if ratings.source == "stand-in":
    from utils import standins

    noise = standins.truth("movielens")["variance"]  # of each rating, in file order
    floor = np.mean([noise[parts(split)[1]].mean() for split in splits])
    print(f"best possible MSE, planted: {floor:.4f}")
else:
    print("real data: nobody knows the best possible MSE")

# %% [markdown]
# ## 6. The dot product, trained by Keras
#
# The lesson's first model: 50 factors, an L2 penalty of 1e-4 on both tables. The functional API
# reads like the drawing: two inputs, a look-up on each, one product.


# %%
def embedding(rows, columns, penalty=0.0):
    """Return a look-up table, with an L2 penalty on all its numbers."""
    regularizer = regularizers.L2(penalty) if penalty else None
    return layers.Embedding(rows, columns, embeddings_regularizer=regularizer)


# %%
def dot_product():
    """Build the lesson's first model."""
    users, movies = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    user_vector = embedding(n_users, factors, 1e-4)(users)
    movie_vector = embedding(n_movies, factors, 1e-4)(movies)
    return keras.Model([users, movies], layers.Dot(axes=1)([user_vector, movie_vector]))


# %% [markdown]
# We shall train many models many times. Building and compiling takes seconds, so it is done once
# for each: `get_state_tree` keeps weights and optimizer as they were at birth, and
# `set_state_tree` puts them back.


# %%
@functools.cache
def prepared(build, fused):
    """Build and compile a model once; return it with its first state."""
    keras.utils.set_random_seed(lesson.seed)
    model = build()
    model.compile(
        "adam",
        loss="mse",
        metrics=["mse"],
        jit_compile=True if fused > 1 else "auto",
        steps_per_execution=fused,  # batches in one compiled program: small ones run faster
    )
    model.optimizer.build(model.trainable_variables)
    return model, model.get_state_tree(value_format="numpy_array")


# %% [markdown]
# One function trains. `centre` takes the training mean out of the ratings and puts it back into
# the predictions; the lesson did without. `schedule` gives the learning rate of each epoch.
# `tables` and `seed` come into play in section 11.


# %%
def fit(
    build, train, validation, *, epochs, batch, rate, schedule=None, centre=True, tables=None,
    fused=1, seed=0, watch=False,
):  # fmt: skip
    """Train on some rows; return the model, its predictions of others, and its MSE by epoch."""
    model, first_state = prepared(build, fused)
    model.set_state_tree(first_state)
    keras.utils.set_random_seed(seed)  # the order of the rows, and another start if it is not 0
    model.set_weights(build().get_weights() if seed else model.get_weights())
    for name, table in (tables(train) if tables else {}).items():
        model.get_layer(name).set_weights([table])
    model.optimizer.learning_rate = rate
    mean = rating[train].mean() if centre else np.float32(0)
    unseen, curve = [user[validation], movie[validation]], []

    def validate(*_):
        curve.append(mse(mean + predict(model, unseen), validation))

    hooks = [keras.callbacks.LambdaCallback(on_epoch_end=validate)] if watch else []
    if schedule:
        of_epoch = functools.partial(schedule, epochs=epochs, first=rate)
        hooks.append(keras.callbacks.LearningRateScheduler(of_epoch))
    known = [user[train], movie[train]]
    history = model.fit(known, rating[train] - mean, batch, epochs, 0, callbacks=hooks).history
    return model, mean + predict(model, unseen), {"training": history["mse"], "validation": curve}


# %% [markdown]
# The lesson's learning rate is .001 for one epoch, then .01 for three, then .001 again. How large
# a jump do you expect in the curve when the rate is multiplied by ten? Here are both: the rate
# left alone, and the rate really raised.


# %%
def as_written(epoch, _, *, epochs, first):
    """Return the learning rate that the lesson's notebook asks for."""
    return first * (10 if 1 <= epoch <= 3 else 1)


# %%
recipe = {"batch": dot_batch, "rate": 0.001 * dot_batch / 64, "centre": False, "fused": fused}
watched = {"epochs": epochs["dot product"], "watch": True, **recipe}
left_alone = fit(dot_product, *parts(choosing), **watched)[2]["validation"]
raised = fit(dot_product, *parts(choosing), schedule=as_written, **watched)[2]["validation"]

# %%
lines = {"rate raised": raised, "rate left alone": left_alone}
if ratings.edition == "2016-10" and lesson.scale == "full":
    lines["the lesson's record"] = [
        3.7591, 2.0018, 1.6529, 1.5249, 1.4808, 1.4582, 1.4439, 1.4423, 1.4441, 1.4457,
    ]  # fmt: skip
fig, axes = figure(height=3.8)
curves(axes, lines, y="validation MSE (stars²)")
axes.axvspan(1, 4, color=COLOURS["grey"], alpha=0.15)
axes.text(
    2.5, axes.get_ylim()[1], "ten times the rate,\nif the setting works", ha="center", va="top"
)
axes.set_title("The dot product's learning curve")
show(
    fig,
    alt=f"Validation error by epoch; lines: {', '.join(lines)}. A band marks the three epochs of the raised rate.",
)

# %% [markdown]
# > **Then and now.** `model.optimizer.lr = 0.01` did nothing in the lesson: the training function
# > had been compiled with the old value at the first `fit`. In our full run on the 2016-10 edition
# > its record lies on the curve of a rate left alone. Keras 3 has no attribute `lr` either, and
# > lets you set it all the same, with the same lack of effect. What works is `learning_rate`.

# %%
model, _ = prepared(dot_product, fused)
model.optimizer.lr = 0.5
print("after .lr = 0.5:           ", float(model.optimizer.learning_rate))
model.optimizer.learning_rate = 0.5
print("after .learning_rate = 0.5:", float(model.optimizer.learning_rate))

# %% [markdown]
# Now the score. The number of epochs is the one that was best on the choosing split; then the
# other splits, five at full scale, are trained and scored once. There, `lesson.remember` keeps each
# result on disk, so that a stopped run goes on where it was.


# %%
def best_epoch(history):
    """Return how many epochs did best on the validation rows."""
    return int(np.argmin(history)) + 1


# %%
def predict_splits(build, *, uses=(), tables=None, **settings):
    """Train on each split; return the predictions of its validation rows."""
    uses = [build, fit, prepared.__wrapped__, embedding, factor_model, *uses]
    uses += [one for one in (tables, settings.get("schedule")) if one]

    @lesson.remember(depends=(*uses, repr(ratings), people))
    def on_split(split, settings):
        return fit(build, *parts(split), tables=tables, **settings)[1]

    return [on_split(split, settings) for split in lesson.steps(splits, "split")]


def score(predictions):
    """Return the MSE on each split."""
    pairs = zip(splits, predictions, strict=True)
    return [mse(values, parts(split)[1]) for split, values in pairs]


# %%
predictions = predict_splits(dot_product, epochs=best_epoch(left_alone), **recipe)
results["dot product"] = score(predictions)
dot = summarise(results["dot product"])
note = f"L2 1e-4, {best_epoch(left_alone)} epochs, batch {dot_batch}"
lesson.claim("cf.dot", dot.mean, sd=dot.sd, note=note, data=ratings, seeds=dot.n)

# %% [markdown]
# In our full run on the 2016-10 edition that is far worse than the biases alone, and worse than the
# mean. A bare dot product can say "this is a good film" only through the factors, and cannot say
# "ratings are around 3½" of a film it has hardly seen: there, predictions stay near zero.
#
# ## 7. Biases, and what the penalty does
#
# Add one number per user and one per film. The factors may be penalised or not, the biases are
# not. Which of the two do you expect to win, on the training rows and on the others?


# %%
def with_bias(penalty):
    """Build the lesson's second model, with an L2 penalty on the factors alone."""
    users, movies = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    user_vector = embedding(n_users, factors, penalty)(users)
    movie_vector = embedding(n_movies, factors, penalty)(movies)
    match = layers.Dot(axes=1)([user_vector, movie_vector])
    bias = [embedding(n_users, 1)(users), embedding(n_movies, 1)(movies)]
    return keras.Model([users, movies], layers.Add()([match, *bias]))


# %%
def bias_unpenalised():
    """Build it without a penalty."""
    return with_bias(0.0)


def bias_penalised():
    """Build it with the lesson's penalty."""
    return with_bias(1e-4)


# %% [markdown]
# From here on batches are larger, to save time, and the learning rate grows in proportion: an
# eighth of the steps, each eight times as long. In our trials, the neural net of section 8 came
# out the same either way.

# %%
recipe = {
    "batch": lesson_batch, "rate": 0.001 * lesson_batch / 64, "centre": False, "fused": fused
}  # fmt: skip
watched = {"epochs": epochs["bias"], "watch": True, **recipe}
model, _, with_penalty = fit(bias_penalised, *parts(choosing), **watched)
_, _, without = fit(bias_unpenalised, *parts(choosing), **watched)

# %%
fig, axes = figure(1, 2, width=10, height=3.8, sharey=True)
for panel, lines, name in zip(
    axes, (without, with_penalty), ("no penalty", "L2 1e-4 on the factors"), strict=True
):
    panel.set(title=name, ylim=(0, 2))
    curves(panel, lines, y="MSE (stars²)")
show(
    fig,
    alt="Learning curves of the bias model. Without a penalty the training error falls towards "
    "zero while the validation error turns up again; with it, the two stay closer together.",
)

# %% [markdown]
# Without a penalty nothing keeps the model from learning the training rows by heart: it has more
# numbers to turn than there are ratings. The penalty makes every number cost something.
#
# > **Then and now.** In Keras 1 the penalty was left out of `val_loss`; in Keras 3 it is in. So
# > our `val_loss` cannot be set beside the lesson's, nor beside that of a model with another
# > penalty. Watch a metric instead, as we do.

# %%
train, validation = parts(choosing)
loss, error = model.evaluate([user[validation], movie[validation]], rating[validation], 4096, 0)
print(f"loss {loss:.4f} = MSE {error:.4f} + penalty {float(sum(model.losses)):.4f}")

# %% [markdown]
# A check that the graph is what we think it is: the same prediction by hand.

# %%
p, q, b_user, b_movie = (np.squeeze(w) for w in model.get_weights())
u, m = user[0], movie[0]
by_hand = p[u] @ q[m] + b_user[u] + b_movie[m]
by_keras = float(ops.squeeze(model([user[:1], movie[:1]])))
print(f"by hand {by_hand:.6f}, by Keras {by_keras:.6f}")

# %%
for name, build, lines in (
    ("bias, no penalty", bias_unpenalised, without),
    ("bias, L2", bias_penalised, with_penalty),
):
    settings = {"epochs": best_epoch(lines["validation"]), **recipe}
    results[name] = score(predict_splits(build, uses=[with_bias], **settings))
    print(f"{name}, {settings['epochs']} epochs: MSE {summarise(results[name])}")
bias, free = summarise(results["bias, L2"]), summarise(results["bias, no penalty"])
note = f"L2 1e-4 on the factors, {settings['epochs']} epochs; without L2 {free.mean:.4f}"
lesson.claim("cf.bias", bias.mean, sd=bias.sd, note=note, data=ratings, seeds=bias.n)

# %% [markdown]
# ## 8. A neural net, by the functional API
#
# Instead of multiplying the two vectors, put them side by side and let dense layers find out how
# they belong together. Two inputs that join half way: a sequential model cannot say that, the
# functional API says it in a few lines. The dropout shares, .3 and .75, are the lesson's.


# %%
def neural_net():
    """Build the lesson's third model."""
    users, movies = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    user_vector = embedding(n_users, factors, 1e-4)(users)
    movie_vector = embedding(n_movies, factors, 1e-4)(movies)
    x = layers.Concatenate()([user_vector, movie_vector])
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(70, activation="relu")(x)
    x = layers.Dropout(0.75)(x)
    return keras.Model([users, movies], layers.Dense(1)(x))


# %%
recipe |= {"fused": 1}  # dropout's random numbers are slow in the fused form, on a processor
watched = {"epochs": epochs["neural net"], "watch": True, **recipe}
net = fit(neural_net, *parts(choosing), **watched)[2]["validation"]

# %%
settings = {"epochs": best_epoch(net), **recipe}
results["neural net"] = score(predict_splits(neural_net, **settings))
net = summarise(results["neural net"])
lesson.claim(
    "cf.neural-net", net.mean, sd=net.sd, note=f"{settings['epochs']} epochs", data=ratings,
    seeds=net.n,
)  # fmt: skip
gain = summarise(np.subtract(results["neural net"], results["bias, L2"]))
print(f"neural net minus bias model, pair by pair: {gain}")

# %% [markdown]
# Now all of it in one picture. The intervals say how far the mean over such splits can be trusted
# (95 %, by Student's t). The splits share rows, so the intervals are somewhat too narrow, and they
# say nothing about other people or other films. One split is no more like another than its luck:
# compare models on the same splits only.


# %%
def compare(names, title, reference=None, axes=None):
    """Draw the MSE of some models with their intervals, and the planted floor if there is one."""
    summaries = {name: summarise(results[name]) for name in names}
    rows = {name: (s.mean, s.half_width or 0.0) for name, s in summaries.items()}
    intervals(axes, rows, x="validation MSE (stars²)", reference=reference)
    for height, (mean, _) in enumerate(rows.values()):
        axes.text(mean, height - 0.18, f"{mean:.3f}", ha="center", va="bottom", fontsize=9)
    if floor:
        axes.axvline(floor, color=COLOURS["green"], linestyle="--")
        axes.text(floor, len(rows) - 0.6, " best possible", color=COLOURS["green"])
    axes.set_title(title)
    return ", ".join(f"{name} {mean:.3f}" for name, (mean, _) in rows.items())


# %%
quoted = {"dot product": 1.4423, "bias, L2": 0.7979, "neural net": 0.7938}
real = ratings.source == "real"
fig, axes = figure(height=3.8)
says = compare(
    list(results), "The lesson's models beside two baselines", quoted if real else None, axes
)
show(fig, alt=f"Mean squared errors on the validation rows: {says}.")

# %% [markdown]
# ### MSE or RMSE, and the state of the art
#
# The lesson compares its .7979 with "best benchmarks a bit over 0.9", and the notes call that
# better than the academic state of the art. But .7979 is a *mean squared* error. The page with the
# benchmarks is gone; figures "a bit over 0.9" are what *root* mean squared errors on MovieLens look
# like, so we take it that those were meant, on another MovieLens set.

# %%
pd.DataFrame(
    {"lesson, MSE": quoted, "lesson, RMSE": {k: v**0.5 for k, v in quoted.items()}}
    | {
        "ours, RMSE" if real else "ours, RMSE (stand-in)": {
            k: float(np.mean(results[k])) ** 0.5 for k in (*quoted, "biases only")
        }
    }
).round(4)

# %% [markdown]
# Like against like, the lesson's .7979 is an RMSE of .893: next to "a bit over 0.9", not a tenth
# better. And what do half a million numbers buy over one for each user and film? Below zero would
# be a gain.

# %%
bought = summarise(np.subtract(results["bias, L2"], results["biases only"]))
print(f"the lesson's bias model minus biases only, pair by pair: {bought}")

# %% [markdown]
# In our full run on the 2016-10 edition: less than nothing. The lesson's bias model comes out a
# little *behind* one number for each user and film, well shrunk, and so does the net. The lesson had
# no such baseline beside its models. There must be more in fifty factors.
#
# ## 9. Going past it: penalties that fit
#
# Five changes, one on top of the other, each tried on the choosing split. Larger batches and a rate
# to match. Take the mean out, so that all numbers are deviations from average. Penalise the biases
# too. Penalise the factors harder. Let the learning rate fall to zero. Which will matter most?
#
# First a better unit for the penalty. Keras minimises the *mean* squared error plus λ times the
# sum of all squares. Times the number of ratings N, that is the *sum* of squared errors plus λN
# times the squares. For a film's bias, with n ratings that exceed expectation by d on average, the
# minimum lies at d · n / (n + λN): as if λN further ratings had said "as expected". For a factor the
# same λN stands beside the sum of the *squares* of the factors it meets, which are small, so there
# it weighs more; that is why the two are tuned apart.

# %%
print(f"on a bias, the lesson's λ of 1e-4 would weigh like {1e-4 * n_train:.1f} imaginary ratings")


# %%
def penalised(factor_strength, bias_strength):
    """Build factors and biases, with penalties in imaginary ratings."""
    users, movies = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    l2 = factor_strength / n_train
    vectors = [embedding(n_users, factors, l2)(users), embedding(n_movies, factors, l2)(movies)]
    l2 = bias_strength / n_train
    bias = [embedding(n_users, 1, l2)(users), embedding(n_movies, 1, l2)(movies)]
    return keras.Model([users, movies], layers.Add()([layers.Dot(axes=1)(vectors), *bias]))


# %% [markdown]
# The strengths, 3 for biases and 12 for factors, and 40, 20, .14 and .02 below, were found on the
# choosing split of the real data, beforehand; that search is not repeated here.


# %%
def falling(epoch, _, *, epochs, first):
    """Return a learning rate that falls along a straight line towards zero."""
    return first * (1 - epoch / epochs)


# %%
def biases_too():
    """Build factors and biases, with the lesson's penalty and one on the biases."""
    return penalised(1e-4 * n_train, 3)


def whole_table():
    """Build factors and biases, with the penalties that the choosing split likes best."""
    return penalised(12, 3)


# %%
lesson_pace = {"batch": lesson_batch, "rate": 0.001 * lesson_batch / 64}
steps = {
    "as in section 7": (bias_penalised, {"centre": False} | lesson_pace),
    "larger batches": (bias_penalised, {"centre": False}),
    "mean taken out": (bias_penalised, {}),
    "biases penalised": (biases_too, {}),
    "factors penalised harder": (whole_table, {}),
    "learning rate falling": (whole_table, {"schedule": falling}),
}
usual = {"epochs": epochs["ours"], "batch": our_batch, "rate": our_rate}
walk = {}
for name, (build, extra) in lesson.steps(steps.items(), "variant"):
    model, _, lines = fit(build, *parts(choosing), watch=True, **(usual | extra))
    walk[name] = lines["validation"]

# %%
fig, axes = figure(height=3.2)
at_best, at_end = [min(curve) for curve in walk.values()], [curve[-1] for curve in walk.values()]
axes.plot(at_end, list(walk), "s", color=COLOURS["amber"], label="after the last epoch")
axes.plot(at_best, list(walk), "o", color=COLOURS["blue"], label="at the best epoch")
axes.axvline(tried[ridge], color=COLOURS["grey"], linestyle=":")
axes.text(tried[ridge], 4.5, " biases only", color=COLOURS["grey"], va="center")
axes.set(title="Each change on top of the one before", xlabel="MSE on the choosing split (stars²)")
axes.invert_yaxis()
axes.legend()
says = ", ".join(f"{name} {value:.3f}" for name, value in zip(walk, at_best, strict=True))
show(fig, alt=f"MSE of six variants, at the best epoch: {says}; and after the last epoch.")

# %% [markdown]
# One more kind of penalty deserves a try: on the rows that were *looked up*, as
# `activity_regularizer` does. Keras averages it over the batch, so in an epoch a film with 300
# ratings pays 300 times. Per rating it is the same for all: d · 1 / (1 + λ), however much is known
# of the film. The penalty on the whole table fades as ratings come in.


# %%
def looked_up():
    """Build factors and biases, with the penalty on the rows of each batch."""
    users, movies = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")

    def rows(count, columns, penalty):
        return layers.Embedding(count, columns, activity_regularizer=regularizers.L2(penalty))

    vectors = [rows(n_users, factors, 0.14)(users), rows(n_movies, factors, 0.14)(movies)]
    bias = [rows(n_users, 1, 0.02)(users), rows(n_movies, 1, 0.02)(movies)]
    return keras.Model([users, movies], layers.Add()([layers.Dot(axes=1)(vectors), *bias]))


# %% [markdown]
# Which films get long factor vectors, and so a say of their own: those with many ratings or those
# with few? Guess for each penalty, then look.

# %%
usual |= {"schedule": falling}
trained = {
    "on the whole table": model,  # the last one above
    "on the rows looked up": fit(looked_up, *parts(choosing), **usual)[0],
}
seen = np.bincount(movie[parts(choosing)[0]], minlength=n_movies)
edges = np.unique(np.geomspace(1, seen.max() + 1, 12).astype(int))
group = np.digitize(seen, edges)

# %%
fig, axes = figure(height=3.6)
lengths = {}
for name, model in trained.items():
    vectors = max((w for w in model.get_weights() if w.shape == (n_movies, factors)), key=np.size)
    length = np.linalg.norm(vectors, axis=1)
    groups = [g for g in range(1, len(edges)) if (group == g).any()]
    lengths[name] = [length[group == g].mean() for g in groups]
    axes.plot([seen[group == g].mean() for g in groups], lengths[name], "o", label=name)
    axes.lines[-1].set_linestyle("-")
axes.set(xscale="log", xlabel="training ratings of the film", ylabel="mean length of its factors")
axes.set_title("Whom the penalty silences")
axes.legend(title="penalty")
show(
    fig,
    alt="Mean length of film factors against the film's number of ratings, for both penalties. "
    + "; ".join(f"{name}: from {v[0]:.2f} to {v[-1]:.2f}" for name, v in lengths.items()),
)

# %% [markdown]
# The whole-table penalty keeps a film silent until enough people have spoken: that is what
# averages of few ratings ask for. The looked-up penalty lets rarely rated films speak up and
# holds the much-rated back. Argument favours the first. Does the error agree?

# %%
kept_predictions = {}
for name, build in {"penalty looked up": looked_up, "factors, tuned": whole_table}.items():
    kept_predictions[name] = predict_splits(build, uses=[penalised], **usual)
    results[name] = score(kept_predictions[name])
    print(f"{name}: MSE {summarise(results[name])}")
gain = summarise(np.subtract(results["penalty looked up"], results["factors, tuned"]))
print(f"looked up minus whole table, pair by pair: {gain}")

# %% [markdown]
# In our full run on the 2016-10 edition the whole table wins, by half a hundredth, and both are well
# ahead of the lesson's models. Where nearly every film has many ratings, as in the stand-in, it can
# be the other way round. We go on with the whole table: its unit carries over to what comes next.

# %% [markdown]
# ## 10. Does metadata add anything?
#
# The lesson says it "had no effect". Give the model what `movies.csv` knows of a film: its genres
# and its decade, as a row of zeros and ones, scaled to length 1, so that a film with six genres
# does not speak louder than a film with one. A *frozen* embedding looks the
# row up; a dense layer without bias turns it into 50 numbers that are added to the film's own
# factors, and into one that is added to its bias.

# %%
decades = sorted(set(ratings.years // 10))
decade = (ratings.years // 10)[:, None] == decades
metadata = unit_rows(np.hstack([ratings.genres, decade]))
print(
    f"{ratings.genres.shape[1]} genres and {len(decades)} decades, 0 for no year:", metadata.shape
)


# %%
def with_metadata():
    """Build factors and biases with a frozen table of genres and decades."""
    users, movies = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    about = layers.Embedding(*metadata.shape, weights=[metadata], trainable=False)(movies)

    def from_about(columns):
        l2 = regularizers.L2(40 / n_train)
        return layers.Dense(columns, use_bias=False, kernel_regularizer=l2)(about)

    user_vector = embedding(n_users, factors, 12 / n_train)(users)
    movie_vector = embedding(n_movies, factors, 12 / n_train)(movies) + from_about(factors)
    match = layers.Dot(axes=1)([user_vector, movie_vector])
    bias = [embedding(n_users, 1, 3 / n_train)(users), embedding(n_movies, 1, 3 / n_train)(movies)]
    return keras.Model([users, movies], layers.Add()([match, *bias, from_about(1)]))


# %% [markdown]
# `utils.recommenders.factor_model` builds the same model, for any table on either side. To make
# sure, copy the weights from one into the other and compare the predictions.

# %%
by_hand = with_metadata()
ready_made = factor_model(n_users, n_movies, n_train, movie_table=metadata)
shapes = [w.shape for w in ready_made.get_weights()]
spare = list(by_hand.get_weights())  # the same tables in another order: pair them by shape
ready_made.set_weights([spare.pop([w.shape for w in spare].index(shape)) for shape in shapes])
some_pairs = [user[:1000], movie[:1000]]
difference = ops.max(ops.abs(by_hand(some_pairs) - ready_made(some_pairs)))
print(f"largest difference of 1,000 predictions: {float(difference):.1e}")


# %%
def with_table():
    """Build the model of section 9 with the table of genres and decades."""
    return factor_model(n_users, n_movies, n_train, movie_table=metadata)


# %%
kept_predictions["+ metadata"] = predict_splits(with_table, **usual)
results["+ metadata"] = score(kept_predictions["+ metadata"])
effect = summarise(np.subtract(results["+ metadata"], results["factors, tuned"]))
print(f"without {summarise(results['factors, tuned'])}\nwith    {summarise(results['+ metadata'])}")
note = f"paired, 95 % interval ± {effect.half_width:.4f}" if effect.n > 1 else "one split"
lesson.claim("cf.metadata", effect.mean, sd=effect.sd, note=note, data=ratings, seeds=effect.n)

# %% [markdown]
# For whom does it matter? Sort the validation ratings by how many training ratings their film
# has. Metadata should help where ratings are few. Does it still help where there are many?

# %%
squares, counts = {"factors, tuned": [], "+ metadata": []}, []
for number, split in enumerate(splits):
    train, validation = parts(split)
    counts.append(np.bincount(movie[train], minlength=n_movies)[movie[validation]])
    for name in squares:
        squares[name].append((kept_predictions[name][number] - rating[validation]) ** 2)
edges = [0, 1, 3, 6, 11, 21, 51, 101, np.inf]
names = ["0", "1–2", "3–5", "6–10", "11–20", "21–50", "51–100", "over 100"]
groups = pd.cut(np.concatenate(counts), edges, right=False, labels=names)
by_count = pd.DataFrame({k: np.concatenate(v) for k, v in squares.items()}).groupby(
    groups, observed=True
).mean()  # fmt: skip

# %%
fig, axes = figure(height=3.6)
for name, marker in (("factors, tuned", "s"), ("+ metadata", "o")):
    axes.plot(by_count.index.astype(str), by_count[name], marker=marker, label=name)
axes.set(xlabel="training ratings of the film", ylabel="validation MSE (stars²)")
axes.set_title("What genres and decade are worth")
axes.legend()
first, last = by_count.iloc[0], by_count.iloc[-1]
show(
    fig,
    alt="MSE by number of training ratings of the film, with and without metadata. Rarest films: "
    f"{first.iloc[0]:.3f} without, {first.iloc[1]:.3f} with; most rated: {last.iloc[0]:.3f} "
    f"without, {last.iloc[1]:.3f} with.",
)

# %% [markdown]
# In our full run on the 2016-10 edition metadata takes four hundredths off the error, on every one of
# the five splits, so "no effect" does not hold here: that is more than fifty tuned factors took off
# the biases alone. It helps most where a film has few ratings of its own, and most films have few.
#
# A surprise deserves a second opinion, by another road: no factors, no network, one least-squares
# problem. Each user and film has a bias; then each genre and decade has one; then each *user* has
# one for each genre and decade, a taste. Penalties are round numbers, nothing is tuned.

# %%
every = np.arange(len(ratings))
about = sparse.csr_array(metadata)[movie]  # (ratings, genres and decades)
at, which = about.nonzero()
taste = sparse.csr_array((about.data, (at, user[at] * metadata.shape[1] + which)))
one_hots = [sparse.csr_array((np.ones(len(ratings)), (every, ids))) for ids in (user, movie)]


# %%
def ridge_error(blocks, split):
    """Return the validation MSE of a ridge regression; `blocks` are (columns, strength) pairs."""
    train, validation = parts(split)
    x = sparse.hstack([columns / strength**0.5 for columns, strength in blocks]).tocsr()
    mean = rating[train].mean()
    weights = lsqr(x[train], rating[train] - mean, damp=1.0, iter_lim=300)[0]
    return mse(mean + x[validation] @ weights, validation)


# %%
blocks = [(one_hots[0], 4), (one_hots[1], 4), (about, 4), (taste, 8)]
for name, some in {"biases": 2, "+ genres, decades": 3, "+ everyone's taste in them": 4}.items():
    print(f"{name}: MSE {summarise([ridge_error(blocks[:some], split) for split in splits])}")

# %% [markdown]
# In our full run on the 2016-10 edition the second opinion agrees: everyone's taste in genres and
# decades, without a single factor, comes out below the fifty tuned factors. With twenty million
# ratings, a film's factors may well have learned all that its genres could tell; the lesson's
# sentence may come from there. We did not measure that.
#
# ## 11. Who rated what, whatever the stars
#
# Nobody watches films at random. That you rated a film at all says something about you, before
# anyone reads the stars. So a user's *history* (which films) and a film's *audience* (which users)
# are tables too, like the genres. They are made from training rows only: that a validation rating
# exists must stay unknown.


# %%
def known_of(train, about):
    """Return histories, and audiences beside a table about the films, from training rows."""
    histories, audiences = who_rated_what(user[train], movie[train], n_users, n_movies)
    return {"user_table": histories, "movie_table": np.hstack([audiences, about])}


def rated(train):
    """Return who rated what, and zeros in place of the metadata."""
    return known_of(train, np.zeros_like(metadata))


def everything(train):
    """Return who rated what, and the metadata."""
    return known_of(train, metadata)


# %% [markdown]
# Is it true that nothing leaks? Look every validation pair up in the audiences of its split, of
# which the histories are a part.

# %%
for split in splits:
    train, validation = parts(split)
    _, audiences = who_rated_what(user[train], movie[train], n_users, n_movies)
    marked = np.count_nonzero(audiences[movie[validation], user[validation]])
    print(f"split {split}: {marked} of {validation.sum():,} validation pairs are marked")

# %% [markdown]
# > **Then and now.** The users' half of this is SVD++ (Koren 2008), from the days of the Netflix prize:
# > the sum of one vector per film seen, over the square root of their number, is added to the
# > user's own. A row of length 1, times a trained matrix, is that very sum.
#
# Columns of zeros teach nothing and cost nothing, so one model serves both cases. It is built with
# empty tables, which `fit` fills in for each split.


# %%
def with_all():
    """Build the model with room for histories, audiences and metadata."""
    empty = {name: np.zeros_like(table) for name, table in everything(kept).items()}
    return factor_model(n_users, n_movies, n_train, factor_strength=20, **empty)


# %%
for name, tables in {"+ who rated what": rated, "+ both": everything}.items():
    kept_predictions[name] = predict_splits(with_all, tables=tables, uses=[known_of], **usual)
    results[name] = score(kept_predictions[name])
    print(f"{name}: MSE {summarise(results[name])}")

# %% [markdown]
# Now average a few models that differ in their random start and in the order of the rows. Their
# errors have a part in common and a part of their own, and the second averages out. How much is
# left to gain, do you think?

# %%
several = [kept_predictions["+ both"]]
for seed in range(1, averaged):
    several.append(predict_splits(with_all, tables=everything, uses=[known_of], seed=seed, **usual))
name = f"average of {averaged}"
results[name] = score(np.mean(model, axis=0) for model in zip(*several, strict=True))
print("its members:", [round(float(np.mean(score(model))), 4) for model in several])
best, single = summarise(results[name]), summarise(results["+ both"])
alone = np.mean(results["+ who rated what"])


# %%
note = f"average of {averaged}; single {single.mean:.4f}, without metadata {alone:.4f}"
lesson.claim("cf.best", best.mean, sd=best.sd, note=note, data=ratings, seeds=best.n)

# %%
names = [n for n in results if n not in ("predict the mean", "dot product", "bias, no penalty")]


# %%
fig, axes = figure(height=4.4)
says = compare(names, "From the lesson's models to ours", quoted if real else None, axes)
show(fig, alt=f"Mean squared errors on the validation rows: {says}.")

# %% [markdown]
# In our full run on the 2016-10 edition who rated what is worth about as much as the metadata, and
# the two add up: they know different things. An average of two models adds a little more.
# The stand-in plants nothing in who rated what, so there it can only hurt. And all of this is a random
# split: exercise 2 asks for the future.
#
# | the lesson says | in our full run |
# |---|---|
# | the dot product: 1.4423 | reproduced |
# | bias with L2: .7979, better than the state of the art | about as quoted; no better than biases alone |
# | neural net: .7938, much better | about as quoted; no better than the bias model |
# | metadata adds nothing | it adds more than the fifty factors did |
#
# ## 12. Make it your own
#
# Put `ratings.csv` (userId, movieId, rating, timestamp) and `movies.csv` (movieId, title, genres)
# into a folder and write `load_movielens("that/folder")` in section 1; every cell below it
# follows. For a Kaggle competition of this kind, fit on all training rows, predict the pairs of
# the test file, and write `id,rating` with `DataFrame.to_csv(..., index=False)`. And this is how
# to make recommendations: predict all films that a user has not rated.

# %%
model = fit(with_all, kept, kept, tables=everything, **usual)[0]
someone = user[0]
familiar = np.flatnonzero(np.bincount(movie[kept], minlength=n_movies) >= 20)
unrated = np.setdiff1d(familiar, movie[user == someone]).astype("int32")
predicted = predict(model, [np.full_like(unrated, someone), unrated])
best_first = np.argsort(-predicted)[:5]
pd.DataFrame(
    {
        "film": ratings.titles[unrated[best_first]],
        "stars predicted": (predicted[best_first] + rating[kept].mean()).round(2),
    }
)

# %% [markdown]
# ## 13. Exercises
#
# **1. How many factors?** The lesson takes 50. Try 1, 5, 20 and 100 in the model of section 9.
# Must the penalty be chosen again each time?
#
# <details><summary>Answer</summary>
#
# In our full run on the 2016-10 edition the error keeps falling slowly up to a few dozen factors; beyond
# that the penalty, not the number, is the limit: factors that are not needed shrink to nothing.
#
# </details>


# %%
def with_factors(number):
    """Build the model of section 9 with another number of factors."""
    return factor_model(n_users, n_movies, n_train, factors=number)


# %%
train, validation = parts(choosing)
for number in lesson.pick(quick=(5,), full=(1, 5, 20)):
    predicted = fit(functools.partial(with_factors, number), train, validation, **usual)[1]
    print(f"{number} factors: MSE {mse(predicted, validation):.4f}")

# %% [markdown]
# **2. Predict the future.** A random split lets the model see what people rated *after* the
# rating it predicts. Validate on everyone's last fifth by time instead. Which way does the error
# go, for the biases and for the best model?
#
# <details><summary>Answer</summary>
#
# Up, usually, even for the plain mean: late ratings are unlike early ones, whoever predicts them.
# A recommender is used on the future, so this figure is closer to use, though other people's later
# ratings are still seen. The order of the models is what you want to see confirmed.
#
# </details>

# %%
order = pd.Series(ratings.timestamp).groupby(user).rank(method="first", pct=True).to_numpy()
train, validation = kept & (order <= 0.8), kept & (order > 0.8)
mean, user_bias, movie_bias = ridge_biases(train, ridge)
future = {
    "predict the mean": np.full(validation.sum(), mean),
    "biases only": mean + user_bias[user[validation]] + movie_bias[movie[validation]],
    "+ both": fit(with_all, train, validation, tables=everything, **usual)[1],
}
for name, values in future.items():
    print(f"{name}: MSE {mse(values, validation):.4f}; at random {np.mean(results[name]):.4f}")

# %% [markdown]
# **3. A newcomer.** Somebody arrives with a handful of ratings. Training again would be silly:
# keep the films as they are and solve for the one new row. It is a ridge regression, with 51
# unknowns. How does the error fall with the number of ratings given?
#
# <details><summary>Answer</summary>
#
# Call X the film factors with a column of ones for the user's bias, r the ratings minus mean and
# film bias, and C the diagonal matrix of imaginary ratings. The row is (XᵀX + C)⁻¹ Xᵀr. The
# error falls with the number of ratings, over many newcomers; with twenty of them one or two
# ratings can mislead. The bias is learned from a few ratings, taste takes longer.
#
# </details>

# %%
newcomers = np.random.default_rng(0).choice(np.unique(user[kept]), 20, replace=False)
train = kept & ~np.isin(user, newcomers)
model = fit(with_table, train, train, **usual)[0]
tables = {layer.name: layer.get_weights()[0] for layer in model.layers if layer.get_weights()}
about = tables["movie_table"]
films = tables["movie_factors"] + about @ tables["movie_table_to_factors"]
film_bias = (tables["movie_bias"] + about @ tables["movie_table_to_bias"])[:, 0]
penalty = np.diag([12.0] * 50 + [3.0])


# %%
rows = []
for given in (0, 1, 2, 5, 10, 15):
    for person in newcomers:
        theirs = np.random.default_rng(person).permutation(np.flatnonzero(kept & (user == person)))
        x = np.hstack([films[movie[theirs]], np.ones((len(theirs), 1))])
        rest = rating[theirs] - rating[train].mean() - film_bias[movie[theirs]]
        new = np.linalg.solve(x[:given].T @ x[:given] + penalty, x[:given].T @ rest[:given])
        rows.append((given, np.mean((x[15:] @ new - rest[15:]) ** 2)))
errors = pd.DataFrame(rows, columns=["ratings given", "MSE on their others"])
errors.groupby("ratings given").mean().round(3)

# %% [markdown]
# ## What you learned
#
# * An embedding layer is a look-up; a recommender is two of them and a product.
# * Honest baselines first: biases alone, well shrunk, are hard to beat by much.
# * A penalty of λ on a bias means λN imaginary ratings; on a factor it is the same idea in other
#   units. Chosen well, it matters more than the number of factors.
# * Compare metrics, not losses; compare MSE with MSE; choose on one split and score on others.
# * A frozen table and a dense layer let a model know more: genres, decades, who rated what.
#
# **Next:** notebook 07, *movie factors*, opens the trained tables and asks what the biases and
# factors mean.
