"""What `Conv2D` and `MaxPooling2D` compute, in NumPy: windows, products, sums, maxima.

Notebook 01 builds both cell by cell; here they are for any size, in double precision.
"""

import math

import numpy as np

from utils._whole_numbers import whole_number

__all__ = ["convolve", "max_pool"]


def convolve(image, filters, *, stride=1, padding="valid"):
    """Lay filters over every window of an image, and sum the products over the window.

    What networks call a convolution: mathematicians, who turn the filter by half a turn first,
    call this a cross-correlation.

    Parameters
    ----------
    image : array_like
        (height, width, channels).
    filters : array_like
        (filter height, filter width, channels, filters), as `keras.layers.Conv2D` keeps them.
    stride : int
        Pixels from one window to the next, down and across.
    padding : str
        `"valid"`: windows inside the image only. `"same"`: zeros around it, so that with
        stride 1 the output is as large as the image; where they are an odd number, right and
        below get one more, as in Keras.

    Returns
    -------
    numpy.ndarray
        (output height, output width, filters) float64.

    Raises
    ------
    ValueError
        If shapes do not fit, or no window does, or `stride` is no whole number above 0.
    """
    filters = np.asarray(filters, float)
    if filters.ndim != 4 or 0 in filters.shape[:2]:
        raise ValueError(
            f"filters has shape {filters.shape}; (height, width, channels, filters) is needed."
        )
    windows = _windows(image, filters.shape[:2], stride, padding, 0.0)
    if windows.shape[2] != filters.shape[2]:
        raise ValueError(
            f"The image has {windows.shape[2]} channels, the filters have {filters.shape[2]}: "
            f"a filter needs one layer for each channel."
        )
    return np.einsum("ijcab,abcf->ijf", windows, filters)


def max_pool(image, size=2, *, stride=None, padding="valid"):
    """Keep the largest value of every window, channel by channel.

    Parameters
    ----------
    image : array_like
        (height, width, channels).
    size : int
        Height and width of a window.
    stride : int, optional
        Pixels from one window to the next; `size` where not given, so that none overlap.
    padding : str
        `"valid"`: what fills no whole window is dropped. `"same"`: it gets a smaller window.

    Returns
    -------
    numpy.ndarray
        (output height, output width, channels) float64.

    Raises
    ------
    ValueError
        If the image has no three axes, or no window fits, or `size` or `stride` is no whole
        number above 0.
    """
    size = whole_number("size", size, least=1)
    stride = size if stride is None else stride
    return _windows(image, (size, size), stride, padding, -np.inf).max(axis=(3, 4))


def _windows(image, size, stride, padding, edge):
    """Return all windows, (output height, output width, channels, window height and width)."""
    image = np.asarray(image, float)
    if image.ndim != 3:
        raise ValueError(f"image has shape {image.shape}; (height, width, channels) is needed.")
    stride, shape = whole_number("stride", stride, least=1), image.shape[:2]
    if padding == "same":
        borders = [_border(n, k, stride) for n, k in zip(image.shape, size, strict=False)]
        image = np.pad(image, [*borders, (0, 0)], constant_values=edge)
    elif padding != "valid":
        raise ValueError(f"padding={padding!r} is neither 'valid' nor 'same'.")
    if image.shape[0] < size[0] or image.shape[1] < size[1]:
        raise ValueError(f"A window of {size} does not fit into an image of {shape}.")
    windows = np.lib.stride_tricks.sliding_window_view(image, size, axis=(0, 1))
    return windows[::stride, ::stride]


def _border(length, size, stride):
    """Return how many pixels `"same"` adds before and after one axis."""
    missing = max((math.ceil(length / stride) - 1) * stride + size - length, 0)
    return missing // 2, missing - missing // 2
