"""Votes needed to decide whether a radius is certified, and the cost of looks during sampling."""

import statistics
import time
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.subjects import executable, test_images
from models.bundles import ZOO, load_bundle
from smoothing import Certification, Gaussian, Looks, Observer, Target, Votes, certify

IMAGES, VOTES, ALPHA, BETA = 100, 100_000, 0.001, 0.001
SIGMA = 0.5
SHARES = (0.5, 0.9, 1.1, 2.0)


class _LastRecord(Observer):
    """Keeps the last reported votes."""

    votes: Votes

    def on_votes(self, votes: Votes) -> None:
        self.votes = votes


def run(console: Console) -> None:
    """Prints votes and decisions per target radius, relative to the radius that all votes certify."""
    bundle = load_bundle(ZOO / "fashion-mnist-gaussian")
    images, _ = test_images(IMAGES)
    classifier = executable(bundle, bundle.card.recommended.sigma_grid)

    def ask(index: int, seed: int, **arguments: Any) -> Certification:
        return certify(
            classifier,
            images[index],
            Gaussian(SIGMA),
            n=VOTES,
            alpha=ALPHA,
            batch_size=classifier.batch_size,
            seed=seed,
            **arguments,
        )

    finals, growing, seconds = [], [], []
    with classifier.alone():
        for index in range(IMAGES):
            records = _LastRecord()
            started = time.perf_counter()
            growing.append(ask(index, index, stop=Looks(), observer=records))
            seconds.append(time.perf_counter() - started)
            drawn = replace(records.votes, last_look=0, best_counts=None, best_look_alpha=None)
            finals.append(ask(index, index, resume=drawn))
        certified = [index for index, final in enumerate(finals) if not final.abstained]
        losses = [1 - growing[index].radius.l2 / finals[index].radius.l2 for index in certified]
        console.print(
            f"one look at n = {VOTES:,}: {len(certified)} of {IMAGES} certified. Growing certificates of the "
            f"same votes ({classifier.backend}, {classifier.dtype}): {statistics.mean(seconds):.2f} s each, "
            f"{sum(one.abstained for one in growing) - len(finals) + len(certified)} more abstain, "
            f"last radius smaller by {100 * statistics.mean(losses):.2f} % on average, "
            f"{100 * max(losses):.2f} % at most"
        )
        table = Table(
            "target", "votes, mean", "median", "most", "decided as with all votes", "seconds, mean",
            title=f"target radius, share of the radius that {VOTES:,} votes certify", title_justify="left",
        )  # fmt: skip
        for share in SHARES:
            votes, same, taken = [], 0, []
            for index in certified:
                target = share * finals[index].radius.l2
                started = time.perf_counter()
                # With the same seed, so that the same votes select the class.
                answer = ask(index, index, stop=Target(target, give_up=BETA))
                taken.append(time.perf_counter() - started)
                votes.append(answer.n_drawn)
                same += (answer.radius.l2 >= target) == (share <= 1)
            table.add_row(
                f"{share:g}",
                f"{statistics.mean(votes):,.0f}",
                f"{statistics.median(votes):,.0f}",
                f"{max(votes):,}",
                f"{same} of {len(certified)}",
                f"{statistics.mean(taken):.2f}",
            )
        for index in (index for index, final in enumerate(finals) if final.abstained):
            answer = ask(index, 2 * IMAGES + index, stop=Looks(give_up=BETA))
            console.print(
                f"image {index}, not certified by all votes: {answer.stop_reason} at {answer.n_drawn:,}"
            )
    console.print(table)
