"""Folders of images: samples, splits by group, checks, batches from disk, augmentation, features.

Nothing here copies files: a sample or a split is an index or a mask over a list of paths.
"""

from utils.images.augmentation import Augmentation
from utils.images.batches import ImageBatches, load_images
from utils.images.checks import ImageReport, check_images
from utils.images.features import Features, extract_features
from utils.images.index import check_disjoint, sample, split_by_group

__all__ = [
    "Augmentation",
    "Features",
    "ImageBatches",
    "ImageReport",
    "check_disjoint",
    "check_images",
    "extract_features",
    "load_images",
    "sample",
    "split_by_group",
]
