"""tools/claims.py: verdicts by hand-made cases, and CLAIMS.md as rendered."""

import json
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import claims  # noqa: E402


def record(measured, data="real, 2016-10"):
    return {"measured": measured, "data": data}


LOWER = {"figure": 0.8, "tolerance": 0.02, "better": "lower"}
HIGHER = {"figure": 0.8, "tolerance": 0.02, "better": "higher"}
NEAR = {"figure": 0.0, "tolerance": 1e-6, "better": "near"}
HOLDS = {"figure": 0.0, "tolerance": 0.0, "better": "holds"}
AIM = {"aim": 0.765, "better": "lower"}


@pytest.mark.parametrize(
    ("claim", "measured", "expected"),
    [
        (LOWER, 0.81, "reproduced"),
        (LOWER, 0.79, "reproduced"),
        (LOWER, 0.7, "exceeded"),
        (LOWER, 0.8 - 0.02, "reproduced"),  # the edge belongs to it, rounding or not
        (LOWER, 0.8 + 0.02, "reproduced"),
        (LOWER, 0.9, "corrected"),
        (HIGHER, 0.9, "exceeded"),
        (HIGHER, 0.7, "corrected"),
        (HIGHER, 0.81, "reproduced"),
        (NEAR, -5e-7, "reproduced"),
        (NEAR, 2e-6, "corrected"),
        (HOLDS, 0.01, "reproduced"),
        (HOLDS, -0.01, "corrected"),
        (AIM, 0.765, "aim met"),
        (AIM, 0.766, "aim missed"),
        ({"aim": 0.9, "better": "higher"}, 0.91, "aim met"),
        ({"aim": 0.9, "better": "higher"}, 0.89, "aim missed"),
        (LOWER, None, "not measured"),
    ],
)
def test_verdicts(claim, measured, expected):
    assert claims.verdict(claim, record(measured)) == expected


def test_a_stand_in_measures_nothing():
    assert claims.verdict(LOWER, record(0.1, "stand-in, v1")) == "not measured"
    assert claims.verdict(LOWER, None) == "not measured"


def test_claims_md_is_what_results_say():
    written = (ROOT / "CLAIMS.md").read_text(encoding="utf-8")
    assert written == claims.render(), "CLAIMS.md is out of date: make claims"


def test_every_declared_claim_can_be_judged():
    ids = [claim["id"] for claim in claims.declared()]
    assert len(ids) == len(set(ids))
    for claim in claims.declared():
        assert claim["better"] in ("lower", "higher", "near", "holds") and claim["unit"]
        assert ("figure" in claim) != ("aim" in claim), claim["id"]
        assert claims.verdict(claim, record(1.0)) != "not measured"


def test_recorded_results_are_complete_and_of_full_scale():
    keys = {"id", "measured", "sd", "note", "scale", "data", "seeds", "date"}
    keys |= {"backend", "device", "versions"}
    for path in (ROOT / "results").glob("*.json"):
        for entry in json.loads(path.read_text(encoding="utf-8")):
            assert set(entry) == keys and entry["scale"] == "full", path.name
