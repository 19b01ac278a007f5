"""MovieLens: who rated which film, how high and when, and the films' titles, years and genres.

Two files of comma-separated values, as GroupLens writes them: `ratings.csv`
(userId, movieId, rating, timestamp) and `movies.csv` (movieId, title, genres).
Source: Harper and Konstan, The MovieLens Datasets (2015), grouplens.org/datasets/movielens.
"""

import csv
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from utils.datasets import origin

__all__ = ["Ratings", "load_movielens"]

NO_GENRES = "(no genres listed)"
RATING_COLUMNS = ("userId", "movieId", "rating", "timestamp")
MOVIE_COLUMNS = ("movieId", "title", "genres")
YEAR = re.compile(r"\((\d{4})(?:[-–]\d{0,4})?\)\s*$")  # also a series' "(1975-1979)", "(2007-)"


@dataclass(frozen=True, eq=False, repr=False)
class Ratings:
    """Ratings of films by users, in file order; users and films are numbered from 0.

    Attributes
    ----------
    user, movie : numpy.ndarray
        (n,) int32: contiguous from 0, in order of first appearance.
    rating : numpy.ndarray
        (n,) float32: stars, 0.5 to 5 in halves.
    timestamp : numpy.ndarray
        (n,) int64: seconds since 1970.
    user_ids, movie_ids : numpy.ndarray
        (n_users,), (n_movies,) int64: the ids in the files, which have gaps.
    titles : numpy.ndarray
        (n_movies,) str, as in the file, the year included.
    years : numpy.ndarray
        (n_movies,) int32, 0 where the title gives none.
    genres : numpy.ndarray
        (n_movies, n_genres) bool; a row without any is a film with no genres listed.
    genre_names : tuple of str
        The columns of `genres`.
    source, edition : str
        `"real"` or `"stand-in"`, and which edition.
    folder : pathlib.Path
        Where it was read.
    """

    user: np.ndarray
    movie: np.ndarray
    rating: np.ndarray
    timestamp: np.ndarray
    user_ids: np.ndarray
    movie_ids: np.ndarray
    titles: np.ndarray
    years: np.ndarray
    genres: np.ndarray
    genre_names: tuple
    source: str
    edition: str
    folder: Path = field(default=Path())

    @property
    def n_users(self):
        """Number of users."""
        return len(self.user_ids)

    @property
    def n_movies(self):
        """Number of rated films."""
        return len(self.movie_ids)

    def __len__(self):
        return len(self.rating)

    def __repr__(self):
        return (
            f"Ratings: {len(self):,} ratings of {self.n_movies:,} films by {self.n_users:,} "
            f"users ({self.source}, edition {self.edition})"
        )

    def split(self, seed, share=0.8):
        """Split the ratings at random.

        The mask is `numpy.random.default_rng(seed).random(n) < share`, in file order, so
        that anyone can repeat it.

        Parameters
        ----------
        seed : int
            Which split.
        share : float
            Expected share of training ratings, between 0 and 1.

        Returns
        -------
        train, validation : numpy.ndarray
            (n,) bool masks, one the opposite of the other.

        Raises
        ------
        ValueError
            If `share` is not between 0 and 1.
        """
        if not 0 < share < 1:
            raise ValueError(f"share={share!r} is not between 0 and 1.")
        train = np.random.default_rng(seed).random(len(self)) < share
        return train, ~train


def load_movielens(folder=None):
    """Load the MovieLens ratings and films.

    Parameters
    ----------
    folder : path, optional
        Your own `ratings.csv` and `movies.csv`. By default the real set or its stand-in,
        as `LESSONS_SOURCE` says.

    Returns
    -------
    Ratings

    Raises
    ------
    ValueError
        If a column is missing, a field is not what it should be, a user rated a film twice, or
        a rated film is not in `movies.csv`. The message names the file and the line, counted
        from 1 as an editor does.
    utils.fetch.DataUnavailable
        If `LESSONS_SOURCE` is `real` and the set cannot be had.
    """
    found = origin.find("movielens", folder)
    ratings_file, movies_file = origin.require(found.folder, "ratings.csv", "movies.csv")
    table = _read_ratings(ratings_file)
    films = _read_movies(movies_file)

    user, user_ids = pd.factorize(table["userId"])
    movie, movie_ids = pd.factorize(table["movieId"])
    movie_ids = np.asarray(movie_ids, np.int64)
    unknown = [number for number in movie_ids if number not in films]
    if unknown:
        row = int(np.argmax(table["movieId"].to_numpy() == unknown[0]))
        raise ValueError(
            f"{ratings_file}, line {row + 2}: film {unknown[0]} is rated but {movies_file.name} "
            f"has no line for it ({len(unknown)} such films). Add it there, or drop the ratings."
        )

    genre_names = tuple(sorted({genre for _, genres in films.values() for genre in genres}))
    rated = [films[number] for number in movie_ids]
    years = [YEAR.search(title) for title, _ in rated]
    return Ratings(
        user=user.astype(np.int32),
        movie=movie.astype(np.int32),
        rating=table["rating"].to_numpy(np.float32),
        timestamp=table["timestamp"].to_numpy(np.int64),
        user_ids=np.asarray(user_ids, np.int64),
        movie_ids=movie_ids,
        titles=np.array([title for title, _ in rated]),
        years=np.array([int(year[1]) if year else 0 for year in years], np.int32),
        genres=np.array([[name in genres for name in genre_names] for _, genres in rated], bool),
        genre_names=genre_names,
        source=found.source,
        edition=found.edition,
        folder=found.folder,
    )


def _read_ratings(path):
    """Read ratings.csv into a checked frame; row i of it is line i + 2 of the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                path,
                encoding="utf-8-sig",
                index_col=False,
                skip_blank_lines=False,  # so that a row's number gives its line
                low_memory=False,
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path}: not comma-separated text in UTF-8 with as many fields in each line. {error}"
        ) from error
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty. {_expected(RATING_COLUMNS)}") from None
    _check_columns(path, table.columns, RATING_COLUMNS)
    table = table[list(RATING_COLUMNS)]
    while len(table) and table.iloc[-1].isna().all():  # blank lines at the end do no harm
        table = table.iloc[:-1]
    if not len(table):
        raise ValueError(f"{path} has no ratings below its header.")

    def refuse(bad, column, what):
        if bad.any():
            row = int(np.argmax(bad.to_numpy()))
            received = table[column].iloc[row]
            if pd.isna(received):
                received = "nothing"
            else:
                received = repr(received if isinstance(received, str) else f"{received:g}")
            raise ValueError(
                f"{path}, line {row + 2}, column {column}: received {received}. {what}"
            )

    for column in RATING_COLUMNS:
        numbers = pd.to_numeric(table[column], errors="coerce")
        refuse(~np.isfinite(numbers.astype(float)), column, "Write a number.")
        if column != "rating":
            refuse((numbers % 1 != 0) | (abs(numbers) > 2**53), column, "Write a whole number.")
            numbers = numbers.astype(np.int64)
        if column in ("userId", "movieId"):
            refuse(numbers < 1, column, "Ids start from 1: add 1 to yours.")
        table = table.assign(**{column: numbers})
    stars = table["rating"]
    refuse(
        (stars < 0.5) | (stars > 5) | (stars * 2 % 1 != 0),
        "rating",
        "Ratings go from 0.5 to 5 in steps of 0.5: rescale yours to that.",
    )
    pairs = table[["userId", "movieId"]]
    again = pairs.duplicated().to_numpy()
    if again.any():
        row = int(np.argmax(again))
        user, film = (int(number) for number in pairs.iloc[row])
        first = int(np.argmax((pairs == pairs.iloc[row]).all(axis=1).to_numpy()))
        raise ValueError(
            f"{path}, line {row + 2}: user {user} already rated film {film} on line {first + 2}. "
            f"Keep one rating of a film by a user."
        )
    return table


def _read_movies(path):
    """Read movies.csv into a dictionary: id -> (title, tuple of genres)."""
    films, line_of = {}, {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            _check_columns(path, header, MOVIE_COLUMNS)
            columns = [header.index(name) for name in MOVIE_COLUMNS]
            start = reader.line_num + 1  # a quoted title may span lines: name the first
            for row in reader:
                line, start = start, reader.line_num + 1
                if not row:
                    continue
                if len(row) != len(header):
                    raise ValueError(
                        f"{path}, line {line}: {len(row)} fields, the header has {len(header)}. "
                        f'Put a title that holds a comma in "double quotes".'
                    )
                number, title, genres = (row[column].strip() for column in columns)
                if not re.fullmatch(r"0*[1-9][0-9]*", number):
                    raise ValueError(
                        f"{path}, line {line}, column movieId: received {number!r}. "
                        f"Write a whole number from 1."
                    )
                if not title or not genres:
                    raise ValueError(
                        f"{path}, line {line}: the title or the genres are missing. "
                        f"A film without genres has {NO_GENRES}."
                    )
                if int(number) in films:
                    raise ValueError(
                        f"{path}, line {line}: film {number} stands on line "
                        f"{line_of[int(number)]} already. Keep one line for a film."
                    )
                listed = () if genres == NO_GENRES else tuple(genres.split("|"))
                films[int(number)], line_of[int(number)] = (title, listed), line
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text. Save it as UTF-8. {error}") from error
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}.") from error
    return films


def _expected(columns):
    return f"The first line has to be {','.join(columns)}."


def _check_columns(path, received, expected):
    missing = [name for name in expected if name not in list(received)]
    if missing:
        raise ValueError(
            f"{path}, line 1: no column {', '.join(missing)}; there is "
            f"{', '.join(map(str, received)) or 'nothing'}. {_expected(expected)}"
        )
