"""The evaluations behind docs/results.md: what is run, what for, and how long it takes."""

from dataclasses import dataclass
from typing import Final

ZOO_ORDER: Final = (
    "standard",
    "gaussian",
    "adv-l2",
    "adv-linf",
    "smoothadv",
    "macer",
    "consistency",
    "adre",
    "adre-adv",
    "normal-uniform",
    "data-dependent",
)
_PREFIX: Final = "fashion-mnist-"
_QUARTER: Final = "--images 250 --skip 40 --n 10000"  # 250 images, spread over the test set
_EIGHTH: Final = "--images 125 --skip 80 --n 10000"  # every second image of the quarter
_HALF: Final = "--images 500 --skip 20 --n 10000"  # every image of the quarter, and as many between them
_ATTACKS: Final = (
    "--images 200 --skip 50 --attack-steps 20 --epsilons-l2 0.5,1,1.5 --epsilons-linf 0.0314,0.1"
)


@dataclass(frozen=True)
class Evaluation:
    """One call of ``radii evaluate``.

    Attributes:
        name: Of its folder in docs/results.
        arguments: What follows ``radii evaluate``, without ``--out``.
        purpose: What it is for, in one line.
        minutes: On two CPU cores at 8 000 votes a second; certificates: images × (n + n0 + 4 000 for
            ``auto``) × runs / 8 000 / 60.
    """

    name: str
    arguments: str
    purpose: str
    minutes: int


def bundle(short: str) -> str:
    """Return a bundle's whole name."""
    return _PREFIX + short


def _noise(short: str) -> Evaluation:
    words = f"{bundle(short)} --suite noise --images 2000 --skip 5"
    return Evaluation(f"noise-{short}", words, "Accuracy under noise, as trained and adapted.", 1)


def _fixed(short: str, words: str, purpose: str, minutes: int) -> Evaluation:
    return Evaluation(f"certify-{short}", f"{bundle(short)} {words}", purpose, minutes)


def _trained_with_noise(short: str) -> Evaluation:
    return _fixed(short, f"--sigma 0.5 --adapt no {_QUARTER}", "Certificates at the level of training.", 5)


def _chosen(name: str, short: str, words: str, purpose: str, minutes: int) -> Evaluation:
    return Evaluation(name, f"{bundle(short)} {words}", purpose, minutes)


EVALUATIONS: Final = (
    *(_noise(short) for short in ZOO_ORDER),
    _trained_with_noise("gaussian"),
    _fixed("smoothadv", f"--sigma 0.5 --adapt no {_HALF}", "Certificates at the level of training.", 11),
    *(_trained_with_noise(short) for short in ("macer", "consistency", "adre", "adre-adv", "data-dependent")),
    _fixed(
        "normal-uniform",
        f"--sigma 0.5,0.6 --adapt no {_QUARTER}",
        "At the level of training, and at that of the hybrid.",
        11,
    ),
    _fixed(
        "gaussian-08",
        f"--sigma 0.8,1 --adapt no {_QUARTER}",
        "Trained with more noise, to compare at equal clean accuracy.",
        11,
    ),
    _fixed("standard", f"--sigma 0.5 --adapt yes {_QUARTER}", "What adaptation alone can do.", 5),
    _fixed("adv-l2", f"--sigma 0.5 --adapt both {_QUARTER}", "With and without adaptation.", 7),
    _fixed("adv-linf", f"--sigma 0.5 --adapt yes {_QUARTER}", "Adapted, at a fixed level.", 5),
    _chosen(
        "auto-adv-l2",
        "adv-l2",
        f"--noise-level auto --adapt yes {_HALF}",
        "Certification through adaptation with Auto-Noise.",
        15,
    ),
    *(
        _chosen(f"auto-{short}", short, f"--noise-level auto --adapt yes {_QUARTER}", purpose, 8)
        for short, purpose in (
            ("adv-l2-few", "The same, trained on 3 000 images and stopped early."),
            ("adv-l2-few-last", "The same, not stopped."),
        )
    ),
    _chosen(
        "auto-adv-linf",
        "adv-linf",
        f"--noise-level auto --adapt yes {_EIGHTH}",
        "The same, trained against ℓ∞ attacks.",
        4,
    ),
    _chosen(
        "auto-gaussian",
        "gaussian",
        f"--noise-level auto --adapt both {_EIGHTH}",
        "Auto-Noise on a classifier trained with noise.",
        8,
    ),
    _chosen(
        "auto-smoothadv",
        "smoothadv",
        f"--noise-level auto --adapt no {_QUARTER}",
        "Auto-Noise on SmoothAdv.",
        8,
    ),
    _chosen(
        "optimize-gaussian",
        "gaussian",
        f"--noise-level optimize --sigma 0.5 --adapt no {_QUARTER}",
        "Data-dependent smoothing (DS): OptimizeSigma.",
        6,
    ),
    _chosen(
        "optimize-data-dependent",
        "data-dependent",
        f"--noise-level optimize --sigma 0.5 --adapt no {_QUARTER}",
        "The same after data-dependent training (DS²).",
        6,
    ),
    _chosen(
        "hybrid-normal-uniform",
        "normal-uniform",
        f"--noise hybrid --sigma 0.6 --sigma-uniform 0.65 --adapt no {_QUARTER}",
        "Both noises, ℓ1 and ℓ2 at once.",
        11,
    ),
    _chosen(
        "bounds-gaussian",
        "gaussian",
        f"--suite bounds --sigma 0.5,0.75 --adapt no {_QUARTER}",
        "All bounds from the same votes.",
        11,
    ),
    _chosen(
        "bounds-adv-l2",
        "adv-l2",
        f"--suite bounds --sigma 1 --adapt yes {_QUARTER}",
        "The same for the adapted classifier, at a level where votes are split.",
        5,
    ),
    _chosen(
        "levels-gaussian",
        "gaussian",
        "--suite levels --images 100 --skip 100 --n 2000",
        "What steps of OptimizeSigma are worth.",
        5,
    ),
    _chosen("attacks-adv-l2", "adv-l2", f"--suite attacks {_ATTACKS}", "PGD and EoT-PGD.", 7),
    _chosen("attacks-adv-linf", "adv-linf", f"--suite attacks {_ATTACKS}", "PGD and EoT-PGD.", 7),
    Evaluation(
        "corruptions",
        f"{bundle('standard')} {bundle('adv-l2')} {bundle('adv-linf')} "
        "--suite corruptions --images 1000 --skip 10",
        "mCE and relative mCE against the standard classifier.",
        11,
    ),
    _chosen(
        "gradients-adv-l2",
        "adv-l2",
        "--suite gradients --images 6 --skip 10",
        "Pictures of loss gradients.",
        1,
    ),
)
"""In the order in which they are run: three and a half hours together."""
