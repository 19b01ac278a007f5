"""The stand-ins: whole or absent, the same for a seed, and their planted truth can be learned."""

import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from utils import standins, switches
from utils.datasets import load_glove, load_imdb, load_movielens, load_statefarm
from utils.standins import _english
from utils.standins import dogs_vs_cats as dogs_generator
from utils.standins import imdb as imdb_generator
from utils.standins import movielens as movielens_generator
from utils.standins import statefarm as statefarm_generator

pytestmark = pytest.mark.backend_free

NAMES = tuple(sorted(("dogs_vs_cats", "glove", "imdb", "movielens", "nietzsche", "statefarm")))


def fingerprint(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


@pytest.fixture
def own_build(monkeypatch, tmp_path):
    monkeypatch.setattr(switches, "build_folder", lambda: tmp_path)
    return tmp_path


# ---- making them ----


def test_names_are_those_of_the_generators():
    assert standins.names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bytes(name, own_build, monkeypatch):
    monkeypatch.setitem(imdb_generator.SIZES, "quick", (300, 200, 85, 0.6, 10, 1000))
    monkeypatch.setitem(dogs_generator.COUNTS, "quick", (3, 2))
    monkeypatch.setitem(statefarm_generator.SIZES, "quick", ((1, 2), (1, 1)))
    monkeypatch.setattr(statefarm_generator, "TRAIN_DRIVERS", 3)
    monkeypatch.setattr(statefarm_generator, "TEST_DRIVERS", 2)
    first = standins.make(name, scale="quick")
    assert first.parent == own_build / "standins"
    assert first.name.endswith("-quick-seed0") and standins.is_standin(first)
    monkeypatch.setattr(switches, "build_folder", lambda: own_build / "again")
    again = standins.make(name, scale="quick")
    assert fingerprint(first) == fingerprint(again)
    other = standins.make(name, scale="quick", seed=1)
    same = set(fingerprint(other).values()) & set(fingerprint(first).values())
    listed = {fingerprint(first).get("sample_submission.csv")}  # ids alone: alike for every seed
    assert same <= listed


def test_made_once(own_build, monkeypatch):
    folder = standins.make("movielens", scale="quick")
    monkeypatch.setattr(movielens_generator, "write", None)  # would fail if it were called
    assert standins.make("movielens", scale="quick") == folder
    assert set(standins.truth("movielens", scale="quick")) >= {"movie_bias", "best_mse"}


def test_scale_is_the_switch(own_build, monkeypatch):
    monkeypatch.setenv("LESSONS_SCALE", "full")
    monkeypatch.setattr(movielens_generator, "write", lambda folder, scale, seed: {})
    assert "-full-" in standins.make("movielens").name


def test_failure_leaves_nothing(own_build, monkeypatch):
    def fail(folder, scale, seed):
        (folder / "ratings.csv").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(movielens_generator, "write", fail)
    with pytest.raises(KeyboardInterrupt):
        standins.make("movielens", scale="quick")
    assert list((own_build / "standins").iterdir()) == []


def test_who_comes_second_takes_what_is_there(own_build, monkeypatch):
    """The other process finishes while this one is still writing."""
    write = movielens_generator.write

    def late(folder, scale, seed):
        monkeypatch.setattr(movielens_generator, "write", write)
        standins.make("movielens", scale="quick")
        return write(folder, scale=scale, seed=seed)

    monkeypatch.setattr(movielens_generator, "write", late)
    folder = standins.make("movielens", scale="quick")
    assert list((own_build / "standins").iterdir()) == [folder]
    assert len(load_movielens(folder)) == 30_000


def test_folder_in_the_way_of_nothing_is_an_error(own_build, monkeypatch):
    def write(folder, scale, seed):
        (own_build / "standins" / "ml-latest-small-v0-quick-seed0").write_text("a file")
        return {}

    monkeypatch.setattr(movielens_generator, "VERSION", 0)
    monkeypatch.setattr(movielens_generator, "write", write)
    with pytest.raises(OSError):
        standins.make("movielens", scale="quick")


def test_two_processes_at_once(own_build):
    program = (
        "import sys, pathlib; from utils import switches, standins\n"
        "switches.build_folder = lambda: pathlib.Path(sys.argv[1])\n"
        "print(len(list(standins.make('movielens', scale='quick').iterdir())))"
    )
    command = [sys.executable, "-c", program, str(own_build)]
    running = [
        subprocess.Popen(command, cwd=switches.PROJECT, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [process.communicate(timeout=60)[0] for process in running] == ["3\n"] * 3
    assert len(list((own_build / "standins").iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (
            {"name": "mnist"},
            "no stand-in for 'mnist', only for dogs_vs_cats, glove, imdb, movielens, nietzsche, ",
        ),
        ({"name": "imdb", "scale": "huge"}, "scale='huge'"),
        ({"name": "imdb", "seed": -1}, "seed=-1"),
        ({"name": "imdb", "seed": 0.5}, "seed=0.5"),
        ({"name": "imdb", "seed": True}, "seed=True"),
    ],
)
def test_bad_arguments(arguments, what):
    with pytest.raises(ValueError, match=what):
        standins.make(**arguments)


def test_loaders_and_standins_load_no_framework():
    program = (
        "import sys; import utils.datasets, utils.standins; "
        "from utils.standins import dogs_vs_cats, glove, imdb, movielens, statefarm; "
        "print([m for m in ('keras', 'tensorflow', 'jax', 'torch', 'fastparquet')"
        " if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=switches.PROJECT, capture_output=True, text=True
    )
    assert result.stdout == "[]\n", result.stderr


# ---- MovieLens ----


@pytest.fixture(scope="module")
def films():
    folder = standins.make("movielens", scale="quick")
    return load_movielens(folder), standins.truth("movielens", scale="quick")


def test_films_look_like_the_real_files(films):
    ratings, planted = films
    lines = (ratings.folder / "ratings.csv").read_text(encoding="utf-8").split("\n")
    assert lines[0] == "userId,movieId,rating,timestamp" and lines[-1] == ""
    user, film, stars, _ = lines[1].split(",")
    assert user.isdecimal() and film.isdecimal() and stars in {str(s / 2) for s in range(1, 11)}
    per_user, per_film = np.bincount(ratings.user), np.sort(np.bincount(ratings.movie))[::-1]
    assert per_user.min() >= 20
    assert per_film[: len(per_film) // 5].sum() > 0.4 * len(ratings)  # few films, many ratings
    assert 0.03 < (per_film < 20).mean() < 0.3
    assert (np.diff(np.unique(ratings.movie_ids)) > 1).mean() > 0.5  # gaps
    assert (np.diff(planted["user_id"]) > 1).any()
    titles = ratings.titles.tolist()
    assert len(set(titles)) == len(titles)
    assert any(", The (" in t for t in titles) and any('"' in t for t in titles)
    assert any(not t.isascii() for t in titles) and 0 < (ratings.years == 0).sum() < 10
    assert (~ratings.genres.any(axis=1)).sum() >= 1
    whole = ratings.timestamp < movielens_generator.HALF_STARS_FROM
    assert whole.any() and not whole.all()
    assert (ratings.rating[whole] % 1 == 0).all() and (ratings.rating % 1 != 0).any()


def test_expected_rating_and_its_variance_by_simulation():
    """The planted best prediction and its error, against simulated ratings."""
    latent = np.array([-0.5, 0.9, 2.2, 3.55, 4.4, 5.6])
    rng = np.random.default_rng(0)
    for step in (0.5, 1.0):
        steps = np.full(latent.shape, step)
        expected, variance = movielens_generator._moments(latent, steps)
        noisy = latent + rng.normal(0, movielens_generator.NOISE_SD, (200_000, len(latent)))
        rating = np.clip(np.round(noisy / step) * step, step, 5)
        error = np.sqrt(rating.var(axis=0) / len(rating))
        np.testing.assert_array_less(abs(rating.mean(axis=0) - expected), 5 * error)
        np.testing.assert_allclose(rating.var(axis=0), variance, rtol=0.05)


def test_best_possible_error_is_what_the_best_prediction_makes(films):
    ratings, planted = films
    squared = (ratings.rating - planted["expected"]) ** 2
    error = squared.std() / np.sqrt(len(ratings))
    assert abs(squared.mean() - planted["best_mse"]) < 4 * error
    assert planted["best_mse"] == pytest.approx(planted["variance"].mean())


def least_squares(ratings, train, factors, penalty=4.0, bias=True, rounds=12, seed=0):
    """Fit biases and factors by alternating ridge regressions; return predictions and biases."""
    sides = [ratings.user, ratings.movie]
    rng = np.random.default_rng(seed)
    mean = ratings.rating[train].mean() if bias else 0.0
    # the last column of each side's table is its bias, or for a plain dot product a factor more
    tables = [rng.normal(0, 0.1, (side.max() + 1, factors + 1)) for side in sides]
    for table in tables:
        table[:, -1] = 0.0 if bias else 1.8
    target = ratings.rating[train].astype(float) - mean
    for turn in range(2 * rounds):
        this, other = sides[turn % 2][train], tables[1 - turn % 2][sides[1 - turn % 2][train]]
        wanted = target - other[:, -1] if bias else target
        design = np.column_stack([other[:, :-1], np.ones(len(other))]) if bias else other
        table = tables[turn % 2]
        order = np.argsort(this, kind="stable")
        ends = np.searchsorted(this[order], np.arange(len(table) + 1))
        for row in range(len(table)):
            of_row = order[ends[row] : ends[row + 1]]
            x = design[of_row]
            table[row] = np.linalg.solve(
                x.T @ x + penalty * np.eye(factors + 1), x.T @ wanted[of_row]
            )
    users, films = tables[0][ratings.user], tables[1][ratings.movie]
    if bias:
        product = (users[:, :-1] * films[:, :-1]).sum(1)
        return mean + users[:, -1] + films[:, -1] + product, tables
    return (users * films).sum(1), tables


def check_planted_truth(ratings, planted):
    train, validation = ratings.split(0)
    rows = {film: row for row, film in enumerate(planted["movie_id"].tolist())}
    film_bias = planted["movie_bias"][[rows[film] for film in ratings.movie_ids.tolist()]]
    often = np.bincount(ratings.movie) >= 20

    def error(prediction):
        return ((ratings.rating - prediction)[validation] ** 2).mean()

    k = planted["movie_factors"].shape[1]
    best = planted["variance"][validation].mean()
    full, (users, films) = least_squares(ratings, train, k)
    assert np.corrcoef(films[often, -1], film_bias[often])[0, 1] > 0.9
    assert np.corrcoef(users[:, -1], planted["user_bias"])[0, 1] > 0.9
    assert error(full) < 1.1 * best
    only_bias, _ = least_squares(ratings, train, 0)
    assert error(only_bias) > 1.25 * best and error(only_bias) > 1.15 * error(full)
    only_dot, _ = least_squares(ratings, train, k + 1, bias=False)
    assert error(only_dot) > 1.02 * error(full)
    mean_alone = np.full(len(ratings), ratings.rating[train].mean())
    assert error(mean_alone) > 1.6 * best
    # the planted factors span what was learned
    learned = films[:, :-1] - films[:, :-1].mean(0)
    theirs = planted["movie_factors"][[rows[film] for film in ratings.movie_ids.tolist()]]
    fit = np.linalg.lstsq(learned[often], theirs[often, 0], rcond=None)[0]
    assert np.corrcoef(learned[often] @ fit, theirs[often, 0])[0, 1] > 0.9

    # genres lie along the first factor, and so add next to nothing to the factors
    known = ratings.genres.any(axis=1)
    place = np.array([list(movielens_generator.GENRES).index(g) for g in ratings.genre_names])
    mean_place = (ratings.genres[known] * place).sum(1) / ratings.genres[known].sum(1)
    assert np.corrcoef(mean_place, theirs[known, 0])[0, 1] > 0.85
    features = ratings.genres[ratings.movie].astype(float)
    rest = (ratings.rating - full)[train]
    x = features[train]
    weights = np.linalg.solve(x.T @ x + 10 * np.eye(x.shape[1]), x.T @ rest)
    gained = error(full) - error(full + features @ weights)
    assert abs(gained) < 0.01 * error(full)


def test_planted_biases_and_factors_can_be_learned(films):
    check_planted_truth(*films)


@pytest.mark.slow
def test_planted_biases_and_factors_can_be_learned_at_full_scale():
    folder = standins.make("movielens", scale="full")
    check_planted_truth(load_movielens(folder), standins.truth("movielens", scale="full"))


@pytest.mark.slow
def test_keras_learns_the_planted_biases_and_factors(films):
    import keras
    from keras import layers

    ratings, planted = films
    train, validation = ratings.split(0)
    keras.utils.set_random_seed(0)
    user, movie = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")

    def table(rows, columns, ids, start, penalty):
        table = layers.Embedding(
            rows, columns, embeddings_initializer=keras.initializers.RandomNormal(stddev=start)
        )
        return layers.ActivityRegularization(l2=penalty)(table(ids)), table

    user_factors, _ = table(ratings.n_users, 2, user, 0.1, 0.05)
    movie_factors, _ = table(ratings.n_movies, 2, movie, 0.1, 0.05)
    user_bias, _ = table(ratings.n_users, 1, user, 0.0, 0.02)
    movie_bias, biases = table(ratings.n_movies, 1, movie, 0.0, 0.02)
    product = layers.Dot(axes=1)([user_factors, movie_factors])
    model = keras.Model([user, movie], layers.Add()([product, user_bias, movie_bias]))
    model.compile(keras.optimizers.Adam(0.02), "mse")
    mean = ratings.rating[train].mean()
    for rate, epochs in ((0.02, 5), (0.005, 3)):
        model.optimizer.learning_rate = rate
        model.fit(
            [ratings.user[train], ratings.movie[train]],
            ratings.rating[train] - mean,
            batch_size=256,
            epochs=epochs,
            verbose=0,
        )
    prediction = mean + model.predict([ratings.user, ratings.movie], batch_size=4096, verbose=0)
    error = ((ratings.rating - prediction[:, 0])[validation] ** 2).mean()
    assert error < 1.1 * planted["variance"][validation].mean()
    rows = {film: row for row, film in enumerate(planted["movie_id"].tolist())}
    film_bias = planted["movie_bias"][[rows[film] for film in ratings.movie_ids.tolist()]]
    often = np.bincount(ratings.movie) >= 20
    learned = np.asarray(biases.get_weights()[0])[often, 0]
    assert np.corrcoef(learned, film_bias[often])[0, 1] > 0.9


# ---- IMDB ----


@pytest.fixture(scope="module")
def reviews():
    folder = standins.make("imdb", scale="quick")
    return load_imdb(length=200, folder=folder), standins.truth("imdb", scale="quick")


def test_reviews_look_like_the_real_files(reviews):
    data, _ = reviews
    with np.load(data.folder / "imdb.npz", allow_pickle=True) as file:  # we wrote it
        assert file.files == ["x_train", "y_train", "x_test", "y_test"]
        assert file["x_train"].dtype == object and type(file["x_train"][0]) is list
        assert type(file["x_train"][0][0]) is int and file["y_train"].dtype == np.int64
    assert json.loads((data.folder / "imdb_word_index.json").read_text()) == data.word_index
    for y in (data.y_train, data.y_test):
        assert y.mean() == 0.5 and (np.diff(y) <= 0).all()  # positive first
    everything = np.concatenate(data.sequences_train + data.sequences_test)
    counts = np.bincount(everything)[1:]
    assert (np.diff(counts) <= 0).all() and counts[-1] >= 1  # ranked by frequency
    assert data.words[1] == "the" and len(counts) > 5_500  # so that a cut at 5,000 bites
    lengths = np.array([len(s) for s in data.sequences_train])
    assert lengths.min() >= 10 and 90 < lengths.mean() < 130 and lengths.max() <= 1_000
    assert np.median(lengths) < lengths.mean()
    # as Zipf says: the word of rank 100 about a tenth as often as that of rank 10
    assert 4 < counts[9] / counts[99] < 25


def test_score_is_the_best_anyone_can_know(reviews):
    """The planted log-odds are calibrated: of reviews at 80 %, 80 % are positive."""
    data, planted = reviews
    for half in ("train", "test"):
        y = getattr(data, f"y_{half}")
        for score in (planted[f"score_{half}"], planted[f"bag_score_{half}"]):
            probability = 1 / (1 + np.exp(-score))
            for low in (0.0, 0.2, 0.4, 0.6, 0.8):
                inside = (probability >= low) & (probability < low + 0.2)
                expected, n = probability[inside].mean(), inside.sum()
                slack = 4 * np.sqrt(expected * (1 - expected) / n)
                assert abs(y[inside].mean() - expected) < slack


def ceiling(score):
    """Return the accuracy that no reader of this evidence can expect to exceed."""
    return (1 / (1 + np.exp(-abs(score)))).mean()


def test_word_order_is_worth_a_lot(reviews):
    _, planted = reviews
    assert ceiling(planted["score_test"]) > 0.95
    assert 0.85 < ceiling(planted["bag_score_test"]) < 0.91


def test_opinion_words_stand_nowhere_else():
    opinions = [word for pairs in _english.PAIRS.values() for word in pairs]
    assert len(set(opinions)) == len(opinions)
    others = {word for words in _english.lexicon().values() for word in words}
    others |= {word for lines in _english.PATTERNS.values() for s in lines for word in s.split()}
    assert not others & set(opinions)
    assert all(set(word) <= set("abcdefghijklmnopqrstuvwxyz0123456789'") for word in opinions)


def test_turned_opinions_tell_a_bag_of_words_nothing():
    """Drawn with the same luck for either label, a sentence has the same words, turned round."""
    alike = [imdb_generator._Opinions(imdb_generator._Writer(seed=5)) for _ in range(2)]
    for _ in range(500):
        praise, up = alike[0].turned(1)
        blame, down = alike[1].turned(-1)
        assert Counter(praise) == Counter(blame) and praise != blame and up == -down


def test_plain_opinions_follow_the_planted_polarity():
    opinions = imdb_generator._Opinions(imdb_generator._Writer(0))
    draws = {
        label: Counter(
            word
            for _ in range(20_000)
            for word in opinions.plain(label)[0]
            if word in opinions.polarity
        )
        for label in (1, -1)
    }
    for word in ("great", "terrible", "good", "interesting"):
        odds = np.log(draws[1][word] / draws[-1][word])
        error = np.sqrt(1 / draws[1][word] + 1 / draws[-1][word])
        expected = 2 * imdb_generator.KAPPA * opinions.polarity[word]
        assert abs(odds - expected) < 4 * error


def naive_bayes(data, longest, least=20):
    """Accuracy of naive Bayes on how often each word, or also each pair of words, occurs."""
    size = len(data.word_index) + 1

    def grams(sequences):
        for words in sequences:
            words = words.astype(np.int64)
            pairs = size + words[:-1] * size + words[1:]
            yield np.append(words, pairs) if longest == 2 else words

    train = list(grams(data.sequences_train))
    positive = np.repeat(data.y_train, [len(g) for g in train]) == 1
    known, place, times = np.unique(np.concatenate(train), return_inverse=True, return_counts=True)
    praised = np.bincount(place[positive], minlength=len(known))
    weight = np.log((praised + 1) / (times - praised + 1)) * (times >= least)
    right = 0
    for tokens, label in zip(grams(data.sequences_test), data.y_test, strict=True):
        place = np.searchsorted(known, tokens).clip(max=len(known) - 1)
        right += (weight[place[known[place] == tokens]].sum() > 0) == (label == 1)
    return right / len(data.y_test)


def test_bag_of_words_stays_below_its_ceiling_and_pairs_see_more(reviews):
    data, planted = reviews
    bag, pairs = naive_bayes(data, 1), naive_bayes(data, 2)
    assert 0.7 < bag < ceiling(planted["bag_score_test"])
    assert pairs > bag + 0.1


@pytest.mark.slow
def test_convolution_beats_every_bag_of_words(reviews):
    import keras
    from keras import layers
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    data, planted = reviews
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            layers.Embedding(5000, 32),
            layers.Conv1D(64, 5, padding="same", activation="relu"),
            layers.MaxPooling1D(2),
            layers.Flatten(),
            layers.Dense(100, activation="relu"),
            layers.Dropout(0.7),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.fit(data.x_train, data.y_train, batch_size=32, epochs=4, verbose=0)
    accuracy = model.evaluate(data.x_test, data.y_test, verbose=0, return_dict=True)["accuracy"]

    counter = CountVectorizer(token_pattern=r"\S+")
    counts = counter.fit_transform(" ".join(map(str, s)) for s in data.sequences_train)
    bag_of_words = LogisticRegression(C=0.3, solver="liblinear").fit(counts, data.y_train)
    counts = counter.transform(" ".join(map(str, s)) for s in data.sequences_test)
    assert 0.8 < bag_of_words.score(counts, data.y_test) < accuracy - 0.07
    assert accuracy > ceiling(planted["bag_score_test"])  # which no bag of words can expect
    assert accuracy < ceiling(planted["score_test"]) + 0.01


# ---- GloVe ----


def test_planted_clusters_show_in_the_vectors():
    data = load_glove(standins.make("glove", scale="quick"))
    planted = standins.truth("glove", scale="quick")
    vectors = np.array(data.vectors)
    assert vectors.shape == (len(planted["words"]), 50)
    opinion = planted["polarity"] != 0
    along = vectors[opinion] @ planted["opinion_axis"]
    assert np.corrcoef(along, planted["polarity"][opinion])[0, 1] > 0.9

    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -1)
    cluster = planted["cluster"]
    nearest = cluster[likeness.argmax(axis=1)]
    assert (nearest == cluster)[~opinion].mean() > 0.95
    assert (nearest == cluster)[opinion].mean() > 0.85  # the mildest praise is close to blame

    index = json.loads(
        (standins.make("imdb", scale="quick") / "imdb_word_index.json").read_text(encoding="utf-8")
    )
    missing = set(planted["missing"].tolist())
    assert set(index) - set(data.words) == missing
    assert 0.03 < len(missing) / len(index) < 0.07
    names = planted["cluster_names"].tolist()
    assert {"praise", "blame", "intensifiers", "genres", "surnames"} <= set(names)
    assert names[cluster[data.index["western"]]] == "genres"
    assert names[cluster[data.index["great"]]] == "praise"
    assert Path(data.folder).name.startswith("glove-v")


# ---- State Farm ----


@pytest.fixture(scope="module")
def drivers():
    """The stand-in, what was planted, and its labelled frames at 20 × 15 pixels."""
    data = load_statefarm(standins.make("statefarm", scale="quick"))
    small = [np.asarray(Image.open(path).reduce(8), np.float32) for path in data.paths()]
    return data, standins.truth("statefarm", scale="quick"), np.stack(small).reshape(len(data), -1)


def test_frames_look_like_the_real_files(drivers):
    data, _, _ = drivers
    assert 2_000 < len(data) < 2_200 and 550 < len(data.test_files) < 650
    for path in [*data.paths()[::300], *data.test_paths()[::100]]:
        with Image.open(path) as picture:
            assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (160, 120))
    lines = (data.folder / "driver_imgs_list.csv").read_text().splitlines()
    assert lines[0] == "subject,classname,img"
    order = [line.rsplit(",", 1)[0] for line in lines[1:]]
    assert order == sorted(order), "by driver, then by class"
    lines = (data.folder / "sample_submission.csv").read_text().splitlines()
    assert lines[0] == "img,c0,c1,c2,c3,c4,c5,c6,c7,c8,c9"
    assert {line.split(",", 1)[1] for line in lines[1:]} == {",".join(["0.1"] * 10)}
    names = [line.split(",", 1)[0] for line in lines[1:]]
    assert names == sorted(names), "as text, as on Kaggle"
    everything = [file.rsplit("/", 1)[1] for file in [*data.files, *data.test_files]]
    assert len(set(everything)) == len(everything), "no name stands in train and in test"


def test_the_loader_reads_what_was_planted(drivers):
    data, planted, _ = drivers
    train = planted["train"]
    assert data.files.tolist() == planted["file"][train].tolist()
    assert data.test_files.tolist() == planted["file"][~train].tolist()
    assert data.label.tolist() == planted["posture"][train].tolist()
    assert data.driver.tolist() == planted["driver"][train].tolist()
    held_out = set(planted["driver"][~train].tolist())
    assert len(set(data.driver.tolist())) == 26 and len(held_out) == 12
    assert not held_out & set(data.driver.tolist())
    for chosen, films in ((train, 2), (~train, 1)):
        seen = np.stack([planted["posture"][chosen], planted["sequence"][chosen]])
        of_driver = {
            (d, *s) for d, s in zip(planted["driver"][chosen], seen.T.tolist(), strict=True)
        }
        assert len(of_driver) == len(set(planted["driver"][chosen])) * 10 * films


def test_neighbours_in_a_film_are_much_alike_and_drivers_are_not(drivers):
    data, planted, small = drivers
    sequence = planted["sequence"][planted["train"]]
    rng = np.random.default_rng(0)
    kinds = {"film": [], "posture": [], "driver": [], "others": []}
    for row in rng.choice(len(data), 150, replace=False):
        distance = ((small - small[row]) ** 2).mean(1)
        driver, posture = data.driver == data.driver[row], data.label == data.label[row]
        film = sequence == sequence[row]
        film[row], rest = False, ~film
        rest[row] = False
        kinds["film"].append(distance[film].mean() if film.any() else np.nan)
        kinds["posture"].append(distance[driver & posture & rest].mean())
        kinds["driver"].append(distance[driver & ~posture].mean())
        kinds["others"].append(distance[~driver].mean())
    film, posture, driver, others = (np.nanmean(kinds[kind]) for kind in kinds)
    assert film < posture < driver < others
    assert film < 0.5 * driver and driver < 0.5 * others


def ridge_accuracy(x, y, train):
    """Fit one linear score a class on standardised pixels; return the accuracy on the others."""
    x = (x - x[train].mean(0)) / (x[train].std(0) + 10)
    penalty = 10 * x.shape[1] * np.eye(x.shape[1], dtype=np.float32)
    targets = np.eye(10, dtype=np.float32)[y[train]] - 0.1
    weights = np.linalg.solve(x[train].T @ x[train] + penalty, x[train].T @ targets)
    return ((x[~train] @ weights).argmax(1) == y[~train]).mean()


def nearest_accuracy(x, y, train):
    """Give each frame the posture of the nearest training frame."""
    square = (x**2).sum(1)
    distance = square[train] - 2 * x[~train] @ x[train].T
    return (y[train][distance.argmin(1)] == y[~train]).mean()


@pytest.mark.parametrize(
    ("accuracy", "at_least"), [(ridge_accuracy, 0.3), (nearest_accuracy, 0.13)]
)
def test_a_split_by_random_rows_leaks_the_driver(drivers, accuracy, at_least):
    data, _, small = drivers
    by_row, by_driver = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        held_out = np.isin(data.driver, rng.choice(np.unique(data.driver), 6, replace=False))
        by_driver.append(accuracy(small, data.label, ~held_out))
        by_row.append(accuracy(small, data.label, ~rng.permutation(held_out)))
    assert np.mean(by_row) > np.mean(by_driver) + 0.1
    assert np.mean(by_driver) > at_least, "and postures can be told across drivers"


@pytest.mark.slow
def test_a_small_convolution_learns_postures_across_drivers():
    import keras
    from keras import layers

    data = load_statefarm(standins.make("statefarm", scale="full"))
    x = np.stack(
        [
            np.asarray(Image.open(path).resize((64, 48), Image.Resampling.BOX))
            for path in data.paths()
        ]
    ).astype("float32")
    rng = np.random.default_rng(0)
    held_out = np.isin(data.driver, rng.choice(np.unique(data.driver), 6, replace=False))
    scores = {}
    for split, validation in (("driver", held_out), ("rows", rng.permutation(held_out))):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [layers.Input((48, 64, 3)), layers.BatchNormalization(momentum=0.9)]
        )
        for width in (16, 32):
            model.add(layers.Conv2D(width, 3, activation="relu"))
            model.add(layers.BatchNormalization(momentum=0.9))
            model.add(layers.MaxPooling2D(3))
        model.add(layers.Flatten())
        model.add(layers.Dense(100, activation="relu"))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.Dense(10, activation="softmax"))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x[~validation], data.label[~validation], batch_size=64, epochs=3, verbose=0)
        scores[split] = model.evaluate(x[validation], data.label[validation], verbose=0)[1]
    assert 0.5 < scores["driver"] < 0.9
    assert scores["rows"] > scores["driver"] + 0.1
