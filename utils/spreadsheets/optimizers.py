"""The workbook of notebook 02: update rules on a line's two numbers, one row a step."""

import operator

import numpy as np

from utils.spreadsheets._book import area, cell, workbook
from utils.update_rules import (
    POINTS,
    SAVED,
    TRUTH,
    Annealing,
    SheetAdam,
    SheetMomentum,
    replay,
)

__all__ = ["write_optimizers"]

_START = (1.0, 1.0)  # b, a
_ROWS = len(POINTS)
_TOP = 3  # the first row below the headings
_EPOCHS = 3  # the first column of the table of epochs
_LOOK = {"num_format": "0.0000"}
_LARGE = {"num_format": "#,##0.00"}
_WHOLE, _PLAIN = {"num_format": "0"}, {"num_format": "General"}

_TITLES = {
    "basic SGD": "Against the gradient, times the learning rate.",
    "momentum": "Against a moving average m of the gradients.",
    "adagrad": "Rates over √(Σ gradient²)/rows of the epoch before; true Adagrad never forgets.",
    "rmsprop": "Over the root of a moving average v of squared gradients, as before this row.",
    "adam": "Momentum's m over the root of RMSProp's v; no correction for the start, no epsilon.",
    "eve": "Adam, divided by d, which follows how much the epoch's loss changed.",
    "adam_ann": "Adam; the rate is cut when √v of b plus √v of a has grown too much.",
}
_ZERO = "Where this rule would divide by 0, as on the true line itself, the result counts as 0."
_SWITCH = {"validate": "integer", "criteria": "between", "minimum": 0, "maximum": 1}


def write_optimizers(path, *, epochs=10, annealing_epochs=50):
    """Write the update rules of the lesson's sheets as a workbook that computes.

    Sheet `data` holds 29 points on a line y = a·x + b. Then one sheet for each rule, a row for
    each step and a line for each epoch: change a learning rate, a start or a point in Excel or
    LibreOffice and watch all steps follow. Two slips of the course's sheets are switches: whether
    an epoch takes over what the last row of the one before has learned, and in `adam_ann` a row
    whose gradient is lost. The start averages are those saved in the course's workbook, so that
    the first epoch of `basic SGD`, `adagrad`, `rmsprop`, `adam` and `eve` shows its cells; of
    `momentum` and `adam_ann` they are 0.

    Parameters
    ----------
    path : str or pathlib.Path
        Where to write, ending in .xlsx; replaced whole or not at all.
    epochs : int
        Passes over the points, in all sheets but `adam_ann`.
    annealing_epochs : int
        Passes over the points in `adam_ann`.

    Returns
    -------
    dict of str to dict of str to str
        For each rule's sheet the address of each input (`"learning rate"`, ...), and of each
        column of its tables (`"b"`, `"new b"`, ..., `"epoch: loss"`, ...).

    Raises
    ------
    ValueError
        If there is no epoch, or no whole number of them, or more than a sheet has rows for.
    """
    for name, count in (("epochs", epochs), ("annealing_epochs", annealing_epochs)):
        try:
            whole = not isinstance(count, bool) and operator.index(count) >= 1
        except TypeError:
            whole = False
        if not whole:
            raise ValueError(f"{name}={count!r}: a whole number of at least 1 is needed.")
    rules = {name: saved.rule for name, saved in SAVED.items() if name in _TITLES}
    rules["momentum"] = SheetMomentum
    rules["adam_ann"] = lambda: SheetAdam(beta_1=0.9, beta_2=0.95)
    with workbook(path) as new_sheet:
        _data(new_sheet("data"))
        addresses = {}
        for name, make in rules.items():
            annealing = Annealing() if name == "adam_ann" else None
            count = annealing_epochs if annealing else epochs
            done = replay(make(), epochs=count, start=_START, annealing=annealing)
            addresses[name] = _Rule(new_sheet(name), name, make()).fill(done)
    return addresses


def _data(sheet):
    """Write the points; y follows the true line."""
    sheet.page.set_column(0, 5, 12)
    sheet.text(0, 0, "29 points on a line. Blue numbers in frames are yours to change.", bold=True)
    for column, name in enumerate(("x", "y = a·x + b")):
        sheet.text(_TOP - 1, column, name, bold=True)
    for row, (name, value) in enumerate((("b", TRUTH[0]), ("a", TRUTH[1]))):
        sheet.text(_TOP + row, 3, f"true {name}")
        sheet.number(_TOP + row, 4, value)
    for row, (x, y) in enumerate(POINTS):
        sheet.number(_TOP + row, 0, x)
        sheet.formula(_TOP + row, 1, f"={cell(_TOP + row, 0)}*$E${_TOP + 2}+$E${_TOP + 1}", y)


class _Rule:
    """One rule's sheet: its inputs at the left, then epochs, then steps."""

    def __init__(self, sheet, name, rule):
        self._sheet, self._name, self._rule = sheet, name, rule
        self._inputs, self._columns, self._addresses = {}, {}, {}
        sheet.page.set_column(0, 0, 27)
        sheet.page.set_column(1, 60, 12)
        sheet.page.freeze_panes(_TOP, 0)
        sheet.text(0, 0, f"{name}: {_TITLES[name]}", bold=True, font_size=12)
        if name not in ("basic SGD", "momentum"):
            sheet.text(1, 0, _ZERO, italic=True)

    def fill(self, done):
        self._write_inputs()
        epoch_names = ["epoch", "learning rate", "loss", *self._epoch_extras()]
        averages = [f"{kind} of {weight}" for kind in self._averages() for weight in "ba"]
        step_names = ["epoch of step", "x", "y", "b", "a", "prediction", "error²", "de/db", "de/da"]
        step_names += [*averages, "new b", "new a"]
        first = _EPOCHS + len(epoch_names) + 1
        self._columns = {f"epoch: {name}": _EPOCHS + i for i, name in enumerate(epoch_names)}
        self._columns |= {name: first + i for i, name in enumerate(step_names)}
        for name, column in self._columns.items():
            heading = name.removeprefix("epoch: ")
            self._sheet.text(_TOP - 1, column, heading, bold=True, align="right")
            rows = len(done) if name.startswith("epoch: ") else len(done) * _ROWS
            self._addresses[name] = area(_TOP, column, rows, 1)
        values = _epoch_values(self._rule, done)
        for number, epoch in enumerate(done):
            self._write_epoch(number, {name: column[number] for name, column in values.items()})
            for row in range(_ROWS):
                self._write_step(number, row, epoch)
        for name in ("b", "a", "error²", "epoch: loss"):
            rows = len(done) * (1 if name == "epoch: loss" else _ROWS)
            self._sheet.colours(_TOP, self._columns[name], rows, 1)
        self._draw(len(done))
        return self._addresses

    # ---- inputs ----

    def _averages(self):
        return [kind for kind in "mv" if hasattr(self._rule, kind)]

    def _write_inputs(self):
        rule, name = self._rule, self._name
        inputs = {"learning rate": rule.learning_rate, "start b": _START[0], "start a": _START[1]}
        for constant in ("beta", "beta_1", "beta_2", "d"):
            if hasattr(rule, constant):
                inputs[constant.replace("_", " ")] = getattr(rule, constant)
        for kind in (*self._averages(), *(["norm"] if name == "adagrad" else [])):
            pair = np.broadcast_to(getattr(rule, kind), 2)
            inputs |= {f"{kind} of b before": pair[0], f"{kind} of a before": pair[1]}
        if name == "eve":
            inputs |= {
                "loss 1 epoch before": rule.losses[0],
                "loss 2 epochs before": rule.losses[1],
            }
        if name == "adam_ann":
            inputs |= {"cut above ratio": 2.0, "cut by factor": 0.25}
            inputs |= {"compare with: least 1, last 0": 1, "lose row 2 of b (slip): 1": 0}
        inputs["keep the last row's step: 1"] = int(rule.carries_last_row)
        for row, (label, value) in enumerate(inputs.items()):
            self._sheet.text(_TOP + row, 0, label)
            self._sheet.number(_TOP + row, 1, value, **_PLAIN)
            if ":" in label:  # what follows says what the switch's 1 and 0 mean
                self._sheet.page.data_validation(_TOP + row, 1, _TOP + row, 1, _SWITCH)
            self._inputs[label] = cell(_TOP + row, 1, fixed="both")
            self._addresses[label] = cell(_TOP + row, 1)

    # ---- epochs ----

    def _epoch_extras(self):
        return {
            "adagrad": ["norm of b", "norm of a"],
            "eve": ["change", "d"],
            "adam_ann": ["measure", "reference"],
        }.get(self._name, [])

    def _epoch_cell(self, name, number):
        """Return the address of an epoch's value."""
        return cell(_TOP + number, self._columns[f"epoch: {name}"], fixed="both")

    def _of_epoch(self, name, number):
        """Return the block of a step's column that belongs to an epoch."""
        return area(_TOP + number * _ROWS, self._columns[name], _ROWS, 1)

    def _write_epoch(self, number, values):
        first, given = number == 0, self._inputs
        formulas = {
            "epoch": "=1" if first else f"={self._epoch_cell('epoch', number - 1)}+1",
            "learning rate": f"={given['learning rate']}",
            "loss": f"=SQRT(SUM({self._of_epoch('error²', number)}))",
        }
        if self._name == "adagrad":
            for weight in "ba":
                squares = self._of_epoch(f"de/d{weight}", number)
                formulas[f"norm of {weight}"] = f"=SQRT(SUMSQ({squares}))/ROWS({squares})"
        if self._name == "eve":
            earlier = [given["loss 2 epochs before"], given["loss 1 epoch before"]]
            earlier += [self._epoch_cell("loss", k) for k in range(number)]
            one, two = earlier[-1], earlier[-2]
            lower = f"MIN({one},{two})"
            formulas["change"] = "=" + _quotient(f"ABS({one}-{two})/{lower}", lower)
            last = given["d"] if first else self._epoch_cell("d", number - 1)
            change = self._epoch_cell("change", number)
            formulas["d"] = f"={given['beta']}*{last}+(1-{given['beta']})*{change}"
        if self._name == "adam_ann":
            last = _TOP + (number + 1) * _ROWS - 1
            roots = (f"SQRT({cell(last, self._columns[f'v of {w}'])})" for w in "ba")
            formulas["measure"] = "=" + "+".join(roots)
            measure = self._epoch_cell("measure", number)
            formulas["reference"] = f"={measure}"
            if not first:
                least = self._epoch_cell("reference", number - 1)
                switch = given["compare with: least 1, last 0"]
                formulas["reference"] = f"=IF({switch}=1,MIN({least},{measure}),{measure})"
                formulas["learning rate"] = self._annealed(number)
        for name, formula in formulas.items():
            look = {"epoch": _WHOLE, "learning rate": _PLAIN}
            column = self._columns[f"epoch: {name}"]
            place = (_TOP + number, column)
            self._sheet.formula(*place, formula, values[name], **look.get(name, _LOOK))

    def _annealed(self, number):
        """Return the formula of a rate that falls when the measure has outgrown its reference."""
        rate = self._epoch_cell("learning rate", number - 1)
        if number == 1:  # the first measure has nothing to be compared with
            return f"={rate}"
        measure, given = self._epoch_cell("measure", number - 1), self._inputs
        limit = f"{given['cut above ratio']}*{self._epoch_cell('reference', number - 2)}"
        return f"={rate}*IF({measure}>{limit},{given['cut by factor']},1)"

    # ---- steps ----

    def _write_step(self, number, row, epoch):
        line, given = _TOP + number * _ROWS + row, self._inputs
        here = {name: cell(line, column) for name, column in self._columns.items()}
        above = {name: cell(line - 1, column) for name, column in self._columns.items()}
        point = _TOP + row
        rate = self._epoch_cell("learning rate", number)
        formulas = {
            "epoch of step": (f"={self._epoch_cell('epoch', number)}", number + 1),
            "x": (f"=data!{cell(point, 0)}", POINTS[row, 0]),
            "y": (f"=data!{cell(point, 1)}", POINTS[row, 1]),
            "prediction": (f"={here['a']}*{here['x']}+{here['b']}", epoch.prediction[row]),
            "error²": (f"=({here['prediction']}-{here['y']})^2", epoch.squared_error[row]),
            "de/db": (f"=2*({here['prediction']}-{here['y']})", epoch.gradient[row, 0]),
            "de/da": (f"={here['de/db']}*{here['x']}", epoch.gradient[row, 1]),
        }
        for side, weight in enumerate("ba"):
            formulas[weight] = (self._weight(number, row, weight, above), epoch.w[row, side])
            before = {}
            for kind in self._averages():
                name = f"{kind} of {weight}"
                start = number == row == 0
                before[kind] = given[f"{name} before"] if start else above[name]
                formula = self._average(kind, weight, before[kind], here, row)
                formulas[name] = (formula, getattr(epoch, kind)[row, side])
            step = self._step(number, weight, rate, before, here)
            formulas[f"new {weight}"] = (f"={here[weight]}-{step}", epoch.new_w[row, side])
        for name, (formula, value) in formulas.items():
            look = {"epoch of step": _WHOLE, "x": _PLAIN, "y": _PLAIN}.get(name, _LOOK)
            look = _LARGE if name.startswith(("v of", "error²")) else look
            self._sheet.formula(line, self._columns[name], formula, value, **look)

    def _weight(self, number, row, weight, above):
        """Return where a row's guess comes from."""
        if row > 0:
            return f"={above[f'new {weight}']}"
        if number == 0:
            return f"={self._inputs[f'start {weight}']}"
        keep = self._inputs["keep the last row's step: 1"]
        return f"=IF({keep}=1,{above[f'new {weight}']},{above[weight]})"

    def _average(self, kind, weight, before, here, row):
        """Return the formula of a moving average of gradients, or of their squares."""
        given, gradient = self._inputs, here[f"de/d{weight}"]
        beta = given.get("beta " + {"m": "1", "v": "2"}[kind], given.get("beta"))
        if self._name == "adam_ann" and (kind, weight, row) == ("m", "b", 1):
            gradient += f"*IF({given['lose row 2 of b (slip): 1']}=1,0,1)"
        power = "^2" if kind == "v" else ""
        return f"={beta}*{before}+(1-{beta})*{gradient}{power}"

    def _step(self, number, weight, rate, before, here):
        """Return what a row takes off a weight."""
        gradient = here[f"de/d{weight}"]
        if self._name == "basic SGD":
            return f"{rate}*{gradient}"
        if self._name == "momentum":
            return f"{rate}*{here[f'm of {weight}']}"
        if self._name == "adagrad":
            norm = f"norm of {weight}"
            norm = self._epoch_cell(norm, number - 1) if number else self._inputs[f"{norm} before"]
            return _quotient(f"{rate}/{norm}*{gradient}", norm)
        if self._name == "rmsprop":
            return _quotient(f"{rate}/SQRT({before['v']})*{gradient}", before["v"])
        m, v = (here[f"{kind} of {weight}"] for kind in "mv")
        step, divisors = f"{rate}/SQRT({v})*{m}", [v]
        if self._name == "eve":
            divisors.append(self._epoch_cell("d", number))
            step += f"/{divisors[-1]}"
        return _quotient(step, *divisors)

    def _draw(self, epochs):
        """Draw the loss by epoch, below the inputs."""
        self._sheet.line(
            (_TOP + len(self._inputs) + 1, 0),
            *(
                (_TOP, self._columns[f"epoch: {name}"], _TOP + epochs - 1)
                for name in ("epoch", "loss")
            ),
            x="epoch",
            y="loss: √Σ error²",
        )


def _quotient(formula, *divisors):
    """Return a formula that is 0 where it would divide by 0; `replay` has NaN there."""
    for divisor in reversed(divisors):
        formula = f"IF({divisor}=0,0,{formula})"
    return formula


def _epoch_values(rule, done):
    """Return each column of the table of epochs, as `replay` has it."""
    values = {
        "epoch": range(1, len(done) + 1),
        "learning rate": [epoch.learning_rate for epoch in done],
        "loss": [epoch.loss for epoch in done],
        "norm of b": [epoch.norm[0] for epoch in done],
        "norm of a": [epoch.norm[1] for epoch in done],
        "measure": [epoch.measure for epoch in done],
    }
    if done[0].measure is not None:
        values["reference"] = np.minimum.accumulate(values["measure"])
    if hasattr(rule, "change"):
        values |= {"change": [], "d": []}
        for epoch in done:
            values["change"].append(rule.change)
            values["d"].append(rule.divisor)
            rule.end_epoch(epoch.gradient, epoch.loss)
    return values
