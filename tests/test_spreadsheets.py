"""The workbooks against NumPy: what they store, and what LibreOffice computes."""

import dataclasses
import re
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest
from libreoffice import fresh, recalculated, with_inputs
from scipy import signal
from xlsxwriter.utility import xl_rowcol_to_cell

from utils.convolutions import convolve, max_pool
from utils.spreadsheets import (
    position,
    read_workbook,
    write_collaborative_filtering,
    write_convolutions,
    write_optimizers,
)
from utils.spreadsheets._book import area, workbook
from utils.update_rules import (
    POINTS,
    SAVED,
    Annealing,
    SheetAdagrad,
    SheetAdam,
    SheetEve,
    SheetMomentum,
    SheetRMSProp,
    SheetSGD,
    replay,
)

pytestmark = pytest.mark.backend_free


def cells(table, address):
    row, column, height, width = position(address)
    return table[row : row + height, column : column + width]


def block(table, address):
    """Return the numbers in a block of cells; NaN where a cell is empty."""
    rows = cells(table, address)
    return np.array([[np.nan if c in (None, "") else c for c in row] for row in rows], float)


def first(address):
    return address.partition(":")[0]


def shifted(address, rows, columns):
    row, column = position(address)[:2]
    return xl_rowcol_to_cell(row + rows, column + columns)


def conditions(path, sheet=1):
    """Return a sheet's conditional formats: (address of the block, rule) as in the file."""
    space = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(path) as parts:
        root = ElementTree.fromstring(parts.read(f"xl/worksheets/sheet{sheet}.xml"))
    blocks = root.findall("x:conditionalFormatting", space)
    return [(block.get("sqref"), rule) for block in blocks for rule in block]


def coloured(path, sheet=1):
    """Return the addresses of the blocks with a colour scale, and how many colours it has."""
    colours = [(at, [e for e in rule.iter() if e.tag.endswith("}color")]) for at, rule in
               conditions(path, sheet) if rule.get("type") == "colorScale"]  # fmt: skip
    return {address: len(scale) for address, scale in colours}


# ---- addresses, cells, files ----


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("A1", (0, 0, 1, 1)),
        ("$B$3", (2, 1, 1, 1)),
        ("A1:C2", (0, 0, 2, 3)),
        ("XFD1048576", (1048575, 16383, 1, 1)),
    ],
)
def test_position_is_the_way_back_from_area(address, place):
    assert position(address) == place
    if place[2:] != (1, 1):
        assert area(*place) == address


@pytest.mark.parametrize("address", ["", "A1:", "foo", "a1", "Sheet!A1", "ZZZZ1", "XFE1", "A0",
                                     "A1048577", "C3:A1", "A3:C1", "A1:B2:C3", "A1\n"])  # fmt: skip
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError, match="is neither a cell such as 'B1' nor a block"):
        position(address)


def one_cell(path, write):
    with workbook(path) as new_sheet:
        write(new_sheet("sheet"))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda sheet: sheet.formula(1, 2, "=A1", np.inf), "Cell C2 cannot hold inf, by =A1"),
        (lambda sheet: sheet.formula(1, 2, "=A1", np.nan), "Cell C2 cannot hold nan"),
        (lambda sheet: sheet.formula(1, 2, "=", 0), "Cell C2 has a formula of 1 characters"),
        (lambda sheet: sheet.formula(1, 2, "=" + "1+" * 4096, 0), "Cell C2 .* of 8193 char"),
        (lambda sheet: sheet.formula(0, 16384, "=A1", 0), "Cell XFE1 has no room"),
        (lambda sheet: sheet.number(0, 16384, 0), "Cell XFE1 has no room"),
        (lambda sheet: sheet.number(0, 16384, np.nan), "Cell XFE1 has no room"),
        (lambda sheet: sheet.number(1, 2, -np.inf), "Cell C2 cannot hold -inf"),
        (lambda sheet: sheet.text(1048576, 0, "late"), "Cell A1048577 has no room"),
        (lambda sheet: sheet.text(0, 0, "a" * 32768), "a text after 32767 characters"),
    ],
)
def test_a_cell_that_excel_would_lose_is_named(write, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        one_cell(tmp_path / "new" / "x.xlsx", write)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a/b"], "Invalid Excel character"),
        (["a" * 32], "<= 31 chars"),
        (["a", "A"], "already in use"),
        ([""], "cannot be named ''"),
        ([None], "cannot be named None"),
        ([3], "cannot be named 3"),
    ],
)
def test_names_that_no_sheet_can_have(names, message, tmp_path):
    with pytest.raises(ValueError, match=message), workbook(tmp_path / "x.xlsx") as new_sheet:
        for name in names:
            new_sheet(name)
    assert not list(tmp_path.iterdir())


def test_paths_where_no_file_can_be(tmp_path):
    (tmp_path / "folder.xlsx").mkdir()
    started = []
    with pytest.raises(IsADirectoryError, match=r"folder\.xlsx is a folder"):
        one_cell(tmp_path / "folder.xlsx", started.append)
    assert not started  # before any work
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/x\.xlsx could not be written: .*exists"):
        one_cell(tmp_path / "file" / "x.xlsx", lambda sheet: sheet.number(0, 0, 1.0))


@pytest.fixture
def foreign(tmp_path):
    """Return a function that writes a workbook of four cells and puts another text into a part."""

    def write(old, new, part="xl/worksheets/sheet1.xml"):
        path = tmp_path / "foreign.xlsx"

        def fill(sheet):
            sheet.number(0, 0, 1.0)
            sheet.formula(1, 0, "=A1+1", 2)
            sheet.formula(2, 0, "=A2+1", 3)
            sheet.text(3, 0, "Tokyo")

        one_cell(path, fill)
        with zipfile.ZipFile(path) as parts:
            texts = {name: parts.read(name).decode() for name in parts.namelist()}
        texts[part], count = re.subn(old, new, texts[part])
        assert count >= 1
        with zipfile.ZipFile(path, "w") as parts:
            for name, text in texts.items():
                parts.writestr(name, text)
        return path

    return write


def test_shared_formulas_of_excel_are_not_taken_for_none(foreign):
    path = foreign("<f>A2[+]1</f>", '<f t="shared" si="0"/>')
    assert read_workbook(path)["sheet"][:, 0].tolist() == [1.0, 2.0, 3.0, "Tokyo"]
    with pytest.raises(ValueError, match=r"Cell A3 shares a formula .* only values can be read"):
        read_workbook(path, formulas=True)


def test_rich_text_is_joined_and_its_pronunciation_left_out(foreign):
    parts = "<r><t>To</t></r><r><rPr><b/></rPr><t>kyo</t></r>"
    parts += '<rPh sb="0" eb="1"><t>tookyoo</t></rPh>'
    shared = foreign("<si>.*?</si>", f"<si>{parts}</si>", "xl/sharedStrings.xml")
    assert read_workbook(shared)["sheet"][3, 0] == "Tokyo"
    cell = f'<c r="A4" t="inlineStr"><is>{parts}</is></c>'
    inline = foreign('<c r="A4".*?</c>', cell)
    assert read_workbook(inline)["sheet"][3, 0] == "Tokyo"
    assert read_workbook(inline, formulas=True)["sheet"][:, 0].tolist() == [
        None, "A1+1", "A2+1", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('<c r="A2"', "<c", "A cell has no address"),
        ('<c r="A2"', '<c r="A0"', "'A0' is neither"),
        ('<c r="A2"([^>]*)>(.*?)<v>2.0</v>', r'<c r="A2"\1 t="e">\2<v>#DIV/0!</v>',
         "Cell A2 holds the error #DIV/0!"),
    ],
)  # fmt: skip
def test_a_cell_that_says_nothing_is_refused(foreign, old, new, message):
    with pytest.raises(ValueError, match=message):
        read_workbook(foreign(old, new))


def test_what_is_no_workbook_is_named(foreign, tmp_path):
    text, archive = tmp_path / "text.xlsx", tmp_path / "archive.xlsx"
    text.write_text("a,b")
    with zipfile.ZipFile(archive, "w") as parts:
        parts.writestr("readme", "")
    for path in (text, archive, foreign("<sheetData>", "")):
        with pytest.raises(ValueError, match=rf"{path.name} is no \.xlsx workbook"):
            read_workbook(path)


# ---- convolutions.xlsx ----


@pytest.fixture
def network():
    rng = np.random.default_rng(0)
    image = np.round(rng.random((13, 11)), 2) * (rng.random((13, 11)) < 0.6)
    filters = rng.normal(size=(3, 3, 1, 2)), rng.normal(size=(3, 3, 2, 2))
    return image, *filters, rng.normal(size=(4, 3, 2))


def by_scipy(image, filters1, filters2, dense):
    """Compute every computed block of convolutions.xlsx by other means than the workbook's."""
    expected = {}
    for f in range(2):
        expected[f"conv 1/{f + 1}"] = signal.correlate2d(image, filters1[:, :, 0, f], "valid")
    for f in range(2):
        expected[f"conv 2/{f + 1}"] = sum(
            signal.correlate2d(expected[f"conv 1/{c + 1}"], filters2[:, :, c, f], "valid")
            for c in range(2)
        )
        conv = expected[f"conv 2/{f + 1}"]
        rows, columns = len(conv) // 2, conv.shape[1] // 2
        parts = conv[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
        expected[f"max pool {f + 1}"] = parts.max(axis=(1, 3))
    pooled = np.stack([expected["max pool 1"], expected["max pool 2"]], axis=-1)
    return expected | {"activation": np.array([[np.vdot(pooled, dense)]])}


def agree(table, addresses, expected):
    for name, values in expected.items():
        np.testing.assert_allclose(block(table, addresses[name]), values, rtol=1e-12, atol=1e-12)


def test_the_stored_values_of_the_convolutions(network, tmp_path):
    addresses = write_convolutions(tmp_path / "convolutions.xlsx", *network)
    table = read_workbook(tmp_path / "convolutions.xlsx")["convolutions"]
    inputs = {"image": network[0], "filter 1/2": network[1][:, :, 0, 1]}
    inputs |= {"filter 2/2, channel 1": network[2][:, :, 0, 1], "dense 2": network[3][:, :, 1]}
    agree(table, addresses, by_scipy(*network) | inputs)
    assert len(addresses) == 1 + 2 + 2 + 4 + 2 + 2 + 2 + 1


def test_computed_cells_are_formulas_and_inputs_are_not(network, tmp_path):
    addresses = write_convolutions(tmp_path / "convolutions.xlsx", *network)
    formulas = read_workbook(tmp_path / "convolutions.xlsx", formulas=True)["convolutions"]
    for name, address in addresses.items():
        computed = name.startswith(("conv", "max", "activation"))
        found = cells(formulas, address).ravel()
        assert all((cell is not None) == computed for cell in found), name


@pytest.mark.slow
def test_libreoffice_computes_the_convolutions(network, tmp_path):
    path = tmp_path / "convolutions.xlsx"
    addresses = write_convolutions(path, *network)
    agree(fresh(path, tmp_path)["convolutions"], addresses, by_scipy(*network))
    network[0][5, 4], network[1][1, 2, 0, 0] = 0.75, -2.5  # a pixel, a weight of filter 1/1
    network[2][0, 0, 1, 1], network[3][0, 0, 1] = 4.0, 9.0
    changes = {
        shifted(addresses["image"], 5, 4): 0.75,
        shifted(addresses["filter 1/1"], 1, 2): -2.5,
        first(addresses["filter 2/2, channel 2"]): 4.0,
        first(addresses["dense 2"]): 9.0,
    }
    table = recalculated(with_inputs(path, {"convolutions": changes}), tmp_path)["convolutions"]
    agree(table, addresses, by_scipy(*network))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((13, 11, 1))}, r"image has shape \(13, 11, 1\)"),
        ({"dense": np.zeros((4, 4, 2))}, r"dense has shape \(4, 4, 2\); the pooling's is"),
        ({"filters2": np.zeros((3, 3, 1, 2))}, "2 channels, the filters have 1"),
        ({"path": "convolutions.csv"}, "does not end in .xlsx"),
        ({"path": "new/convolutions.csv"}, "does not end in .xlsx"),
        ({"image": np.full((13, 11), np.nan)}, "image holds numbers that are not finite"),
        ({"filters1": np.full((3, 3, 1, 2), -np.inf)}, "filters1 holds numbers that are not"),
        ({"filters2": np.full((3, 3, 2, 2), np.nan)}, "filters2 holds numbers that are not"),
        ({"dense": np.full((4, 3, 2), np.inf)}, "dense holds numbers that are not finite"),
        ({"filters1": np.ones((3, 3, 1, 0))}, r"filters1 holds nothing: \(3, 3, 1, 0\)"),
        ({"filters2": np.ones((3, 3, 2, 0))}, r"filters2 holds nothing: \(3, 3, 2, 0\)"),
        ({"filters1": np.full((3, 3, 1, 2), 1e308), "path": "new/x.xlsx"}, "cannot hold inf"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(network, tmp_path, change, message):
    names = ("path", "image", "filters1", "filters2", "dense")
    arguments = dict(zip(names, ("convolutions.xlsx", *network), strict=True)) | change
    path = tmp_path / arguments.pop("path")
    with pytest.raises(ValueError, match=message):
        write_convolutions(path, **arguments)
    assert not list(tmp_path.iterdir())


def test_equal_content_gives_equal_bytes(network, tmp_path):
    for name in ("a.xlsx", "b.xlsx"):
        write_convolutions(tmp_path / name, *network)
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.xlsx") as parts:  # the clock's seconds may be the same
        assert b"2016-12-17" in parts.read("docProps/core.xml")


def test_every_block_is_coloured_around_zero_where_it_has_negative_numbers(network, tmp_path):
    path = tmp_path / "convolutions.xlsx"
    addresses = write_convolutions(path, *network)
    table = read_workbook(path)["convolutions"]
    assert coloured(path) == {
        address: 3 if block(table, address).min() < 0 else 2
        for name, address in addresses.items()
        if name != "activation"
    }
    assert coloured(path)[addresses["image"]] == 2


def test_the_mark_is_on_all_that_a_pooled_cell_sees(network, tmp_path):
    path = tmp_path / "convolutions.xlsx"
    addresses = write_convolutions(path, *network)
    marks = {at: rule[0].text for at, rule in conditions(path) if rule.get("type") == "expression"}
    chosen = 3, 2  # the followed cell, counted from 1, of 4 x 3

    def marked(name):
        clauses = re.fullmatch(r"=?AND\((.*)\)", marks[addresses[name]])[1]
        clauses = clauses.replace("$E$2", str(chosen[0])).replace("$E$3", str(chosen[1]))
        row, column, height, width = position(addresses[name])
        places = np.empty((height, width), bool)
        for i, j in np.ndindex(height, width):
            here = clauses.replace("ROW()", str(row + i + 1))
            here = here.replace("COLUMN()", str(column + j + 1))
            assert re.fullmatch(r"[0-9+*()<>=,-]+", here)
            places[i, j] = all(eval(f"[{here}]"))
        return places

    def seen(shape, *layers):
        """Light one pixel after the other, and look whether the followed cell notices."""
        noticed = np.zeros(shape, bool)
        for place in np.ndindex(shape):
            lit = np.zeros((*shape, 1))
            lit[place] = 1
            for layer in layers:
                lit = layer(lit)
            noticed[place] = lit[chosen[0] - 1, chosen[1] - 1, 0] > 0
        return noticed

    def conv(lit):
        return convolve(lit, np.ones((3, 3, 1, 1)))

    np.testing.assert_array_equal(marked("image"), seen((13, 11), conv, conv, max_pool))
    for f in (1, 2):
        np.testing.assert_array_equal(marked(f"conv 1/{f}"), seen((11, 9), conv, max_pool))
        np.testing.assert_array_equal(marked(f"conv 2/{f}"), seen((9, 7), max_pool))
        np.testing.assert_array_equal(marked(f"max pool {f}"), seen((4, 3)))
    assert len(marks) == 7


def test_an_error_leaves_the_old_file_as_it_was(tmp_path):
    path = tmp_path / "book.xlsx"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), workbook(path) as new_sheet:
        new_sheet("half").number(0, 0, 1.0)
        raise RuntimeError
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


# ---- collaborative_filtering.xlsx ----


@pytest.fixture
def table_of_ratings():
    rng = np.random.default_rng(0)
    ratings = rng.integers(1, 11, (15, 15)) / 2
    ratings[rng.random((15, 15)) < 0.1] = np.nan
    dot = {"user_factors": rng.random((15, 5)), "movie_factors": rng.random((15, 5))}
    bias = {"user_bias": rng.normal(size=15), "movie_bias": rng.normal(size=15)}
    return ratings, {"dot product": dot, "bias": dot | bias}


def by_hand(ratings, model):
    """Predict one rating at a time, the long way."""
    expected = {"predictions": np.empty(ratings.shape), "errors": np.empty(ratings.shape)}
    for i, j in np.ndindex(ratings.shape):
        guess = sum(
            u * m for u, m in zip(model["user_factors"][i], model["movie_factors"][j], strict=True)
        )
        if "user_bias" in model:
            guess += model["user_bias"][i] + model["movie_bias"][j]
        expected["predictions"][i, j] = guess
        expected["errors"][i, j] = guess - ratings[i, j]  # NaN where there is no rating
    squares = expected["errors"][~np.isnan(ratings)] ** 2
    return expected | {"rmse": np.array([[np.sqrt(squares.sum() / len(squares))]])}


@pytest.mark.parametrize("factors", [1, 2, 5])
def test_the_stored_values_of_the_ratings(table_of_ratings, factors, tmp_path):
    ratings, models = table_of_ratings
    for model in models.values():
        for key in ("user_factors", "movie_factors"):
            model[key] = model[key][:, :factors]
    path = tmp_path / "collaborative_filtering.xlsx"
    addresses = write_collaborative_filtering(path, ratings, models)
    tables = read_workbook(path)
    for number, (name, model) in enumerate(models.items(), start=1):
        expected = by_hand(ratings, model) | {"ratings": ratings}
        agree(tables[name], addresses[name], expected)
        agree(tables[name], addresses[name], {"movie_factors": model["movie_factors"].T})
        (words,) = [cell for cell in tables[name][0, 1:] if isinstance(cell, str)]
        assert "Solver" in words and "D1" in words
        assert all(addresses[name][key] in words for key in model)
        blocks = {"ratings": 2, "predictions": 2, "errors": 3}
        expected = {addresses[name][key]: count for key, count in blocks.items()}
        assert coloured(path, number) == expected


def test_the_names_of_users_and_movies(table_of_ratings, tmp_path):
    ratings, models = table_of_ratings
    path = tmp_path / "collaborative_filtering.xlsx"
    users, movies = [f"Ms {i}" for i in range(15)], [f"Film {i}" for i in range(15)]
    addresses = write_collaborative_filtering(path, ratings, models, users=users, movies=movies)
    for name, table in read_workbook(path).items():
        row, column = position(addresses[name]["ratings"])[:2]
        assert table[row - 1, column:].tolist() == movies
        for kind in ("ratings", "predictions", "errors"):
            row = position(addresses[name][kind])[0]
            assert table[row : row + 15, 0].tolist() == users
    with pytest.raises(ValueError, match="Received 14 users' and 15 movies' names"):
        write_collaborative_filtering(path, ratings, models, users=users[1:])
    with pytest.raises(ValueError, match="Received 15 users' and 16 movies' names"):
        write_collaborative_filtering(path, ratings, models, movies=[*movies, "one more"])


def test_what_is_larger_than_a_sheet_is_refused(tmp_path):
    many = {"user_factors": np.ones((1, 900)), "movie_factors": np.ones((1, 900))}
    with pytest.raises(ValueError, match=r"Cell \w+ has a formula of \d{5} characters"):
        write_collaborative_filtering(tmp_path / "x.xlsx", np.ones((1, 1)), {"model": many})
    wide = {"user_factors": np.ones((1, 1)), "movie_factors": np.ones((16383, 1))}
    with pytest.raises(ValueError, match="Cell XFE3 has no room"):
        write_collaborative_filtering(tmp_path / "x.xlsx", np.ones((1, 16383)), {"model": wide})
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_libreoffice_computes_the_ratings(table_of_ratings, tmp_path):
    ratings, models = table_of_ratings
    path = tmp_path / "collaborative_filtering.xlsx"
    addresses = write_collaborative_filtering(path, ratings, models)
    tables = fresh(path, tmp_path)
    for name, model in models.items():
        agree(tables[name], addresses[name], by_hand(ratings, model))
    known = tuple(np.argwhere(~np.isnan(ratings))[20])
    model = models["bias"]
    ratings[known], model["user_factors"][3, 2] = 0.5, -1.25
    model["movie_factors"][1, 4], model["movie_bias"][7] = 2.0, 3.0
    changes = {
        shifted(addresses["bias"]["ratings"], *known): 0.5,
        shifted(addresses["bias"]["user_factors"], 3, 2): -1.25,
        shifted(addresses["bias"]["movie_factors"], 4, 1): 2.0,
        shifted(addresses["bias"]["movie_bias"], 0, 7): 3.0,
    }
    tables = recalculated(with_inputs(path, {"bias": changes}), tmp_path)
    agree(tables["bias"], addresses["bias"], by_hand(ratings, model))


@pytest.mark.parametrize(
    ("ratings", "change", "message"),
    [
        (np.full((2, 3), np.nan), {}, "0 known cells"),
        (np.ones(3), {}, r"ratings has shape \(3,\)"),
        (np.ones((2, 3)), {"movie_factors": np.ones((2, 4))}, r"movie_factors has shape \(2, 4\)"),
        (np.ones((2, 3)), {"user_bias": np.ones(2)}, "movie_bias has shape nothing"),
        (np.ones((2, 3)), {"user_factors": np.full((2, 4), np.nan)}, "not finite"),
        (np.ones((2, 3)), {"bias": 1.0}, "unknown arrays: bias"),
        (np.array([[1, np.inf, 2]] * 2), {}, "infinite numbers; NaN marks a missing rating"),
        (np.ones((2, 3)), {"user_factors": 1.0}, r"user_factors has shape \(\)"),
        (np.ones((2, 3)), {"user_factors": np.ones(2)}, r"user_factors has shape \(2,\)"),
        (
            np.ones((2, 3)),
            {"user_factors": np.ones((2, 0)), "movie_factors": np.ones((3, 0))},
            r"user_factors has shape \(2, 0\); .* one factor or more",
        ),
    ],
)
def test_ratings_that_do_not_fit_are_named(ratings, change, message, tmp_path):
    model = {"user_factors": np.ones((2, 4)), "movie_factors": np.ones((3, 4))} | change
    with pytest.raises(ValueError, match=message):
        write_collaborative_filtering(tmp_path / "x.xlsx", ratings, {"model": model})


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({}, "models is empty"),
        ([{"user_factors": np.ones((2, 4))}], "models is list"),
        ({"model": [np.ones((2, 4))]}, "Model 'model' is list: a dict of arrays"),
        ({"model": {"movie_factors": np.ones((3, 4))}}, "user_factors has shape nothing"),
    ],
)
def test_models_that_are_none_are_named(models, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_collaborative_filtering(tmp_path / "x.xlsx", np.ones((2, 3)), models)


# ---- optimizers.xlsx ----

COLUMNS = {"b": ("w", 0), "a": ("w", 1), "de/db": ("gradient", 0), "de/da": ("gradient", 1)}
COLUMNS |= {"new b": ("new_w", 0), "new a": ("new_w", 1), "m of b": ("m", 0), "m of a": ("m", 1)}
COLUMNS |= {"v of b": ("v", 0), "v of a": ("v", 1)}
COLUMNS |= {"prediction": ("prediction", ...), "error²": ("squared_error", ...)}


def agree_with_replay(table, addresses, done, rtol=1e-9):
    """Compare every column of a rule's sheet with a replay by `utils.update_rules`."""
    compared = 0
    for name, (attribute, side) in COLUMNS.items():
        if name in addresses:
            values = np.concatenate([getattr(epoch, attribute)[:, side] if side != ... else
                                     getattr(epoch, attribute) for epoch in done])  # fmt: skip
            found = block(table, addresses[name])[:, 0]
            np.testing.assert_allclose(found, values, rtol=rtol, atol=1e-9, err_msg=name)
            compared += 1
    assert compared >= 8
    per_epoch = {"loss": [e.loss for e in done], "learning rate": [e.learning_rate for e in done]}
    if "epoch: measure" in addresses:
        per_epoch["measure"] = [e.measure for e in done]
    if "epoch: norm of b" in addresses:
        per_epoch |= {f"norm of {w}": [e.norm[i] for e in done] for i, w in enumerate("ba")}
    for name, values in per_epoch.items():
        found = block(table, addresses[f"epoch: {name}"])[:, 0]
        np.testing.assert_allclose(found, values, rtol=rtol, atol=1e-9, err_msg=name)


def replays(epochs, annealing_epochs):
    start = (1.0, 1.0)
    names = ("basic SGD", "adagrad", "rmsprop", "adam", "eve")
    done = {name: replay(SAVED[name].rule(), epochs, start) for name in names}
    done["momentum"] = replay(SheetMomentum(), epochs, start)
    rule = SheetAdam(beta_1=0.9, beta_2=0.95)
    return done | {"adam_ann": replay(rule, annealing_epochs, start, Annealing())}


def test_the_stored_values_of_the_rules(tmp_path):
    path = tmp_path / "optimizers.xlsx"
    addresses = write_optimizers(path, epochs=3, annealing_epochs=6)
    tables = read_workbook(path)
    for name, done in replays(3, 6).items():
        agree_with_replay(tables[name], addresses[name], done)
    np.testing.assert_array_equal(block(tables["data"], "A4:B32"), POINTS)


@pytest.mark.parametrize("name", ["basic SGD", "adagrad", "rmsprop", "adam", "eve"])
def test_the_first_epoch_shows_the_cells_of_the_course(name, tmp_path):
    path = tmp_path / "optimizers.xlsx"
    addresses = write_optimizers(path, epochs=1, annealing_epochs=1)[name]
    table, found = read_workbook(path)[name], 0
    for attribute, index, value in SAVED[name].cells.values():
        for column, (kind, side) in COLUMNS.items():
            if column in addresses and (kind, (-1, side)) == (attribute, index):
                last = block(table, addresses[column])[28, 0]
                assert last == pytest.approx(value, rel=1e-9)
                found += 1
    assert found >= 4


@pytest.mark.slow
def test_libreoffice_computes_the_rules(tmp_path):
    path = tmp_path / "optimizers.xlsx"
    addresses = write_optimizers(path, epochs=4, annealing_epochs=30)
    tables = fresh(path, tmp_path)
    for name, done in replays(4, 30).items():
        agree_with_replay(tables[name], addresses[name], done, rtol=1e-7)


def inputs(addresses):
    """Return the addresses of a rule's inputs: single cells, where columns are blocks."""
    return {name: address for name, address in addresses.items() if ":" not in address}


def labelled(rule, start, **others):
    """Return a rule's constants by the names that they have in its sheet."""
    values = {"start b": start[0], "start a": start[1]}
    values["keep the last row's step: 1"] = rule.carries_last_row
    for field in dataclasses.fields(rule):
        name, value = field.name.replace("_", " "), getattr(rule, field.name)
        if name in ("m", "v", "norm"):
            values |= {f"{name} of {w} before": x for w, x in zip("ba", value, strict=True)}
        elif name == "losses":
            values |= {"loss 1 epoch before": value[0], "loss 2 epochs before": value[1]}
        elif name != "slip":
            values[name] = value
    return {name: float(value) for name, value in (values | others).items()}


def test_every_rule_has_its_colours_and_a_chart_of_its_loss(tmp_path):
    path = tmp_path / "optimizers.xlsx"
    addresses = write_optimizers(path, epochs=2, annealing_epochs=3)
    with zipfile.ZipFile(path) as parts:
        charts = [parts.read(f"xl/charts/chart{n}.xml").decode() for n in range(1, 8)]
    for number, (name, places) in enumerate(addresses.items(), start=2):
        assert set(coloured(path, number)) == {
            places[column] for column in ("b", "a", "error²", "epoch: loss")
        }
        drawn = [f.rpartition("!") for f in re.findall("<c:f>(.*?)</c:f>", charts[number - 2])]
        assert [sheet.strip("'") for sheet, _, _ in drawn] == [name, name]
        expected = [position(places[f"epoch: {column}"]) for column in ("epoch", "loss")]
        assert [position(address) for _, _, address in drawn] == expected


def test_switches_take_0_and_1(tmp_path):
    path = tmp_path / "optimizers.xlsx"
    addresses = write_optimizers(path, epochs=1, annealing_epochs=1)
    with zipfile.ZipFile(path) as parts:
        for number, places in enumerate(addresses.values(), start=2):
            text = parts.read(f"xl/worksheets/sheet{number}.xml").decode()
            limited = re.findall(r'type="whole"[^>]* sqref="(\w+)"><formula1>0<.*?2>1<', text)
            assert limited == [at for name, at in inputs(places).items() if ": " in name]


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "3", None, True])
def test_epochs_are_whole_numbers(wrong, tmp_path):
    for name in ("epochs", "annealing_epochs"):
        with pytest.raises(ValueError, match=f"^{name}={re.escape(repr(wrong))}: a whole number"):
            write_optimizers(tmp_path / "x.xlsx", **{name: wrong})
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_libreoffice_follows_a_change(tmp_path):
    path = tmp_path / "optimizers.xlsx"
    addresses = write_optimizers(path, epochs=3, annealing_epochs=8)
    points = POINTS.copy()
    points[1, 0] = 40
    points[:, 1] = 1.5 * points[:, 0] - 3
    m, v = np.array([-5.0, 40.0]), np.array([700.0, 2e6])
    annealed = SAVED["adam_ann"].rule()  # it has the slip
    rules = {
        "basic SGD": SheetSGD(5e-5),
        "momentum": SheetMomentum(2e-4, 0.8, m),
        "adagrad": SheetAdagrad(0.002, norm=np.array([20.0, 1500.0])),
        "rmsprop": SheetRMSProp(0.03, 0.8, v),
        "adam": SheetAdam(0.5, 0.6, 0.8, m, v),
        "eve": SheetEve(0.5, 0.6, 0.8, m, v, beta=0.7, d=1.5, losses=(200.0, 150.0)),
        "adam_ann": dataclasses.replace(annealed, learning_rate=0.1, beta_1=0.8, beta_2=0.9),
    }
    stored, start, changes = read_workbook(path), (2.0, 0.5), {}
    for name, rule in rules.items():
        rule.carries_last_row = name != "adagrad"  # the other way round than written
        others = {"cut above ratio": 1.1, "cut by factor": 0.5, "lose row 2 of b (slip): 1": 1,
                  "compare with: least 1, last 0": 0} if name == "adam_ann" else {}  # fmt: skip
        new, places = labelled(rule, start, **others), inputs(addresses[name])
        assert set(new) == set(places)
        assert all(stored[name][position(places[k])[:2]] != new[k] for k in new), name
        changes[name] = {places[k]: value for k, value in new.items()}
    changes["data"] = {"A5": 40.0, "E4": -3.0, "E5": 1.5}
    tables = recalculated(with_inputs(path, changes), tmp_path)
    np.testing.assert_allclose(block(tables["data"], "A4:B32"), points)
    for name, rule in rules.items():
        annealing = Annealing(1.1, 0.5, "previous") if name == "adam_ann" else None
        done = replay(rule, 8 if annealing else 3, start, annealing, points)
        agree_with_replay(tables[name], addresses[name], done, rtol=1e-7)
        xy = np.tile(points, (len(done), 1))
        for column, values in zip("xy", xy.T, strict=True):
            np.testing.assert_allclose(block(tables[name], addresses[name][column])[:, 0], values)
    assert done[-1].learning_rate < done[0].learning_rate  # the annealing did cut


@pytest.mark.slow
def test_no_step_is_taken_from_the_true_line(tmp_path):
    path = tmp_path / "optimizers.xlsx"
    addresses = write_optimizers(path, epochs=3, annealing_epochs=3)
    changes = {}
    for name, places in addresses.items():
        new = {"start b": 30.0, "start a": 2.0}
        new |= {k: 0.0 for k in inputs(places) if k.startswith(("m of", "v of", "norm of", "beta"))}
        changes[name] = {places[k]: value for k, value in new.items()}
    tables = recalculated(with_inputs(path, changes), tmp_path)  # which refuses #DIV/0!
    for name, places in addresses.items():
        for column, value in {"new b": 30, "new a": 2, "epoch: loss": 0}.items():
            found = block(tables[name], places[column])
            np.testing.assert_array_equal(found, np.full(found.shape, float(value)))
        assert (name in ("basic SGD", "momentum")) != ("divide by 0" in (tables[name][1, 0] or ""))


@pytest.mark.slow
def test_a_switch_at_2_is_off(tmp_path):
    path = tmp_path / "optimizers.xlsx"
    addresses = write_optimizers(path, epochs=1, annealing_epochs=2)["adam_ann"]
    changes = {addresses["lose row 2 of b (slip): 1"]: 2.0}
    table = recalculated(with_inputs(path, {"adam_ann": changes}), tmp_path)["adam_ann"]
    agree_with_replay(table, addresses, replays(1, 2)["adam_ann"], rtol=1e-7)
