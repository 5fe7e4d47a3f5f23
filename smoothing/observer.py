"""What a caller hears while votes are drawn."""

from smoothing.certification import Certification
from smoothing.votes import Votes


class Observer:
    """Hears of votes, progress and looks; each method does nothing unless it is overridden.

    A method may raise to abandon the work: the exception comes out of ``certify`` or ``predict``. Being
    observed changes no vote, but the device is waited for after each batch.
    """

    def on_votes(self, votes: Votes) -> None:
        """All votes so far, after each batch of a certificate: keep the last to ``resume`` from it."""

    def on_progress(self, completed: int, planned: int) -> None:
        """Votes drawn and votes planned, selection and estimation together, after each batch."""

    def on_look(self, best: Certification) -> None:
        """The best certificate so far, after each look. It is valid already."""
