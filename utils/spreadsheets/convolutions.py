"""The workbook of notebook 01: two convolutions, a pooling, and one number out of it all."""

import numpy as np

from utils.convolutions import convolve, max_pool
from utils.spreadsheets._book import BLUE, GREY, area, cell, workbook

__all__ = ["write_convolutions"]

_TOP, _POOL = 5, 2  # the first row of numbers; height and width of a pooling window
_ROW, _COLUMN = (1, 4), (2, 4)  # the two cells that move the mark


def write_convolutions(path, image, filters1, filters2, dense):
    """Write an image's way through a small network as a workbook that computes.

    Every cell of conv 1, conv 2, max pool and the activation is a formula on cells to its left:
    change a pixel or a weight in Excel or LibreOffice and watch it run through. No padding, no
    bias, no ReLU, as in lesson 4's sheet. Two cells choose an output whose windows are marked.

    Parameters
    ----------
    path : str or pathlib.Path
        Where to write, ending in .xlsx; replaced whole or not at all.
    image : array_like
        (height, width), grey values.
    filters1 : array_like
        (filter height, filter width, 1, filters), as `keras.layers.Conv2D` keeps them.
    filters2 : array_like
        (filter height, filter width, filters of the first layer, filters).
    dense : array_like
        (height, width, filters of the second layer): a weight for each cell of the pooling.

    Returns
    -------
    dict of str to str
        The address of each block: `"image"`; `"filter 1/1"`, which is filter 1 of layer 1;
        `"conv 1/1"`; `"filter 2/1, channel 1"`; `"conv 2/1"`; `"max pool 1"`; `"dense 1"`;
        `"activation"`.

    Raises
    ------
    ValueError
        If shapes do not fit each other, or to a sheet; if an array is empty, or a number or a
        result is not finite.
    """
    arrays = [np.asarray(array, float) for array in (image, filters1, filters2, dense)]
    for name, array in zip(("image", "filters1", "filters2", "dense"), arrays, strict=True):
        if not array.size or not np.isfinite(array).all():
            what = "numbers that are not finite" if array.size else f"nothing: {array.shape}"
            raise ValueError(f"{name} holds {what}.")
    image, filters1, filters2, dense = arrays
    if image.ndim != 2:
        raise ValueError(f"image has shape {image.shape}; (height, width) is needed.")
    conv1 = convolve(image[:, :, None], filters1)
    conv2 = convolve(conv1, filters2)
    pooled = max_pool(conv2, _POOL)
    if dense.shape != pooled.shape:
        raise ValueError(f"dense has shape {dense.shape}; the pooling's is {pooled.shape}.")
    channels = filters2.shape[2]
    band = max(image.shape[0] + 2, 2 + channels * (len(filters2) + 2))  # rows for one filter
    reach2 = len(filters2) + _POOL - 1, filters2.shape[1] + _POOL - 1  # pixels a pooled cell sees
    reach1 = reach2[0] + len(filters1) - 1, reach2[1] + filters1.shape[1] - 1

    with workbook(path) as new_sheet:
        page = _Page(new_sheet("convolutions"))
        page.heading("input", "0 is white, 1 is black")
        page.inputs("image", 0, image, seen=reach1, dark=GREY)
        page.next()
        page.heading("filters 1", "change one!")
        for f in range(channels):
            page.inputs(f"filter 1/{f + 1}", f * band, filters1[:, :, 0, f])
        page.next()
        page.heading("conv 1", "filter × window, summed")
        for f in range(channels):
            pairs = [("image", f"filter 1/{f + 1}")]
            page.sums(f"conv 1/{f + 1}", f * band, conv1[:, :, f], pairs, seen=reach2)
        page.next()
        page.heading("filters 2", f"{channels} channels each")
        for f in range(filters2.shape[3]):
            for c in range(channels):
                row = f * band + c * (len(filters2) + 2)
                name = f"filter 2/{f + 1}, channel {c + 1}"
                page.inputs(name, row, filters2[:, :, c, f])
        page.next()
        page.heading("conv 2", "summed over window and channels")
        for f in range(filters2.shape[3]):
            pairs = [
                (f"conv 1/{c + 1}", f"filter 2/{f + 1}, channel {c + 1}") for c in range(channels)
            ]
            page.sums(f"conv 2/{f + 1}", f * band, conv2[:, :, f], pairs, seen=(_POOL, _POOL))
        page.next()
        page.heading("max pool", f"the largest of {_POOL} × {_POOL}")
        for f in range(filters2.shape[3]):
            page.maxima(f"max pool {f + 1}", f * band, pooled[:, :, f], f"conv 2/{f + 1}")
        page.next()
        page.heading("dense weights", "ten outputs: ten such sets")
        for f in range(filters2.shape[3]):
            page.inputs(f"dense {f + 1}", f * band, dense[:, :, f])
        page.next()
        page.heading("activation", "weights × max pool, summed")
        page.activation(float((pooled * dense).sum()), filters2.shape[3])
        page.title(pooled)
    return page.addresses()


class _Page:
    """The sheet, filled from left to right."""

    def __init__(self, sheet):
        self._sheet, self._places = sheet, {}  # name: (row, column, height, width)
        self._column = self._widest = 0
        sheet.page.freeze_panes(_TOP, 0)
        sheet.page.set_zoom(55)
        sheet.page.set_column(0, 500, 5)

    def title(self, pooled):
        sheet, (row, column) = self._sheet, (_ROW, _COLUMN)
        sheet.text(
            0, 0, "Blue numbers in frames are yours to change; all others compute.", bold=True
        )
        sheet.text(row[0], 0, "Follow: max pool row", bold=True)
        sheet.text(column[0], 0, "and column", bold=True)
        brightest = np.unravel_index(pooled[:, :, 0].argmax(), pooled.shape[:2])
        for place, count, start in zip((row, column), pooled.shape, brightest, strict=False):
            sheet.number(*place, start + 1, num_format="0")
            limits = {"validate": "integer", "criteria": "between", "minimum": 1, "maximum": count}
            sheet.page.data_validation(*place, *place, limits)
        sheet.text(row[0], row[1] + 1, "All that this one cell sees is marked, in every layer.")

    def heading(self, name, note):
        self._sheet.text(_TOP - 2, self._column, name, bold=True, font_size=14)
        self._sheet.text(_TOP - 1, self._column, note, italic=True, font_size=8)

    def next(self):
        self._column, self._widest = self._column + self._widest + 2, 0

    def addresses(self):
        return {name: area(*place) for name, place in self._places.items()}

    def inputs(self, name, row, values, *, seen=None, dark=BLUE):
        row = self._place(name, row, values.shape)
        self._sheet.numbers(row, self._column, values)
        if seen:
            self._mark(name, seen)
        self._sheet.colours(row, self._column, *values.shape, signed=values.min() < 0, dark=dark)

    def sums(self, name, row, values, pairs, *, seen):
        row = self._place(name, row, values.shape)
        for (i, j), value in np.ndenumerate(values):
            products = []
            for source, weights in pairs:
                place = self._places[weights]
                down, right = self._places[source][:2]
                window = area(down + i, right + j, *place[2:])
                products.append(f"SUMPRODUCT({window},{area(*place, fixed='both')})")
            self._sheet.formula(row + i, self._column + j, "=" + "+".join(products), value)
        self._mark(name, seen)
        self._sheet.colours(row, self._column, *values.shape, signed=values.min() < 0)

    def maxima(self, name, row, values, source):
        row = self._place(name, row, values.shape)
        down, right = self._places[source][:2]
        for (i, j), value in np.ndenumerate(values):
            window = area(down + _POOL * i, right + _POOL * j, _POOL, _POOL)
            self._sheet.formula(row + i, self._column + j, f"=MAX({window})", value)
        self._mark(name, (1, 1), step=1)
        self._sheet.colours(row, self._column, *values.shape, signed=values.min() < 0)

    def activation(self, value, filters):
        products = [
            f"SUMPRODUCT({area(*self._places[f'dense {f + 1}'])},"
            f"{area(*self._places[f'max pool {f + 1}'])})"
            for f in range(filters)
        ]
        row = self._place("activation", 0, (1, 1))
        look = {"num_format": "0.00000", "bold": True, "font_size": 14, "border": 2}
        self._sheet.formula(row, self._column, "=" + "+".join(products), value, **look)
        self._sheet.page.set_column(self._column, self._column, 16)

    def _place(self, name, row, shape):
        """Note where a block stands, write its name above it, and return its first row."""
        row = _TOP + 1 + row
        self._places[name] = (row, self._column, *shape)
        self._widest = max(self._widest, shape[1])
        self._sheet.text(row - 1, self._column, name, font_size=8)
        return row

    def _mark(self, name, seen, step=_POOL):
        """Let a block mark the window that the followed cell of the pooling looks at."""
        row, column, height, width = self._places[name]
        tests = []
        for axis, first, chosen, size in (
            ("ROW", row, cell(*_ROW, fixed="both"), seen[0]),
            ("COLUMN", column, cell(*_COLUMN, fixed="both"), seen[1]),
        ):
            start = f"{first + 1}+{step}*({chosen}-1)"
            tests += [f"{axis}()>={start}", f"{axis}()<{start}+{size}"]
        self._sheet.mark(row, column, height, width, f"=AND({','.join(tests)})")
