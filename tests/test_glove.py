"""The GloVe loader: two forms, odd words, the cache, bad files, real vectors."""

import builtins
import os

import numpy as np
import pandas as pd
import pytest

from utils import standins, switches
from utils.datasets import glove as loader
from utils.datasets import load_glove
from utils.fetch import locate

pytestmark = pytest.mark.backend_free

WORDS = ["the", ",", "\u00a0", "\u2028", "\x85", "naïve", "100-year", "unk"]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(switches, "build_folder", lambda: tmp_path / "build")


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(len(WORDS), 50)).astype(np.float32)


def write_text(folder, words, vectors, end="\n"):
    lines = [
        f"{word} {' '.join(map(str, row.tolist()))}"
        for word, row in zip(words, vectors, strict=True)
    ]
    folder.mkdir(exist_ok=True)
    (folder / "glove.6B.50d.txt").write_bytes((end.join(lines) + end).encode("utf-8"))
    return folder


def write_package(folder, words, vectors):
    pytest.importorskip("fastparquet")
    folder.mkdir(exist_ok=True)
    np.save(folder / "glove_6B_50d_emb.npy", np.asfortranarray(vectors))
    pd.DataFrame({"index": words}).to_parquet(
        folder / "glove_6B_index.parquet", engine="fastparquet"
    )
    return folder


@pytest.mark.parametrize("write", [write_text, write_package])
def test_both_forms_by_hand(tmp_path, write, vectors):
    folder = write(tmp_path / "mine", WORDS, vectors)
    data = load_glove(folder)
    assert data.words == tuple(WORDS) and data.index == {w: i for i, w in enumerate(WORDS)}
    np.testing.assert_array_equal(data.vectors, vectors)
    assert isinstance(data.vectors, np.memmap) and data.vectors.flags.c_contiguous
    assert data.vectors.dtype == np.float32 and not data.vectors.flags.writeable
    np.testing.assert_array_equal(data.vector("naïve"), vectors[5])
    assert "\x85" in data and "The" not in data and len(data) == 8
    assert (data.source, data.edition[:6], data.folder) == ("real", "other ", folder)
    assert "8 words, 50 dimensions (real, edition other " in repr(data)


def test_lines_may_end_as_on_windows(tmp_path, vectors):
    data = load_glove(write_text(tmp_path / "mine", WORDS, vectors, end="\r\n"))
    assert data.words == tuple(WORDS)
    np.testing.assert_array_equal(data.vectors, vectors)


def test_of_equal_words_the_first_counts(tmp_path, vectors):
    words = ["the", "a", "the", "b", "c", "a", "d", "e"]
    data = load_glove(write_text(tmp_path / "mine", words, vectors))
    assert len(data) == 8 and len(data.index) == 6
    assert data.index["the"] == 0 and data.index["a"] == 1 and data.index["e"] == 7
    np.testing.assert_array_equal(data.vector("the"), vectors[0])


def test_blocks_of_any_size_join_without_a_seam(tmp_path, monkeypatch, vectors):
    folder = write_text(tmp_path / "mine", WORDS, vectors)
    monkeypatch.setattr(loader, "BLOCK", 3)
    data = load_glove(folder)
    assert data.words == tuple(WORDS)
    np.testing.assert_array_equal(data.vectors, vectors)
    with (folder / "glove.6B.50d.txt").open("a", encoding="utf-8") as file:
        file.write("short 1 2 3\n")
    with pytest.raises(ValueError, match=r"line 9: 3 numbers after the word 'short'"):
        load_glove(folder)


def test_second_load_reads_no_source(tmp_path, vectors, monkeypatch):
    folder = write_text(tmp_path / "mine", WORDS, vectors)
    load_glove(folder)
    monkeypatch.setattr(loader, "_read_text", None)  # would fail if it were called
    np.testing.assert_array_equal(load_glove(folder).vectors, vectors)


def test_changed_source_is_read_again(tmp_path, vectors):
    folder = write_text(tmp_path / "mine", WORDS, vectors)
    load_glove(folder)
    write_text(folder, WORDS, -vectors)
    os.utime(folder / "glove.6B.50d.txt", ns=(1, 1))
    np.testing.assert_array_equal(load_glove(folder).vectors, -vectors)


def test_failed_conversion_leaves_nothing(tmp_path, vectors):
    vectors[7, 3] = np.inf
    folder = write_text(tmp_path / "mine", WORDS, vectors)
    with pytest.raises(ValueError, match="line 8"):
        load_glove(folder)
    assert list((tmp_path / "build" / "cache").iterdir()) == []


def test_word_without_vector_is_a_key_error(tmp_path, vectors):
    data = load_glove(write_text(tmp_path / "mine", WORDS, vectors))
    with pytest.raises(KeyError, match=r"'xyzzy' has no vector among these 8 words\."):
        data.vector("xyzzy")
    with pytest.raises(KeyError, match="lower case"):
        data.vector("The")


ROW = " ".join(["0.5"] * 50)
BAD_TEXT = {
    "a short line": (f"the {ROW}\nof {ROW[:-4]}\n", r"line 2: 49 numbers after the word 'of'"),
    "a long line": (f"the {ROW}\nof {ROW} 1\n", r"line 2: 51 numbers after the word 'of'"),
    "one short, one long": (
        f"the {ROW[:-4]}\nof {ROW} 1\n",
        r"line 1: 49 numbers after the word 'the'",
    ),
    "a cut end": (f"the {ROW}\nof 0.5 0.", r"line 2: 2 numbers after the word 'of'.*cut short"),
    "an empty line": (f"the {ROW}\n\nof {ROW}\n", r"line 2: 0 numbers after the word ''"),
    "no word": (f" {ROW}\n", r"line 1: 50 numbers after the word ''"),
    "nan": (f"the {ROW}\nof {ROW[:-3]}nan\n", r"line 2: 'nan' after the word 'of' is no finite"),
    "too large": (f"the {ROW[:-3]}1e39\n", r"line 1: '1e39' after the word 'the' is no finite"),
    "text": (f"the {ROW}\nof x{ROW}\n", r"line 2: 'x0.5' after the word 'of' is no finite"),
    "an empty file": ("", r"holds no words"),
}


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("case", BAD_TEXT)
def test_bad_text_names_file_and_line(case, tmp_path):
    text, message = BAD_TEXT[case]
    (tmp_path / "glove.6B.50d.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"glove.6B.50d.txt.*{message}"):
        load_glove(tmp_path)


def test_text_in_another_encoding(tmp_path):
    (tmp_path / "glove.6B.50d.txt").write_bytes(f"the {ROW}\nnaïve {ROW}\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"after line 0: not UTF-8"):
        load_glove(tmp_path)


def test_no_files(tmp_path):
    with pytest.raises(ValueError, match=r"neither glove_6B_50d_emb.npy and .* nor glove.6B"):
        load_glove(tmp_path)


def test_bad_package(tmp_path, vectors):
    folder = write_package(tmp_path / "mine", WORDS, vectors[:-1])
    with pytest.raises(ValueError, match=r"emb.npy holds float32 of shape \(7, 50\).*8 words"):
        load_glove(folder)
    vectors[2, 1] = np.nan
    write_package(folder, WORDS, vectors)
    with pytest.raises(ValueError, match=r"emb.npy, row 3 \('\\xa0'\): not all finite"):
        load_glove(folder)
    write_package(folder, ["", *WORDS[1:]], vectors)
    with pytest.raises(ValueError, match=r"index.parquet, row 1: '' is not a word"):
        load_glove(folder)
    whole = (folder / "glove_6B_50d_emb.npy").read_bytes()
    (folder / "glove_6B_50d_emb.npy").write_bytes(whole[:900])
    with pytest.raises(ValueError, match=r"emb.npy is cut short"):
        load_glove(folder)
    (folder / "glove_6B_index.parquet").write_bytes(b"PAR1 no such thing")
    with pytest.raises(ValueError, match=r"index.parquet has no readable column `index`"):
        load_glove(folder)


def test_missing_parquet_reader_says_what_to_install(tmp_path, vectors, monkeypatch):
    folder = write_package(tmp_path / "mine", WORDS, vectors)
    imports = builtins.__import__

    def without(name, *arguments, **more):
        if name.startswith("fastparquet"):
            raise ImportError(name)
        return imports(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install fastparquet"):
        load_glove(folder)


def test_standin_through_the_loader():
    data = load_glove(standins.make("glove", scale="quick"))
    planted = standins.truth("glove", scale="quick")
    assert data.source == "stand-in" and data.words == tuple(planted["words"])
    assert "\u00a0" in data
    assert not set(planted["missing"].tolist()) & set(data.words)


@pytest.mark.real
def test_real_vectors():
    folder = locate("glove")
    if folder is None:
        pytest.skip("the real vectors are not in the data folder: python -m utils.fetch get glove")
    data = load_glove(folder)
    assert data.source == "real" and data.vectors.shape == (400_000, 50)
    np.testing.assert_array_equal(
        data.vector("the")[:3], np.array([0.418, 0.24968, -0.41242], np.float32)
    )
    assert " ".join(data.words[:11]) == "the , . of to and in a \" 's for"
    assert data.words[data.index["unk"]] == "unk" and len(data.index) == 400_000
