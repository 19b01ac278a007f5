"""One loader per data set: arrays and labels in a frozen dataclass that says where they come from.

Every loader checks what it reads: bad input is a `ValueError` that names the file and the row.
Called with no folder it takes the real set or its stand-in, as `LESSONS_SOURCE` says;
called with `folder=` it reads your own files of the same format, with the same checks.
"""

from utils.datasets.dogs_vs_cats import PetImages, load_dogs_vs_cats
from utils.datasets.glove import WordVectors, load_glove
from utils.datasets.imdb import Reviews, load_imdb
from utils.datasets.movielens import Ratings, load_movielens
from utils.datasets.statefarm import DriverImages, load_statefarm
from utils.datasets.text import Text, load_text
from utils.markup import Markup, load_markup

__all__ = [
    "DriverImages",
    "Markup",
    "PetImages",
    "Ratings",
    "Reviews",
    "Text",
    "WordVectors",
    "load_dogs_vs_cats",
    "load_glove",
    "load_imdb",
    "load_markup",
    "load_movielens",
    "load_statefarm",
    "load_text",
]
