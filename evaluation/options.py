"""The options of ``radii evaluate``, made from the fields of the plan; and from options to a plan."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from contract.requests import CertifyRequest
from contract.settings import ExecutionSettings
from evaluation.errors import EvaluationError, require
from evaluation.plan import EvaluationPlan, SuiteName

_NOISE_LEVEL: Final = (
    "How σ is chosen: `fixed`, or per image by `auto` from `--sigma-grid` or by `optimize` from `--sigma`. "
    "Default: `fixed`, or `auto` where a grid is given."
)
# Decided image by image; or tables would no longer be about what all votes certify.
_NOT_OPTIONS: Final = {"model", "fit", "memory", "label", "seed", "fresh", "target_radius", "max_seconds"}
_CERTIFY, _BOUNDS, _LEVELS = SuiteName.CERTIFY, SuiteName.BOUNDS, SuiteName.LEVELS


class Option(NamedTuple):
    """One option.

    Attributes:
        path: Of its field in the plan.
        suites: Which use it; none given: all.
        help: Where the field's own description does not fit.
    """

    path: str
    suites: tuple[SuiteName, ...] = ()
    help: str = ""


OPTIONS: Final[Mapping[str, Option]] = {
    "suite": Option("suites"),
    **{
        name: Option(f"certify.asked.{name}", (_CERTIFY,))
        for name in CertifyRequest.model_fields
        if name not in _NOT_OPTIONS
    },
    "noise_level": Option("certify.asked.noise_level", (_CERTIFY,), _NOISE_LEVEL),
    "sigma": Option("certify.sigmas", (_CERTIFY, _BOUNDS, _LEVELS)),
    "adapt": Option("certify.adapt", (_CERTIFY, _BOUNDS)),
    "momentum": Option("certify.asked.momentum", (_CERTIFY, _BOUNDS)),
    "clean_size": Option("certify.asked.clean_size", (_CERTIFY, _BOUNDS)),
    "n0": Option("certify.asked.n0", (_CERTIFY, _BOUNDS)),
    "n": Option("certify.asked.n", (_CERTIFY, _BOUNDS, _LEVELS)),
    "alpha": Option("certify.asked.alpha", (_CERTIFY, _BOUNDS, _LEVELS)),
    "radii": Option("certify.radii", (_CERTIFY, _BOUNDS)),
    "images": Option("images"),
    "skip": Option("every"),
    "dataset": Option("dataset"),
    "seed": Option("seed"),
    "noise_sigmas": Option("noise.sigmas", (SuiteName.NOISE,)),
    "epsilons_l2": Option("attacks.epsilons_l2", (SuiteName.ATTACKS,)),
    "epsilons_linf": Option("attacks.epsilons_linf", (SuiteName.ATTACKS,)),
    "attack_steps": Option("attacks.steps", (SuiteName.ATTACKS,)),
    "baseline": Option("corruptions.baseline", (SuiteName.CORRUPTIONS,)),
    "corruption": Option("corruptions.names", (SuiteName.CORRUPTIONS,)),
    "steps": Option("levels.steps", (_LEVELS,)),
}
"""By the name of their parameter. A new field of a request becomes an option by itself."""


def plan_from(digests: Mapping[str, str], given: Mapping[str, Any]) -> EvaluationPlan:
    """Return the plan of options.

    Args:
        digests: Of the bundles, by name.
        given: The options that were given, by name; those that take several values may be one text with
            commas.

    Raises:
        EvaluationError: An option breaks a rule, or none of the suites uses it.
    """
    values = {name: _values(name, value) for name, value in given.items()}
    fields: dict[str, Any] = {"bundles": dict(digests), "suites": (_CERTIFY,)}
    for name, value in values.items():
        *parts, last = OPTIONS[name].path.split(".")
        place = fields
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = value
    if _LEVELS in fields["suites"] or "all" in fields["suites"]:
        fields.setdefault("levels", {}).update(_of_levels(values))
    try:
        plan = EvaluationPlan.model_validate(fields)
    except ValidationError as error:
        raise EvaluationError("; ".join(_faults(error.errors()))) from error
    for name, value in values.items():
        require_of_use(name, OPTIONS[name].suites, value, plan.suites)
    return plan


def require_of_use(
    name: str, wanted: Sequence[SuiteName], value: object, suites: Sequence[SuiteName]
) -> None:
    """Refuse an option that none of the suites uses."""
    if wanted and not set(wanted) & set(suites):
        rule = f"be omitted unless --suite has {' or '.join(wanted)}"
        got = _text(value)
        raise EvaluationError(f"'{_flag(name)}' must {rule}, got {got!r} for {', '.join(suites)}")


def command_of(bundles: Sequence[str], given: Mapping[str, Any], suites: Sequence[SuiteName]) -> str:
    """Return the command that measures these suites.

    >>> command_of(["mine"], {"n": 1000, "noise_sigmas": [0.5, 1]}, [SuiteName.CERTIFY, SuiteName.NOISE])
    'radii evaluate mine --suite certify --suite noise --n 1000 --noise-sigmas 0.5,1 --out FOLDER'
    """
    named = [] if suites == (_CERTIFY,) else [word for suite in suites for word in ("--suite", suite.value)]
    words = [
        word
        for name, value in given.items()
        if name != "suite"
        for word in (f"--{_flag(name)}", _text(value))
    ]
    return shlex.join(["radii", "evaluate", *bundles, *named, *words, "--out", "FOLDER"])


def field_of(option: Option) -> FieldInfo:
    """Return the field of an option."""
    model: type[BaseModel] = EvaluationPlan
    *parts, last = option.path.split(".")
    for part in parts:
        inner = model.model_fields[part].annotation
        assert isinstance(inner, type) and issubclass(inner, BaseModel)  # noqa: PT018, S101 (a plan in a plan)
        model = inner
    return model.model_fields[last]


def _as_option(option: Option) -> tuple[Any, Any]:
    field = field_of(option)
    text = option.help or field.description or ""
    default = None if "Default" in text or field.is_required() else field.default
    # A choice of yes and no that takes several values is no flag.
    kind = tuple[str, ...] if option.path == "certify.adapt" else field.annotation
    return kind, Field(default, description=text)


def _as_setting(name: str) -> tuple[Any, Any]:
    field = ExecutionSettings.model_fields[name]
    return field.annotation, Field(None, description=field.description)


EXECUTION: Final = ("device", "backend", "dtype", "threads")
"""Options that are no part of a plan: settings of this process."""

EvaluationOptions: Final = create_model(  # type: ignore[call-overload]  # mypy knows no fields by computed name
    "EvaluationOptions",
    **{name: _as_option(option) for name, option in OPTIONS.items()},
    **{name: _as_setting(name) for name in EXECUTION},
)
"""All options as one flat model, from which the command is made; a plan checks the values."""


def _of_levels(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the sweep over K takes from options that certificates have, too; it starts from a single level."""
    sigmas = values.get("sigma", (None,))
    require(len(sigmas) == 1, "sigma", "be one number for the suite levels", _text(sigmas))
    return {"sigma": sigmas[0], **{name: values[name] for name in ("n", "alpha") if name in values}}


def _values(name: str, value: Any) -> Any:
    """Split a text where its field takes several values."""
    if not _takes_several(field_of(OPTIONS[name]).annotation):
        return value
    values = value if isinstance(value, list | tuple) else str(value).split(",")
    kept = [part for one in values if (part := one.strip() if isinstance(one, str) else one) != ""]
    require(bool(kept), _flag(name), "hold a value, or several with commas between", value)
    return kept


def _takes_several(kind: Any) -> bool:
    return get_origin(kind) in (list, tuple) or any(map(_takes_several, get_args(kind)))


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    return str(getattr(value, "value", value))


def _flag(name: str) -> str:
    return name.replace("_", "-")


def _faults(errors: Sequence[Any]) -> Iterator[str]:
    flags = {option.path: _flag(name) for name, option in OPTIONS.items()}
    for fault in errors:
        if fault["type"] == "value_error":  # a rule of the plan's own, whose message names field and value
            yield str(fault["ctx"]["error"])
        elif fault["msg"].startswith("'"):  # a rule of the request's own
            yield fault["msg"]
        else:
            path = ".".join(part for part in map(str, fault["loc"]) if not part.isdigit())
            yield f"'{flags.get(path, path)}' {fault['msg']}, got {fault['input']!r:.80}"
