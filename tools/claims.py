"""Render CLAIMS.md: what the lessons say, what was measured, and the verdict.

python tools/claims.py            rewrite CLAIMS.md
python tools/claims.py --check    exit with 1 where CLAIMS.md is not what would be written
"""

import json
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = """# Claims

What the lessons say, what this project measured at full scale, and whether it holds.
Made by `make claims` from [results/](results/); do not edit.

**reproduced**: within the tolerance of results/claims.toml. **exceeded**: better by more than
that. **corrected**: not as the lesson says. **aim met**, **aim missed**: a goal of our own.
**not measured**: with the reason; a number from generated stand-in data is never a measurement.

| claim | the lesson says | measured | on | verdict |
|---|---|---|---|---|
"""


def declared(root=ROOT):
    """Return the claims of results/claims.toml, in its order."""
    text = (root / "results" / "claims.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["claim"]


def recorded(root=ROOT):
    """Return the record of each claim id, from the results of the notebook that makes it."""
    home = {claim["id"]: claim["notebook"] for claim in declared(root)}
    records = {}
    for path in sorted((root / "results").glob("[0-9][0-9]_*.json")):
        for record in json.loads(path.read_text(encoding="utf-8")):
            if home.get(record["id"]) == path.stem:
                records[record["id"]] = record
    return records


def verdict(claim, record):
    """Judge one record by its claim's `figure` (the lesson's) or `aim` (ours).

    Parameters
    ----------
    claim : dict
        With `better` ("lower", "higher", "near": close to the figure, or "holds": above the
        figure means that the statement holds) and `tolerance` in the claim's unit.
    record : dict or None
        With `measured`, None where it was not.
    """
    if record is None or record["measured"] is None or record["data"].startswith("stand-in"):
        return "not measured"
    measured, tolerance = record["measured"], claim.get("tolerance", 0.0)
    tolerance *= 1 + 1e-6  # so that rounding does not decide at the very edge
    if "figure" not in claim:
        gain = (claim["aim"] - measured) * (-1 if claim["better"] == "higher" else 1)
        return "aim met" if gain >= 0 else "aim missed"
    gain = measured - claim["figure"]
    if claim["better"] == "holds":
        return "reproduced" if gain > -tolerance else "corrected"
    if claim["better"] == "near" or abs(gain) <= tolerance:
        return "reproduced" if abs(gain) <= tolerance else "corrected"
    better = gain < 0 if claim["better"] == "lower" else gain > 0
    return "exceeded" if better else "corrected"


def row(claim, record, root=ROOT):
    page = root / "notebooks" / f"{claim['notebook']}.ipynb"
    number = claim["notebook"][:2]
    name = f"`{claim['id']}`"
    name += f" ([{number}](notebooks/{page.name}))" if page.exists() else f" ({number}, to come)"
    judged = verdict(claim, record)
    if record is None:
        measured, on = "", ""
    elif judged == "not measured":
        measured, on = record["note"], record["data"]
    else:
        spread = "" if record["sd"] is None else f" ± {record['sd']:.2g}"
        count = f", n = {record['seeds']}" if record["seeds"] else ""
        measured = f"{record['measured']:.5g}{spread} {claim['unit']}{count}. {record['note']}"
        on = f"{record['data']}; {record['backend']}; {record['date']}"
    aim = f" (aim: {claim['aim_says']})" if claim.get("aim_says") else ""
    cells = (name, claim.get("says", "–") + aim, measured.strip(), on, f"**{judged}**")
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def render(root=ROOT):
    records = recorded(root)
    return HEAD + "\n".join(row(c, records.get(c["id"]), root) for c in declared(root)) + "\n"


if __name__ == "__main__":
    text, path = render(), ROOT / "CLAIMS.md"
    if "--check" in sys.argv[1:]:
        same = path.exists() and path.read_text(encoding="utf-8") == text
        sys.exit(None if same else "CLAIMS.md is out of date: run `make claims`.")
    path.write_text(text, encoding="utf-8")
    print(f"Wrote CLAIMS.md: {len(declared())} claims, {len(recorded())} with a record.")
