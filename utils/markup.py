"""Nested markup, made by a grammar: a language whose closing tags need memory.

A document is one element; an element is an opening tag, text and further elements, and the closing
tag of the same name: `<p>so <em>it</em> goes</p>`. After `</` only one name is right, and what it
is was said when the element was opened, any number of characters before.

Names are drawn independently of each other and of all else. So a reader who sees only the last
`w` characters, and among them nothing of the opening tag's name, can do no better than guess among
the names: a share 1/len(names) right, whatever its model. See :meth:`Markup.window_limit`.
"""

import string
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from utils._whole_numbers import checked_ids

__all__ = ["NAMES", "Markup", "Verdict", "allowed_next", "load_markup", "well_formed"]

NAMES = ("b", "em", "li", "p", "q", "ul")
END = "\n"  # of a document, as an id; no document holds it
LETTERS = frozenset(string.ascii_lowercase + " ")


@dataclass(frozen=True, eq=False, repr=False)
class Markup:
    r"""Generated documents, and every closing tag in them.

    Attributes
    ----------
    documents : tuple of str
        (n,), all well-formed.
    names : tuple of str
        The elements' names; no two begin alike, so their first letters tell them apart.
    vocabulary : tuple of str
        `vocabulary[id]`: `""` at 0 is padding, `"\n"` at 1 the end of a document.
    ids : numpy.ndarray
        (n, length) int32: each document and its end, then padding, on the right.
    row, position : numpy.ndarray
        (closings,) int32: where in `ids` the name of each closing tag begins.
    name : numpy.ndarray
        (closings,) int32: which of `names` it is.
    depth : numpy.ndarray
        (closings,) int32: how many elements are open there, from 1 for the outermost.
    height : numpy.ndarray
        (closings,) int32: levels of elements within the closed one, from 0.
    distance : numpy.ndarray
        (closings,) int32: characters since the last letter of the opening tag's name. A window
        of w characters sees something of that name if `distance <= w`, and else nothing.
    """

    documents: tuple
    names: tuple
    vocabulary: tuple
    ids: np.ndarray
    row: np.ndarray
    position: np.ndarray
    name: np.ndarray
    depth: np.ndarray
    height: np.ndarray
    distance: np.ndarray

    def __len__(self):
        return len(self.documents)

    def __repr__(self):
        return (
            f"Markup: {len(self):,} documents up to {self.ids.shape[1]} characters long, "
            f"{len(self.position):,} elements of {len(self.names)} names, nested up to "
            f"{self.depth.max()} deep (generated)"
        )

    @property
    def inputs(self):
        """(n, length - 1) int32: what a next-character model reads, 0 where it is padding."""
        return np.where(self.targets > 0, self.ids[:, :-1], 0)

    @property
    def targets(self):
        """(n, length - 1) int32: the character that follows each input, 0 where there is none."""
        return self.ids[:, 1:]

    @property
    def weights(self):
        """(n, length - 1) float32: 1 where there is a target, for `sample_weight`."""
        return (self.targets > 0).astype(np.float32)

    @cached_property
    def name_ids(self):
        """(names,) int32: the id of each name's first letter."""
        return np.array([self.vocabulary.index(name[0]) for name in self.names], np.int32)

    def closing_accuracy(self, probabilities):
        """Score a model's choices of the name at each closing tag.

        Parameters
        ----------
        probabilities : numpy.ndarray
            (n, length - 1, vocabulary), of the target at each place; or logarithms of them.

        Returns
        -------
        numpy.ndarray
            (closings,) bool: whether the right letter is the likeliest of all characters.
        """
        expected = (*self.targets.shape, len(self.vocabulary))
        if np.shape(probabilities) != expected:
            raise ValueError(f"Received shape {np.shape(probabilities)}; {expected} is needed.")
        at_closings = probabilities[self.row, self.position - 1]
        return np.argmax(at_closings, axis=1) == self.name_ids[self.name]

    def windows(self, width):
        """Return the last `width` characters before each closing tag's name.

        Returns
        -------
        numpy.ndarray
            (closings, width) int32 ids; 0 before a document begins.
        """
        padded = np.pad(self.ids, ((0, 0), (width, 0)))
        return padded[self.row[:, None], self.position[:, None] + np.arange(width)]

    def window_limit(self, width):
        """Return the accuracy that no window of `width` characters is expected to exceed.

        Parameters
        ----------
        width : int
            Characters seen before the name.

        Returns
        -------
        numpy.ndarray
            (closings,) float: 1 where the window shows something of the opening tag's name, else
            1 / len(names). Means over any choice of closings by `depth`, `height` or `distance`
            are limits too.
        """
        return np.where(self.distance <= width, 1.0, 1 / len(self.names))

    def encode(self, document):
        """Turn a document, or the beginning of one, into (n,) int32 ids."""
        index = {character: id for id, character in enumerate(self.vocabulary)}
        if unknown := sorted(set(document) - set(index)):
            raise ValueError(f"Characters {unknown} are not among {self.vocabulary[2:]}.")
        return np.array([index[character] for character in document], np.int32)

    def decode(self, ids):
        """Turn ids into a document: up to its end, if it has one.

        Raises
        ------
        ValueError
            If there is no such id.
        """
        return "".join(
            self.vocabulary[id] for id in checked_ids(ids, len(self.vocabulary))
        ).partition(END)[0]


def load_markup(documents=1000, *, depth=4, names=NAMES, text=(1, 8), siblings=0.3, seed=0):
    """Generate documents nested exactly `depth` deep, or as deep as a list of depths says.

    Each element holds a text, and below the chosen depth an element that goes one deeper, followed
    by text again; with probability `siblings` further elements, no deeper than it, stand beside it.

    Parameters
    ----------
    documents : int
        How many.
    depth : int or sequence of int
        Levels of elements in a document, from 1; of a sequence, each document draws one.
    names : sequence of str
        Two or more, of lower-case letters, each with a first letter of its own.
    text : (int, int)
        Fewest and most letters of each piece of text, from 0.
    siblings : float
        Probability of one more element, again and again, from 0 to below 1.
    seed : int
        The same seed gives the same documents.

    Returns
    -------
    Markup

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    depths = np.atleast_1d(np.asarray(depth))
    names = _checked_names(names)
    shortest, longest = text
    if not documents >= 1:
        raise ValueError(f"documents={documents!r} is not a number from 1.")
    if depths.ndim != 1 or not depths.size or depths.dtype.kind not in "iu" or depths.min() < 1:
        raise ValueError(f"depth={depth!r}: whole numbers from 1 are needed.")
    if not 0 <= shortest <= longest:
        raise ValueError(f"text={text!r}: the fewest and the most letters, from 0, are needed.")
    if not 0 <= siblings < 1:
        raise ValueError(f"siblings={siblings!r} is not in 0 <= siblings < 1.")
    rng = np.random.default_rng(seed)
    writer = _Writer(rng, names, (shortest, longest), siblings)
    written = [writer.document(int(rng.choice(depths))) for _ in range(documents)]
    texts, closings = zip(*written, strict=True)
    vocabulary = ("", END, *sorted(set("</>" + "".join(names)) | LETTERS))
    index = {character: id for id, character in enumerate(vocabulary)}
    ids = np.zeros((documents, max(map(len, texts)) + 1), np.int32)
    for row, document in enumerate(texts):
        ids[row, : len(document) + 1] = [index[character] for character in document + END]
    table = [(row, *closing) for row, found in enumerate(closings) for closing in found]
    columns = ("row", "position", "name", "depth", "height", "distance")
    arrays = dict(zip(columns, np.array(table, np.int32).T.copy(), strict=True))
    return Markup(documents=texts, names=names, vocabulary=vocabulary, ids=ids, **arrays)


class _Writer:
    """Writes documents, and notes where each closing tag's name begins and what it must match."""

    def __init__(self, rng, names, text, siblings):
        self.rng, self.names, self.siblings = rng, names, siblings
        self.lengths = text
        self.letters = np.array(sorted(LETTERS - {" "}) + [" "] * 4)  # words of six letters or so

    def document(self, depth):
        self.pieces, self.length, self.closings = [], 0, []
        self.element(1, depth)
        return "".join(self.pieces), sorted(self.closings)

    def put(self, piece):
        self.pieces.append(piece)
        self.length += len(piece)

    def text(self):
        shortest, longest = self.lengths
        count = self.rng.integers(shortest, longest + 1)
        self.put("".join(self.rng.choice(self.letters, count)))

    def element(self, depth, levels):
        """Write an element of so many levels, itself included, where `depth` are then open."""
        name = int(self.rng.integers(len(self.names)))
        self.put(f"<{self.names[name]}")
        opened = self.length - 1
        self.put(">")
        self.text()
        if levels > 1:
            children = [levels - 1]  # one goes all the way down, at any place among the others
            while self.rng.random() < self.siblings:
                children.append(int(self.rng.integers(1, levels)))
            for child in self.rng.permutation(children):
                self.element(depth + 1, int(child))
                self.text()
        self.put("</")
        self.closings.append((self.length, name, depth, levels - 1, self.length - opened))
        self.put(f"{self.names[name]}>")


@dataclass(frozen=True)
class Verdict:
    """Whether a document is well-formed, and if not, where it fails.

    Attributes
    ----------
    ok : bool
        Also what `bool(verdict)` gives.
    position : int
        The first character that cannot stand there, or the document's length: then it is
        well-formed, or ends too early.
    reason : str
        What was found and what could stand there; empty where all is well.
    """

    ok: bool
    position: int
    reason: str

    def __bool__(self):
        return self.ok


def well_formed(document, names=NAMES):
    """Check a document, for instance a generated one.

    Parameters
    ----------
    document : str
        One element of lower-case letters, spaces and tags with one of the `names`.
    names : sequence of str
        As in :func:`load_markup`.

    Returns
    -------
    Verdict
    """
    reader = _Reader(_checked_names(names))
    for position, character in enumerate(document):
        if character not in (accepted := reader.accepts()) or character == END:
            reason = f"{character!r} where {_say(accepted)} could stand"
            return Verdict(False, position, f"{reason}; open: {reader.path() or 'nothing'}.")
        reader.read(character)
    if END not in reader.accepts():
        return Verdict(False, len(document), f"It ends with {reader.path() or 'nothing'} open.")
    return Verdict(True, len(document), "")


def _say(accepted):
    if accepted >= LETTERS:
        return "a letter, a space or '<'"
    return " or ".join(map(repr, sorted(accepted - {END}))) or "nothing more"


def allowed_next(document, names=NAMES):
    r"""Return what may follow each beginning of a document: the true answers at each place.

    Parameters
    ----------
    document : str
        A well-formed document, or the beginning of one.
    names : sequence of str
        As in :func:`load_markup`.

    Returns
    -------
    list of frozenset of str
        len(document) + 1 sets: the characters that can stand at each position if the document is
        to become well-formed, `"\n"` meaning its end. Any nesting depth and any text is allowed.

    Raises
    ------
    ValueError
        If a character can not stand where it does.
    """
    reader = _Reader(_checked_names(names))
    allowed = [reader.accepts()]
    for position, character in enumerate(document):
        if character not in allowed[-1] or character == END:
            raise ValueError(f"{character!r} at {position} makes {document!r} ill-formed.")
        reader.read(character)
        allowed.append(reader.accepts())
    return allowed


class _Reader:
    """Reads a document character by character, with a stack of what is open."""

    def __init__(self, names):
        self.names = names
        self.open = []
        self.tag = None  # what of a tag was read, from its "<" on; None in text
        self.over = False

    def accepts(self):
        """Return the characters that may come next."""
        if self.over:
            return frozenset(END)
        if self.tag is None:
            return LETTERS | {"<"} if self.open else frozenset("<")
        if self.tag == "<":
            firsts = {name[0] for name in self.names}
            return frozenset(firsts | {"/"} if self.open else firsts)
        closes = self.tag.startswith("</")
        begun = self.tag[1 + closes :]
        if closes:
            names = self.open[-1:]
        else:
            names = [name for name in self.names if name.startswith(begun)]
        return frozenset((name + ">")[len(begun)] for name in names)

    def read(self, character):
        """Go on by one of the accepted characters."""
        if self.tag is None:
            self.tag = "<" if character == "<" else None
        elif character != ">":
            self.tag += character
        else:
            if self.tag.startswith("</"):
                self.open.pop()
                self.over = not self.open
            else:
                self.open.append(self.tag[1:])
            self.tag = None

    def path(self):
        return "".join(f"<{name}>" for name in self.open)


def _checked_names(names):
    names = (names,) if isinstance(names, str) else tuple(names)
    firsts = {name[:1] for name in names}
    if not (
        len(names) >= 2
        and len(firsts) == len(names)
        and all(set(name) <= LETTERS - {" "} and name for name in names)
    ):
        raise ValueError(
            f"names={names!r}: two or more names of lower-case letters are needed, each with a "
            "first letter of its own."
        )
    return names
