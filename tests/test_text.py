"""The text loader, and the stand-in whose entropy is known: checked by parsing what it wrote."""

import math
import re
import unicodedata
from functools import cache

import numpy as np
import pytest

from utils import standins
from utils.datasets import load_text
from utils.datasets.text import join_words, split_words
from utils.fetch import locate
from utils.language_models import NGramModel, bits
from utils.standins import nietzsche

pytestmark = pytest.mark.backend_free

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")


@pytest.fixture(scope="module")
def folder():
    return standins.make("nietzsche", scale="quick")


@pytest.fixture(scope="module")
def truth(folder):
    return standins.truth("nietzsche", scale="quick")


# ---- the loader ----


def lay(folder, content):
    (folder / "nietzsche.txt").write_bytes(content)
    return folder


def test_ids_spell_the_file(folder):
    text = load_text(folder)
    as_read = (folder / "nietzsche.txt").read_text(encoding="utf-8")
    assert text.text == as_read == "".join(text.vocabulary[i] for i in text.ids)
    assert list(text.vocabulary) == sorted(set(as_read))
    assert text.ids.dtype == np.int32 and len(text) == len(as_read)
    assert (text.source, text.unit) == ("stand-in", "character")
    assert len((folder / "nietzsche.txt").read_bytes()) > len(as_read)  # letters of two bytes


def test_parts_are_contiguous_and_all_there_is(folder):
    text = load_text(folder, validation=0.2, test=0.1)
    np.testing.assert_array_equal(
        np.concatenate([text.train, text.validation, text.test]), text.ids
    )
    shares = np.array([len(text.train), len(text.validation), len(text.test)]) / len(text)
    np.testing.assert_allclose(shares, [0.7, 0.2, 0.1], atol=1e-4)
    assert "to test (stand-in" in repr(text)


def test_capitals_ends_of_line_and_length(tmp_path):
    lay(tmp_path, "\ufeffThus\r\nspoke Ä!".encode())
    assert load_text(tmp_path).text == "Thus\nspoke Ä!"
    lower = load_text(tmp_path, lower=True, characters=12)
    assert lower.text == "thus\nspoke ä"
    assert lower.decode(lower.encode("spät".replace("t", "h"))) == "späh"
    with pytest.raises(ValueError, match=r"Character 1, 'T', does not occur .* has no capitals"):
        lower.encode("sT")
    with pytest.raises(ValueError, match=r"Character 0, 'z', does not occur in this text\.$"):
        lower.encode("z")


def test_a_text_of_ones_own_is_real_of_another_edition(tmp_path):
    text = load_text(lay(tmp_path, b"a text of my own"))
    assert (text.source, text.edition[:6], text.folder) == ("real", "other ", tmp_path)


@pytest.mark.parametrize(
    ("content", "arguments", "what"),
    [
        (b"good until \xe4 here", {}, r"nietzsche.txt, byte 12: b'\\xe4' is not UTF-8"),
        (b"\xef\xbb\xbfgood until \xe4 here", {}, r"nietzsche.txt, byte 15: b'\\xe4'"),
        (b"ab", {}, "2 characters cannot be cut into three parts"),
        (b"", {}, "0 characters"),
        (b"enough text", {"validation": 0}, "validation=0"),
        (b"enough text", {"validation": 0.5, "test": 0.5}, "whose sum is below 1"),
        (b"enough text", {"characters": 0}, "characters=0"),
        (b"enough text", {"characters": True}, "characters=True"),
    ],
)
def test_bad_texts_and_arguments(tmp_path, content, arguments, what):
    with pytest.raises(ValueError, match=what):
        load_text(lay(tmp_path, content), **arguments)


def test_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"has no nietzsche\.txt"):
        load_text(tmp_path)


def test_accents_and_line_ends_come_one_way(tmp_path):
    composed = load_text(lay(tmp_path, "späte Café,\n\nneu und mehr".encode()))
    (tmp_path / "other").mkdir()
    apart = unicodedata.normalize("NFD", "späte Café,\r\rneu und mehr").encode()
    assert load_text(lay(tmp_path / "other", apart)).text == composed.text


def test_too_few_words(tmp_path):
    with pytest.raises(ValueError, match="A text of 1 words cannot be cut into three parts"):
        load_text(lay(tmp_path, b"supercalifragilistic")).words()


def test_the_hint_about_capitals_is_true(tmp_path):
    with pytest.raises(ValueError, match=r"'S', does not occur in this text\.$"):
        load_text(lay(tmp_path, b"Thus it was to all")).encode("S")
    with pytest.raises(ValueError, match="it has no capitals"):
        load_text(lay(tmp_path, b"Thus it was to all"), lower=True).encode("T")


@pytest.mark.parametrize("ids", [[[1, 2]], [-1], [10_000], [1.5], ["1"]])
def test_no_such_ids(folder, ids):
    with pytest.raises(ValueError, match="one row of ids from 0 to"):
        load_text(folder).decode(ids)


# ---- words ----


def test_words_by_hand():
    text = 'Why?--So that "we" don\'t\nforget\n\n12. (Re-)read it...'
    words = split_words(text)
    assert words == [
        "Why", "?", "--", "So", "that", '"', "we", '"', "don't", "forget", "\n\n", "12", ".",
        "(", "Re", "-", ")", "read", "it", "...",
    ]  # fmt: skip
    assert join_words(["Why", "?", "--", "So", "\n\n", "12", ".", "(", "a", ")", "b"]) == (
        "Why?--So\n\n12. (a) b"
    )


@hypothesis.given(st.text(alphabet="ab'-.,!?() \n_1ä", max_size=60))
def test_no_character_but_blanks_is_lost(text):
    assert "".join(split_words(text)).replace("\n", "") == re.sub(r"\s", "", text)


def test_the_vocabulary_is_of_the_training_part(tmp_path):
    text = load_text(lay(tmp_path, b"a b a b a c a b a b new new"), validation=0.15, test=0.3)
    words = text.words(4)
    assert words.vocabulary == ("<rare>", "a", "b", "c")
    assert words.decode(words.train) == "a b a b a c a b"
    assert words.decode(words.validation) == "a b"
    assert words.decode(words.test) == "<rare> <rare>"
    assert words.encode("a newer b").tolist() == [1, 0, 2]
    assert text.words(3).vocabulary == ("<rare>", "a", "b")
    with pytest.raises(ValueError, match="goes by words already"):
        words.words()
    with pytest.raises(ValueError, match="vocabulary_size=1"):
        text.words(1)


def test_the_stand_ins_words_spell_its_text(folder):
    text = load_text(folder)
    words = text.words()
    assert join_words(split_words(text.text)) == text.text
    assert np.mean(words.ids == 0) < 0.001  # a capital here and there
    cut = text.validation_start
    assert words.decode(words.train).startswith(text.text[: cut - 30])
    assert abs(len(words.decode(words.train)) - cut) < 30


# ---- what is planted ----


def parses(words):
    """Return the probability of a sentence, summed over every way to derive it."""
    rules = nietzsche._grammar()

    @cache
    def ends(symbols, start):
        """Return {where it ends: probability} for a row of symbols that starts there."""
        if not symbols:
            return {start: 1.0}
        first, *rest = symbols
        found = {}
        if first in rules:
            firsts = {}
            for p, right in rules[first]:
                for end, q in ends(right, start).items():
                    firsts[end] = firsts.get(end, 0.0) + p * q
        else:
            wanted = split_words(first.replace("_", " "))
            stop = start + len(wanted)
            firsts = {stop: 1.0} if list(words[start:stop]) == wanted else {}
        for middle, p in firsts.items():
            for end, q in ends(tuple(rest), middle).items():
                found[end] = found.get(end, 0.0) + p * q
        return found

    return ends(("SENTENCE",), 0).get(len(words), 0.0)


def test_a_sentence_tells_what_all_its_derivations_say(folder, truth):
    """If a sentence could be written in two ways, its probability would be more than planted."""
    text = load_text(folder).text
    ends = [0, *truth["sentence_end"].tolist()]
    assert ends[-1] == len(text) and len(truth["sentence_bits"]) == len(ends) - 1
    for i in range(0, 600, 2):
        written = text[ends[i] : ends[i + 1]]
        sentence = written.rstrip()
        p = parses(tuple(split_words(sentence[0].lower() + sentence[1:])))
        p *= nietzsche.LAST if written.endswith("\n\n") else 1 - nietzsche.LAST
        assert math.isclose(-math.log2(p), truth["sentence_bits"][i], rel_tol=1e-9), sentence


def test_the_entropy_is_that_of_the_text(truth, folder):
    """Sentences are independent: their mean is within 4 standard errors of the planted figure."""
    told, length = truth["sentence_bits"], np.diff(truth["sentence_end"], prepend=0)
    rate = truth["bits_per_character"]
    error = np.std(told - rate * length) / np.sqrt(len(told)) / length.mean()
    assert abs(told.sum() / length.sum() - rate) < 4 * error < 0.02
    words = len(load_text(folder).words().ids)
    assert abs(told.sum() / words - truth["bits_per_word"]) < 4 * error * length.sum() / words


def test_no_model_gets_below_and_counting_gets_close(folder, truth):
    text = load_text(folder)
    ends, told = truth["sentence_end"], truth["sentence_bits"]
    first = np.searchsorted(ends, text.test_start)  # whole sentences only
    start = ends[first]
    entropy = told[first + 1 :].sum() / (len(text) - start)
    by_order = {}
    for order in (2, 4, 6, 9):
        model = NGramModel(order, len(text.vocabulary)).fit(text.ids[: text.test_start])
        found = model.log_probabilities(text.ids[start:], context=text.ids[:start])
        by_order[order] = bits(found)
    assert list(by_order.values()) == sorted(by_order.values(), reverse=True)
    assert entropy < by_order[9] < 1.5 * entropy < by_order[4]


def test_full_scale_is_as_long_as_the_real_text():
    assert abs(nietzsche.SIZES["full"] - 600_893) < 1_000


# ---- real data ----


@pytest.mark.real
def test_the_real_text():
    folder = locate("nietzsche")
    if folder is None:
        pytest.skip("the real text is not at hand: python -m utils.fetch get nietzsche")
    text = load_text(folder)
    assert (text.source, text.edition) == ("real", "course")
    assert len(text) == 600_893 and len(text.vocabulary) == 84
    assert len(load_text(folder, lower=True).vocabulary) == 57
    assert text.text.startswith("PREFACE\n\n\nSUPPOSING that Truth is a woman--what then?")
