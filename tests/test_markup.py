"""Generated markup against an XML parser, and what a window can know against brute force."""

import re
from xml.etree import ElementTree
from xml.parsers import expat

import numpy as np
import pytest

from utils.datasets import load_markup
from utils.markup import END, NAMES, allowed_next, well_formed

pytestmark = pytest.mark.backend_free

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")


@pytest.fixture(scope="module")
def markup():
    return load_markup(300, depth=[1, 2, 3, 4], seed=1)


def accepted_by_expat(document):
    try:
        expat.ParserCreate().Parse(document, True)
    except expat.ExpatError:
        return False
    return set(re.findall(r"[a-z]+(?=>)", document)) <= set(NAMES) and " >" not in document


def test_every_document_is_xml_of_its_depth(markup):
    deepest = []
    for document in markup.documents:
        tree = ElementTree.fromstring(document)
        assert well_formed(document) and {element.tag for element in tree.iter()} <= set(NAMES)
        level, levels = [tree], 0
        while level:
            level, levels = [child for element in level for child in element], levels + 1
        deepest.append(levels)
    assert set(deepest) == {1, 2, 3, 4}
    fixed = load_markup(20, depth=3, seed=0)
    assert set(fixed.depth.tolist()) == {1, 2, 3} and fixed.height.max() == 2


@hypothesis.given(st.integers(0, 299), st.data())
def test_the_checker_agrees_with_expat_on_damaged_documents(markup, row, data):
    document = markup.documents[row]
    at = data.draw(st.integers(0, len(document)))
    piece = data.draw(st.sampled_from(["", "<", "/", ">", "b", "em", "</b>", "<q>", "</p>"]))
    drop = data.draw(st.integers(0, 4))
    damaged = document[:at] + piece + document[at + drop :]
    verdict = well_formed(damaged)
    # XML allows an empty element's short form and blanks in tags; this language does not
    simple = re.fullmatch(r"([a-z ]|</?[a-z]+>)*", damaged) is not None
    assert bool(verdict) == (simple and accepted_by_expat(damaged)), damaged
    assert verdict.ok == (verdict.reason == "")
    if not verdict and verdict.position < len(damaged):  # up to there, it could go on well
        assert damaged[verdict.position] not in allowed_next(damaged[: verdict.position])[-1]


@pytest.mark.parametrize(
    ("document", "position", "reason"),
    [
        ("<b>x</q>", 6, "'q' where 'b' could stand; open: <b>."),
        ("<b>x", 4, "It ends with <b> open."),
        ("", 0, "It ends with nothing open."),
        ("x", 0, "'x' where '<' could stand; open: nothing."),
        ("<b></b>x", 7, "'x' where nothing more could stand; open: nothing."),
        ("<b></b>\n", 7, "where nothing more could stand"),
        ("<ex>", 2, "'x' where 'm' could stand"),
        ("<b>X</b>", 3, "'X' where a letter, a space or '<' could stand; open: <b>."),
        ("<b><p>", 6, "It ends with <b><p> open."),
        ("<x>", 1, "where 'b' or 'e' or 'l' or 'p' or 'q' or 'u' could stand"),
    ],
)
def test_where_it_fails(document, position, reason):
    verdict = well_formed(document)
    assert (verdict.ok, verdict.position) == (False, position)
    assert reason in verdict.reason


def test_what_may_follow():
    sets = allowed_next("<b>a</b>")
    assert [sorted(s) for s in (sets[0], sets[2], sets[6], sets[7], sets[8])] == [
        ["<"], [">"], ["b"], [">"], [END],
    ]  # fmt: skip
    assert sets[1] == {name[0] for name in NAMES} and sets[5] == sets[1] | {"/"}
    assert {"<", "z", " "} <= sets[3] and ">" not in sets[3]
    with pytest.raises(ValueError, match="'q' at 6"):
        allowed_next("<b>a</q>")


def test_documents_hold_allowed_characters_only(markup):
    for document in markup.documents[:50]:
        sets = allowed_next(document)
        assert all(c in allowed for c, allowed in zip(document + END, sets, strict=True))


# ---- the tables ----


def test_ids_targets_and_weights(markup):
    for row in (0, 7, 299):
        document = markup.documents[row]
        assert markup.decode(markup.ids[row]) == document
        np.testing.assert_array_equal(markup.encode(document), markup.ids[row, : len(document)])
        assert markup.weights[row].sum() == len(document)
        assert markup.targets[row, len(document) - 1] == 1  # the end follows the last character
        assert (markup.inputs[row, len(document) :] == 0).all()
    np.testing.assert_array_equal(markup.inputs > 0, markup.targets > 0)
    with pytest.raises(ValueError, match="'Ä'"):
        markup.encode("<b>Ä")


def test_every_closing_tag_is_found_with_its_opening(markup):
    """By a regular expression and a stack: another way than the generator's."""
    expected = []
    for row, document in enumerate(markup.documents):
        stack = []
        for tag in re.finditer(r"<(/?)(\w+)>", document):
            if not tag[1]:
                stack.append([tag.end(2) - 1, 0])
                continue
            opened, height = stack.pop()
            position, name = tag.start(2), NAMES.index(tag[2])
            expected.append((row, position, name, len(stack) + 1, height, position - opened))
            if stack:
                stack[-1][1] = max(stack[-1][1], height + 1)
    columns = ("row", "position", "name", "depth", "height", "distance")
    found = np.column_stack([getattr(markup, column) for column in columns])
    np.testing.assert_array_equal(found, sorted(expected))


def test_windows_are_what_stands_before(markup):
    windows = markup.windows(9)
    for i in range(0, len(windows), 37):
        document, end = markup.documents[markup.row[i]], markup.position[i]
        assert markup.decode(windows[i][windows[i] > 0]) == document[max(0, end - 9) : end]


def test_a_window_that_misses_the_opening_tag_tells_nothing():
    """Rename the element in question: the window stays, so it cannot tell one name from another."""
    markup, width = load_markup(200, depth=[2, 3], names=("b", "i", "q"), seed=3), 12
    windows, beyond = markup.windows(width), markup.distance > width
    assert beyond.any() and not beyond.all()
    for i in np.flatnonzero(beyond)[:50]:
        document, end = markup.documents[markup.row[i]], markup.position[i]
        start = end - markup.distance[i]
        seen = {
            (document[:start] + name + document[start + 1 : end])[end - width : end]
            for name in markup.names
        }
        assert seen == {markup.decode(windows[i])}
    np.testing.assert_array_equal(markup.window_limit(width), np.where(beyond, 1 / 3, 1.0))


def test_names_are_drawn_evenly_whatever_stands_around():
    markup = load_markup(2000, depth=3, seed=0)
    for height in range(3):
        share = np.bincount(markup.name[markup.height == height], minlength=6)
        expected = share.sum() / 6
        assert ((share - expected) ** 2 / expected).sum() < 20.5  # chi-square, 5 degrees, p = .001


def test_closing_accuracy_reads_the_place_before_the_name(markup):
    certain = np.zeros((*markup.targets.shape, len(markup.vocabulary)), np.float32)
    np.put_along_axis(certain, markup.targets[..., None], 1, axis=2)
    assert markup.closing_accuracy(certain).all()
    always_b = np.zeros_like(certain)
    always_b[..., markup.vocabulary.index("b")] = 1
    np.testing.assert_array_equal(markup.closing_accuracy(always_b), markup.name == 0)
    with pytest.raises(ValueError, match="is needed"):
        markup.closing_accuracy(certain[:, :-1])


def test_same_seed_same_documents():
    one, same, other = (load_markup(5, seed=seed) for seed in (0, 0, 1))
    assert one.documents == same.documents != other.documents
    assert repr(one).startswith("Markup: 5 documents")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"documents": 0}, "documents=0"),
        ({"depth": 0}, "depth=0"),
        ({"depth": []}, r"depth=\[\]"),
        ({"depth": 1.5}, "depth=1.5"),
        ({"names": ("b",)}, "two or more names"),
        ({"names": ("b", "big")}, "first letter of its own"),
        ({"names": ("b", "I")}, "lower-case"),
        ({"names": "bi"}, "two or more names"),
        ({"text": (3, 2)}, r"text=\(3, 2\)"),
        ({"siblings": 1}, "siblings=1"),
    ],
)
def test_bad_arguments(arguments, what):
    with pytest.raises(ValueError, match=what):
        load_markup(**arguments)


@pytest.mark.parametrize("ids", [[-1], [99]])
def test_no_such_ids(markup, ids):
    with pytest.raises(ValueError, match="one row of ids from 0 to"):
        markup.decode(ids)


def test_no_text_and_no_siblings_make_nested_dolls():
    document = load_markup(1, depth=3, text=(0, 0), siblings=0).documents[0]
    assert re.fullmatch(r"(<\w+>){3}(</\w+>){3}", document)
