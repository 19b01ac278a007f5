"""The MovieLens loader against pandas, on the stand-in, on hand-made files, on real data."""

import numpy as np
import pandas as pd
import pytest

from utils import standins
from utils.datasets import load_movielens
from utils.fetch import locate

pytestmark = pytest.mark.backend_free

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")

RATINGS = "userId,movieId,rating,timestamp\n7,30,4.0,1000\n7,10,0.5,1001\n9,30,5.0,-5\n"
MOVIES = (
    "movieId,title,genres\n"
    "10,Babylon 5,Sci-Fi\n"
    "20,Never Rated (1990),Drama\n"
    '30,"Été, ""L\'"" (Summer, The) (1962)",Drama|Comedy\n'
)


def write(folder, ratings=RATINGS, movies=MOVIES, encoding="utf-8"):
    (folder / "ratings.csv").write_bytes(ratings.encode(encoding))
    (folder / "movies.csv").write_bytes(movies.encode(encoding))
    return folder


# ---- conventions ----


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n\n"])
def test_small_files_by_hand(tmp_path, encoding, newline, end):
    folder = write(
        tmp_path,
        (RATINGS + end).replace("\n", newline),
        (MOVIES + end).replace("\n", newline),
        encoding,
    )
    data = load_movielens(folder)
    assert data.user.tolist() == [0, 0, 1] and data.movie.tolist() == [0, 1, 0]
    assert data.user_ids.tolist() == [7, 9] and data.movie_ids.tolist() == [30, 10]
    assert data.rating.tolist() == [4.0, 0.5, 5.0] and data.timestamp.tolist() == [1000, 1001, -5]
    assert data.titles.tolist() == ['Été, "L\'" (Summer, The) (1962)', "Babylon 5"]
    assert data.years.tolist() == [1962, 0]
    assert data.genre_names == ("Comedy", "Drama", "Sci-Fi")
    assert data.genres.tolist() == [[True, True, False], [False, False, True]]
    kinds = [data.user, data.movie, data.rating, data.timestamp, data.years, data.genres]
    assert [str(a.dtype) for a in kinds] == ["int32", "int32", "float32", "int64", "int32", "bool"]
    assert (data.n_users, data.n_movies, len(data)) == (2, 2, 3)
    assert (data.source, data.edition[:6], data.folder) == ("real", "other ", tmp_path)
    assert "3 ratings of 2 films by 2 users (real, edition other " in repr(data)
    with pytest.raises(AttributeError):
        data.rating = None


@pytest.mark.parametrize(
    ("title", "year"),
    [
        ("Silent Harbour, The (1987)", 1987),
        ("Silent Harbour, The (1987) ", 1987),
        ("Babylon 5", 0),
        ("1984", 0),
        ("(500) Days of Summer (2009)", 2009),
        ("2001: A Space Odyssey (1968)", 1968),
        ("Fawlty Towers (1975-1979)", 1975),
        ("Big Bang Theory, The (2007-)", 2007),
        ("Justice (1999) League", 0),
        ("Numbers (12345)", 0),
    ],
)
def test_year_of_a_title(tmp_path, title, year):
    movies = f'movieId,title,genres\n30,"{title}",Drama\n10,x,Drama\n'
    data = load_movielens(write(tmp_path, movies=movies))
    assert data.years[0] == year and data.titles[0] == title.strip()


def test_other_columns_and_orders_do_no_harm(tmp_path):
    data = load_movielens(
        write(
            tmp_path,
            "rating,note,timestamp,movieId,userId\n4.0,x,1,30,7\n",
            "genres,movieId,imdb,title\n(no genres listed),30,5,Babylon 5\n",
        )
    )
    assert data.user_ids.tolist() == [7] and data.movie_ids.tolist() == [30]
    assert data.genres.shape == (1, 0) and data.titles.tolist() == ["Babylon 5"]


def test_no_genres_listed_is_a_row_without_any(tmp_path):
    movies = MOVIES.replace("Sci-Fi", "(no genres listed)")
    data = load_movielens(write(tmp_path, movies=movies))
    assert data.genre_names == ("Comedy", "Drama") and not data.genres[1].any()


tables = st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 10), st.integers(0, 2**40)),
    min_size=1,
    max_size=40,
    unique_by=lambda row: row[:2],
)


@hypothesis.given(tables)
@hypothesis.settings(deadline=None, max_examples=40)
def test_arrays_give_the_table_back(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("movielens")
    lines = [f"{user},{film},{half / 2},{when}" for user, film, half, when in rows]
    movies = "movieId,title,genres\n" + "".join(f"{i},Film {i},Drama\n" for i in range(1, 10))
    data = load_movielens(
        write(folder, "\n".join(["userId,movieId,rating,timestamp", *lines]), movies)
    )
    back = zip(
        data.user_ids[data.user].tolist(),
        data.movie_ids[data.movie].tolist(),
        (data.rating * 2).astype(int).tolist(),
        data.timestamp.tolist(),
        strict=True,
    )
    assert list(back) == rows
    first_seen = list(dict.fromkeys(film for _, film, _, _ in rows))
    assert data.movie_ids.tolist() == first_seen
    assert data.titles.tolist() == [f"Film {film}" for film in first_seen]


def test_standin_through_the_loader(monkeypatch, capsys):
    monkeypatch.setenv("LESSONS_SOURCE", "standin")
    data = load_movielens()
    assert data.source == "stand-in" and data.edition.endswith("quick-seed0")
    assert capsys.readouterr().out == ""
    table = pd.read_csv(data.folder / "ratings.csv")
    films = pd.read_csv(data.folder / "movies.csv", index_col="movieId")
    np.testing.assert_array_equal(data.user_ids[data.user], table["userId"])
    np.testing.assert_array_equal(data.movie_ids[data.movie], table["movieId"])
    np.testing.assert_array_equal(data.rating, table["rating"])
    np.testing.assert_array_equal(data.titles, films["title"].loc[data.movie_ids])
    dummies = films["genres"].str.get_dummies().drop(columns="(no genres listed)")
    assert data.genre_names == tuple(dummies.columns)
    np.testing.assert_array_equal(data.genres, dummies.loc[data.movie_ids])


def test_auto_says_that_it_is_the_standin(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("LESSONS_DATA", str(tmp_path))
    assert load_movielens().source == "stand-in"
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "stand-in" in said and "utils.fetch get movielens" in said


def test_split_is_the_documented_formula(tmp_path):
    data = load_movielens(standins.make("movielens", scale="quick"))
    train, validation = data.split(3)
    np.testing.assert_array_equal(train, np.random.default_rng(3).random(len(data)) < 0.8)
    np.testing.assert_array_equal(validation, ~train)
    assert abs(data.split(0, share=0.5)[0].mean() - 0.5) < 0.02
    for share in (0, 1, 80):
        with pytest.raises(ValueError, match=f"share={share}"):
            data.split(0, share)


# ---- bad input ----


def ratings(*lines, header="userId,movieId,rating,timestamp"):
    return {"ratings": "\n".join([header, *lines]) + "\n"}


def movies(*lines, header="movieId,title,genres"):
    return {"movies": "\n".join([header, *lines]) + "\n"}


GOOD = "7,30,4.0,1000"
BAD = {
    "no rating column": (
        ratings("7,30,1000", header="userId,movieId,timestamp"),
        r"ratings.csv, line 1: no column rating; there is userId, movieId, timestamp\. The first",
    ),
    "a headerless file": (ratings(header=GOOD), r"ratings.csv, line 1: no column userId, movieId"),
    "another separator": (
        ratings(GOOD.replace(",", ";"), header="userId;movieId;rating;timestamp"),
        r"ratings.csv, line 1: no column userId.*there is userId;movieId;rating;timestamp",
    ),
    "an empty file": ({"ratings": ""}, r"ratings.csv is empty"),
    "no ratings": (ratings(), r"ratings.csv has no ratings"),
    "a rating twice": (
        ratings(GOOD, "9,30,1.0,5", "7,30,3.0,9"),
        r"ratings.csv, line 4: user 7 already rated film 30 on line 2\. Keep one",
    ),
    "a rating of 0": (
        ratings(GOOD, "8,30,0,5"),
        r"ratings.csv, line 3, column rating: received '0'\. Ratings go from 0.5 to 5",
    ),
    "a rating of 6": (ratings("8,30,6,5", GOOD), r"line 2, column rating: received '6'"),
    "a rating between": (ratings(GOOD, "8,30,3.7,5"), r"line 3, column rating: received '3.7'"),
    "a rating that is text": (
        ratings(GOOD, "8,30,good,5"),
        r"line 3, column rating: received 'good'\. Write a number",
    ),
    "an infinite rating": (ratings(GOOD, "8,30,inf,5"), r"line 3, column rating: received 'inf'"),
    "a missing rating": (ratings(GOOD, "8,30,,5"), r"line 3, column rating: received nothing"),
    "user 0": (
        ratings(GOOD, "0,30,3,5"),
        r"line 3, column userId: received '0'\. Ids start from 1",
    ),
    "film -1": (ratings(GOOD, "8,-1,3,5"), r"line 3, column movieId: received '-1'"),
    "half a user": (
        ratings(GOOD, "1.5,30,3,5"),
        r"line 3, column userId: received '1.5'\. Write a whole number",
    ),
    "an endless id": (
        ratings(GOOD, "99999999999999999999,30,3,5"),
        r"line 3, column userId: received '.*'\. Write a whole number",
    ),
    "a user by name": (ratings(GOOD, "Ann,30,3,5"), r"line 3, column userId: received 'Ann'"),
    "an empty line": (ratings(GOOD, "", "8,30,3,5"), r"line 3, column userId: received nothing"),
    "a short line": (ratings(GOOD, "8,30,3"), r"line 3, column timestamp: received nothing"),
    "a long line": (ratings(GOOD, "8,30,3,5,6"), r"ratings.csv.*line 3"),
    "a long first line": (ratings("8,30,3,5,6"), r"ratings.csv"),
    "an unknown film": (
        ratings(GOOD, "8,31,3,5", "8,32,3,5"),
        r"ratings.csv, line 3: film 31 is rated but movies.csv has no line for it \(2 such films",
    ),
    "no title column": (
        movies("30,Drama", header="movieId,genres"),
        r"movies.csv, line 1: no column title; there is movieId, genres",
    ),
    "an empty films file": ({"movies": ""}, r"movies.csv, line 1: no column movieId.*nothing"),
    "a comma outside quotes": (
        movies("30,Harbour, The (1987),Drama"),
        r"movies.csv, line 2: 4 fields, the header has 3\. Put a title",
    ),
    "a film twice": (
        movies("30,One,Drama", "10,Two,Drama", "30,Three,Drama"),
        r"movies.csv, line 4: film 30 stands on line 2 already",
    ),
    "a line number after a title of two lines": (
        movies('30,"One\nline",Drama', "10,Two,Drama", "30,Three,Drama"),
        r"movies.csv, line 5: film 30 stands on line 2 already",
    ),
    "film 0": (movies("0,One,Drama"), r"movies.csv, line 2, column movieId: received '0'"),
    "a film by name": (movies("One,30,Drama"), r"line 2, column movieId: received 'One'"),
    "no genres": (movies("30,One,"), r"line 2: the title or the genres are missing.*\(no genres"),
    "no title": (movies("30,,Drama"), r"line 2: the title or the genres are missing"),
    "an open quote": (movies('30,"One,Drama', "10,Two,Drama"), r"movies.csv, line \d: "),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_names_file_and_line(case, tmp_path):
    parts, message = BAD[case]
    with pytest.raises(ValueError, match=message) as error:
        load_movielens(write(tmp_path, **parts))
    assert str(tmp_path) in str(error.value)


def test_other_encodings_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"movies.csv: not UTF-8 text"):
        load_movielens(write(tmp_path, encoding="latin-1"))
    text = RATINGS.replace("7,30,4.0,1000", "7,30,4.0,1000é")
    with pytest.raises(ValueError, match=r"ratings.csv: not comma-separated text in UTF-8"):
        load_movielens(write(tmp_path, text, encoding="latin-1"))


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match=r"has no ratings.csv and no movies.csv"):
        load_movielens(tmp_path)


# ---- real data ----


@pytest.mark.real
def test_real_ratings():
    folder = locate("movielens")
    if folder is None:
        pytest.skip("the real set is not in the data folder: python -m utils.fetch get movielens")
    data = load_movielens(folder)
    counts = {
        "2016-10": (100_004, 671, 9_066),  # the edition that the course used
        "2018-09": (100_836, 610, 9_724),
    }
    assert data.source == "real"
    assert (len(data), data.n_users, data.n_movies) == counts[data.edition]
    assert np.bincount(data.user).min() == 20
    assert set(np.unique(data.rating)) == set(np.arange(0.5, 5.1, 0.5))
    films = dict(zip(data.movie_ids.tolist(), data.titles.tolist(), strict=True))
    assert films[1] == "Toy Story (1995)"
    assert films[29] == "City of Lost Children, The (Cité des enfants perdus, La) (1995)"
    assert (data.years == 0).sum() <= 20 and data.years.max() <= 2018
    assert len(data.genre_names) == 19
