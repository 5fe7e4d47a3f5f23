"""Mean corruption error, and the relative one: errors under corruption as a share of a baseline's.

Reference:
    Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
    ICLR 2019, §4.1 (CE, mCE, relative mCE).
"""

from collections.abc import Mapping, Sequence

from models.evaluation.errors import require

Errors = Mapping[str, Sequence[float]]
"""Error rates of a classifier: corruption to the errors at its severities, in the same order for all."""


def corruption_errors(errors: Errors, baseline: Errors) -> dict[str, float | None]:
    """Return CE of each corruption: the errors over all severities together, divided by the baseline's.

    None where the baseline makes no error at all.

    >>> corruption_errors({"fog": [0.1, 0.3]}, {"fog": [0.2, 0.6]})
    {'fog': 0.5}
    """
    _require_alike(errors, baseline)
    return {name: _ratio(sum(errors[name]), sum(baseline[name])) for name in errors}


def relative_corruption_errors(
    errors: Errors, clean: float, baseline: Errors, baseline_clean: float
) -> dict[str, float | None]:
    """Return relative CE of each corruption: by how much errors grow, divided by the baseline's growth.

    None where the baseline does not get worse: there is nothing to measure against.

    Args:
        errors: Of the classifier.
        clean: Its error on the same images without corruption.
        baseline: Errors of the baseline.
        baseline_clean: The baseline's error without corruption.

    >>> ratios = relative_corruption_errors({"fog": [0.2, 0.4]}, 0.1, {"fog": [0.5, 0.9]}, 0.3)
    >>> round(ratios["fog"], 4)
    0.5
    """
    _require_alike(errors, baseline)
    return {
        name: _ratio(
            sum(error - clean for error in errors[name]),
            sum(error - baseline_clean for error in baseline[name]),
        )
        for name in errors
    }


def mean_of_known(ratios: Mapping[str, float | None]) -> float | None:
    """Return the mean over corruptions, mCE or relative mCE; those without a ratio are left out."""
    known = [ratio for ratio in ratios.values() if ratio is not None]
    return sum(known) / len(known) if known else None


def _ratio(errors: float, baseline: float) -> float | None:
    return errors / baseline if baseline > 1e-12 else None


def _require_alike(errors: Errors, baseline: Errors) -> None:
    require(len(errors) > 0, "errors", "not be empty", len(errors))
    for name, found in errors.items():
        require(name in baseline, "baseline", f"have the corruption {name}", list(baseline))
        wanted = len(found)
        require(
            len(baseline[name]) == wanted, "baseline", f"have {wanted} errors of {name}", len(baseline[name])
        )
