"""How suites that count votes execute a classifier: by the backends, as certificates are, and on record."""

from collections.abc import Iterable, Sequence

from torch import nn

from evaluation.errors import EvaluationError
from evaluation.records import Row
from evaluation.subject import BATCH, Subject
from evaluation.suites.suite import Bench
from models.backends import BackendError, ExecutableClassifier, prepare
from models.clean_images import calibration_images
from smoothing import generator_for


def executable(
    bench: Bench, subject: Subject, module: nn.Module, sigmas: Sequence[float]
) -> ExecutableClassifier:
    """Return the classifier in the backend and precision that the bench asks for.

    Args:
        bench: Its backend and dtype are a worker's settings; ``auto`` may be int8, as for a worker.
        subject: Whose device, shape and clean set count.
        module: The subject as trained, or adapted.
        sigmas: Levels of noise that it will meet, which int8 is fitted to.

    Raises:
        EvaluationError: It cannot be executed so.
    """
    try:
        return prepare(
            module,
            input_shape=subject.bundle.card.input_shape,
            num_classes=subject.num_classes,
            backend=bench.backend,
            device=str(subject.device),
            dtype=bench.dtype,
            batch_size=BATCH,  # measured, it might differ when the evaluation goes on, and with it the votes
            calibration=calibration_images(subject.bundle, sigmas, generator=generator_for(0, "calibration")),
        )
    except BackendError as error:
        raise EvaluationError(f"'{subject.name}': {error}") from error


def executed(rows: Iterable[Row]) -> str:
    """Return by which backends in which precisions rows were measured; older journals do not say so."""
    return "; ".join(dict.fromkeys(str(row.get("executed", "not recorded")) for row in rows))


def record(classifier: ExecutableClassifier) -> str:
    """Return what a row says of it: backend and precision."""
    return f"{classifier.backend} {classifier.dtype}"
