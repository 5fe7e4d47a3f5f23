"""What the journal keeps of a certificate."""

from evaluation.records import CertificateRecord
from tests.evaluation.records import FOUR


def test_a_record_of_an_earlier_journal_is_read() -> None:
    """Earlier versions kept more of the votes, which no table shows."""
    kept = FOUR[0].model_dump(mode="json")
    more = {"sigma": 0.5, "n0": 100, "n": 900, "top_class": 0, "runner_up": 1, "statistics_digest": None}
    kept["votes"][0] |= more
    assert CertificateRecord.model_validate(kept) == FOUR[0]
