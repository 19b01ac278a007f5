"""The notebooks themselves: sources and .ipynb agree, and each keeps to the house's anatomy."""

import ast
import re
import statistics
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from execute import execute, read_source, source_hash  # noqa: E402

FIRST_LINE = (
    "from utils.session import start  # fails? another `utils` is in the way: see the README"
)
SOURCES = sorted((ROOT / "notebooks" / "src").glob("[0-9][0-9]_*.py"))
NAMES = [path.stem for path in SOURCES]

pytestmark = [
    pytest.mark.backend_free,
    pytest.mark.parametrize("source", SOURCES, ids=NAMES),
]


def published(source):
    path = ROOT / "notebooks" / f"{source.stem}.ipynb"
    if not path.exists():
        pytest.fail(f"notebooks/{path.name} is missing: make publish ONLY={source.stem[:2]}")
    return nbformat.read(path, 4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_source_and_notebook_hold_the_same_cells(source):
    def key(notebook):
        return [(c.cell_type, c.source, c.metadata.get("tags", [])) for c in notebook.cells]

    assert key(read_source(source)) == key(published(source)), (
        f"notebooks/{source.stem}.ipynb and its source differ: make publish ONLY={source.stem[:2]}"
    )


def test_outputs_belong_to_this_code_and_ran_in_order(source):
    notebook = published(source)
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert notebook.metadata["executed"] == source_hash(notebook)
    errors = [o for c in code_cells(notebook) for o in c.outputs if o.output_type == "error"]
    assert not errors


def test_every_picture_has_words(source):
    for cell in code_cells(published(source)):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                alt = output.metadata.get("image/png", {}).get("alt", "")
                assert len(alt.split()) > 3, cell.source


def test_small_enough_to_read_online(source):
    assert (ROOT / "notebooks" / f"{source.stem}.ipynb").stat().st_size < 1_000_000


def test_anatomy(source):
    notebook = read_source(source)
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    assert notebook.cells[0].source.startswith(f"# {source.stem[:2]} ")
    for part in ("What you will learn", "Then and now", "Make it your own", "Exercises"):
        assert part in text, f"no {part!r}"
    assert text.count("<details>") >= 3, "three exercises, their answers folded"
    first = code_cells(notebook)[0].source
    assert first.startswith(FIRST_LINE) and "start(" in first


def test_one_idea_a_cell(source):
    notebook = read_source(source)
    lengths = [len([n for n in c.source.splitlines() if n.strip()]) for c in code_cells(notebook)]
    assert max(lengths) <= 30 and statistics.median(lengths) <= 9, lengths
    words = sum(len(c.source.split()) for c in notebook.cells if c.cell_type == "markdown")
    assert 25 <= words / len(lengths) <= 75, f"{words / len(lengths):.0f} words a code cell"


def test_nothing_that_keras_ignores_in_silence(source):
    cells = [c.source for c in code_cells(read_source(source))]
    code = "\n".join(cells)
    for cell in cells:  # the one that shows both names is there to show the difference
        if re.search(r"optimizer\.lr\b", cell):
            assert "optimizer.learning_rate" in cell, "optimizer.lr is not read: learning_rate"
    assert not re.search(r"^\s*[%!]", code, re.M), "no magics: they hide what a program needs"
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            assert node.names[0].name != "*", f"star import from {node.module}"


def test_every_claim_is_recorded_or_explained(source):
    claims = tomllib.loads((ROOT / "results" / "claims.toml").read_text(encoding="utf-8"))["claim"]
    mine = {c["id"] for c in claims if c["notebook"] == source.stem}
    code = "\n".join(c.source for c in code_cells(read_source(source)))
    missing = {id for id in mine if f'"{id}"' not in code}
    assert not missing, f"neither claimed nor explained: {missing}"


@pytest.mark.notebook
def test_runs(source, tmp_path):
    _, run = execute(source, tmp_path, tmp_path, environment={"LESSONS_SOURCE": "standin"})
    assert not run.error, run.error
