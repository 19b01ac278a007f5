"""The IMDB loader against independent oracles: stand-in, hand-made and harmful files, real data."""

import io
import json
import pickle
import re
import zipfile

import numpy as np
import pytest

from utils import standins
from utils.datasets import load_imdb
from utils.datasets.imdb import PUNCTUATION
from utils.fetch import locate

pytestmark = pytest.mark.backend_free

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")


@pytest.fixture(scope="module")
def reviews():
    return load_imdb(folder=standins.make("imdb", scale="quick"))


def write(folder, x_train=None, y_train=None, x_test=None, y_test=None, index=None):
    """Write a small data set by NumPy's and JSON's own means; any part can be replaced."""

    def lists(values):
        array = np.empty(len(values), object)
        array[:] = values
        return array

    arrays = {
        "x_train": lists([[1, 2, 3], [4]]) if x_train is None else x_train,
        "y_train": np.array([1, 0]) if y_train is None else y_train,
        "x_test": lists([[2, 2], [3, 1, 4]]) if x_test is None else x_test,
        "y_test": np.array([1, 0]) if y_test is None else y_test,
    }
    arrays = {k: lists(v) if isinstance(v, list) else v for k, v in arrays.items()}
    np.savez(folder / "imdb.npz", **arrays)
    index = {"the": 1, "film": 2, "is": 3, "good": 4} if index is None else index
    (folder / "imdb_word_index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


# ---- conventions ----


def test_lesson_conventions_by_hand(tmp_path):
    data = load_imdb(vocabulary_size=4, length=2, folder=write(tmp_path))
    assert data.words == ("<pad>", "the", "film", "<rare>")
    # in front padded, the end kept, ids from 3 rare
    np.testing.assert_array_equal(data.x_train, [[2, 3], [0, 3]])
    np.testing.assert_array_equal(data.x_test, [[2, 2], [1, 3]])
    np.testing.assert_array_equal(data.y_train, [1, 0])
    assert data.x_train.dtype == np.int32 and data.y_train.dtype == np.int8
    assert [s.tolist() for s in data.sequences_train] == [[1, 2, 3], [4]]
    assert all(s.dtype == np.int32 for s in data.sequences_test)
    assert data.source == "real" and data.folder == tmp_path
    assert re.fullmatch("other [0-9a-f]{8}", data.edition)
    assert data.decode(data.x_train[1]) == "<rare>"
    assert data.decode(data.sequences_train[1], raw=True) == "good"


def test_ids_that_no_word_has_are_rare(tmp_path):
    data = load_imdb(vocabulary_size=8, length=3, folder=write(tmp_path))
    assert data.words == ("<pad>", "the", "film", "is", "good", "<rare>", "<rare>", "<rare>")


sequences = st.lists(st.lists(st.integers(1, 5000), min_size=1, max_size=30), max_size=8)
side = st.sampled_from(["pre", "post"])


@hypothesis.given(sequences, st.integers(3, 5001), st.integers(1, 40), side, side)
@hypothesis.settings(deadline=None, max_examples=60)
def test_matrix_is_keras_padding_of_clipped_ids(
    reviews, rows, vocabulary_size, length, padding, truncating
):
    import keras

    rare = vocabulary_size - 1
    clipped = [[i if i < rare else rare for i in row] for row in rows]
    expected = keras.utils.pad_sequences(clipped, length, padding=padding, truncating=truncating)
    raw = [np.array(row, np.int32) for row in rows]
    got = reviews.matrix(raw, vocabulary_size, length, padding, truncating)
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == np.int32 and got.shape == (len(rows), length)


def test_matrix_defaults_are_those_it_was_loaded_with(tmp_path):
    data = load_imdb(4, 5, padding="post", truncating="post", folder=write(tmp_path))
    np.testing.assert_array_equal(data.matrix(data.sequences_train), data.x_train)
    np.testing.assert_array_equal(data.x_train[0], [1, 2, 3, 0, 0])
    assert "5 tokens, padding post, truncating post (real" in repr(data)
    assert "5 tokens (real" in repr(load_imdb(4, 5, folder=tmp_path))


def test_standin_through_the_loader(reviews):
    assert reviews.source == "stand-in" and "quick-seed0" in reviews.edition
    assert reviews.x_train.shape == (len(reviews.y_train), 500)
    assert reviews.x_train.max() == 4999 and reviews.x_train.min() == 0
    assert reviews.words[:3] == ("<pad>", "the", "is") and reviews.words[4999] == "<rare>"
    assert "stand-in" in repr(reviews)
    with pytest.raises(AttributeError):
        reviews.length = 3


@hypothesis.given(st.data())
@hypothesis.settings(deadline=None, max_examples=50)
def test_encode_undoes_decode(reviews, data):
    ids = data.draw(st.lists(st.integers(1, 4998), min_size=1, max_size=500))
    row = reviews.encode(reviews.decode(ids))
    np.testing.assert_array_equal(row[-len(ids) :], ids)
    assert not row[: -len(ids)].any()


def test_encode_splits_as_the_data_were(reviews):
    text = "The film?! <br /><br />It's GREAT... (xyzzy)\tand\nthe 'end'"
    words = reviews.decode(reviews.encode(text)).split()
    # apostrophes stay, which makes "it's" and "'end'" words of their own; both are unknown here
    assert words == ["the", "film", "br", "br", "<rare>", "great", "<rare>", "and", "the", "<rare>"]
    assert not reviews.encode("").any()


def test_encode_reads_typographic_apostrophes(tmp_path):
    index = {"the": 1, "don't": 2, "it's": 3, "o’keeffe": 4, "it’s": 5}
    data = load_imdb(7, 3, folder=write(tmp_path, index=index))
    np.testing.assert_array_equal(data.encode("Don’t! It’s o’keeffe."), [2, 5, 4])
    assert data.encode("won’t")[-1] == 6  # rare
    few = load_imdb(5, 3, folder=tmp_path)  # it’s, with its own rank, is rare here, and it's is not
    np.testing.assert_array_equal(few.encode("don't don’t it’s"), [2, 2, 3])


@pytest.mark.parametrize("text", [None, 7, ["good film"], b"good film"])
def test_encode_refuses_what_is_no_text(reviews, text):
    with pytest.raises(ValueError, match=f"text is a {type(text).__name__}"):
        reviews.encode(text)


@pytest.mark.parametrize(
    ("sequence", "says"),
    [
        ([-1, 2], "int64 ids of shape (2,) from -1 to 2"),
        ([1.7, 2], "float64 ids"),
        ([np.nan, 2], "float64 ids"),
        (["12", "3"], "ids of shape (2,)"),
        ([True, False], "bool ids"),
        ([[1, 2]], "ids of shape (1, 2)"),
        (5, "ids of shape ()"),
        ([2**40], "from 1099511627776 to"),
        ("12", "ids of shape ()"),
    ],
)
def test_matrix_refuses_what_are_no_ranks(reviews, sequence, says):
    with pytest.raises(ValueError, match=re.escape(says)) as error:
        reviews.matrix([[1, 2], sequence], length=3)
    assert "sequences[1]" in str(error.value)


def test_matrix_takes_empty_sequences_and_none(reviews):
    np.testing.assert_array_equal(
        reviews.matrix([[], [0, 3], np.array([7], "uint8")], length=2), [[0, 0], [0, 3], [0, 7]]
    )
    assert reviews.matrix([], length=2).shape == (0, 2)


@pytest.mark.parametrize(
    "ids", [[5000], [-1], [[1, 2]], [10**9]], ids=["too large", "negative", "matrix", "far"]
)
def test_decode_refuses_what_is_no_review(reviews, ids):
    with pytest.raises(ValueError, match=r"ids from 0 to 4999.*raw=True"):
        reviews.decode(ids)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"vocabulary_size": 2}, "vocabulary_size=2"),
        ({"vocabulary_size": 50.0}, "vocabulary_size=50.0"),
        ({"vocabulary_size": True}, "vocabulary_size=True"),
        ({"length": 0}, "length=0"),
        ({"padding": "left"}, "padding='left'.*'pre' or 'post'"),
        ({"truncating": None}, "truncating=None"),
        ({"rows": 1}, "rows=1"),
        ({"folder": "no such folder"}, "no such folder is not a folder"),
    ],
)
def test_bad_arguments(arguments, what):
    with pytest.raises(ValueError, match=what):
        load_imdb(**arguments)


def test_sample_of_rows(reviews):
    folder = reviews.folder
    sample = load_imdb(rows=101, length=20, folder=folder)
    for half in ("train", "test"):
        x, y = getattr(sample, f"x_{half}"), getattr(sample, f"y_{half}")
        assert x.shape == (101, 20) and y.sum() == 51
        # in file order, so positive first, and each row is one of the whole set
        assert (np.diff(y) <= 0).all()
        whole = {s.tobytes() for s in getattr(reviews, f"sequences_{half}")}
        chosen = [s.tobytes() for s in getattr(sample, f"sequences_{half}")]
        assert whole.issuperset(chosen) and len(set(chosen)) > 95
    again = load_imdb(rows=101, length=20, folder=folder)
    other = load_imdb(rows=101, length=20, seed=1, folder=folder)
    np.testing.assert_array_equal(sample.x_train, again.x_train)
    assert (sample.x_train != other.x_train).any()
    most = load_imdb(rows=10**6, length=20, folder=folder)
    assert len(most.x_train) == len(reviews.x_train)


# ---- the offset trap ----


def test_offset_trap_of_keras_datasets(reviews, monkeypatch):
    """Keras' own function, reading the same file, gives ids that the word index does not fit."""
    from keras.src.datasets import imdb as keras_imdb

    monkeypatch.setattr(keras_imdb, "get_file", lambda fname, **_: fname)
    path = str(reviews.folder / "imdb.npz")
    (shifted, labels), _ = keras_imdb.load_data(path=path)
    (raw, _), _ = keras_imdb.load_data(path, start_char=None, oov_char=None, index_from=0)
    order = np.arange(len(labels))
    np.random.RandomState(113).shuffle(order)
    rarest = max(max(s) for s in reviews.sequences_train + reviews.sequences_test)

    name_of = {rank: word for word, rank in reviews.word_index.items()}
    right, naive = 0, 0
    for review, from_keras, unshifted in zip(order, shifted, raw, strict=True):
        ours = reviews.sequences_train[review].tolist()
        assert from_keras[0] == 1
        kept = [i for i in from_keras[1:] if i != 2]  # Keras calls the rarest word unknown
        assert kept == [i + 3 for i in ours if i < rarest]
        assert unshifted == [i for i in ours if i < rarest]
        assert labels[0] == reviews.y_train[order[0]]
        ours = [i for i in ours if i < rarest]
        right += sum(name_of[i - 3] == name_of[j] for i, j in zip(kept, ours, strict=True))
        naive += sum(name_of.get(i) == name_of[j] for i, j in zip(kept, ours, strict=True))
    total = sum(len(s) for s in raw)
    assert right == total  # shifted back by 3: every word
    assert naive == 0  # looked up as they are: not one, and no error either


# ---- bad input ----

BAD = {
    "an empty review": ({"x_train": [[1], []]}, r"imdb.npz, x_train\[1\] \(review 2\): .*is empty"),
    "id 0": (
        {"x_test": [[1], [3, 0]]},
        r"x_test\[1\] \(review 2\): received id 0\. Ranks",
    ),
    "a negative id": ({"x_train": [[1, -3], [1]]}, r"x_train\[0\].*received id -3"),
    "an id beyond the index": (
        {"x_train": [[1], [5]]},
        r"x_train\[1\].*received id 5, but imdb_word_index.json has 4 words.*shifted",
    ),
    "a huge id": ({"x_train": [[1], [2**70]]}, r"x_train\[1\].*received 1180591620717411303424"),
    "a float": ({"x_train": [[1], [2.0]]}, r"x_train\[1\].*received 2.0 among the word ranks"),
    "a word": ({"x_train": [["good"], [2]]}, r"x_train\[0\].*received 'good' among"),
    "nested lists": ({"x_train": [[[1]], [2]]}, r"x_train\[0\].*received \[1\] among"),
    "no list": ({"x_train": [[1], None]}, r"x_train\[1\].*received NoneType instead of a list"),
    "a text": ({"x_train": [[1], "good film"]}, r"x_train\[1\].*received str instead of a list"),
    "numbers for reviews": ({"x_train": np.arange(2)}, r"x_train: holds int64 numbers instead"),
    "a matrix": ({"x_train": np.ones((2, 3), int)}, r"array x_train: damaged .*shape \(2, 3\)"),
    "no reviews": ({"x_train": []}, r"x_train: holds no reviews"),
    "label 2": ({"y_train": np.array([1, 2])}, r"y_train\[1\]: received label .*2.*1 for positive"),
    "a float label": ({"y_test": np.array([1.0, 0.0])}, r"y_test\[0\]: received label .*1.0"),
    "too few labels": ({"y_test": np.array([1])}, r"y_test: 1 labels for 2 reviews"),
    "ranks with a gap": (
        {"index": {"the": 1, "film": 2, "is": 3, "good": 5}},
        r"imdb_word_index.json: the word 'good' has rank 5; 4 words need",
    ),
    "ranks shifted by 3": (
        {"index": {"the": 4, "film": 5, "is": 6, "good": 7}},
        r"imdb_word_index.json: the word 'film' has rank 5.*shifted by Keras' 3",
    ),
    "a rank twice": (
        {"index": {"the": 1, "film": 2, "is": 2, "good": 4}},
        r"imdb_word_index.json: 'film' and 'is' both have rank 2",
    ),
    "rank 0": ({"index": {"the": 0, "a": 1, "b": 2, "c": 3}}, r"the word 'the' has rank 0"),
    "a rank that is text": ({"index": {"the": "1"}}, r"the word 'the' has rank '1'"),
    "a list for an index": ({"index": ["the"]}, r"imdb_word_index.json does not hold words"),
    "an empty index": ({"index": {}}, r"imdb_word_index.json does not hold words"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_names_file_and_review(case, tmp_path):
    parts, message = BAD[case]
    with pytest.raises(ValueError, match=message) as error:
        load_imdb(folder=write(tmp_path, **parts))
    assert str(tmp_path) in str(error.value)


def test_missing_files_and_arrays(tmp_path):
    with pytest.raises(ValueError, match=r"has no imdb.npz and no imdb_word_index.json"):
        load_imdb(folder=tmp_path)
    write(tmp_path)
    np.savez(tmp_path / "imdb.npz", x_train=np.arange(2))
    with pytest.raises(ValueError, match=r"has no array y_train, x_test, y_test; it holds x_train"):
        load_imdb(folder=tmp_path)
    (tmp_path / "imdb_word_index.json").write_text("{'the': 1}")
    with pytest.raises(ValueError, match=r"imdb_word_index.json is not JSON"):
        load_imdb(folder=tmp_path)


def test_lists_of_numpy_integers_and_arrays_are_read_too(tmp_path):
    write(
        tmp_path,
        x_train=[np.array([1, 2, 3]), np.array([4], np.uint16)],
        x_test=[[np.int64(2), np.int64(2)], [3, 1, 4]],
    )
    data = load_imdb(4, 2, folder=tmp_path)
    np.testing.assert_array_equal(data.x_train, [[2, 3], [0, 3]])
    np.testing.assert_array_equal(data.x_test, [[2, 2], [1, 3]])


def test_every_cut_of_the_file_is_refused(tmp_path):
    write(tmp_path)
    whole = (tmp_path / "imdb.npz").read_bytes()
    for size in range(0, len(whole), 37):
        (tmp_path / "imdb.npz").write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"imdb.npz is cut short or no .npz file"):
            load_imdb(folder=tmp_path)


def test_a_damaged_byte_is_refused_or_harmless(tmp_path):
    write(tmp_path)
    whole = (tmp_path / "imdb.npz").read_bytes()
    right = load_imdb(4, 3, folder=tmp_path)
    rng = np.random.default_rng(0)
    refused = 0
    for place in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        (tmp_path / "imdb.npz").write_bytes(damaged)
        try:
            data = load_imdb(4, 3, folder=tmp_path)
        except ValueError as error:
            assert "imdb.npz" in str(error)
            refused += 1
        else:  # a date, say
            np.testing.assert_array_equal(data.x_train, right.x_train)
            np.testing.assert_array_equal(data.x_test, right.x_test)
            np.testing.assert_array_equal(data.y_test, right.y_test)
    assert refused > 200


# ---- files made to run code ----


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def npz_with(folder, content, shape=2):
    """Put any pickle in the place of x_train, as if it were an array of objects."""
    write(folder)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|O", "fortran_order": False, "shape": (shape,)}
    )
    with zipfile.ZipFile(folder / "imdb.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["x_train.npy"] = header.getvalue() + content
    with zipfile.ZipFile(folder / "imdb.npz", "w") as archive:
        for name, value in members.items():
            archive.writestr(name, value)
    return folder


def harmful():
    import importlib
    import os
    import shutil

    lists = np.empty(2, object)
    lists[:] = [[1, 2], [3, Calls(eval, "1")]]
    deep = np.empty(2, object)
    deep[:] = [[1], [[[Calls(os.system, "true")]]]]
    return {
        "os.system": (Calls(os.system, "true"), rf"{os.name}\.system"),
        "eval": (Calls(eval, "1 + 1"), r"builtins\.eval"),
        "exec in a list in an array": (lists, r"builtins\.eval"),
        "os.system three lists deep": (deep, rf"{os.name}\.system"),
        "an import": (Calls(importlib.import_module, "antigravity"), r"importlib\.import_module"),
        "deleting a tree": (Calls(shutil.rmtree, "no such folder"), r"shutil\.rmtree"),
        "numpy reading a file": (Calls(np.fromfile, "secrets"), r"\.fromfile"),
        "numpy writing a file": (Calls(np.savetxt, "file", [1]), r"savetxt"),
        "numpy loading a pickle": (Calls(np.load, "x", None, True), r"\.load"),
        "getattr": (Calls(getattr, [], "append"), r"builtins\.getattr"),
        "a class": (Calls(dict, [(1, 2)]), r"builtins\.dict"),
    }


@pytest.mark.parametrize("case", harmful())
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_file_made_to_run_code_is_refused(case, protocol, tmp_path):
    what, name = harmful()[case]
    folder = npz_with(tmp_path, pickle.dumps(what, protocol=protocol))
    with pytest.raises(ValueError, match=rf"imdb.npz, array x_train: asks for .*{name}"):
        load_imdb(folder=folder)


def test_nothing_of_numpy_runs_either(tmp_path):
    """An object array whose state is bytes makes NumPy take those bytes for addresses."""
    dtype = (
        b"cnumpy\ndtype\n(X\x02\x00\x00\x00O8\x89\x88tR"
        b"(K\x03X\x01\x00\x00\x00|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    forged = (
        b"\x80\x03cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR"
        b"(K\x01K\x02\x85" + dtype + b"\x89C\x10" + b"A" * 16 + b"tb."
    )
    with pytest.raises(ValueError, match="something other than lists of integers"):
        load_imdb(folder=npz_with(tmp_path, forged))


@pytest.mark.parametrize(
    "content",
    {
        "a huge array": b"\x80\x03cnumpy\nndarray\n(J\xff\xff\xff\x7f\x85tR.",
        "an attribute set on a permitted name": b"\x80\x03cnumpy\ndtype\n}(X\x04\x00\x00\x00kind"
        b"X\x01\x00\x00\x00xu}\x86b.",
        "a state of its own": b"\x80\x03cnumpy\nndarray\n)R}b.",
        "a number": pickle.dumps(3),
        "a text": pickle.dumps("x_train"),
        "a list of texts": pickle.dumps(["a", "b"]),
        "too few lists": pickle.dumps([[1]]),
        "another kind of number": pickle.dumps(np.array([1.5, 2.5]), protocol=3),
        "nothing": b"",
        "a cut pickle": pickle.dumps([[1], [2]])[:-3],
        "a recursive list": b"\x80\x02]q\x00(h\x00h\x00e.",
    }.values(),
)
def test_odd_pickles_are_refused(content, tmp_path):
    with pytest.raises(ValueError, match=r"imdb.npz"):
        load_imdb(folder=npz_with(tmp_path, content))


def test_persistent_objects_and_extensions_are_refused(tmp_path):
    import copyreg

    with pytest.raises(ValueError, match=r"asks for the persistent object 'secret'"):
        load_imdb(folder=npz_with(tmp_path, b"\x80\x02X\x06\x00\x00\x00secretQ."))
    copyreg.add_extension("os", "system", 201)
    try:
        with pytest.raises(ValueError, match=r"asks for os\.system"):
            load_imdb(folder=npz_with(tmp_path, b"\x80\x02\x82\xc9."))
    finally:
        copyreg.remove_extension("os", "system", 201)


@hypothesis.given(st.binary(max_size=60))
@hypothesis.settings(deadline=None, max_examples=150)
def test_random_pickles_never_get_through(tmp_path_factory, tail):
    folder = npz_with(tmp_path_factory.mktemp("random"), b"\x80\x03" + tail)
    with pytest.raises(ValueError, match=r"imdb.npz"):
        load_imdb(folder=folder)


# ---- real data ----


@pytest.fixture(scope="module")
def real():
    folder = locate("imdb")
    if folder is None:
        pytest.skip("the real IMDB set is not in the data folder: python -m utils.fetch get imdb")
    return load_imdb(folder=folder)


@pytest.mark.real
def test_real_reviews(real):
    assert real.source == "real" and real.edition in ("official", "rebuilt")
    lengths = np.array([len(s) for s in real.sequences_train])
    assert len(lengths) == len(real.x_test) == 25_000
    assert round(lengths.mean(), 2) == 237.71 and lengths.max() == 2493 and lengths.min() == 10
    assert min(len(s) for s in real.sequences_test) == 6
    for y in (real.y_train, real.y_test):
        assert y.sum() == 12_500 and (np.diff(y.astype(int)) <= 0).all()
    assert " ".join(real.words[1:11]) == "the and a of to is br in it i"
    assert len(real.word_index) == 88_584
    assert not any(set(word) & set(PUNCTUATION) for word in real.word_index)
    assert real.sequences_train[0][0] == 23_022
    start = "bromwell high is a cartoon comedy it ran at the same time as some other programs"
    text = real.decode(real.sequences_train[0], raw=True)
    assert text.startswith(start)
    np.testing.assert_array_equal(real.encode(text), real.x_train[0])
    assert real.x_train.max() == 4999
