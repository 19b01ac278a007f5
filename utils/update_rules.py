"""Six update rules in plain NumPy, in two dialects: the textbook's and the course sheet's.

The textbook's rules (`SGD`, `Momentum`, `Adagrad`, `RMSProp`, `Adam`, `Eve`) take the same steps
as the Keras optimizers of those names. The sheet's (`SheetSGD`, ...) do what the cells of the
lesson's workbook `graddesc.xlsm` do, slips included; `replay` runs them over its 29 points.
"""

import dataclasses

import numpy as np

__all__ = [
    "POINTS",
    "SAVED",
    "SGD",
    "TRUTH",
    "Adagrad",
    "Adam",
    "Annealing",
    "Epoch",
    "Eve",
    "Momentum",
    "Path",
    "RMSProp",
    "SavedSheet",
    "SheetAdagrad",
    "SheetAdam",
    "SheetEve",
    "SheetMomentum",
    "SheetRMSProp",
    "SheetSGD",
    "descend",
    "replay",
]


# --- the textbook's dialect -------------------------------------------------------------------


@dataclasses.dataclass
class _Rule:
    """What all rules share: a learning rate, checked constants, `step`."""

    learning_rate: float = 0.01

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "learning_rate" and not value > 0:
                raise ValueError(f"learning_rate={value!r}: must be above 0.")
            if field.name.startswith("beta") and not 0 <= value <= 1:
                raise ValueError(f"{field.name}={value!r}: must lie between 0 and 1.")
        self.rate = self.learning_rate  # what the gradient, or its average, was multiplied with


class SGD(_Rule):
    """Plain gradient descent: a step against the gradient, times the learning rate."""

    def step(self, w, gradient, loss=None):
        """Return the next `w`; all rules share this signature, only `Eve` reads `loss`."""
        self.rate = self.learning_rate
        return w - self.learning_rate * gradient


@dataclasses.dataclass
class Momentum(_Rule):
    """Heavy ball: the last step, shortened, goes on (Polyak 1964).

    With a constant rate it is `keras.optimizers.SGD(momentum=beta)`.
    """

    beta: float = 0.9
    velocity: float = 0.0

    def step(self, w, gradient, loss=None):
        """Return the next `w`."""
        self.rate = self.learning_rate
        self.velocity = self.beta * self.velocity - self.rate * gradient
        return w + self.velocity


@dataclasses.dataclass
class Adagrad(_Rule):
    """Divide by the root of the sum of all squared gradients so far (Duchi et al. 2011).

    That sum is one number per weight. As in Keras it begins at `total` = 0.1.
    """

    epsilon: float = 1e-7
    total: float = 0.1

    def step(self, w, gradient, loss=None):
        """Return the next `w`."""
        self.total = self.total + gradient**2
        self.rate = self.learning_rate / np.sqrt(self.total + self.epsilon)
        return w - self.rate * gradient


@dataclasses.dataclass
class RMSProp(_Rule):
    """Divide by the root of a moving average of squared gradients (Hinton 2012, lecture 6e)."""

    beta: float = 0.9  # Keras: rho
    epsilon: float = 1e-7
    v: float = 0.0

    def step(self, w, gradient, loss=None):
        """Return the next `w`."""
        self.v = self.beta * self.v + (1 - self.beta) * gradient**2
        self.rate = self.learning_rate / np.sqrt(self.v + self.epsilon)
        return w - self.rate * gradient


@dataclasses.dataclass
class Adam(_Rule):
    """Moving averages of gradients and of their squares, corrected for their start at 0.

    Kingma and Ba (2014), in the form before their section 2.1, which is Keras' too: the
    correction is in the rate, and epsilon is added to the uncorrected root.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    m: float = 0.0
    v: float = 0.0
    t: int = 0

    def __post_init__(self):
        super().__post_init__()
        for name in ("beta_1", "beta_2"):
            if getattr(self, name) == 1:
                raise ValueError(
                    f"{name}=1: must be below 1, the correction divides by 1 - {name}."
                )

    def step(self, w, gradient, loss=None):
        """Return the next `w`."""
        self.t += 1
        self.m = self.beta_1 * self.m + (1 - self.beta_1) * gradient
        self.v = self.beta_2 * self.v + (1 - self.beta_2) * gradient**2
        corrected = np.sqrt(1 - self.beta_2**self.t) / (1 - self.beta_1**self.t)
        self.rate = self.learning_rate * corrected / (np.sqrt(self.v) + self.epsilon)
        return w - self.rate * self.m


@dataclasses.dataclass
class Eve(Adam):
    """Adam, its rate divided by how much the loss changes, measured against how high it is.

    Hayashi, Koushik and Neubig, arXiv 1611.01505v3, equation 8. With `c=1` the coefficient `d`
    is frozen at 1 and Eve is Adam.

    Parameters
    ----------
    beta_3 : float
        Of the moving average `d`.
    c : float
        Finite, at least 1. The change counts as at least 1 / c and at most `c`.
    minimum : float
        The least value the loss can have, f* in the paper. At or below it, and where a loss is
        not finite, the change counts as `c`.
    """

    beta_3: float = 0.999
    c: float = 10.0
    minimum: float = 0.0
    d: float = 1.0
    previous: float = np.nan

    def __post_init__(self):
        super().__post_init__()
        if not 1 <= self.c < np.inf:
            raise ValueError(f"c={self.c!r}: must be finite and at least 1.")
        if self.minimum is None or not np.isfinite(self.minimum):
            raise ValueError(f"minimum={self.minimum!r}: must be a finite number.")

    def step(self, w, gradient, loss=None):
        """Return the next `w`; `loss` is the objective at `w`, which has this gradient."""
        if loss is None:
            raise ValueError("Eve.step needs loss=..., the value whose gradient it is given.")
        loss = float(loss)
        if self.t > 0:
            height, gap = min(loss, self.previous) - self.minimum, abs(loss - self.previous)
            usable = height > 0 and np.isfinite(gap)
            change = np.clip(gap / height, 1 / self.c, self.c) if usable else self.c
            self.d = self.beta_3 * self.d + (1 - self.beta_3) * change
        self.previous = loss
        step = super().step(w, gradient) - w
        self.rate = self.rate / self.d
        return w + step / self.d


@dataclasses.dataclass(frozen=True, eq=False)
class Path:
    """Where a rule went.

    Attributes
    ----------
    w : numpy.ndarray
        (steps + 1, n): the start, then the weights after each step.
    loss : numpy.ndarray
        (steps + 1,): the objective there.
    rate : numpy.ndarray
        (steps, n): what each step multiplied the gradient, or its average, with.
    """

    w: np.ndarray
    loss: np.ndarray
    rate: np.ndarray


def descend(rule, objective, start, steps):
    """Let a rule of either dialect take steps, and return its `Path`.

    It ends no epoch: the sheet's rules keep what `end_epoch` would change (`norm`, `d`).

    Parameters
    ----------
    rule : SGD, Momentum, ...
        Fresh, since it remembers.
    objective : callable
        Takes weights of shape (n,), returns (loss, gradient).
    start : array_like
        (n,) weights.
    steps : int
        How many.
    """
    w = np.array(start, float)
    places, losses, rates = [w], [], []
    for _ in range(steps):
        loss, gradient = objective(w)
        w = rule.step(w, gradient, loss)
        losses.append(loss)
        places.append(w)
        rates.append(np.broadcast_to(rule.rate, w.shape))
    losses.append(objective(w)[0])
    return Path(np.array(places), np.array(losses), np.array(rates))


@dataclasses.dataclass
class Annealing:
    """Lower the learning rate when a measure of the gradients has grown too much.

    Lesson 4, "Jeremy's Dynamic Learning Rate". The sheet adam_ann compares with the least
    measure so far, the notes with the last one.

    Parameters
    ----------
    threshold, factor : float
        More than `threshold` times the reference: the rate is multiplied by `factor`.
    reference : str
        `"minimum"`, the least measure so far, or `"previous"`, the last one.
    best : float
        The reference at the start; infinite: the first measure never cuts.
    """

    threshold: float = 2.0
    factor: float = 0.25
    reference: str = "minimum"
    best: float = np.inf

    def __post_init__(self):
        if self.reference not in ("minimum", "previous"):
            raise ValueError(f"reference={self.reference!r}: use 'minimum' or 'previous'.")

    def __call__(self, measure):
        """Return what to multiply the learning rate with: `factor` or 1."""
        cut = measure > self.threshold * self.best
        self.best = min(measure, self.best) if self.reference == "minimum" else measure
        return self.factor if cut else 1.0


# --- the sheet's dialect ----------------------------------------------------------------------

TRUTH = np.array([30.0, 2.0])  # b, a: the sheets have b first

_x = [14, 86, 28, 51, 28, 29, 72, 62, 84, 15, 42, 62, 47, 35, 9, 38, 44, 99, 13, 21, 28, 20, 8]
_x = np.array([*_x, 64, 99, 70, 27, 17, 8], float)
POINTS = np.column_stack([_x, TRUTH[1] * _x + TRUTH[0]])  # (29, 2): x and y, rows 4 to 32


@dataclasses.dataclass
class SheetSGD(_Rule):
    """Sheet `basic SGD`. Weights are (b, a), as in all sheets."""

    learning_rate: float = 0.0001
    carries_last_row = False  # see `replay`

    def step(self, w, gradient, loss=None, row=None):
        """Return the next row's `w`; `row` counts from 0 within an epoch."""
        self.rate = self.learning_rate
        return w - self.learning_rate * gradient

    def end_epoch(self, gradients, loss):
        """Take in the gradients of an epoch, (29, 2), and its loss, √Σ(error²)."""


@dataclasses.dataclass
class SheetMomentum(SheetSGD):
    """Sheet `momentum`: an average of gradients, where the textbook has a sum.

    `SheetMomentum(rate, beta)` is `Momentum(rate * (1 - beta), beta)`.
    """

    beta: float = 0.9
    m: np.ndarray | float = 0.0

    def step(self, w, gradient, loss=None, row=None):
        """Return the next row's `w`."""
        self.rate = self.learning_rate
        self.m = self.beta * self.m + (1 - self.beta) * gradient
        return w - self.rate * self.m


@dataclasses.dataclass
class SheetAdagrad(SheetSGD):
    """Sheet `adagrad`: rates that stay the same for a whole epoch and forget the one before.

    Real Adagrad (`Adagrad`) sums over all steps and acts at every step.

    Parameters
    ----------
    norm : array_like
        Cells F1 and G1: √(Σ gradient²) / 29 of the epoch before.
    """

    learning_rate: float = 0.001
    norm: np.ndarray | float = 1.0
    carries_last_row = True

    def step(self, w, gradient, loss=None, row=None):
        """Return the next row's `w`."""
        self.rate = self.learning_rate / np.asarray(self.norm)
        return w - self.rate * gradient

    def end_epoch(self, gradients, loss):
        """Set the next epoch's `norm`; the L2 norm would not be divided by the rows."""
        self.norm = np.sqrt((gradients**2).sum(0)) / len(gradients)


@dataclasses.dataclass
class SheetRMSProp(SheetSGD):
    """Sheet `rmsprop`: divides by the average as it was *before* this gradient."""

    learning_rate: float = 0.02
    beta: float = 0.9
    v: np.ndarray | float = 1.0

    def step(self, w, gradient, loss=None, row=None):
        """Return the next row's `w`."""
        self.rate = self.learning_rate / np.sqrt(self.v)
        self.v = self.beta * self.v + (1 - self.beta) * gradient**2
        return w - self.rate * gradient


@dataclasses.dataclass
class SheetAdam(SheetSGD):
    """Sheet `adam`: no correction for the start, no epsilon. `adam_ann` has betas .9 and .95.

    Parameters
    ----------
    slip : bool
        Cell J5 of `adam_ann` points to an empty cell of another sheet, so that the second
        row's gradient for b never reaches the average.
    """

    learning_rate: float = 1.0
    beta_1: float = 0.7
    beta_2: float = 0.9
    m: np.ndarray | float = 0.0
    v: np.ndarray | float = 0.0
    slip: bool = False

    def step(self, w, gradient, loss=None, row=None):
        """Return the next row's `w`."""
        averaged = gradient * [0.0, 1.0] if self.slip and row == 1 else gradient
        self.m = self.beta_1 * self.m + (1 - self.beta_1) * averaged
        self.v = self.beta_2 * self.v + (1 - self.beta_2) * gradient**2
        self.rate = self.learning_rate / np.sqrt(self.v)
        return w - self.rate * self.m


@dataclasses.dataclass
class SheetEve(SheetAdam):
    """Sheet `eve`: `SheetAdam`, divided by `d`, which an epoch's loss changes once.

    Version 1 of the paper, without its bounds; version 3 (`Eve`) acts at every step.

    Parameters
    ----------
    beta : float
        Cell H38, of the moving average `d`.
    d : float
        Cell F37, the coefficient of the epoch before.
    losses : (float, float), optional
        Cells F34 and F35, the two epochs before. None: as after a reset, change 1.
    """

    beta: float = 0.9
    d: float = 1.0
    losses: tuple[float, float] | None = None

    @property
    def change(self):
        """Cell F36: the relative change of the loss, by the lower of the two."""
        return 1.0 if self.losses is None else abs(np.subtract(*self.losses)) / min(self.losses)

    @property
    def divisor(self):
        """Cell F38: `d` of this epoch."""
        return self.beta * self.d + (1 - self.beta) * self.change

    def step(self, w, gradient, loss=None, row=None):
        """Return the next row's `w`."""
        step = super().step(w, gradient, row=row) - w
        self.rate = self.rate / self.divisor
        return w + step / self.divisor

    def end_epoch(self, gradients, loss):
        """Move the coefficient and the losses on by one epoch."""
        self.d = self.divisor
        self.losses = (loss, loss if self.losses is None else self.losses[0])


@dataclasses.dataclass(frozen=True, eq=False)
class Epoch:
    """All values of one pass down a sheet; the columns with two entries are b's and a's.

    Attributes
    ----------
    learning_rate : float
        During this epoch.
    w, gradient, new_w : numpy.ndarray
        (29, 2): guesses before each row, its gradient, guesses after it.
    prediction, squared_error : numpy.ndarray
        (29,): of each row, before its update.
    m, v : numpy.ndarray or None
        (29, 2): averages after each row, where the rule keeps them.
    loss : float
        √Σ(error²), the cell that the sheets call rmse or loss.
    norm : numpy.ndarray
        (2,): √(Σ gradient²) / 29.
    measure : float or None
        √v of b plus √v of a at the end, what `adam_ann` watches (cell N33).
    end : numpy.ndarray
        (2,): the guesses with which the next epoch begins.
    """

    learning_rate: float
    w: np.ndarray
    prediction: np.ndarray
    squared_error: np.ndarray
    gradient: np.ndarray
    new_w: np.ndarray
    m: np.ndarray | None
    v: np.ndarray | None
    loss: float
    norm: np.ndarray
    measure: float | None
    end: np.ndarray


def replay(rule, epochs=1, start=(1.0, 1.0), annealing=None, points=POINTS):
    """Pass down a sheet row by row, `epochs` times, as its button does.

    All sheets but `adagrad` begin the next epoch with the guesses of the last row *before* its
    update (cells C32 and D32), so that one step in 29 is thrown away; averages are carried on.

    Parameters
    ----------
    rule : SheetSGD, SheetMomentum, ...
        Changed as it goes: its averages, and with `annealing` its learning rate.
    epochs : int
        Passes over the rows.
    start : (float, float)
        First guesses of b and a.
    annealing : Annealing, optional
        Fed with each epoch's `measure`; for rules with `v`.
    points : array_like
        (rows, 2): x and y.

    Returns
    -------
    list of Epoch

    Raises
    ------
    ValueError
        If `annealing` is given to a rule that keeps no average of squares.
    """
    if annealing is not None and not hasattr(rule, "v"):
        raise ValueError(f"annealing watches v, and {type(rule).__name__} keeps none.")
    w, done = np.array(start, float), []
    for _ in range(epochs):
        rows = []
        for row, (x, y) in enumerate(points):
            prediction = w[1] * x + w[0]
            gradient = 2 * (prediction - y) * np.array([1.0, x])
            new = rule.step(w, gradient, row=row)
            averages = [getattr(rule, name, None) for name in "mv"]
            rows.append((w, prediction, (prediction - y) ** 2, gradient, new, *averages))
            w = new
        w, prediction, squared_error, gradient, new, m, v = map(np.array, zip(*rows, strict=True))
        m, v = (None if average[0] is None else average for average in (m, v))
        loss, norm = np.sqrt(squared_error.sum()), np.sqrt((gradient**2).sum(0)) / len(points)
        measure = None if v is None else float(np.sqrt(v[-1]).sum())
        end = new[-1] if rule.carries_last_row else w[-1]
        rate = rule.learning_rate
        done.append(
            Epoch(rate, w, prediction, squared_error, gradient, new, m, v, loss, norm, measure, end)
        )
        rule.end_epoch(gradient, loss)
        if annealing is not None:
            rule.learning_rate = rate * annealing(measure)
        w = end
    return done


@dataclasses.dataclass(frozen=True)
class SavedSheet:
    """A sheet as the course's workbook was saved.

    Attributes
    ----------
    kind : type
        The rule, for instance `SheetAdam`.
    constants : dict
        Its arguments: the constants of rows 1 and 2, and the averages in row 3.
    start : (float, float)
        Guesses of b and a in the first row.
    cells : dict
        Address to (attribute of `Epoch`, index in it, cached value). Each hangs on all 29 rows.
    """

    kind: type
    constants: dict
    start: tuple[float, float]
    cells: dict

    def rule(self):
        """Return the rule afresh, with its averages as they were saved."""
        arrays = {"m", "v", "norm"}
        return self.kind(
            **{k: np.array(v) if k in arrays else v for k, v in self.constants.items()}
        )

    def difference(self):
        """Return the largest relative difference between a replayed epoch and the cells."""
        (epoch,) = replay(self.rule(), start=self.start)
        return max(
            abs(np.asarray(getattr(epoch, name))[index] / value - 1)
            for name, index, value in self.cells.values()
        )


# Read from the cached values of graddesc.xlsm (fast.ai part 1 v1, deeplearning1/excel).
SAVED = {
    "basic SGD": SavedSheet(
        SheetSGD,
        {},
        start=(1.0, 1.0),
        cells={
            "K32": ("gradient", (-1, 0), -48.68046209511117),
            "L32": ("gradient", (-1, 1), -389.44369676088934),
            "N32": ("new_w", (-1, 0), 1.0715160204418617),
            "M32": ("new_w", (-1, 1), 2.613084491952597),
            "F33": ("loss", (), 150.75521153771854),
        },
    ),
    "momentum": SavedSheet(
        SheetMomentum,
        {"m": (-19.279531290451075, 162.8396203477341)},
        start=(1.2610777567972657, 2.358034790954434),
        cells={
            "F32": ("gradient", (-1, 0), -51.660443288887286),
            "G32": ("gradient", (-1, 1), -413.2835463110983),
            "H32": ("new_w", (-1, 0), 1.3117795781905839),
            "I32": ("new_w", (-1, 1), 2.3412072909707793),
            "J32": ("m", (-1, 0), -19.243830171906204),
            "K32": ("m", (-1, 1), 162.83104077091178),
        },
    ),
    "adagrad": SavedSheet(
        SheetAdagrad,
        {"norm": (28.092710228958623, 1918.710769527765)},
        start=(1.0, 1.0),
        cells={
            "F32": ("gradient", (-1, 0), -71.98295651215835),
            "G32": ("gradient", (-1, 1), -575.8636520972668),
            "H32": ("new_w", (-1, 0), 1.142087211887002),
            "I32": ("new_w", (-1, 1), 1.108924738991806),
            "F33": ("norm", (0,), 27.319962416863692),
            "G33": ("norm", (1,), 1857.066741115646),
        },
    ),
    "rmsprop": SavedSheet(
        SheetRMSProp,
        {"v": (9309.63147497951, 38847505.04948409)},
        start=(1.0, 1.0),
        cells={
            "F32": ("gradient", (-1, 0), -65.32272461096989),
            "G32": ("gradient", (-1, 1), -522.5817968877591),
            "H32": ("new_w", (-1, 0), 1.5789105635894394),
            "I32": ("new_w", (-1, 1), 1.4726310635401902),
            "J32": ("v", (-1, 0), 13070.230908335576),
            "K32": ("v", (-1, 1), 59349084.121776894),
        },
    ),
    "adam": SavedSheet(
        SheetAdam,
        {
            "m": (-19.370509429769257, -636.9620431360627),
            "v": (5489.999378391848, 27555653.260482278),
        },
        start=(1.0, 1.0),
        cells={
            "F32": ("gradient", (-1, 0), -22.294762830765364),
            "G32": ("gradient", (-1, 1), -178.35810264612292),
            "H32": ("new_w", (-1, 0), 9.124297983393513),
            "I32": ("new_w", (-1, 1), 3.39424432669359),
            "J32": ("m", (-1, 0), -19.258122601147328),
            "K32": ("m", (-1, 1), -621.4893548762544),
            "L32": ("v", (-1, 0), 4152.378821113292),
            "M32": ("v", (-1, 1), 19470292.83400283),
        },
    ),
    "eve": SavedSheet(
        SheetEve,
        {
            "m": (4.223800054218521, -15.966661111217437),
            "v": (672.901089046245, 2666772.931402197),
            "losses": (239.79849927509557, 119.89924963754778),
        },
        start=(1.0, 1.0),
        cells={
            "G32": ("gradient", (-1, 0), -19.73186753425169),
            "H32": ("gradient", (-1, 1), -157.85494027401353),
            "I32": ("new_w", (-1, 0), 8.523870955499323),
            "J32": ("new_w", (-1, 1), 3.6713570289290445),
            "K32": ("m", (-1, 0), -21.532780911887304),
            "L32": ("m", (-1, 1), -934.1358119704252),
            "M32": ("v", (-1, 0), 5181.43828786623),
            "N32": ("v", (-1, 1), 26145088.52257432),
            "F33": ("loss", (), 235.28150716589968),
        },
    ),
    "adam_ann": SavedSheet(
        SheetAdam,
        {
            "learning_rate": 0.00390625,
            "beta_1": 0.9,
            "beta_2": 0.95,
            "slip": True,
            "m": (-0.04844194314192592, -4.064202550984445),
            "v": (0.02527589588662521, 161.89615404770484),
        },
        start=(29.990939773126538, 2.0041632844175137),
        cells={
            "F32": ("gradient", (-1, 0), -0.013308313894640378),
            "G32": ("gradient", (-1, 1), -0.10646651115712302),
            "H32": ("new_w", (-1, 0), 29.99853421993363),
            "I32": ("new_w", (-1, 1), 1.9992159522331712),
            "J32": ("m", (-1, 0), -0.0038632573305669004),
            "K32": ("m", (-1, 1), 0.45237081591241046),
            "L32": ("v", (-1, 0), 0.0239767287226179),
            "M32": ("v", (-1, 1), 143.16885926746696),
        },
    ),
    "adagrad_ann": SavedSheet(
        SheetAdagrad,
        {"learning_rate": 0.00390625, "norm": (0.2758546608505688, 16.186122587302258)},
        start=(29.406245790980623, 2.0217110111321754),
        cells={
            "F32": ("gradient", (-1, 0), -0.5566859914287079),
            "G32": ("gradient", (-1, 1), -4.453487931429663),
            "I32": ("new_w", (-1, 0), 29.60423892427795),
            "H32": ("new_w", (-1, 1), 2.0167374063750856),
            "F33": ("norm", (0,), 0.29214010037172083),
            "G33": ("norm", (1,), 16.630193282037062),
        },
    ),
}
