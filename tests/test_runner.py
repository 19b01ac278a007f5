"""tools/notebooks.py, in a project of its own: what runs, what fails, and what is kept."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).resolve().parent.parent
GOOD = """\
# %% [markdown]
# # 01 Good & proper
# %%
print("movielens: real data from somewhere")
# %%
import matplotlib.pyplot as plt
from IPython.display import Image, display
plt.imsave("dot.png", [[0, 1]])
display(Image("dot.png", alt='A "single" <dot>.'))
# %%
from pathlib import Path
Path("left_behind.txt").write_text("x")
"""
BAD = """\
# %% [markdown]
# # 02 Bad
# %%
1 + 1
# %%
{}["the missing key"]
"""
DEAD = """\
# %%
import os
os._exit(7)
"""


@pytest.fixture
def project(tmp_path):
    """A copy of the tools, and room for sources."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    for folder in ("notebooks/src", "results"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def call(project, *arguments, **sources):
    for name, text in sources.items():
        (project / "notebooks" / "src" / f"{name[1:]}.py").write_text(text)
    return subprocess.run(
        [sys.executable, "tools/notebooks.py", *arguments],
        cwd=project,
        env=os.environ | {"JUPYTER_PLATFORM_DIRS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_a_failing_notebook_is_named_and_the_others_still_run(project):
    done = call(project, "run", _01_good=GOOD, _02_bad=BAD, _03_dead=DEAD)
    assert done.returncode == 1
    assert "02_bad FAILED in code cell 2" in done.stderr
    assert "KeyError: 'the missing key'" in done.stderr and "\x1b" not in done.stderr
    assert "03_dead FAILED" in done.stderr and "DeadKernelError" in done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if " MB " in line}
    assert "FAILED" not in rows["01_good"] and rows["01_good"].rstrip().endswith("real")
    assert rows["02_bad"].endswith("FAILED")

    page = (project / "build" / "html" / "01_good.html").read_text()
    alt = re.search(r"""<img alt=(["'])(.*?)\1""", page)
    assert html.unescape(alt[2]) == 'A "single" <dot>.'
    index = (project / "build" / "html" / "index.html").read_text()
    assert "01 Good &amp; proper" in index and "failed" in index
    assert not list((project / "notebooks").glob("*.ipynb"))  # run changes nothing but build/
    assert not next(project.rglob("left_behind.txt")).is_relative_to(project / "notebooks")


@pytest.mark.slow
def test_publish_keeps_outputs_and_results_of_a_whole_run_only(project):
    results = (
        "# %%\nimport os\n"
        "(Path(os.environ['LESSONS_EXECUTED']) / '01_good.json').write_text('[1]')\n"
    )
    done = call(project, "publish", "1", _01_good=GOOD + results)
    assert done.returncode == 0, done.stderr
    kept = nbformat.read(project / "notebooks" / "01_good.ipynb", 4)
    assert [c.execution_count for c in kept.cells if c.cell_type == "code"] == [1, 2, 3, 4]
    assert kept.metadata["run"]["data"] == "real"
    assert json.loads((project / "results" / "01_good.json").read_text()) == [1]

    done = call(project, "reword", "1", _01_good=(GOOD + results).replace("proper", "kind"))
    assert done.returncode == 0, done.stderr
    reworded = nbformat.read(project / "notebooks" / "01_good.ipynb", 4)
    assert "kind" in reworded.cells[0].source
    assert [c.get("outputs") for c in reworded.cells] == [c.get("outputs") for c in kept.cells]
    done = call(project, "reword", "1", _01_good=GOOD + "# %%\n1 / 0\n")
    assert "the code has changed" in done.stderr

    before = (project / "notebooks" / "01_good.ipynb").read_bytes()
    done = call(project, "publish", "1", _01_good=GOOD + "# %%\n1 / 0\n")
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr
    assert (project / "notebooks" / "01_good.ipynb").read_bytes() == before
    assert json.loads((project / "results" / "01_good.json").read_text()) == [1]


def test_an_unknown_number_is_answered_with_what_there_is(project):
    done = call(project, "run", "7", _01_good=GOOD)
    assert done.returncode == 1 and "No notebook numbered 07" in done.stderr
    assert "01_good" in done.stderr


def test_publish_wants_a_number(project):
    assert "wants the numbers" in call(project, "publish", _01_good=GOOD).stderr


def test_cell_ids_depend_on_text_alone(project):
    sys.path.insert(0, str(ROOT / "tools"))
    from execute import read_source

    path = project / "notebooks" / "src" / "01_good.py"
    path.write_text(GOOD + "# %%\n1\n# %%\n1\n")
    ids = [[cell.id for cell in read_source(path).cells] for _ in range(2)]
    assert ids[0] == ids[1] and len(set(ids[0])) == len(ids[0])
