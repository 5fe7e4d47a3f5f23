"""Votes that outlive the process that made them, so that another attempt continues from them."""

from dataclasses import dataclass

from contract.certificates import SigmaTrial
from smoothing import Votes


@dataclass(frozen=True)
class VoteSetting:
    """What has to be the same for votes of two attempts to be votes about one function.

    Attributes:
        sigma: The noise level, which was chosen before the first vote.
        n0_planned: Selection votes planned.
        n_planned: Estimation votes planned; the looks follow from them.
        statistics_digest: Of the batch-norm statistics, or None.
        backend: What executes the model.
        device: On which kind of device: they round differently.
        dtype: In which precision.
    """

    sigma: float
    n0_planned: int
    n_planned: int
    statistics_digest: str | None
    backend: str
    device: str
    dtype: str


@dataclass(frozen=True, eq=False)
class Record:
    """One noise's part of a certification: its setting, how the level was chosen, and its votes."""

    setting: VoteSetting
    trials: tuple[SigmaTrial, ...]
    votes: Votes | None


class VoteKeeper:
    """Keeps one record for each noise of one certification. This one keeps nothing.

    Attributes:
        seconds: What earlier attempts worked, until they wrote last.
    """

    seconds = 0.0

    def read(self, noise: str) -> Record | None:
        """Returns what an earlier attempt left of one noise, or None."""
        del noise
        return None

    def write(self, noise: str, record: Record, *, now: bool = False) -> None:
        """Keeps a noise's votes, soon or now; called after each batch."""
