"""What became of the notebooks, told as HTML pages and an index that leads to them."""

import dataclasses
import html
from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
INDEX = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Practical Deep Learning, lessons 4 and 5, in Keras 3</title>
<style>
 body {{ font: 17px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem;
        color: #222; background: #fff }}
 table {{ border-collapse: collapse; width: 100% }}
 th, td {{ text-align: left; padding: .45rem .8rem .45rem 0; border-bottom: 1px solid #ddd }}
 td.number {{ text-align: right; font-variant-numeric: tabular-nums }}
 a {{ color: #0072b2 }}
</style>
<h1>Practical Deep Learning, lessons 4 and 5, in Keras 3</h1>
<p>Notebooks executed on this machine.</p>
<table>
<tr><th>Notebook</th><th>Data</th><th>Seconds</th><th>Peak memory</th><th></th></tr>
{rows}
</table>
</html>
"""


@dataclasses.dataclass
class Run:
    """What became of one notebook: `error` is empty where every cell ran."""

    slug: str
    title: str
    seconds: float
    megabytes: float | None
    data: str
    error: str = ""


def write_page(notebook, run, folder):
    """Write one executed notebook as `folder`/slug.html."""
    from nbconvert import HTMLExporter  # slow to import, and the index does without

    exporter = HTMLExporter(template_name="lesson", extra_template_basedirs=[str(TEMPLATES)])
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": run.title}})
    (folder / f"{run.slug}.html").write_text(page, encoding="utf-8")


def write_index(runs, folder):
    """Write `folder`/index.html, one row a run."""
    rows = []
    for run in runs:
        memory = "" if run.megabytes is None else f"{run.megabytes:,.0f} MB"
        link = html.escape(run.title)
        if (folder / f"{run.slug}.html").exists():
            link = f'<a href="{run.slug}.html">{link}</a>'
        rows.append(
            f"<tr><td>{link}</td><td>{run.data}</td><td class=number>{run.seconds:.0f}</td>"
            f"<td class=number>{memory}</td><td>{'failed' if run.error else ''}</td></tr>"
        )
    (folder / "index.html").write_text(INDEX.format(rows="\n".join(rows)), encoding="utf-8")
