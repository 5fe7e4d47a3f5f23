"""From one image and one loaded model to a verdict. Knows of no job, no queue, no HTTP and no Redis.

The engine of a worker, an evaluation in one process and a test call the same two functions, ``certify`` and
``predict``. Start at ``certifier.certify``; the question is a ``CertifyQuestion`` of ``contract``.

::

    loading, model_info            a bundle, made executable and probed; as clients see it
    certify  <- noise_run          choose_sigma -> variants (adaptation) -> votes -> bounds, under each noise
    verdict                        one noise, or both by the rule of the hybrid
    answers                        certificates and predictions, with evidence and claim in words
    observer, vote_keeper          what a caller may hear and keep: two small classes
    adaptation.StatisticsStore     where several workers share batch-norm statistics: a protocol

Errors are those of ``smoothing`` and ``models``; an observer's exceptions come out unchanged.
"""

from certifier.adaptation import AdaptationLaw, StatisticsHere
from certifier.answers.certificates import certificate, repeated_certificate
from certifier.answers.parts import Identity
from certifier.answers.predictions import prediction
from certifier.certify import Findings, certify
from certifier.loading import LoadedModel, load_model
from certifier.model_info import execution, model_info, runs_on_gpu
from certifier.observer import Observer
from certifier.predict import Predictions, predict
from certifier.variants import Variants
from certifier.verdict import Statement
from certifier.vote_keeper import Record, VoteKeeper, VoteSetting

__all__ = [
    "AdaptationLaw",
    "Findings",
    "Identity",
    "LoadedModel",
    "Observer",
    "Predictions",
    "Record",
    "Statement",
    "StatisticsHere",
    "Variants",
    "VoteKeeper",
    "VoteSetting",
    "certificate",
    "certify",
    "execution",
    "load_model",
    "model_info",
    "predict",
    "prediction",
    "repeated_certificate",
    "runs_on_gpu",
]
