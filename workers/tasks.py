"""The tasks that the queue may name. Each only hands its payload to the engine."""

from typing import Any

from workers.process.rq.attempt import run_in_engine


def certify(payload: dict[str, Any]) -> dict[str, str]:
    """Certifies one image; returns a pointer to the certificate."""
    return run_in_engine("certify", payload)


def predict(payload: dict[str, Any]) -> dict[str, str]:
    """Predicts the label of one image; returns a pointer to the prediction."""
    return run_in_engine("predict", payload)
