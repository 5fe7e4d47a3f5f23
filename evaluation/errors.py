"""Errors of this package. Each names the field, the rule and the value.

::

    EvaluationError
    └── OtherPlanError
"""


class EvaluationError(ValueError):
    """An evaluation is impossible as asked, or a measurement failed."""


class OtherPlanError(EvaluationError):
    """The folder holds an evaluation of another plan."""


def require(held: bool, field: str, rule: str, value: object) -> None:
    """Raise unless the rule holds.

    Raises:
        EvaluationError: It does not.
    """
    if not held:
        raise EvaluationError(f"'{field}' must {rule}, got {value!r}")
