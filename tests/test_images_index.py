"""Samples and splits: counts and disjointness for any groups, by sets and counting."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.images import check_disjoint, sample, split_by_group

pytestmark = pytest.mark.backend_free

LISTS = st.lists(st.sampled_from("abcdef"), min_size=2, max_size=60)


@given(n=st.integers(1, 300), share=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_sample_draws_each_row_at_most_once(n, share, seed):
    rows = max(1, round(share * n))
    drawn = sample(n, rows, seed=seed)
    assert len(drawn) == rows and drawn.tolist() == sorted(set(drawn.tolist()))
    assert drawn.dtype == np.int64 and drawn[0] >= 0 and drawn[-1] < n
    assert np.array_equal(drawn, sample(["a file"] * n, rows, seed=seed))
    assert set(sample(n, max(1, rows // 2), seed=seed)) <= set(drawn)


@given(labels=LISTS, share=st.floats(0, 1), seed=st.integers(0, 9))
def test_a_stratified_sample_keeps_shares_to_within_one_row(labels, share, seed):
    rows = max(1, round(share * len(labels)))
    drawn = sample(labels, rows, seed=seed, stratify=labels)
    assert len(set(drawn.tolist())) == rows
    got = Counter(np.array(labels)[drawn].tolist())
    for name, count in Counter(labels).items():
        assert abs(got[name] - count * rows / len(labels)) < 1


def test_every_row_is_drawn_equally_often():
    hits = np.bincount(np.concatenate([sample(10, 3, seed=s) for s in range(2000)]), minlength=10)
    assert abs(hits - 600).max() < 5 * np.sqrt(2000 * 0.3 * 0.7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((3, 4), {}), "rows=4: must be a whole number from 1 to the 3"),
        (((3, 0), {}), "rows=0"),
        (((3, 1.5), {}), "rows=1.5"),
        (((3, 2), {"stratify": ["a", "b"]}), r"stratify has shape \(2,\): must be \(3,\)"),
    ],
)
def test_sample_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample(*arguments[0], seed=0, **arguments[1])


@given(groups=LISTS.filter(lambda g: len(set(g)) > 1), seed=st.integers(0, 99), data=st.data())
def test_no_group_is_on_both_sides(groups, seed, data):
    names = sorted(set(groups))
    held_out = data.draw(
        st.one_of(
            st.integers(1, len(names) - 1),
            st.floats(0.001, 0.999),
            st.lists(st.sampled_from(names), min_size=1, max_size=len(names) - 1, unique=True),
        )
    )
    train, validation = split_by_group(groups, held_out=held_out, seed=seed)
    assert train.dtype == bool and (train == ~validation).all() and train.any()
    sides = [
        {g for g, side in zip(groups, mask, strict=True) if side} for mask in (train, validation)
    ]
    assert not sides[0] & sides[1] and sides[0] and sides[1]
    check_disjoint(groups, train, validation)
    check_disjoint(groups, np.flatnonzero(train), np.flatnonzero(validation))
    if isinstance(held_out, list):
        assert sides[1] == set(held_out)
    if isinstance(held_out, int):
        assert len(sides[1]) == held_out
    again = split_by_group(groups, held_out=held_out, seed=seed)
    assert np.array_equal(again[0], train)


def test_a_share_is_of_rows():
    groups = np.repeat(np.arange(40), 25)
    shares = [split_by_group(groups, held_out=0.2, seed=s)[1].mean() for s in range(5)]
    assert shares == [0.2] * 5
    masks = {split_by_group(groups, held_out=8, seed=s)[1].tobytes() for s in range(5)}
    assert len(masks) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"held_out": ["p9"]}, "no rows of p9; the groups are p1, p2, p3"),
        ({"held_out": []}, "names 0 of 3 groups"),
        ({"held_out": ["p1", "p2", "p3"]}, "names 3 of 3 groups"),
        ({"held_out": 0.5}, "give a seed"),
        ({"held_out": 3, "seed": 0}, "from 1 to 2 groups"),
        ({"held_out": 1.0, "seed": 0}, "between 0 and 1"),
        (
            {"held_out": ["p3"], "labels": [0, 1, 1, 2]},
            "Class 2 has rows in .* groups p3",
        ),
        ({"held_out": ["p3"], "labels": [0, 1]}, "labels has shape"),
    ],
)
def test_split_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        split_by_group(["p1", "p1", "p2", "p3"], **options)


def test_one_group_cannot_be_split():
    with pytest.raises(ValueError, match="holds 1 group"):
        split_by_group(["p1", "p1"], held_out=1, seed=0)


def test_a_leak_is_named():
    groups = np.array(["p1", "p1", "p2", "p3"])
    with pytest.raises(ValueError, match=r"1 of 3 groups are both .* p1"):
        check_disjoint(groups, [0, 2], [1, 3])
    split_by_group(groups, held_out=["p3"], labels=[0, 1, 1, 0])
