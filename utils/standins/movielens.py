"""A stand-in for MovieLens: invented films, rated by users with planted biases and tastes.

A rating is drawn as::

    mean + user_bias + film_bias + user_factors · film_factors + noise

then rounded to the steps that its user chooses from and cut to 0.5 … 5 stars: users who joined
before 18 February 2003 give whole stars, as on the real site until then, the others also halves.
The best possible squared error is therefore known rating by rating: the variance that noise and
rounding leave.

As in the real set, a few films have many ratings and many have few, every user rated at least 20,
ids have gaps, and genres say little that the factors do not: they lie along the first one.
"""

import csv
import math
import re

import numpy as np

from utils.standins._english import TITLES

__all__ = ["FOLDER", "VERSION", "write"]

FOLDER, VERSION = "ml-latest-small", 2

# Chosen so that the ratings suffice to learn what is planted: each parameter costs about
# noise² / ratings, and there are three for every user and film.
SIZES = {  # users, films, ratings
    "quick": (220, 380, 30_000),
    "full": (550, 1_000, 100_000),
}
MEAN = 3.55
USER_SD, FILM_SD = 0.42, 0.5
USER_FACTOR_SD = 0.65  # in each dimension
FILM_FACTOR_SD = (0.75, 0.45)
NOISE_SD = 0.95
POPULARITY = (0.3, 3.6)  # (rank / films + first) ** -second
ACTIVITY_SD = 0.8  # of the logarithm of a user's number of ratings
HALF_STARS_FROM = 1_045_526_400  # 18 February 2003


def write(folder, *, scale, seed):
    """Write `ratings.csv` and `movies.csv`, and return what was planted.

    Parameters
    ----------
    folder : pathlib.Path
        An empty folder.
    scale : {"quick", "full"}
        30,000 or 100,000 ratings.
    seed : int
        Of everything drawn.

    Returns
    -------
    dict of str to numpy.ndarray
        `user_id`, `user_bias` (n_users,), `user_factors` (n_users, k); `movie_id`, `movie_bias`
        (n_movies,), `movie_factors` (n_movies, k), for all films in movies.csv; `mean`,
        `noise_sd` (before rounding). In file order of the ratings: `expected` (n,), the best
        possible prediction, and `variance` (n,), its expected squared error.
        `best_mse`: the mean of `variance`, below which no model can expect to come.
    """
    n_users, n_films, n_ratings = SIZES[scale]
    rng = np.random.default_rng(seed)

    user_bias = rng.normal(0, USER_SD, n_users)
    user_factors = rng.normal(0, USER_FACTOR_SD, (n_users, len(FILM_FACTOR_SD)))
    film_bias = rng.normal(0, FILM_SD, n_films)
    film_factors = rng.normal(0, FILM_FACTOR_SD, (n_films, len(FILM_FACTOR_SD)))
    # popularity falls like a power of the rank; better films tend to be seen more
    appeal = rng.normal(0, 1, n_films) + 0.5 * film_bias / FILM_SD
    rank = np.empty(n_films)
    rank[np.argsort(-appeal)] = np.arange(n_films)
    weight = (rank / n_films + POPULARITY[0]) ** -POPULARITY[1]

    counts = _counts(rng, n_users, n_films, n_ratings)
    keys = np.log(weight) + rng.gumbel(size=(n_users, n_films))  # the largest: a weighted sample
    order = np.argsort(-keys, axis=1)
    film = np.concatenate([np.sort(order[user, :count]) for user, count in enumerate(counts)])
    user = np.repeat(np.arange(n_users), counts)

    joined = rng.integers(828_000_000, 1_476_000_000, n_users)  # 1996 to 2016
    seconds = joined[user] + rng.integers(0, 40 * 24 * 3600, len(user))
    step = np.where(joined[user] < HALF_STARS_FROM, 1.0, 0.5)
    latent = (
        MEAN + user_bias[user] + film_bias[film] + (user_factors[user] * film_factors[film]).sum(1)
    )
    noisy = latent + rng.normal(0, NOISE_SD, len(user))
    rating = np.clip(np.round(noisy / step) * step, step, 5.0)
    expected, variance = _moments(latent, step)

    user_id = np.sort(rng.choice(np.arange(1, n_users + n_users // 8), n_users, replace=False))
    film_id = _film_ids(rng, n_films)
    with (folder / "ratings.csv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(("userId", "movieId", "rating", "timestamp"))
        lines.writerows(
            zip(
                user_id[user].tolist(),
                film_id[film].tolist(),
                rating.tolist(),
                seconds.tolist(),
                strict=True,
            )
        )
    titles = _titles(rng, n_films)
    genres = _genres(rng, film_factors[:, 0])
    with (folder / "movies.csv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(("movieId", "title", "genres"))
        lines.writerows(zip(film_id.tolist(), titles, genres, strict=True))
    return {
        "user_id": user_id,
        "user_bias": user_bias,
        "user_factors": user_factors,
        "movie_id": film_id,
        "movie_bias": film_bias,
        "movie_factors": film_factors,
        "mean": np.array(MEAN),
        "noise_sd": np.array(NOISE_SD),
        "expected": expected,
        "variance": variance,
        "best_mse": variance.mean(),
    }


def _counts(rng, n_users, n_films, n_ratings):
    """Draw how many films each user rated: long-tailed, at least 20, at most 4 in 5."""
    share = rng.lognormal(0, ACTIVITY_SD, n_users)
    low, high = 0.0, float(n_ratings)
    for _ in range(60):  # find the multiple of the shares that gives the total
        middle = (low + high) / 2
        counts = np.clip(20 + middle * share, 20, 0.8 * n_films).astype(int)
        low, high = (middle, high) if counts.sum() < n_ratings else (low, middle)
    return counts


def _moments(latent, step):
    """Return mean and variance of a rating, given its mean before noise and rounding."""
    phi = np.vectorize(lambda z: 0.5 * math.erfc(-z / math.sqrt(2)))
    expected, square, below = np.zeros_like(latent), np.zeros_like(latent), 0.0
    for stars in np.arange(0.5, 5.01, 0.5):
        possible = np.isclose(stars % step, 0)
        upper = 1.0 if stars == 5 else phi((stars + step / 2 - latent) / NOISE_SD)
        upper = np.where(possible, upper, below)
        expected += stars * (upper - below)
        square += stars**2 * (upper - below)
        below = upper
    return expected, square - expected**2


def _film_ids(rng, n_films):
    """Draw ids with gaps: dense at first, sparse later, as the real ones are."""
    return np.cumsum(1 + rng.geometric(1 / (1 + np.linspace(0.1, 30, n_films))) - 1)


# From one end of the first factor to the other, with how common each is
GENRES = {
    "Action": 10, "Sci-Fi": 5, "Adventure": 7, "Thriller": 10, "Horror": 5, "Crime": 6, "War": 2,
    "Western": 1, "Mystery": 3, "Fantasy": 4, "Animation": 3, "Children": 4, "Comedy": 20,
    "Musical": 2, "Romance": 10, "Drama": 24, "Documentary": 3, "Film-Noir": 1,
}  # fmt: skip


def _genres(rng, factor):
    """Give each film one to three genres that lie near its place along the first factor."""
    names = list(GENRES)
    edges = np.cumsum(list(GENRES.values())) / sum(GENRES.values())
    place = np.argsort(np.argsort(factor)) / len(factor)
    fields = []
    for centre in place:
        near = np.clip(centre + rng.normal(0, 0.06, rng.integers(1, 4)), 0, 0.9999)
        fields.append("|".join(sorted({names[i] for i in np.searchsorted(edges, near, "right")})))
    for film in rng.choice(len(factor), max(2, len(factor) // 300), replace=False):
        fields[film] = "(no genres listed)"
    return fields


def _titles(rng, n_films):
    """Invent titles, all different, with the punctuation and the gaps that real ones have."""

    def pick(words):
        return words[rng.integers(len(words))]

    def invent():
        form = pick(TITLES["FORM"])
        return re.sub("[A-Z]{3,}", lambda kind: pick(TITLES[kind[0]]), form)

    titles = {}
    while len(titles) < n_films:
        year = 2016 - int(min(rng.exponential(17), 95))
        titles.setdefault(invent(), f" ({year})")
    # as in the real files, a few are series, without a year or with two
    for title in rng.choice(list(titles), max(4, n_films // 150), replace=False):
        titles[title] = pick(("", "", " (1975-1979)", " (2007-)"))
    return [title + year for title, year in titles.items()]
