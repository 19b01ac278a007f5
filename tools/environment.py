"""Make `.venv` and install this project into it; do nothing where that is done already.

The tested versions of requirements.lock are tried first. Where they cannot be had (another
Python, another system), the newest versions that requirements allow are installed, and said so.
`LOCK=no make ...` goes for the newest at once.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv"
PYTHON = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
WISHES = [ROOT / name for name in ("requirements-dev.txt", "requirements.txt", "requirements.lock")]


def fingerprint():
    """Tell what is installed where; a moved or copied checkout is installed anew."""
    text = "".join(path.read_text(encoding="utf-8") for path in WISHES)
    text += sys.version + str(ROOT) + os.environ.get("LOCK", "")
    return hashlib.sha256(text.encode()).hexdigest()


def healthy():
    """Tell whether .venv has this Python and a pip that starts."""
    ask = "import sys, pip; print(sys.version)"
    try:
        answer = subprocess.run([PYTHON, "-c", ask], capture_output=True, text=True)
    except OSError:
        return False
    return answer.returncode == 0 and answer.stdout.strip() == sys.version.strip()


def install(*constraints):
    command = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    command += ["-r", "requirements-dev.txt", *constraints]
    return subprocess.run(command, cwd=ROOT).returncode == 0


def main():
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs this may have an older one
        sys.exit(f"Python 3.11 or later is needed; this is {sys.version.split()[0]}.")
    done = FOLDER / "installed"
    if done.exists() and done.read_text() == fingerprint():
        return
    print(f"Installing into {FOLDER.name} (about 2 GB, some two minutes) ...", flush=True)
    if not healthy():
        try:
            venv.create(FOLDER, with_pip=True, clear=True)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"No environment could be made ({error}). Debian: apt install python3-venv")
    if os.environ.get("LOCK") == "no" or not install("-c", "requirements.lock"):
        print("Taking the newest versions that requirements.txt allows.", flush=True)
        if not install():
            sys.exit("The packages could not be installed; pip's own words stand above.")
    done.write_text(fingerprint())


if __name__ == "__main__":
    main()
