"""Evaluation of base classifiers: certificates, noise, attacks, corruptions, gradients; tables and a report.

``metrics`` and its neighbours are pure functions of records. A suite yields cells, each one measurement, and
turns what they measured into tables; whoever runs it keeps the measurements and may go on after a crash.
"""

from models.evaluation.bench import Bench, Cell, Chart, Outcome, Picture, Suite, Table
from models.evaluation.certificates import Setting, as_row, settings
from models.evaluation.certificates import outcome as certificate_outcome
from models.evaluation.errors import EvaluationError
from models.evaluation.plan import EvaluationPlan
from models.evaluation.records import CertificateRecord, CertifiedRadii, VoteSummary
from models.evaluation.report import write_report
from models.evaluation.subject import Images, Subject, choose_images
from models.evaluation.suites import CERTIFY, SUITES

__all__ = [
    "CERTIFY",
    "SUITES",
    "Bench",
    "Cell",
    "CertificateRecord",
    "CertifiedRadii",
    "Chart",
    "EvaluationError",
    "EvaluationPlan",
    "Images",
    "Outcome",
    "Picture",
    "Setting",
    "Subject",
    "Suite",
    "Table",
    "VoteSummary",
    "as_row",
    "certificate_outcome",
    "choose_images",
    "settings",
    "write_report",
]
