"""What goes wrong in an evaluation is told by field, rule and value."""


class EvaluationError(ValueError):
    """An evaluation is impossible as asked."""


def require(held: bool, field: str, rule: str, value: object) -> None:
    """Raise unless the rule holds.

    Raises:
        EvaluationError: It does not.
    """
    if not held:
        raise EvaluationError(f"'{field}' must {rule}, got {value!r}")
