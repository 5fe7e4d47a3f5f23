"""From what was found to the answer that a client gets: evidence, claim in words, certificate, prediction."""

from certifier.answers.certificates import certificate, repeated_certificate
from certifier.answers.parts import Identity
from certifier.answers.predictions import prediction

__all__ = ["Identity", "certificate", "prediction", "repeated_certificate"]
