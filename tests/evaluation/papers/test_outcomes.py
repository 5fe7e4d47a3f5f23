"""What is committed of an evaluation."""

from evaluation.papers.outcomes import as_text, trim


def test_certificates_are_kept_by_column() -> None:
    """A wrong answer has no radius; what the page does not need is left out."""
    columns = ["run", "index", "correct", "radius l2", "radius l1", "p lower"]
    rows = [["x", 0, 1, 0.5, 0.6, "0.9"], ["x", 40, 0, 0.7, 0.8, "0.9"]]
    tables = {"records": {"columns": columns, "rows": rows}, "intervals-l2": {}, "certificates": {"rows": []}}
    kept = trim({"command": "c", "plan": {"every": 40}, "tables": tables}, {"one": {}})
    assert kept["certified"] == {"x": {"index": [0, 40], "right": "10", "l2": [0.5, 0.0], "l1": [0.6, 0.0]}}
    assert list(kept["tables"]) == ["certificates"]
    assert as_text(kept).count("\n") == 7
