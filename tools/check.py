"""Everything `make test` checks, in order, each step even where an earlier one failed."""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTEST = ["-m", "pytest", "--timeout", "600", "--durations", "8"]
STEPS = [
    ("lint", ["-m", "ruff", "check", "."], {}),
    ("format", ["-m", "ruff", "format", "--check", "."], {}),
    (
        "notebooks on stand-ins",
        ["tools/notebooks.py", "run"],
        {"LESSONS_SOURCE": "standin", "LESSONS_SCALE": "quick"},
    ),
    (
        "fast tests, JAX",
        [*PYTEST, "-m", "not slow and not notebook and not backend_free"],
        {"KERAS_BACKEND": "jax"},
    ),
    ("slow tests", [*PYTEST, "-m", "slow and not notebook"], {"KERAS_BACKEND": "tensorflow"}),
    ("fast tests, TensorFlow", PYTEST, {"KERAS_BACKEND": "tensorflow"}),
]


def main():
    rows = []
    for name, command, environment in STEPS:
        print(f"\n=== {name}", flush=True)
        started = time.perf_counter()
        done = subprocess.run([sys.executable, *command], cwd=ROOT, env=os.environ | environment)
        rows.append((name, done.returncode == 0, time.perf_counter() - started))
    print("\n" + "\n".join(f"{'ok    ' if ok else 'FAILED'} {s:5.0f} s  {n}" for n, ok, s in rows))
    failed = sum(not ok for _, ok, _ in rows)
    print(f"{len(rows) - failed} passed, {failed} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
