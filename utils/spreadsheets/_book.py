"""What the workbooks share: cells that compute, with the value beside them; atomic files."""

import contextlib
import datetime
import io
import os
import re
import tempfile
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import xlsxwriter
from xlsxwriter.exceptions import XlsxInputError
from xlsxwriter.utility import xl_cell_to_rowcol, xl_rowcol_to_cell

__all__ = ["Sheet", "area", "cell", "position", "read_workbook", "workbook"]

WHITE, GREY, BLUE, ORANGE = "#FFFFFF", "#8C8C8C", "#5BA3D0", "#E58A4F"
_MADE = datetime.datetime(2016, 12, 17)  # any fixed date: equal content then gives equal bytes
NUMBER = "0.00;-0.00;0"  # a plain 0 keeps blank regions calm
INPUT = {
    "font_color": "#0000C0",
    "border": 1,
    "border_color": "#B0B0D0",
}  # the reader may change it
_CELL = r"\$?[A-Z]{1,3}\$?[1-9][0-9]{0,6}"
_BLOCK = re.compile(f"{_CELL}(:{_CELL})?")
_LAST = "XFD1048576"  # the last cell of a sheet in Excel
_LONGEST = 8192  # characters of a formula in Excel


def cell(row, column, *, fixed=""):
    """Return the address of a cell, counted from 0: `cell(0, 1)` is `"B1"`.

    `fixed` says what a copied formula keeps: `"row"`, `"column"`, `"both"` or nothing.
    """
    return xl_rowcol_to_cell(
        row, column, row_abs=fixed in ("row", "both"), col_abs=fixed in ("column", "both")
    )


def area(row, column, height, width, *, fixed=""):
    """Return the address of a block of cells: `area(0, 0, 2, 3)` is `"A1:C2"`."""
    last = cell(row + height - 1, column + width - 1, fixed=fixed)
    return f"{cell(row, column, fixed=fixed)}:{last}"


def position(address):
    """Return where a cell or a block stands: (row, column, height, width), counted from 0.

    Parameters
    ----------
    address : str
        Such as `"B1"` or `"A1:C2"`, with or without dollar signs.

    Raises
    ------
    ValueError
        If it is neither, or no cell of a sheet, or its corners are in another order.
    """
    if _BLOCK.fullmatch(address):
        corners = [xl_cell_to_rowcol(corner) for corner in (*address.split(":"), _LAST)]
        (row, column), (bottom, right), (lowest, widest) = corners[0], corners[-2], corners[-1]
        if row <= bottom <= lowest and column <= right <= widest:
            return row, column, bottom - row + 1, right - column + 1
    raise ValueError(
        f"{address!r} is neither a cell such as 'B1' nor a block such as 'A1:C2', "
        f"top left corner first, with {_LAST} as the last cell."
    )


@contextlib.contextmanager
def workbook(path):
    """Make a workbook in memory and put it in place when it is whole.

    Yields a function that makes a `Sheet` of a name. An error leaves `path` as it was, and makes
    no folder.
    """
    path = Path(path)
    if path.suffix != ".xlsx":
        raise ValueError(f"path={str(path)!r} does not end in .xlsx.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; the name of a file is needed.")
    content = io.BytesIO()
    book = xlsxwriter.Workbook(content, {"in_memory": True})
    book.set_properties({"created": _MADE})
    yield lambda name: Sheet(book, name)
    book.close()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as workshop:
            draft = Path(workshop) / path.name
            draft.write_bytes(content.getvalue())
            os.replace(draft, path)
    except OSError as error:
        raise OSError(error.errno, f"{path} could not be written: {error}") from error


class Sheet:
    """One sheet under construction; rows and columns are counted from 0."""

    def __init__(self, book, name):
        if not isinstance(name, str) or not name:
            raise ValueError(f"A sheet cannot be named {name!r}; one character or more is needed.")
        self._book, self._formats = book, {}
        try:
            self.page = book.add_worksheet(name)
        except XlsxInputError as error:  # too long, forbidden characters, or there already
            raise ValueError(str(error)) from error
        self.page.hide_gridlines(2)
        self.page.set_landscape()
        self.page.fit_to_pages(1, 0)  # printed: as wide as a page

    def _format(self, **properties):
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format(properties)
        return self._formats[key]

    def _write(self, kind, row, column, content, *rest):
        """Write a cell by xlsxwriter, which returns a code where it writes nothing, or not all."""
        if getattr(self.page, f"write_{kind}")(row, column, content, *rest):
            raise ValueError(
                f"Cell {cell(row, column)} has no room: a sheet ends at {_LAST}, "
                f"a text after {self.page.xls_strmax} characters."
            )

    def text(self, row, column, text, **properties):
        """Write words."""
        self._write("string", row, column, text, self._format(**properties))

    def number(self, row, column, value, **properties):
        """Write one number, or nothing for NaN; marked as the reader's to change."""
        if np.isinf(value):
            raise ValueError(f"Cell {cell(row, column)} cannot hold {value}.")
        look = self._format(**INPUT | {"num_format": NUMBER} | properties)
        if np.isnan(value):
            self._write("blank", row, column, None, look)
        else:
            self._write("number", row, column, float(value), look)

    def numbers(self, row, column, values, **properties):
        """Write a block of numbers."""
        for (i, j), value in np.ndenumerate(values):
            self.number(row + i, column + j, value, **properties)

    def formula(self, row, column, formula, value, **properties):
        """Write a formula, and the value that a viewer shows without computing."""
        value = value if isinstance(value, str) else float(value)
        if not isinstance(value, str) and not np.isfinite(value):
            raise ValueError(f"Cell {cell(row, column)} cannot hold {value}, by {formula[:80]}.")
        if not 1 < len(formula) <= _LONGEST:
            raise ValueError(
                f"Cell {cell(row, column)} has a formula of {len(formula)} characters; "
                f"2 to {_LONGEST} are possible."
            )
        look = self._format(**{"num_format": NUMBER} | properties)
        self._write("formula", row, column, formula, look, value)

    def colours(self, row, column, height, width, *, signed=False, dark=BLUE):
        """Colour a block by its values: white to dark, or orange, white, dark around zero."""
        if signed:
            scale = {"type": "3_color_scale", "min_color": ORANGE, "mid_color": WHITE}
            scale |= {"mid_type": "num", "mid_value": 0, "max_color": dark}
        else:
            scale = {"type": "2_color_scale", "min_color": WHITE, "max_color": dark}
        last = (row + height - 1, column + width - 1)
        self.page.conditional_format(row, column, *last, scale)

    def line(self, place, x_values, y_values, *, x, y):
        """Draw one column against another, each (first row, column, last row); y logarithmic."""
        chart = self._book.add_chart({"type": "scatter", "subtype": "straight_with_markers"})
        ends = [
            [self.page.name, first, column, last, column]
            for first, column, last in (x_values, y_values)
        ]
        look = {"line": {"color": BLUE}, "marker": {"type": "circle", "size": 4}}
        chart.add_series({"categories": ends[0], "values": ends[1]} | look)
        chart.set_x_axis({"name": x, "min": 0})
        chart.set_y_axis({"name": y, "log_base": 10, "crossing": "min"})
        chart.set_legend({"none": True})
        chart.set_size({"width": 290, "height": 260})
        self.page.insert_chart(*place, chart)

    def mark(self, row, column, height, width, condition):
        """Mark the cells of a block for which a formula holds."""
        look = {"border": 1, "border_color": "#B00000", "font_color": "#B00000", "bold": True}
        look = self._format(bg_color="#FFE9D9", **look)
        rule = {"type": "formula", "criteria": condition, "format": look}
        self.page.conditional_format(row, column, row + height - 1, column + width - 1, rule)


def read_workbook(path, *, formulas=False):
    """Read what a workbook's cells show, or the formulas behind them.

    Parameters
    ----------
    path : str or pathlib.Path
        An .xlsx file, by xlsxwriter, LibreOffice or Excel. Nothing is computed: a formula's
        value is the one that was stored with it.
    formulas : bool
        Whether to return formulas in place of values, without their equals sign.

    Returns
    -------
    dict of str to numpy.ndarray
        For each sheet (rows, columns) of dtype object, cell A1 first: float, str, or None
        where a cell is empty or, with `formulas`, holds no formula.

    Raises
    ------
    ValueError
        If `path` is no workbook, a cell holds an error such as #DIV/0!, a cell has no address,
        or, with `formulas`, a cell shares a formula that is written down elsewhere.
    """
    try:
        return _tables(path, formulas)
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError) as error:
        raise ValueError(f"{path} is no .xlsx workbook: {error}") from error


def _tables(path, formulas):
    with zipfile.ZipFile(path) as parts:
        links = {e.get("Id"): e.get("Target") for e in _elements(parts, "_rels/workbook.xml.rels")}
        words = []
        if "xl/sharedStrings.xml" in parts.namelist():
            items = _elements(parts, "sharedStrings.xml")
            words = [_words(e) for e in items if _tag(e) == "si"]
        sheets = [e for e in _elements(parts, "workbook.xml") if _tag(e) == "sheet"]
        return {
            e.get("name"): _table(_elements(parts, links[_relation(e)]), words, formulas)
            for e in sheets
        }


def _elements(parts, name):
    name = name.removeprefix("/xl/")
    return ElementTree.fromstring(parts.read(f"xl/{name}")).iter()


def _tag(element):
    return element.tag.rpartition("}")[2]  # without its namespace


def _relation(sheet):
    return next((value for key, value in sheet.attrib.items() if key.endswith("}id")), None)


def _words(element):
    """Return a text, put together of its runs, without the hints how to pronounce it."""
    if _tag(element) == "rPh":
        return ""
    own = element.text or "" if _tag(element) == "t" else ""
    return own + "".join(map(_words, element))


def _table(elements, words, formulas):
    places = {}
    for element in elements:
        if _tag(element) != "c":
            continue
        address = element.get("r")
        if address is None:
            raise ValueError("A cell has no address (r), so that its place is not known.")
        inside = {_tag(e): e for e in element}
        read = _formula if formulas else _value
        value = read(address, element.get("t", "n"), inside, words)
        if formulas or value is not None:  # a frame alone makes no table larger
            places[position(address)[:2]] = value
    table = np.full(np.max([*places, (-1, -1)], axis=0) + 1, None, dtype=object)
    for place, value in places.items():
        table[place] = value
    return table


def _formula(address, kind, inside, words):
    if "f" not in inside:
        return None
    if not inside["f"].text:
        raise ValueError(
            f"Cell {address} shares a formula written down elsewhere: of this file only values "
            f"can be read (formulas=False)."
        )
    return inside["f"].text


def _value(address, kind, inside, words):
    if "is" in inside:
        return _words(inside["is"])
    text = inside["v"].text if "v" in inside else None
    if kind == "e":
        raise ValueError(f"Cell {address} holds the error {text}.")
    if text is None:
        return None
    if kind == "s":
        return words[int(text)]
    return float(text) if kind in ("n", "b") else text
