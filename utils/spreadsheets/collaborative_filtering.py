"""The workbook of notebook 06: a small table of ratings, predicted by factors and biases."""

from collections.abc import Mapping

import numpy as np

from utils.spreadsheets._book import area, cell, workbook

__all__ = ["write_collaborative_filtering"]

_HELP = (
    "No formula can search. Run the Solver (Excel: Data; LibreOffice: Tools, nonlinear): "
    "minimise {goal} by changing {cells}."
)


def write_collaborative_filtering(path, ratings, models, *, users=None, movies=None):
    """Write a table of ratings and its predictions as a workbook that computes.

    One sheet a model. Its predictions, errors and root mean squared error (RMSE) are formulas:
    change a rating, a factor or a bias and watch them follow. Empty cells of the ratings are
    predicted too, and count in no error: those predictions are the recommendations.

    Parameters
    ----------
    path : str or pathlib.Path
        Where to write, ending in .xlsx; replaced whole or not at all.
    ratings : array_like
        (users, movies), stars; NaN where there is no rating.
    models : dict of str to dict
        For each sheet's name the arrays `"user_factors"` (users, factors) and
        `"movie_factors"` (movies, factors), and, where the model has them, `"user_bias"`
        (users,) and `"movie_bias"` (movies,).
    users, movies : sequence of str, optional
        Their names; numbers from 1 where not given.

    Returns
    -------
    dict of str to dict of str to str
        For each sheet the addresses of `"ratings"`, of the arrays of its model, of
        `"predictions"`, `"errors"` and `"rmse"`. The block of `"movie_factors"` is transposed:
        (factors, movies), a column for each movie.

    Raises
    ------
    ValueError
        If a shape does not fit the ratings, or to a sheet; if no rating is known, a number is
        infinite, an array has no numbers, or a name cannot be a sheet's.
    """
    ratings = np.asarray(ratings, float)
    if np.isinf(ratings).any():
        raise ValueError("ratings holds infinite numbers; NaN marks a missing rating.")
    if ratings.ndim != 2 or not np.isfinite(ratings).any():
        raise ValueError(
            f"ratings has shape {ratings.shape} and {np.isfinite(ratings).sum()} known cells; "
            f"(users, movies) with at least one known rating is needed."
        )
    if not isinstance(models, Mapping) or not models:
        raise ValueError(
            f"models is {'empty' if not models else type(models).__name__}: a dict of one model "
            f"or more is needed, each has a sheet."
        )
    models = {name: _checked(name, model, ratings.shape) for name, model in models.items()}
    names = [
        [f"{kind} {i + 1}" for i in range(n)] if given is None else [str(name) for name in given]
        for kind, given, n in zip(("user", "movie"), (users, movies), ratings.shape, strict=True)
    ]
    if (len(names[0]), len(names[1])) != ratings.shape:
        raise ValueError(
            f"Received {len(names[0])} users' and {len(names[1])} movies' names for ratings of "
            f"shape {ratings.shape}."
        )
    with workbook(path) as new_sheet:
        return {
            name: _fill(new_sheet(name), ratings, model, *names) for name, model in models.items()
        }


def _checked(name, model, shape):
    """Return a model's arrays as float, or say which one does not fit."""
    if not isinstance(model, Mapping):
        raise ValueError(f"Model {name!r} is {type(model).__name__}: a dict of arrays is needed.")
    if unknown := set(model) - {"user_factors", "movie_factors", "user_bias", "movie_bias"}:
        raise ValueError(f"Model {name!r} has unknown arrays: {', '.join(sorted(unknown))}.")
    model = {key: np.asarray(values, float) for key, values in model.items()}
    received = model["user_factors"].shape if "user_factors" in model else "nothing"
    if len(received) != 2 or 0 in received:
        raise ValueError(
            f"Model {name!r}: user_factors has shape {received}; (users, factors) is needed, with "
            f"one factor or more."
        )
    needed = {"user_factors": (shape[0], received[1]), "movie_factors": (shape[1], received[1])}
    if "user_bias" in model or "movie_bias" in model:
        needed |= {"user_bias": shape[:1], "movie_bias": shape[1:]}
    for key, wanted in needed.items():
        received = model[key].shape if key in model else "nothing"
        if received != wanted:
            raise ValueError(f"Model {name!r}: {key} has shape {received}; {wanted} is needed.")
        if not np.isfinite(model[key]).all():
            raise ValueError(f"Model {name!r}: {key} holds numbers that are not finite.")
    return model


def _fill(sheet, ratings, model, users, movies):
    """Lay out one model: ratings above, its predictions in the middle, their errors below."""
    (n_users, n_movies), factors = ratings.shape, model["user_factors"].shape[1]
    biased = "user_bias" in model
    left = 1 + factors + biased  # the first movie's column; before it names and user numbers
    above = factors + biased  # rows of movie numbers
    places = {"ratings": (3, left, n_users, n_movies)}
    first = 3 + n_users + 2 + above  # the first row of predictions
    places["user_factors"] = (first, left - factors, n_users, factors)
    places["movie_factors"] = (first - factors, left, factors, n_movies)
    if biased:
        places["user_bias"] = (first, 1, n_users, 1)
        places["movie_bias"] = (first - above, left, 1, n_movies)
    places["predictions"] = (first, left, n_users, n_movies)
    places["errors"] = (first + n_users + 2, left, n_users, n_movies)
    places["rmse"] = (0, 3, 1, 1)
    addresses = {name: area(*place) for name, place in places.items()}

    predicted = model["user_factors"] @ model["movie_factors"].T
    if biased:
        predicted = predicted + model["user_bias"][:, None] + model["movie_bias"]
    errors = predicted - ratings

    sheet.page.set_column(0, 0, 12)
    sheet.page.set_column(1, left + n_movies, 6)
    sheet.page.set_row(2, 70)  # room for names that stand upright
    sheet.page.freeze_panes(3, 1)
    sheet.text(0, 0, "RMSE in stars", bold=True)
    rmse = f"=SQRT(SUMSQ({addresses['errors']})/COUNT({addresses['ratings']}))"
    value = np.sqrt(np.nanmean(errors**2))
    sheet.formula(0, 3, rmse, value, bold=True, border=2, num_format="0.0000")
    inputs = [name for name in model if name in addresses]
    cells = ", ".join(addresses[name] for name in inputs)
    column = max(left, places["rmse"][1] + 1)  # clear of the RMSE
    sheet.text(0, column, _HELP.format(goal=cell(0, 3), cells=cells), italic=True)

    for number, movie in enumerate(movies):
        sheet.text(2, left + number, movie[:24], rotation=60, font_size=8)
    for name, row in (
        ("ratings", 2),
        ("predictions", first - 1),
        ("errors", places["errors"][0] - 1),
    ):
        sheet.text(row, 0, name, bold=True, font_size=12)
    for block in ("ratings", "predictions", "errors"):
        for number, user in enumerate(users):
            sheet.text(places[block][0] + number, 0, user[:24], font_size=8)
    sheet.numbers(*places["ratings"][:2], ratings, num_format="0.0")
    sheet.numbers(*places["user_factors"][:2], model["user_factors"])
    sheet.numbers(*places["movie_factors"][:2], model["movie_factors"].T)
    sheet.text(first - 1, left - factors, "factors", font_size=8)
    if biased:
        sheet.numbers(*places["user_bias"][:2], model["user_bias"][:, None])
        sheet.numbers(*places["movie_bias"][:2], model["movie_bias"][None])
        sheet.text(first - 1, 1, "bias", font_size=8)
        sheet.text(first - above, left - 1, "bias", font_size=8)

    for (i, j), value in np.ndenumerate(predicted):
        products = [
            f"{cell(first + i, left - factors + k, fixed='column')}"
            f"*{cell(first - factors + k, left + j, fixed='row')}"
            for k in range(factors)
        ]
        if biased:
            products += [
                cell(first + i, 1, fixed="column"),
                cell(first - above, left + j, fixed="row"),
            ]
        unknown = np.isnan(ratings[i, j])
        look = {"italic": True, "font_color": "#008060"} if unknown else {}
        sheet.formula(first + i, left + j, "=" + "+".join(products), value, **look)
        rating, guess = cell(3 + i, left + j), cell(first + i, left + j)
        error = f'=IF({rating}="","",{guess}-{rating})'
        row = places["errors"][0] + i
        sheet.formula(row, left + j, error, "" if unknown else errors[i, j])
    sheet.colours(*places["ratings"])
    sheet.colours(*places["predictions"])
    sheet.colours(*places["errors"], signed=True)
    return addresses
