"""True certificates and what is made of them, with SciPy's Clopper–Pearson bounds and quantiles."""

import hashlib
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from scipy import stats

from contract.certificates import Certificate, PredictedLabel, PredictionVotes

DIGITS = [f"digit {index}" for index in range(10)]


def make_evidence(
    noise: str, counts: Sequence[int], sigma: float, alpha: float, *, one_sided: bool, dimension: int
) -> dict[str, Any]:
    """One noise's votes; they select class 0, and α is split 9 to 1 between the bounds."""
    n, runner_up = sum(counts), max(counts[1:])
    alpha_lower = alpha if one_sided else 0.9 * alpha
    alpha_upper = 0.0 if one_sided else alpha - alpha_lower
    p_lower = (
        float(stats.beta.ppf(alpha_lower, counts[0], n - counts[0] + 1)) * (1 - 1e-12) if counts[0] else 0.0
    )
    p_upper = 1 - p_lower
    if not one_sided and runner_up < n:
        p_upper = min(p_upper, float(stats.beta.isf(alpha_upper, runner_up + 1, n - runner_up)) * (1 + 1e-12))
    best = alpha ** (1 / n)
    return {
        "noise": noise,
        "sigma": sigma,
        "trials": [],
        "statistics_digest": None,
        "dimension": dimension,
        "n0": 100,
        "n": n,
        "n_drawn": n,
        "n_planned": n,
        "stop_reason": "complete",
        "looks": [{"n": n, "alpha": alpha}],
        "segments": [{"stream": "estimation", "n": n, "batch_size": 64}],
        "selection_segments": [{"stream": "selection", "n": 100, "batch_size": 64}],
        "selection_counts": [100] + [0] * (len(counts) - 1),
        "counts": list(counts),
        "top_class": 0,
        "runner_up": counts.index(runner_up, 1) if runner_up else None,
        "alpha": alpha,
        "p_lower": p_lower,
        "p_upper": p_upper,
        "alpha_lower": alpha_lower,
        "alpha_upper": alpha_upper,
        "radius": proved(noise, sigma, p_lower, p_upper, dimension),
        "radius_limit": proved(noise, sigma, best, 1 - best, dimension)["l1"],  # of both noises the larger
    }


def proved(noise: str, sigma: float, p_lower: float, p_upper: float, dimension: int) -> dict[str, float]:
    """The radii that follow from two bounds, rounded down."""
    if p_lower <= p_upper:
        return {"l2": 0.0, "l1": 0.0, "linf": 0.0}
    if noise == "gaussian":
        l2 = l1 = sigma / 2 * float(stats.norm.ppf(p_lower) - stats.norm.ppf(p_upper))
        linf = l2 / math.sqrt(dimension)
    else:
        width = 2 * math.sqrt(3) * sigma
        l1 = width / 2 * (p_lower - p_upper)
        linf = width * (1 - (1 - (p_lower - p_upper) / 2) ** (1 / dimension))
        l2 = math.sqrt(dimension) * linf
    return {name: int(value * 1e6 - 1e-5) / 1e6 for name, value in (("l2", l2), ("l1", l1), ("linf", linf))}


def make_certificate(
    job_id: str = "0" * 32,
    counts: Sequence[int] = (9_000, 700, 300),
    *,
    noise: str = "gaussian",
    uniform_counts: Sequence[int] = (9_500, 300, 200),
    sigma: float = 0.5,
    sigma_uniform: float = 0.75,
    alpha: float = 0.001,
    one_sided: bool = False,
    dimension: int = 784,
    classes: Sequence[str] = DIGITS,
) -> Certificate:
    """What a worker answers for these votes: at fixed levels, without adaptation, with nothing left out.

    Under `hybrid`, ``counts`` are the Gaussian's and ``uniform_counts`` the other's.
    """
    share = alpha / 2 if noise == "hybrid" else alpha
    wanted = {"gaussian": (counts, sigma), "uniform": (uniform_counts, sigma_uniform)}
    if noise != "hybrid":
        wanted = {noise: (counts, sigma)}
    evidence = [
        make_evidence(kind, votes, level, share, one_sided=one_sided, dimension=dimension)
        for kind, (votes, level) in wanted.items()
    ]
    first = {"index": 0, "name": classes[0]}
    fields: dict[str, Any] = {
        "id": job_id,
        "model": "toy",
        "model_digest": "d" * 64,
        "image_digest": "1" * 64,
        "upload_digest": "2" * 64,
        "prediction": first,
        "correct": None,
        "target_radius": None,
        "target_certified": None,
        "claim": "No perturbation smaller than the radius changes the label.",
        "sigma": sigma,
        "sigma_policy": "fixed",
        "bound": "one_sided" if one_sided else "two_sided",
        "alpha": alpha,
        "alpha_spent": alpha,
        "noise": evidence,
        "adaptation": {"used": False, "momentum": None, "clean_size": None, "statistics_digest": None},
        "memory": {
            "namespace": None,
            "epoch": None,
            "outcome": "off",
            "index": None,
            "neighbours": [],
            "inherited": None,
        },
        "seed": "0" * 32,
        "compute": {
            "device": "cpu",
            "backend": "eager",
            "dtype": "float32",
            "torch": "2.8",
            "batch_size": 64,
            "seconds": 1.0,
            "samples": sum(one["n"] + 100 for one in evidence),
            "samples_per_second": float(sum(one["n"] + 100 for one in evidence)),
        },
        "created_at": datetime.now(UTC),
    }
    return Certificate.model_validate(fields | conclusion(evidence, first))


def make_prediction(certificate: Certificate) -> PredictedLabel:
    """What a worker predicts from the same votes."""
    shared = {name: getattr(certificate, name) for name in PredictedLabel.model_fields}
    votes = [
        {name: getattr(evidence, name, 1e-9) for name in PredictionVotes.model_fields}  # 1e-9: the p-value
        for evidence in certificate.noise
    ]
    return PredictedLabel.model_validate(shared | {"noise": votes})


def conclusion(evidence: Sequence[dict[str, Any]], label: dict[str, Any]) -> dict[str, Any]:
    """Label and radii that follow from the noises together; each certifies class 0 or nothing."""
    certify = [one["p_lower"] > one["p_upper"] for one in evidence]
    radii = [one["radius"] for one in evidence]
    norms = ("l2", "l1", "linf")
    certified = any(certify)
    same = {norm: min(radius[norm] for radius in radii) for norm in norms}
    return {
        "label": label if certified else None,
        "agrees": True if certified else None,
        "abstained": not certified,
        "abstain_reason": None if certified else "top_class_not_separated",
        "radius": {norm: max(radius[norm] for radius in radii) for norm in norms},
        "same_class_radius": same if len(evidence) == 2 else None,
    }


def changed(certificate: Certificate, place: int = 0, **evidence: Any) -> Certificate:
    """The certificate with another statement about one of its noises."""
    fields = certificate.model_dump()
    fields["noise"][place] |= evidence
    return Certificate.model_validate(fields)


def restated(certificate: Certificate, **fields: Any) -> Certificate:
    """The certificate with other statements on top."""
    return Certificate.model_validate(certificate.model_dump() | fields)


def disagreeing() -> Certificate:
    """A hybrid whose noises certify different classes."""
    made = make_certificate(noise="hybrid")
    swapped = changed(
        made,
        1,
        counts=[300, 9_500, 200],
        selection_counts=[0, 100, 0],
        top_class=1,
        runner_up=0,
    )
    nothing = {"l2": 0.0, "l1": 0.0, "linf": 0.0}
    return restated(
        swapped,
        label=None,
        agrees=None,
        abstained=True,
        abstain_reason="branches_disagree",
        radius=nothing,
        same_class_radius=nothing,
    )


def adapted(certificate: Certificate) -> Certificate:
    """The same, made with re-estimated statistics."""
    digests = [str(place) * 64 for place, _ in enumerate(certificate.noise)]
    for place, digest in enumerate(digests):
        certificate = changed(certificate, place, statistics_digest=digest)
    both = hashlib.sha256("".join(digests).encode()).hexdigest()
    digest = digests[0] if len(digests) == 1 else both
    adaptation = {"used": True, "momentum": 0.9, "clean_size": 512, "statistics_digest": digest}
    return restated(certificate, adaptation=adaptation)


def chosen(certificate: Certificate, *, promising: bool = True) -> Certificate:
    """The same, at levels that were chosen from a grid for the image."""
    for place, evidence in enumerate(certificate.noise):
        radii = (0.0, 0.61, 0.44) if promising else (0.0, 0.0, 0.0)
        sigmas = (evidence.sigma / 2, evidence.sigma, evidence.sigma * 2)
        trials = [
            {"sigma": sigma, "certifies": radius > 0, "proxy_radius": radius, "n": 1000}
            for sigma, radius in zip(sigmas, radii, strict=True)
        ]
        certificate = changed(certificate, place, trials=trials)
    return restated(certificate, sigma_policy="auto")


def stopped(certificate: Certificate, reason: str, planned: int = 100_000) -> Certificate:
    """The same, from the first of two looks, which spends two thirds; no more votes were made."""
    for place, evidence in enumerate(certificate.noise):
        looks = [{"n": evidence.n, "alpha": evidence.alpha}, {"n": planned, "alpha": evidence.alpha / 2}]
        certificate = changed(
            certificate,
            place,
            looks=looks,
            alpha=1.5 * evidence.alpha,
            n_planned=planned,
            stop_reason=reason,
        )
    return restated(certificate, alpha=1.5 * certificate.alpha, alpha_spent=1.5 * certificate.alpha_spent)


def remembered(certificate: Certificate, outcome: str, **memory: Any) -> Certificate:
    """The same, as region 7 of a memory that changed nothing."""
    of_memory = {"namespace": "default", "epoch": "e" * 32, "index": 7} | memory
    return restated(certificate, memory=certificate.memory.model_dump() | of_memory | {"outcome": outcome})


def relabelled(certificate: Certificate, inherited: dict[str, float], **memory: Any) -> Certificate:
    """The same, with label and radius of the regions 3 and 5, which hold the image."""
    memory = {"inherited": inherited, "neighbours": [3, 5]} | memory
    two = certificate.same_class_radius is not None
    return restated(
        remembered(certificate, "relabelled", **memory),
        label={"index": 1, "name": "digit 1"},
        agrees=False,
        abstained=False,
        abstain_reason=None,
        radius=inherited,
        same_class_radius={"l2": 0.0, "l1": 0.0, "linf": 0.0} if two else None,
    )
