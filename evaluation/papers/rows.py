"""Rows of the tables of certified accuracy: our runs, and beside them the papers' on CIFAR-10."""

from dataclasses import dataclass
from typing import Any, Final

from evaluation.papers.evaluations import bundle
from evaluation.papers.outcomes import run_name


@dataclass(frozen=True)
class Ours:
    """A run of ours in a table of certified accuracy."""

    label: str
    evaluation: str
    run: str


@dataclass(frozen=True)
class Theirs:
    """A row of a paper's table on CIFAR-10.

    Attributes:
        label, source: What the paper calls it, and where it is.
        figures: Per cent at the radii 0, 0.25, …, 2.
        acr: Average certified radius, if it is given.
        n, images: Votes and test images, where the paper tells them.
    """

    label: str
    source: str
    figures: str
    acr: str = "–"
    n: str = "100000"
    images: str = "10000"


def _run(short: str, name: str = "certify", *, label: str = "", **words: Any) -> Ours:
    return Ours(label or short, f"{name}-{short}", run_name(bundle(short), **words))


FIXED: Final = (
    _run("gaussian"),
    Theirs("Rand", "CTA Table 1", "62.13 51.68 40.38 30.25 20.81 13.36 7.71 3.38 0.0", "0.494"),
    Theirs("Basic", "ADRE Table 1", "65 55 41 32 23 15 9 5 0", images="–"),
    _run("smoothadv"),
    Theirs("SmoothAdv, ε = 2", "CTA Table 4", "57.59 52.82 47.67 42.68 37.55 32.64 27.52 22.42 0.0", "0.733"),
    _run("macer"),
    Theirs("MACER", "CTA Table 1", "64.2 57.5 49.9 42.3 34.8 27.6 20.2 12.6 0.0", "0.691", n="–", images="–"),
    _run("consistency"),
    Theirs(
        "Consistency",
        "CTA Table 1",
        "52.3 48.9 45.1 41.3 37.8 33.9 29.9 25.2 0.0",
        "0.726",
        n="–",
        images="–",
    ),
    _run("adre"),
    Theirs("ADRE, λ = 0.1", "ADRE Table 1", "67 57 48 38 30 23 17 11 0", images="–"),
    _run("adre-adv"),
    _run("normal-uniform"),
    _run("data-dependent"),
    _run("standard", label="standard, adapted", adapted=True),
    _run("adv-l2", label="adv-l2, as trained"),
    Theirs("Adv₂", "CTA Table 1", "30.37 26.98 23.98 21.35 18.4 15.94 13.52 10.63 0.0", "0.367"),
    _run("adv-l2", label="adv-l2, adapted", adapted=True),
    Theirs(
        "Adv₂, ε = 3, adapted",
        "CTA Table 4",
        "53.75 49.41 45.57 41.52 37.43 33.37 28.82 23.65 0.0",
        "0.721",
    ),
    _run("adv-linf", label="adv-linf, adapted", adapted=True),
    Theirs(
        "Adv∞, ε = 12/255, adapted",
        "CTA Table 4",
        "59.19 51.53 43.94 36.41 28.69 21.25 14.53 8.03 0.0",
        "0.583",
    ),
)
AUTO: Final[tuple[Ours | Theirs, ...]] = (
    _run("adv-l2", "auto", label="adv-l2, adapted", policy="auto", adapted=True),
    Theirs(
        "Adv₂, ε = 3, adapted",
        "CTA Table 4",
        "61.96 58.58 53.64 49.67 42.76 38.69 34.54 30.36 24.65",
        "1.102",
    ),
    *(
        _run(short, "auto", label=f"{short}, adapted", policy="auto", adapted=True)
        for short in ("adv-l2-few", "adv-l2-few-last")
    ),
    _run("adv-linf", "auto", label="adv-linf, adapted", policy="auto", adapted=True),
    Theirs(
        "Adv∞, ε = 12/255, adapted",
        "CTA Table 4",
        "70.75 64.54 50.63 43.38 32.5 24.43 18.05 12.2 8.31",
        "0.760",
    ),
    _run("smoothadv", "auto", policy="auto"),
    Theirs(
        "SmoothAdv, ε = 2", "CTA Table 4", "61.27 57.27 52.52 48.17 43.49 38.02 33.15 27.47 21.86", "0.965"
    ),
    _run("gaussian", "auto", label="gaussian, as trained", policy="auto"),
    Theirs("Rand", "CTA Table 1", "79.48 71.75 60.23 48.72 35.97 25.16 15.09 10.13 6.98", "0.821"),
    _run("gaussian", "auto", label="gaussian, adapted", policy="auto", adapted=True),
    Theirs("Rand, adapted", "CTA Table 1", "78.27 69.51 57.16 44.73 31.19 19.27 10.4 4.25 1.65", "0.695"),
)
OPTIMIZE: Final = (
    _run("gaussian", label="gaussian, fixed level"),
    Theirs("Cohen", "DDRS Table 1", "79.9 58.3 40.1 29.2 20.2 13.1 7.3 3.3 0.0", "0.591", images="–"),
    _run("gaussian", "optimize", label="gaussian, DS", policy="optimize"),
    Theirs("Cohen-DS", "DDRS Table 1", "77.2 64.5 47.8 38.3 27.6 16.5 8.0 3.2 1.2", "0.784", images="–"),
    _run("data-dependent", "optimize", label="data-dependent, DS²", policy="optimize"),
    Theirs("Cohen-DS²", "DDRS Table 1", "79.8 66.5 50.4 39.2 29.1 18.3 8.8 3.8 1.4", "0.764", images="–"),
)
