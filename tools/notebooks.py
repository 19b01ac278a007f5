"""Run the notebooks: `run` executes them into build/, `publish` also keeps what came out.

python tools/notebooks.py run [NN ...]        all notebooks or those, at quick scale, two at a time
python tools/notebooks.py publish NN [...]    at full scale; keeps notebooks/NN_*.ipynb and results/
python tools/notebooks.py reword NN [...]     puts new prose into published notebooks

`make run` and `make publish ONLY=NN` call the same. The switches LESSONS_SCALE, LESSONS_SOURCE
and LESSONS_DATA hold here as everywhere.
"""

import argparse
import concurrent.futures
import multiprocessing
import os
import shutil
import sys
from pathlib import Path

from pages import Run, write_index
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "notebooks" / "src"
BUILD = ROOT / "build"


def chosen(numbers):
    """Return the sources whose number is among `numbers` (all where there are none)."""
    paths = sorted(SOURCES.glob("[0-9][0-9]_*.py"))
    wanted = {n.zfill(2) for n in numbers}
    if unknown := wanted - {path.name[:2] for path in paths}:
        have = ", ".join(path.stem for path in paths)
        sys.exit(f"No notebook numbered {', '.join(sorted(unknown))}. There are: {have}.")
    return [path for path in paths if not wanted or path.name[:2] in wanted]


def work(path, place, environment, timeout):
    """Execute one notebook in this process, and write what came out under `place`."""
    import nbformat  # slow to import, and the process that only waits does without
    from execute import execute
    from pages import write_page

    notebook, run = execute(
        path,
        place / "work" / path.stem,
        place / "results",
        environment=environment,
        timeout=timeout,
        on_cell=lambda done, cells: _events.put((path.stem, done, cells)),
    )
    nbformat.write(notebook, place / "notebooks" / f"{path.stem}.ipynb")
    write_page(notebook, run, place / "html")
    return run


def report_to(events):
    """Begin a worker process: `events` takes (slug, cells done, cells)."""
    global _events
    _events = events


class Progress:
    """One line per notebook: live in a terminal, and once when it ends where there is none."""

    def __init__(self, paths):
        live = sys.stderr.isatty()
        width = max(len(path.stem) for path in paths)
        self.bars = {
            path.stem: tqdm(
                desc=path.stem.ljust(width),
                total=1,
                position=position,
                unit="cell",
                disable=not live,
                bar_format="{desc} {bar:24} {n_fmt}/{total_fmt} cells {elapsed}",
            )
            for position, path in enumerate(paths)
        }

    def drain(self, events):
        while not events.empty():
            slug, done, cells = events.get()
            self.bars[slug].total = cells
            self.bars[slug].update(done - self.bars[slug].n)

    def end(self, run):
        bar = self.bars[run.slug]
        bar.update((bar.total or 1) - bar.n if not run.error else 0)
        bar.refresh()
        if bar.disable:
            state = "FAILED" if run.error else "ok"
            print(f"{run.slug}: {state} after {run.seconds:.0f} s", flush=True)

    def close(self):
        for bar in self.bars.values():
            bar.close()


def run_all(paths, place, *, environment, timeout, jobs, then=lambda run: None):
    """Execute `paths`, `jobs` at a time, each in a process of its own; return the runs in order.

    Everything is written under `place`; `then(run)` is called as each notebook ends.
    """
    for folder in ("notebooks", "html", "work", "results"):
        (place / folder).mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    progress, runs, events = Progress(paths), {}, context.Queue()
    with concurrent.futures.ProcessPoolExecutor(
        jobs, context, initializer=report_to, initargs=(events,), max_tasks_per_child=1
    ) as pool:
        waiting = {pool.submit(work, path, place, environment, timeout): path for path in paths}
        try:
            while waiting:
                ended, _ = concurrent.futures.wait(waiting, 0.5, return_when="FIRST_COMPLETED")
                progress.drain(events)
                for future in ended:
                    run = outcome(future, waiting.pop(future))
                    runs[run.slug] = run
                    then(run)
                    progress.end(run)
        except BaseException:  # Ctrl-C ends the notebooks that run, and starts no others
            pool.shutdown(cancel_futures=True)
            raise
    progress.close()
    return [runs[path.stem] for path in paths]


def outcome(future, path):
    """Return a notebook's run, also where its whole process came to grief."""
    try:
        return future.result()
    except Exception as problem:
        return Run(path.stem, path.stem, 0.0, None, "-", f"its process: {problem!r}")


def table(runs):
    width = max(len(run.slug) for run in runs)
    lines = [f"\n{'notebook':{width}}  seconds  peak memory  data"]
    for run in runs:
        memory = "-" if run.megabytes is None else f"{run.megabytes:,.0f} MB"
        state = "  FAILED" if run.error else ""
        lines.append(f"{run.slug:{width}}  {run.seconds:7.0f}  {memory:>11}  {run.data}{state}")
    return "\n".join(lines)


def keep(run, place):
    """Put a published notebook and its results in their places, both or neither."""
    name = f"{run.slug}.ipynb"
    pairs = [(place / "notebooks" / name, ROOT / "notebooks" / name)]
    results = ROOT / "results" / f"{run.slug}.json"
    if (place / "results" / results.name).exists():
        pairs.append((place / "results" / results.name, results))
    else:
        results.unlink(missing_ok=True)  # an earlier run's must not pass for this one's
    for made, target in pairs:
        shutil.copyfile(made, target.with_suffix(".part"))
    for _, target in pairs:
        os.replace(target.with_suffix(".part"), target)


def reword(path):
    """Put the prose of a source into its published notebook, if the code is still the same."""
    import nbformat
    from execute import read_source, source_hash

    source, place = read_source(path), ROOT / "notebooks" / f"{path.stem}.ipynb"
    published = nbformat.read(place, 4)
    if source_hash(source) != published.metadata.get("executed"):
        sys.exit(f"{path.name}: the code has changed, so its outputs must too: use publish.")
    outputs = iter([cell for cell in published.cells if cell.cell_type == "code"])
    for cell in source.cells:
        if cell.cell_type == "code":
            old = next(outputs)
            cell.outputs, cell.execution_count = old.outputs, old.execution_count
    source.metadata = published.metadata
    part = place.with_suffix(".part")
    nbformat.write(source, part)
    os.replace(part, place)
    print(f"{place.name}: prose renewed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["run", "publish", "reword"])
    parser.add_argument("numbers", nargs="*", metavar="NN", help="for instance: 06 11")
    parser.add_argument("--jobs", type=int, default=2, help="notebooks at a time (default: 2)")
    parser.add_argument("--timeout", type=float, help="seconds a cell may take")
    options = parser.parse_args()
    publish = options.command == "publish"
    if options.command != "run" and not options.numbers:
        parser.error(f"{options.command} wants the numbers of the notebooks, for instance: 06 11")
    timeout = options.timeout or (None if publish else 600)
    paths = chosen(options.numbers)
    if not paths:
        sys.exit("There are no notebooks in notebooks/src.")
    if options.command == "reword":
        for path in paths:
            reword(path)
        return
    if folder := os.environ.get("LESSONS_DATA", "").strip():  # kernels run in other folders
        os.environ["LESSONS_DATA"] = str(Path(folder).expanduser().resolve())
    if not publish:
        place = BUILD
        runs = run_all(paths, place, environment={}, timeout=timeout, jobs=options.jobs)
    else:
        place = BUILD / "publish"  # apart from what `run` may write meanwhile
        for path in paths:
            (place / "results" / f"{path.stem}.json").unlink(missing_ok=True)
        runs = run_all(
            paths,
            place,
            environment={"LESSONS_SCALE": "full"},
            timeout=timeout,
            jobs=options.jobs,
            then=lambda run: run.error or keep(run, place),
        )
    write_index(runs, place / "html")
    print(table(runs))
    print(f"\nPages: {os.path.relpath(place / 'html' / 'index.html')}")
    for run in runs:
        if run.error:
            print(f"\n{run.slug} FAILED in {run.error}", file=sys.stderr)
    sys.exit(any(run.error for run in runs))


if __name__ == "__main__":
    main()
