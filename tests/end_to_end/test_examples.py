"""The examples of the OpenAPI document are what the service answers now, member for member."""

from typing import Any

from service.openapi.examples import EXAMPLES, read_examples
from tests.support.record_examples import Recorder, record_answers
from tests.support.service import Service


def differences(recorded: Any, live: Any, place: str) -> list[str]:
    """Where two answers are of another shape; null stands beside anything, and any number of items is right."""
    if recorded is None or live is None:
        return []
    kinds = [float if type(one) is int else type(one) for one in (recorded, live)]
    if kinds[0] is not kinds[1]:
        return [f"{place}: {kinds[0].__name__} was recorded, {kinds[1].__name__} is answered"]
    if isinstance(recorded, dict):
        if recorded.keys() != live.keys():
            return [f"{place}: {sorted(recorded.keys() ^ live.keys())}"]
        return [one for key in live for one in differences(recorded[key], live[key], f"{place}/{key}")]
    if isinstance(recorded, list) and recorded:
        return [one for item in live for one in differences(recorded[0], item, f"{place}/-")]
    return []


def test_differences_are_seen() -> None:
    """A member more or less, or of another type, however deep."""
    assert differences({"a": [{"b": 1}]}, {"a": [{"b": 2.5}, {"b": 3}]}, "") == []
    assert differences({"a": [{"b": 1}]}, {"a": [{"b": 1}, {"b": "x"}]}, "") == [
        "/a/-/b: float was recorded, str is answered"
    ]
    assert differences({"a": {"b": 1}}, {"a": {"c": 1}}, "") == ["/a: ['b', 'c']"]


def test_live_answers_have_the_recorded_shape(running: Service) -> None:
    """All that a service in order can be asked, asked again; what only an outage answers stays as recorded."""
    recorder = Recorder(running.http)
    record_answers(recorder)
    assert recorder.recorded.keys() == {file.stem for file in EXAMPLES.glob("*.json")}
    for operation, live in recorder.recorded.items():
        kept = read_examples(operation)
        assert kept["responses"].keys() - live["responses"].keys() <= {"500", "503"}
        for status, body in live["responses"].items():
            recorded = kept["responses"][status]
            assert differences(recorded, body, f"{operation} {status}") == [], "`make examples` records anew"
