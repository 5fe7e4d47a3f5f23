"""From the options of ``radii evaluate`` to the plan: which suite looks at which of them."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from contract.choices import NoiseLevel
from radii.errors import CommandError

if TYPE_CHECKING:
    from evaluation.plan import EvaluationPlan  # it loads torch


class SuiteName(StrEnum):
    """What can be measured."""

    CERTIFY = "certify"
    NOISE = "noise"
    ATTACKS = "attacks"
    CORRUPTIONS = "corruptions"
    GRADIENTS = "gradients"
    LEVELS = "levels"
    BOUNDS = "bounds"
    ALL = "all"


class Adapt(StrEnum):
    """Which runs are made."""

    YES = "yes"
    NO = "no"
    BOTH = "both"


_ADAPT = {None: (None,), Adapt.YES: (True,), Adapt.NO: (False,), Adapt.BOTH: (False, True)}

_CERTIFY, _BOUNDS, _LEVELS = SuiteName.CERTIFY, SuiteName.BOUNDS, SuiteName.LEVELS
_SUITES_OF = {
    "noise": (_CERTIFY,),
    "noise_level": (_CERTIFY,),
    "sigma": (_CERTIFY, _BOUNDS, _LEVELS),
    "sigma_uniform": (_CERTIFY,),
    "sigma_grid": (_CERTIFY,),
    "adapt": (_CERTIFY, _BOUNDS),
    "momentum": (_CERTIFY, _BOUNDS),
    "clean_size": (_CERTIFY, _BOUNDS),
    "n0": (_CERTIFY, _BOUNDS),
    "n": (_CERTIFY, _BOUNDS, _LEVELS),
    "alpha": (_CERTIFY, _BOUNDS, _LEVELS),
    "bound": (_CERTIFY,),
    "radii": (_CERTIFY, _BOUNDS),
    "noise_sigmas": (SuiteName.NOISE,),
    "epsilons_l2": (SuiteName.ATTACKS,),
    "epsilons_linf": (SuiteName.ATTACKS,),
    "attack_steps": (SuiteName.ATTACKS,),
    "baseline": (SuiteName.CORRUPTIONS,),
    "corruption": (SuiteName.CORRUPTIONS,),
    "steps": (_LEVELS,),
    "backend": (_CERTIFY, _BOUNDS, _LEVELS),
    "dtype": (_CERTIFY, _BOUNDS, _LEVELS),
    "redis_url": (_CERTIFY,),
}
"""Which suites an option is for, where it is not for all of them."""


def make_plan(
    digests: dict[str, str], asked: Mapping[str, Any], defaults: Mapping[str, Any]
) -> "EvaluationPlan":
    """Make the plan of what was asked for, option by option.

    Args:
        digests: Of the bundles by name.
        asked: Values of the options by the name of their parameter.
        defaults: What they are where they are left out.

    Raises:
        typer.Exit: An option is of no use to the suites, or is no list of numbers; it has been told why.
        ValidationError: The plan breaks a rule.
    """
    from evaluation.plan import EvaluationPlan

    def numbers(field: str) -> tuple[float, ...] | None:
        return _numbers(field, asked[field.replace("-", "_")])

    suites = _suites(asked["suite"])
    _require_of_use(asked, defaults, suites)
    level = asked["noise_level"] or (NoiseLevel.AUTO if asked["sigma_grid"] else NoiseLevel.FIXED)
    adapt = asked["adapt"]
    certify = {
        "noise": str(asked["noise"]),
        "noise_level": str(level),
        "sigmas": numbers("sigma") or (None,),
        "sigma_grid": numbers("sigma-grid"),
        "adapt": _ADAPT[None if adapt is None else Adapt(adapt)],
        "bound": str(asked["bound"]),
        "radii": numbers("radii"),
        **{name: asked[name] for name in ("sigma_uniform", "momentum", "clean_size", "n0", "n", "alpha")},
    }
    attacks = {
        "epsilons_l2": numbers("epsilons-l2"),
        "epsilons_linf": numbers("epsilons-linf"),
        "steps": asked["attack_steps"],
    }
    return EvaluationPlan.model_validate(
        {
            "bundles": digests,
            "suites": suites,
            "dataset": asked["dataset"],
            "images": asked["images"],
            "every": asked["skip"],
            "seed": asked["seed"],
            "certify": given(certify),
            "noise": given({"sigmas": numbers("noise-sigmas")}),
            "attacks": given(attacks),
            "corruptions": given({"baseline": asked["baseline"], "names": asked["corruption"] or None}),
            "levels": given({"steps": numbers("steps"), **(_of_levels(asked) if _LEVELS in suites else {})}),
        }
    )


def _suites(asked: Sequence[str] | None) -> tuple[str, ...]:
    chosen = {SuiteName(name) for name in asked or [SuiteName.CERTIFY]}
    everything = [name for name in SuiteName if name is not SuiteName.ALL]
    return tuple(name.value for name in everything if name in chosen or SuiteName.ALL in chosen)


def _require_of_use(asked: Mapping[str, Any], defaults: Mapping[str, Any], suites: Sequence[str]) -> None:
    """Refuse an option that was given and that none of the suites looks at."""
    for field, names in _SUITES_OF.items():
        value = asked[field]
        if value in (None, [], (), defaults[field]):
            continue
        got = ", ".join(value) if isinstance(value, list | tuple) else str(value)
        if not set(names) & set(suites):
            option, wanted, chosen = field.replace("_", "-"), " or ".join(names), ", ".join(suites)
            raise CommandError(
                f"'{option}' must be left out unless --suite has {wanted}, got {got!r} for {chosen}"
            )
        if field in ("backend", "dtype") and asked["redis_url"] and not {_BOUNDS, _LEVELS} & set(suites):
            raise CommandError(
                f"'{field}' must be left out where --redis-url leaves it to workers, got {got!r}"
            )


def _of_levels(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the sweep over K takes from options that certificates have, too; it starts from a single level."""
    sigmas = _numbers("sigma", asked["sigma"]) or (None,)
    if len(sigmas) > 1:
        raise CommandError(f"'sigma' must be one number for the suite levels, got {asked['sigma']!r}")
    return {"sigma": sigmas[0], "n": asked["n"], "alpha": asked["alpha"]}


def given(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def _numbers(field: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        found = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        found = ()
    if not found:
        raise CommandError(f"'{field}' must be numbers separated by commas, got {text!r}")
    return found
