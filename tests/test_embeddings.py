from types import SimpleNamespace

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers, ops

from utils.datasets import load_glove, load_imdb
from utils.embeddings import WordEmbedding, embedding_matrix

IDS = np.array([[1, 2, 3, 1], [4, 4, 0, 2]], "int32")


def first_step(layer, repeats, optimizer):
    """How far one step moves the only word of a review that says it `repeats` times."""
    model = keras.Sequential(
        [layers.Input((repeats,), dtype="int32"), layer, layers.GlobalAveragePooling1D()]
    )
    model.compile(optimizer, loss=lambda y, p: -ops.mean(p), run_eagerly=True)
    model.train_on_batch(np.zeros((1, repeats), "int32"), np.zeros((1, 1)))
    return float(ops.convert_to_numpy(layer.embeddings)[0, 0])


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "adagrad"])
def test_repeats_do_not_lengthen_a_step(optimizer):
    once, often = (
        first_step(WordEmbedding(1, 1, embeddings_initializer="zeros"), repeats, optimizer)
        for repeats in (1, 49)
    )
    assert once > 0
    assert often == pytest.approx(once, rel=1e-3)


def test_the_plain_layer_lengthens_it_on_tensorflow_only():
    plain = layers.Embedding(1, 1, embeddings_initializer="zeros")
    factor = 7 if keras.backend.backend() == "tensorflow" else 1  # the root of 49
    assert first_step(plain, 49, "adam") == pytest.approx(factor * 1e-3, rel=1e-3)


def test_looks_up_as_the_plain_layer():
    layer, plain = WordEmbedding(5, 3, dropout=0.5), layers.Embedding(5, 3)
    layer.build()
    plain.build()
    plain.set_weights(layer.get_weights())
    np.testing.assert_array_equal(
        ops.convert_to_numpy(layer(IDS)), ops.convert_to_numpy(plain(IDS))
    )


def test_forgets_a_word_wherever_it_stands_and_scales_the_others():
    layer = WordEmbedding(5, 3, dropout=0.25, embeddings_initializer="ones")
    forgotten = []
    for _ in range(200):
        values = ops.convert_to_numpy(layer(IDS, training=True))
        assert np.isin(values, np.float32([0, 1 / 0.75])).all()
        for word in range(5):
            rows = values[word == IDS]
            assert (rows == rows[0]).all()  # all its places, all its numbers
            forgotten.append(rows[0, 0] == 0)
    assert np.mean(forgotten) == pytest.approx(0.25, abs=0.06)  # 4 standard errors of 1,000 draws


def test_survives_saving(tmp_path):
    model = keras.Sequential([layers.Input((4,), dtype="int32"), WordEmbedding(5, 3, dropout=0.25)])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.layers[0].dropout == 0.25
    assert again.count_params() == 15
    np.testing.assert_array_equal(
        ops.convert_to_numpy(model(IDS)), ops.convert_to_numpy(again(IDS))
    )


@pytest.mark.parametrize("share", [1.0, 1, 1.5, -0.1, float("nan"), True, False, None, "0.2"])
def test_refuses_an_impossible_share(share):
    with pytest.raises(ValueError, match=f"dropout={share!r} is no number from 0 to below 1"):
        WordEmbedding(5, 3, dropout=share)


@pytest.mark.parametrize("share", [0, 0.0, np.float32(0.5), 0.999])
def test_takes_any_share_below_1(share):
    assert WordEmbedding(5, 3, dropout=share).dropout == share


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_computes_in_the_precision_of_the_plain_layer(policy):
    values = keras.initializers.Constant(np.linspace(0.1, 0.9, 15).reshape(5, 3))
    options = {"embeddings_initializer": values, "dtype": policy}
    layer, plain = WordEmbedding(5, 3, dropout=0.25, **options), layers.Embedding(5, 3, **options)
    symbolic = keras.KerasTensor((2, 4), "int32")
    for training in (False, True):
        found = layer(IDS, training=training)
        assert found.dtype == plain(IDS).dtype == layer.compute_output_spec(symbolic).dtype
    found, expected = (ops.cast(kind(IDS), "float32") for kind in (layer, plain))
    np.testing.assert_array_equal(ops.convert_to_numpy(found), ops.convert_to_numpy(expected))


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has no float64 by default")
def test_float64_is_not_rounded_to_float32():
    values = np.linspace(0.1, 0.9, 15).reshape(5, 3)
    begun = keras.initializers.Constant(values)
    layer = WordEmbedding(5, 3, dropout=0.25, embeddings_initializer=begun, dtype="float64")
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(IDS)), values[IDS])
    trained = ops.convert_to_numpy(layer(IDS, training=True))
    np.testing.assert_allclose(trained, np.where(trained, values[IDS] / 0.75, 0), rtol=1e-15)


def test_half_precision_forgets_the_same_words():
    drawn = []
    for policy in ("float32", "mixed_bfloat16"):
        keras.utils.set_random_seed(1)
        layer = WordEmbedding(500, 1, dropout=0.3, dtype=policy, embeddings_initializer="ones")
        drawn.append(ops.convert_to_numpy(layer(np.arange(500), training=True)) == 0)
    np.testing.assert_array_equal(*drawn)
    assert 100 < drawn[0].sum() < 200


# --- the table filled with vectors from elsewhere -----------------------------------------------

LETTERS = st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=2, max_size=30, unique=True)


def vectors_of(words, width=3):
    """Vectors that say which word they belong to: its letters, written as a number."""
    numbers = [int(word.encode().hex(), 16) % 10_007 for word in words]
    table = np.outer(numbers, np.arange(1, width + 1)).astype("float32")
    return SimpleNamespace(vectors=table, index={word: i for i, word in enumerate(words)})


@given(st.data(), LETTERS)
def test_every_word_gets_the_vector_that_bears_its_name(data, words):
    vectors = vectors_of(words)
    of_text = data.draw(st.permutations([*words, "not-there"]))
    matrix, coverage = embedding_matrix(["<pad>", *of_text, "<rare>"], vectors)
    for row, word in zip(matrix[1:], of_text, strict=False):
        if word != "not-there":
            np.testing.assert_array_equal(row, vectors.vectors[vectors.index[word]])
    assert not matrix[0].any()
    assert coverage.of_words == len(words) / (len(words) + 1)
    assert coverage.misses() == [("not-there", 1)]


def test_counts_the_running_words():
    vectors = vectors_of(["the", "film"])
    words, counts = ["<pad>", "the", "it's", "film", "rare", "<rare>"], [1000, 50, 20, 20, 5, 5]
    _, coverage = embedding_matrix(words, vectors, counts=counts)
    assert coverage.of_text == 70 / 100  # padding is no text, the rare id is
    assert coverage.of_words == 2 / 4
    assert coverage.misses(1) == [("it's", 20)]
    assert "2 of 4 words" in repr(coverage) and "70.0%" in repr(coverage)
    assert "it's, rare" in repr(coverage)


def test_words_without_a_vector_look_like_those_with_one():
    rng = np.random.default_rng(0)
    known = [f"known{i}" for i in range(2000)]
    table = rng.normal([5.0, -1.0], [0.5, 2.0], (2000, 2)).astype("float32")
    vectors = SimpleNamespace(vectors=table, index={word: i for i, word in enumerate(known)})
    unknown = [f"unknown{i}" for i in range(2000)]
    matrix, _ = embedding_matrix(["<pad>", *known, *unknown], vectors)
    np.testing.assert_allclose(matrix[2001:].mean(axis=0), [5, -1], atol=0.25)  # 5 standard errors
    np.testing.assert_allclose(matrix[2001:].std(axis=0), [0.5, 2], rtol=0.1)
    again, _ = embedding_matrix(["<pad>", *known, *unknown], vectors)
    other, _ = embedding_matrix(["<pad>", *known, *unknown], vectors, seed=1)
    np.testing.assert_array_equal(matrix, again)
    assert (matrix[2001:] != other[2001:]).all()


def test_fills_the_layer():
    matrix, _ = embedding_matrix(["<pad>", "a", "b"], vectors_of(["a", "b"]))
    begun = keras.initializers.Constant(matrix)
    layer = WordEmbedding(3, 3, embeddings_initializer=begun, trainable=False)
    layer.build()
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(np.array([[2, 0]]))), matrix[[[2, 0]]])
    assert not layer.trainable_weights


def test_matches_the_loaders_by_word(monkeypatch):
    monkeypatch.setenv("LESSONS_SOURCE", "standin")
    reviews, glove = load_imdb(vocabulary_size=2000, rows=50), load_glove()
    matrix, coverage = embedding_matrix(reviews.words, glove)
    for word in ("the", "film", "comedy"):
        if reviews.word_index[word] < 1999 and word in glove:
            row = matrix[reviews.word_index[word]]
            np.testing.assert_array_equal(row, glove.vector(word))
    assert 0.9 < coverage.of_words < 1  # one word in twenty is missing, as planted


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ([1, 2], r"counts of shape \(2,\) for 3 words; one number from 0"),
        ([[1], [2], [3]], r"counts of shape \(3, 1\) for 3 words; one number from 0"),
        (["1", "2", "3"], "for 3 words; one number from 0"),
        ([1, -1, 1], "a count of -1 for 'a', one of 3 words; one number from 0"),
        ([0, 1, np.nan], "a count of nan for 'b'"),
        ([0, np.inf, 1], "a count of inf for 'a'"),
        ([0, 0, 0], "All counts of the 3 words are 0"),
        ([7, 0, 0], "All counts of the 3 words are 0"),  # padding is no word
    ],
)
def test_refuses_counts_that_do_not_fit(counts, says):
    with pytest.raises(ValueError, match=says):
        embedding_matrix(["<pad>", "a", "b"], vectors_of(["a", "b"]), counts=counts)


def test_refuses_a_vocabulary_of_another_kind():
    with pytest.raises(ValueError, match=r"0 of 2 words have a vector.*'A', 'B'.*capitals"):
        embedding_matrix(["<pad>", "A", "B"], vectors_of(["a", "b"]))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["a", "b", "c"], r"first word, 'a', has a vector.*\['<pad>', \*words\]"),
        ({"a": 1, "b": 2}, r"words is a dict.*\['<pad>', \*sorted\(d, key=d.get\)\]"),
        ("a b c", "words is a str"),
        (["<pad>", "a", None, "b"], r"words\[2\]=None is no word but a NoneType"),
        (["<pad>", "a", "b", float("nan")], r"words\[3\]=nan is no word but a float"),
        (["<pad>", b"a", "b"], r"words\[1\]=b'a' is no word but a bytes"),
        ([], "0 of 0 words"),
    ],
)
def test_refuses_words_without_padding_or_that_are_none(words, says):
    with pytest.raises(ValueError, match=says):
        embedding_matrix(words, vectors_of(["a", "b", "c"]))


def test_only_names_in_brackets_stand_for_many_words():
    real = ["<", "<3", "<>", ">", "a"]
    vectors = vectors_of([*real, "<rare>", "<pad>"])
    matrix, coverage = embedding_matrix(["<pad>", *real, "<rare>"], vectors)
    np.testing.assert_array_equal(matrix[1:6], vectors.vectors[:5])
    assert not matrix[0].any() and (matrix[6] != vectors.vectors[5]).all()
    assert coverage.is_word.tolist() == [False] + [True] * 5 + [False]
    assert coverage.of_words == 1


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_refuses_a_vector_that_is_not_finite(number):
    vectors = vectors_of(["a", "b", "c", "d"])
    vectors.vectors[2, 1] = number
    with pytest.raises(ValueError, match=r"vector of 'c' \(row 2\) is not finite"):
        embedding_matrix(["<pad>", "b", "c", "d"], vectors)
    matrix, _ = embedding_matrix(["<pad>", "b", "d", "none"], vectors)  # nobody asks for it
    assert np.isfinite(matrix).all()


def test_words_will_do_for_an_index():
    words = ["b", "a", "c", "a"]
    table = np.arange(12, dtype="float32").reshape(4, 3) + 1
    vectors = SimpleNamespace(vectors=table, words=words)
    matrix, _ = embedding_matrix(["<pad>", "a", "b", "c"], vectors)
    np.testing.assert_array_equal(matrix[1:], table[[1, 0, 2]])  # of equal words the first


@pytest.mark.parametrize(
    ("vectors", "says"),
    [
        (np.ones((2, 3)), "vectors is a ndarray; anything is accepted that has"),
        (SimpleNamespace(index={"a": 0, "b": 1}), "vectors is a SimpleNamespace"),
        (SimpleNamespace(vectors=np.ones((2, 3))), "vectors is a SimpleNamespace"),
        (SimpleNamespace(vectors=np.ones((2, 3)), words=["a"]), "`words`, as many as vectors"),
        (SimpleNamespace(vectors=np.ones(2), index={"a": 0, "b": 1}), r"shape \(2,\)"),
        (
            SimpleNamespace(vectors=np.ones((1, 3)), index={"a": 0, "b": 1}),
            r"shape \(1, 3\), and words in rows up to 1",
        ),
    ],
)
def test_refuses_what_has_no_vectors_of_words(vectors, says):
    with pytest.raises(ValueError, match=says):
        embedding_matrix(["<pad>", "a", "b"], vectors)
