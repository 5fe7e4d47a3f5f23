"""Votes needed to decide whether a radius is certified, and the cost of looks during sampling."""

import statistics
import time
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.subjects import Subject, test_images
from smoothing import Gaussian, Looks, Observer, Target, Votes, certify

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
    subject = Subject("fashion-mnist-gaussian")
    images = test_images(IMAGES)
    classifier = subject.plain
    common: dict[str, Any] = {
        "n": VOTES,
        "alpha": ALPHA,
        "batch_size": classifier.batch_size,
    }
    finals, growing, seconds = [], [], []
    with classifier.alone():
        for number, image in enumerate(images.pixels):
            records = _LastRecord()
            started = time.perf_counter()
            growing.append(
                certify(
                    classifier,
                    image,
                    Gaussian(SIGMA),
                    **common,
                    seed=number,
                    stop=Looks(),
                    observer=records,
                )
            )
            seconds.append(time.perf_counter() - started)
            finals.append(
                certify(
                    classifier,
                    image,
                    Gaussian(SIGMA),
                    **common,
                    seed=number,
                    resume=replace(records.votes, last_look=0, best_counts=None, best_look_alpha=None),
                )
            )
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
                answer = certify(
                    classifier,
                    images.pixels[index],
                    Gaussian(SIGMA),
                    **common,
                    stop=Target(target, give_up=BETA),
                    seed=index,  # so that the same votes select the class
                )
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
        abstained = [index for index in range(IMAGES) if index not in certified]
        for index in abstained:
            answer = certify(
                classifier,
                images.pixels[index],
                Gaussian(SIGMA),
                **common,
                stop=Looks(give_up=BETA),
                seed=2 * IMAGES + index,
            )
            console.print(
                f"image {index}, not certified by all votes: {answer.stop_reason} at {answer.n_drawn:,}"
            )
    console.print(table)
