"""The update rules: the course's cells, Keras' optimizers, convex quadratics, and each other."""

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest

from utils.update_rules import (
    POINTS,
    SAVED,
    SGD,
    TRUTH,
    Adagrad,
    Adam,
    Annealing,
    Eve,
    Momentum,
    RMSProp,
    SheetAdagrad,
    SheetAdam,
    SheetEve,
    SheetMomentum,
    SheetRMSProp,
    SheetSGD,
    descend,
    replay,
)

# ---- the sheet's dialect ----


def test_points_are_noise_free_and_as_many_as_in_the_sheets():
    assert POINTS.shape == (29, 2)
    assert (POINTS[:, 1] == 2 * POINTS[:, 0] + 30).all()
    assert POINTS[:, 0].sum() == 1220  # column A of the workbook


@pytest.mark.parametrize("name", SAVED)
def test_last_row_equals_the_cached_cells(name):
    assert SAVED[name].difference() <= 1e-9


# Where the workbook's columns lie: the pairs are b, a.
COLUMNS = {
    "basic SGD": {"w": "CD", "prediction": "E", "squared_error": "F", "gradient": "KL"}
    | {"new_w": "NM"},
    "momentum": {"w": "CD", "prediction": "E", "gradient": "FG", "new_w": "HI", "m": "JK"},
    "adagrad": {"w": "CD", "prediction": "E", "gradient": "FG", "new_w": "HI"},
    "rmsprop": {"w": "CD", "prediction": "E", "gradient": "FG", "new_w": "HI", "v": "JK"},
    "adam": {"w": "CD", "prediction": "E", "gradient": "FG", "new_w": "HI", "m": "JK", "v": "LM"},
    "eve": {"w": "CD", "prediction": "E", "squared_error": "F", "gradient": "GH"}
    | {"new_w": "IJ", "m": "KL", "v": "MN"},
    "adagrad_ann": {"w": "CD", "prediction": "E", "gradient": "FG", "new_w": "IH"},
}
COLUMNS["adam_ann"] = COLUMNS["adam"]


@pytest.mark.real
@pytest.mark.parametrize("name", SAVED)
def test_every_row_equals_the_cached_cells(name, course_sheet):
    rows = course_sheet(f"graddesc-{name.replace(' ', '_')}")
    saved = SAVED[name]
    (epoch,) = replay(saved.rule(), start=saved.start)
    for attribute, letters in COLUMNS[name].items():
        cells = [[float(row["ABCDEFGHIJKLMN".index(c)]) for c in letters] for row in rows[3:32]]
        mine = getattr(epoch, attribute).reshape(29, -1)
        np.testing.assert_allclose(mine, cells, rtol=1e-9, err_msg=attribute)


def test_gradients_are_those_of_the_squared_error():
    (epoch,) = replay(SheetSGD(), start=(3.0, -1.0))
    for i, (x, y) in enumerate(POINTS):
        b, a = epoch.w[i]
        for j, unit in enumerate(np.eye(2)):
            plus, minus = ((a + s * unit[1]) * x + b + s * unit[0] - y for s in (1e-3, -1e-3))
            slope = (plus**2 - minus**2) / 2e-3
            assert epoch.gradient[i, j] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_what_an_epoch_hands_on():
    first, second = replay(SheetSGD(), epochs=2)
    assert (second.w[0] == first.w[-1]).all() and (first.end == first.w[-1]).all()
    first, second = replay(SheetAdagrad(norm=np.ones(2) * 30), epochs=2)
    assert (second.w[0] == first.new_w[-1]).all(), "adagrad alone keeps its last step"


def test_adagrads_divisor_is_the_norm_of_the_epoch_before():
    rule = SheetAdagrad(norm=np.ones(2) * 30)
    first, second = replay(rule, epochs=2)
    np.testing.assert_allclose(first.norm, np.linalg.norm(first.gradient, axis=0) / 29, rtol=1e-14)
    step = first.norm * (second.w - second.new_w)
    np.testing.assert_allclose(step, 0.001 * second.gradient, rtol=1e-9)
    assert (rule.norm == second.norm).all()


def test_the_measure_is_the_sum_of_both_roots():
    for epoch in replay(SheetAdam(), epochs=2):
        assert epoch.measure == pytest.approx(epoch.v[-1, 0] ** 0.5 + epoch.v[-1, 1] ** 0.5)
    assert replay(SheetSGD())[0].measure is None


def test_reference_values_of_plain_descent():
    epochs = replay(SheetSGD(), epochs=100)  # the facts' own replay
    np.testing.assert_allclose(epochs[4].end[::-1], [2.57000, 1.27546], atol=6e-6)
    np.testing.assert_allclose(epochs[99].end[::-1], [2.4799, 5.8152], atol=6e-5)
    assert epochs[0].loss == pytest.approx(150.755, abs=1e-3)


def test_the_truth_is_a_fixed_point():
    for rule in (SheetSGD(), SheetMomentum(), SheetAdagrad(), SheetRMSProp()):
        (epoch,) = replay(rule, start=TRUTH)
        assert (epoch.new_w == TRUTH).all() and epoch.loss == 0


def test_the_sheets_momentum_is_an_average_the_textbooks_a_sum():
    gradients = np.random.default_rng(0).normal(size=(30, 2))
    a = b = np.zeros(2)
    average, total = SheetMomentum(0.5, 0.9), Momentum(0.5 * (1 - 0.9), 0.9)
    for g in gradients:
        a, b = average.step(a, g), total.step(b, g)
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_eves_coefficient_by_hand():
    eve = SheetEve(m=np.zeros(2), v=np.ones(2), losses=(150.0, 100.0), d=0.8)
    assert eve.change == 0.5 and eve.divisor == pytest.approx(0.9 * 0.8 + 0.1 * 0.5)
    plain = SheetAdam(m=np.zeros(2), v=np.ones(2))
    g = np.array([2.0, -3.0])
    np.testing.assert_allclose(
        eve.step(np.zeros(2), g), plain.step(np.zeros(2), g) / 0.77, rtol=1e-14
    )
    eve.end_epoch(np.zeros((29, 2)), 120.0)
    assert eve.d == pytest.approx(0.77) and eve.losses == (120.0, 150.0)


def test_the_slip_drops_one_gradient_from_one_average():
    (right,), (slipped,) = (
        replay(SheetAdam(beta_1=0.9, beta_2=0.95, slip=slip)) for slip in (False, True)
    )
    assert (right.m[0] == slipped.m[0]).all() and right.m[1, 1] == slipped.m[1, 1]
    assert slipped.m[1, 0] == pytest.approx(0.9 * slipped.m[0, 0], rel=1e-14)
    assert (right.v[:2] == slipped.v[:2]).all()


@pytest.mark.parametrize("slip", [False, True])
def test_annealing_finds_the_line(slip):
    def end(annealing):
        rule = SheetAdam(beta_1=0.9, beta_2=0.95, slip=slip)
        return np.abs(replay(rule, epochs=50, annealing=annealing)[-1].end - TRUTH).max()

    assert end(Annealing()) <= 1e-3
    assert end(None) > 0.1


@hypothesis.given(
    st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30),
    st.sampled_from(["minimum", "previous"]),
    st.floats(1.0, 10.0),
)
@hypothesis.settings(deadline=None, database=None, derandomize=True, max_examples=40)
def test_annealing_cuts_where_its_definition_says(measures, reference, threshold):
    annealing = Annealing(threshold, 0.25, reference)
    for i, measure in enumerate(measures):
        before = measures[:i]
        compared = before and (min(before) if reference == "minimum" else before[-1])
        cut = bool(before) and measure > threshold * compared
        assert annealing(measure) == (0.25 if cut else 1.0)


# ---- the textbook's dialect ----

# exact in single precision, through which TensorFlow takes a constant: its 0.999 is off by 1e-8,
# and 1 - 0.999 by 1e-5 of itself
BETAS = 0.875, 0.9921875

PAIRS = {
    "SGD": (lambda: SGD(0.125), lambda: keras.optimizers.SGD(0.125)),
    "Momentum": (lambda: Momentum(0.125, 0.75), lambda: keras.optimizers.SGD(0.125, momentum=0.75)),
    "Adagrad": (lambda: Adagrad(0.125), lambda: keras.optimizers.Adagrad(0.125)),
    "RMSProp": (lambda: RMSProp(0.125), lambda: keras.optimizers.RMSprop(0.125)),
    "Adam": (lambda: Adam(0.125, *BETAS), lambda: keras.optimizers.Adam(0.125, *BETAS)),
    # constants far from the defaults, and an epsilon large enough to see where it stands
    "Adagrad, large epsilon": (
        lambda: Adagrad(0.125, epsilon=0.5, total=0.25),
        lambda: keras.optimizers.Adagrad(0.125, initial_accumulator_value=0.25, epsilon=0.5),
    ),
    "RMSProp, large epsilon": (
        lambda: RMSProp(0.125, 0.5, 0.5),
        lambda: keras.optimizers.RMSprop(0.125, rho=0.5, epsilon=0.5),
    ),
    "Adam, large epsilon": (
        lambda: Adam(0.125, 0.5, 0.75, 0.5),
        lambda: keras.optimizers.Adam(0.125, 0.5, 0.75, 0.5),
    ),
    "Eve, frozen": (
        lambda: Eve(0.125, *BETAS, c=1.0),
        lambda: keras.optimizers.Adam(0.125, *BETAS),
    ),
}


@pytest.fixture
def float64():
    """Let Keras compute in double precision, as NumPy does."""
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("size", [1.0, 1e-4])  # small gradients feel epsilon
def test_steps_equal_those_of_keras(name, size, float64):
    rule, optimizer = (make() for make in PAIRS[name])
    rng = np.random.default_rng(len(name))
    w = rng.normal(size=4)
    variable = keras.Variable(w, dtype="float64")
    optimizer.build([variable])
    for t in range(25):
        gradient = size * rng.normal(size=4)
        w = rule.step(w, gradient, loss=1.0 + t % 3)
        optimizer.apply([keras.ops.convert_to_tensor(gradient, dtype="float64")])
        theirs = keras.ops.convert_to_numpy(variable)
        assert theirs.dtype == "float64"
        np.testing.assert_allclose(w, theirs, rtol=1e-6, atol=1e-7, err_msg=f"step {t}")


def test_frozen_eve_is_adam_to_the_last_digit():
    eve, adam = Eve(0.1, c=1.0), Adam(0.1)
    rng, a, b = np.random.default_rng(0), np.ones(3), np.ones(3)
    for _ in range(50):
        g = rng.normal(size=3)
        a, b = eve.step(a, g, loss=rng.random()), adam.step(b, g)
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_eve_by_hand():
    eve, losses = Eve(0.1, beta_3=0.5, c=4.0, minimum=1.0), [5.0, 3.0, 3.0, 2.0, 0.5]
    # changes: 2/2, 0 -> 1/4, 1/1, below the minimum -> 4
    expected = [1.0, 0.5 * 1 + 0.5 * 1, 0.5 + 0.125, 0.3125 + 0.5, 0.40625 + 2.0]
    for loss, d in zip(losses, expected, strict=True):
        moved = np.ones(2) - eve.step(np.ones(2), np.array([1.0, -2.0]), loss)
        assert eve.d == pytest.approx(d, rel=1e-14)
        np.testing.assert_allclose(moved, eve.rate * eve.m, rtol=1e-14)


def test_a_loss_that_is_not_finite_slows_eve_but_does_not_stay():
    eve, losses = Eve(0.1, beta_3=0.5, c=4.0), [1.0, np.inf, np.inf, np.nan, 2.0, 1.0]
    # changes: 4 four times, then (2 - 1) / 1
    for loss, d in zip(losses, [1.0, 2.5, 3.25, 3.625, 3.8125, 2.40625], strict=True):
        w = eve.step(np.ones(2), np.ones(2), np.float64(loss))
        assert eve.d == d and np.isfinite(w).all()


@pytest.mark.parametrize("rule", [SGD(), Momentum(), SheetSGD(), SheetMomentum()])
def test_the_rate_is_that_of_the_last_step(rule):
    rule.learning_rate = 0.5
    rule.step(np.zeros(2), np.ones(2))
    assert rule.rate == 0.5


def test_adagrad_needs_one_number_per_weight_and_equals_the_whole_history():
    gradients = np.random.default_rng(1).normal(size=(40, 3))
    rule, w = Adagrad(0.3), np.zeros(3)
    for t, g in enumerate(gradients, 1):
        w_next = rule.step(w, g)
        norm = np.sqrt(0.1 + (gradients[:t] ** 2).sum(0) + 1e-7)
        np.testing.assert_allclose(w - w_next, 0.3 * g / norm, rtol=1e-12)
        w = w_next
    assert np.shape(rule.total) == (3,)


# How near to the minimum each ends: to rounding where steps shrink with the gradient; within a few
# steps' length where the gradient is divided by its own size.
NEIGHBOURHOODS = {
    "SGD": (lambda: SGD(0.1), 1e-9),
    "Momentum": (lambda: Momentum(0.05), 1e-9),
    "Adagrad": (lambda: Adagrad(0.5), 1e-9),
    "RMSProp": (lambda: RMSProp(0.02), 0.02 * 2),
    "Adam": (lambda: Adam(0.02, beta_2=0.99), 0.02),
    "Eve": (lambda: Eve(0.02, beta_2=0.99), 0.02),
    "SheetSGD": (lambda: SheetSGD(0.1), 1e-9),
    "SheetMomentum": (lambda: SheetMomentum(0.5), 1e-9),
    "SheetAdagrad": (lambda: SheetAdagrad(0.1), 1e-9),
    # it divides by the average before this gradient, so that a step may be many times the rate
    "SheetRMSProp": (lambda: SheetRMSProp(0.02), 1.5),
    "SheetAdam": (lambda: SheetAdam(0.02), 0.02),
    "SheetEve": (lambda: SheetEve(0.02), 0.02),
}


def quadratic(seed, n):
    """Return ½ (w - centre)ᵀ H (w - centre) with curvatures from 0.5 to 5, and its centre."""
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.normal(size=(n, n)))
    hessian, centre = (axes * rng.uniform(0.5, 5, n)) @ axes.T, rng.normal(size=n)

    def objective(w):
        return 0.5 * (w - centre) @ hessian @ (w - centre), hessian @ (w - centre)

    return objective, centre, centre + rng.uniform(-3, 3, n)


@pytest.mark.parametrize("name", NEIGHBOURHOODS)
@hypothesis.given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 5))
@hypothesis.settings(deadline=None, database=None, derandomize=True, max_examples=8)
def test_every_rule_ends_near_the_minimum(name, seed, n):
    make, radius = NEIGHBOURHOODS[name]
    objective, centre, start = quadratic(seed, n)
    path = descend(make(), objective, start, steps=800)
    assert np.abs(path.w[-50:] - centre).max() <= radius
    assert path.loss[-1] == objective(path.w[-1])[0]
    assert path.w.shape == (801, n) and path.rate.shape == (800, n)


def test_too_high_a_rate_diverges_and_the_bound_is_two_over_the_curvature():
    def objective(w):
        return 2.0 * w @ w, 4.0 * w  # curvature 4

    ends = [descend(SGD(rate), objective, [1.0], 200).loss[-1] for rate in (0.49, 0.5, 0.51)]
    assert ends[0] < 1e-3 and ends[1] == 2.0 and ends[2] > 1e3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0.0), "learning_rate=0.0"),
        (lambda: Adam(beta_1=1.5), "beta_1=1.5"),
        (lambda: Adam(beta_2=1.0), "beta_2=1"),
        (lambda: Eve(c=0.5), "c=0.5"),
        (lambda: Eve(c=np.inf), "c=inf"),
        (lambda: Eve(minimum=np.nan), "minimum=nan"),
        (lambda: Eve().step(np.ones(1), np.ones(1)), "loss"),
        (lambda: Annealing(reference="last"), "'minimum' or 'previous'"),
        (lambda: replay(SheetSGD(), annealing=Annealing()), "SheetSGD keeps none"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
