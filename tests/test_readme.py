"""README.md: its snippets run, its table names every notebook, its links lead somewhere."""

import re
from pathlib import Path

import matplotlib as mpl
import pytest

mpl.use("agg")

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.S)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda s: s.split("\n")[0])
def test_snippet_runs(snippet, monkeypatch, tmp_path):
    monkeypatch.setenv("LESSONS_SOURCE", "standin")
    monkeypatch.chdir(tmp_path)  # from any folder
    exec(compile(snippet, "README.md", "exec"), {})


def test_every_piece_of_utils_has_a_snippet():
    shown = "\n".join(SNIPPETS)
    for module in (ROOT / "utils").iterdir():
        name = module.stem
        if name.startswith("_") or name in ("switches", "standins", "unpack", "download"):
            continue  # what users reach through the others
        assert f"utils.{name} import" in shown, name


def test_table_names_all_sixteen_notebooks():
    rows = re.findall(r"^\| (\d\d) \|", README, re.M)
    assert rows == [f"{n:02}" for n in range(1, 17)]
    for source in (ROOT / "notebooks" / "src").glob("[0-9][0-9]_*.py"):
        assert f"(notebooks/{source.stem}.ipynb)" in README


@pytest.mark.parametrize("page", ["README.md", "CLAIMS.md", "data/README.md"])
def test_links_within_the_project_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text):
        assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"
