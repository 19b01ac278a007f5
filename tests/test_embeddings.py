import keras
import numpy as np
import pytest
from keras import layers, ops

from utils.embeddings import WordEmbedding

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


def test_refuses_an_impossible_share():
    with pytest.raises(ValueError, match="rate"):
        WordEmbedding(5, 3, dropout=1.5)
