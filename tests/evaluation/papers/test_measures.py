"""Numbers of images are read from outcomes."""

from evaluation.papers.measures import Answers, BoundRadius


def test_radii_by_a_bound_are_read_in_units() -> None:
    table = {"columns": ["run", "index", "one_sided"], "rows": [["x", 40, 0.75], ["y", 40, 1.0]]}
    outcomes = {"b": {"plan": {"every": 40}, "tables": {"bounds-images": table}}}
    assert BoundRadius(evaluation="b", run="x", bound="one_sided", unit=0.5).read(outcomes) == {40: 1.5}


def test_answers_are_read_by_their_place_in_the_test_split() -> None:
    rows = [["one", 0.5, "as trained", "011"], ["one", 0.5, "adapted", "111"]]
    outcomes = {"n": {"plan": {"every": 5}, "tables": {"noise-images": {"rows": rows}}}}
    found = Answers(evaluation="n", table="noise-images", row=("one", 0.5, "as trained"))
    assert found.read(outcomes) == {0: 0.0, 5: 1.0, 10: 1.0}
