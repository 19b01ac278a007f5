"""Execute one notebook in a kernel of its own, and say how long it took and how much memory."""

import hashlib
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from pages import Run
from traitlets.config import Config


def read_source(path):
    """Read a py:percent file as a notebook whose cell ids depend on nothing but its text."""
    notebook = jupytext.read(path)
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": PYTHON})
    seen = {}
    for cell in notebook.cells:
        number = seen[cell.source] = seen.get(cell.source, 0) + 1
        cell.id = hashlib.sha256(f"{number}{cell.source}".encode()).hexdigest()[:12]
    return notebook


KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
PYTHON = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}


def source_hash(notebook):
    """Tell which code a notebook's outputs belong to: an edited cell keeps its old output."""
    code = "\0".join(c.source for c in notebook.cells if c.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def execute(path, folder, results, *, environment=None, timeout=600, on_cell=None):
    """Run the py:percent file `path` in `folder` and return a `Run`.

    To be called in a process that runs no other kernel: peak memory is that of the process's
    children. Claims are recorded in the folder `results`. `environment` sets the switches,
    `on_cell(done, cells)` reports progress, `timeout` is in seconds per cell (None: no limit).
    """
    os.environ.update(environment or {}, LESSONS_EXECUTED=str(results), MPLBACKEND="agg")
    notebook, started, at = read_source(path), time.perf_counter(), [0]

    def starts(cell, cell_index):
        at[0] = cell_index
        if on_cell:
            on_cell(cell_index, len(notebook.cells))

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as sockets, tempfile.TemporaryFile("w+") as log:
        client = NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            shutdown_kernel="immediate",  # all is written; a kernel's own farewell takes seconds
            record_timing=False,
            resources={"metadata": {"path": str(folder)}},
            config=_local_sockets(sockets),
            # what C++ libraries write to file descriptor 2 belongs into the log, not into a cell
            extra_arguments=["--IPKernelApp.capture_fd_output=False"],
            on_cell_execute=starts,
        )
        try:
            client.execute(stdout=log, stderr=log)
            error = ""
        except Exception as problem:  # a cell, a time-out, a dead kernel, a kernel that never came
            error = _explain(problem, at[0], notebook, log)
    for cell in notebook.cells:
        cell.update({"outputs": merged(cell.outputs)} if cell.cell_type == "code" else {})
    seconds, megabytes, data = time.perf_counter() - started, _peak_megabytes(), _data_of(notebook)
    notebook.metadata["executed"] = source_hash(notebook)
    notebook.metadata["run"] = {
        "seconds": round(seconds),
        "megabytes": megabytes and round(megabytes),
        "data": data,
    }
    return notebook, Run(Path(path).stem, _title(notebook), seconds, megabytes, data, error)


def merged(outputs):
    """Join neighbouring prints, and keep of a line what a carriage return left standing.

    nbclient's own `coalesce_streams` takes quadratic time in the length of a line.
    """
    joined = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output.output_type == "stream" == last.get("output_type") and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    for output in joined:
        if output.output_type == "stream":
            lines = output.text.split("\n")
            output.text = "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines)
    return joined


def _title(notebook):
    found = re.search(r"^# (.+)$", notebook.cells[0].source, re.M) if notebook.cells else None
    return found[1].strip() if found else "Untitled"


def _local_sockets(folder):
    """Talk to the kernel over files rather than TCP: no port, and no warning about the port."""
    if os.name == "nt" or len(folder) > 80:  # a socket's name has 107 characters at most
        return Config()
    return Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/k"}})


def _explain(problem, index, notebook, log):
    log.seek(0)
    tail = log.read()[-2000:].strip()
    what = str(problem) if isinstance(problem, CellExecutionError) else repr(problem)
    what = re.sub(r"\x1b\[[0-9;]*m", "", what)  # colours of the traceback
    number = sum(c.cell_type == "code" for c in notebook.cells[: index + 1])
    text = f"code cell {number} (cell {index} of the file):\n{what.strip()}"
    return text + (f"\n--- the kernel's log ends:\n{tail}" if tail else "")


def _peak_megabytes():
    if sys.platform == "win32":
        return None  # Windows keeps no such count for children
    import resource

    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit


def _data_of(notebook):
    """Read from the banner which data the notebook used."""
    printed = "".join(
        output.get("text", "")
        for cell in notebook.cells[:6]
        for output in cell.get("outputs", ())
        if output.output_type == "stream"
    )
    kinds = set(re.findall(r"^[\w-]+: (real|STAND-IN)", printed, re.M))
    return " and ".join(sorted(kinds)).replace("STAND-IN", "stand-in") or "generated"
