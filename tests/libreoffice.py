"""A second opinion on workbooks: LibreOffice computes every cell again."""

import re
import shutil
import subprocess
import zipfile

import numpy as np
import pytest

from utils.spreadsheets import read_workbook

# 0: always recalculate. By default LibreOffice shows the values stored in an .xlsx as they are.
PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load">
<prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item></oor:items>
"""


def recalculated(path, folder):
    """Return a workbook's values as LibreOffice computes them, stored values ignored."""
    soffice = shutil.which("soffice")
    if soffice is None:
        pytest.skip("LibreOffice is missing: apt-get install libreoffice-calc-nogui")
    profile = folder / "profile"
    (profile / "user").mkdir(parents=True, exist_ok=True)
    (profile / "user" / "registrymodifications.xcu").write_text(PROFILE, encoding="utf-8")
    out = folder / "recalculated"
    command = [soffice, f"-env:UserInstallation={profile.as_uri()}", "--headless"]
    command += ["--convert-to", "xlsx", "--outdir", out, path]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    return read_workbook(out / path.name)


def with_inputs(path, changes):
    """Write a copy with some inputs changed and every stored value of a formula spoiled.

    `changes` maps a sheet's name to its cells: `{"data": {"A4": 15.0}}`.
    """
    copy = path.with_name(f"changed-{path.name}")
    parts = {
        f"xl/worksheets/sheet{number}.xml": changes.get(name, {})
        for number, name in enumerate(read_workbook(path), start=1)
    }
    assert set(changes) <= set(read_workbook(path))
    spoiled = 0
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for part in old.namelist():
            text = old.read(part)
            if part in parts:
                text, count = re.subn(rb"(</f>)<v>[^<]*</v>", rb"\1<v>123</v>", text)
                assert count == text.count(b"</f>"), f"{part} keeps some stored values"
                spoiled += count
            for place, value in parts.get(part, {}).items():
                pattern = rf'(<c r="{place}"[^>]*>)<v>[^<]*</v>'.encode()
                text, count = re.subn(pattern, rb"\g<1><v>%b</v>" % repr(value).encode(), text)
                assert count == 1, f"{place} is no input cell with a number"
            new.writestr(part, text)
    assert spoiled > 0
    return copy


def fresh(path, folder):
    """Spoil all stored values, let LibreOffice compute them, and expect every cell as stored."""
    tables = recalculated(with_inputs(path, {}), folder)
    for name, stored in read_workbook(path).items():
        compared = 0
        for place, value in np.ndenumerate(stored):
            if isinstance(value, float):
                assert tables[name][place] == pytest.approx(value, rel=1e-7, abs=1e-9), place
                compared += 1
        assert compared >= 60
    return tables
