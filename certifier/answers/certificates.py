"""From findings to the certificate that a client gets: its evidence, and its claim in words."""

from datetime import UTC, datetime

from certifier.answers.claim import claim
from certifier.answers.evidence import noise_evidence
from certifier.answers.parts import (
    Identity,
    about_image,
    adaptation,
    class_label,
    compute,
    is_correct,
    seed_source,
)
from certifier.certify import Findings
from certifier.verdict import NO_RADIUS, Statement, in_each_norm
from contract.certificates import Certificate, Memory, Radius
from contract.tasks import CertifyQuestion


def certificate(findings: Findings, identity: Identity, statement: Statement | None = None) -> Certificate:
    """Returns the certificate of a finished certification.

    Args:
        findings: What was found.
        identity: The certificate's name, and its image's.
        statement: What may be stated beside what a memory of regions holds. Default: the verdict.
    """
    question, model, runs = findings.question, findings.model, findings.runs
    statement = statement or findings.verdict.finding
    label = None if statement.label is None else class_label(model, statement.label)
    evidence = [noise_evidence(run, question.resolved.n) for run in runs]
    reason = findings.verdict.reason
    return Certificate(
        **about_image(identity, question, model, findings.base_class, statement.label, reason),
        radius=statement.radius,
        same_class_radius=_same_class_radius(findings, statement),
        target_radius=question.asked.target_radius,
        target_certified=_reaches_target(findings, statement),
        claim=claim(question, label, statement.radius, evidence, statement.memory),
        sigma=evidence[0].sigma,
        sigma_policy=question.resolved.noise_level,
        bound=question.asked.bound,
        alpha=question.asked.alpha,
        alpha_spent=sum(run.plan.alpha for run in runs),
        noise=evidence,
        adaptation=adaptation(question.resolved, [run.statistics_digest for run in runs]),
        memory=statement.memory,
        seed=question.resolved.seed,
        seed_source=seed_source(question),
        compute=compute(
            runs[0].classifier,
            findings.seconds,
            sum(run.samples for run in runs),
            exact=all(run.certification.exact for run in runs),
        ),
        created_at=datetime.now(UTC),
    )


def repeated_certificate(
    earlier: Certificate, question: CertifyQuestion, identity: Identity, memory: Memory
) -> Certificate:
    """Returns the certificate that a memory holds for this very question, under another name.

    Args:
        earlier: The one that is kept.
        question: What is asked now.
        identity: The new certificate's name.
        memory: Where it was found; the claim is about its present epoch.
    """
    label = None if earlier.label is None else earlier.label.index
    no_work = {"seconds": 0.0, "samples": 0, "samples_per_second": 0.0}
    return earlier.model_copy(
        update={
            "id": identity.id,
            "claim": claim(question, earlier.label, earlier.radius, earlier.noise, memory),
            "upload_digest": identity.upload_digest,
            "correct": is_correct(question.resolved, label),
            "memory": memory,
            "compute": earlier.compute.model_copy(update=no_work),
            "created_at": datetime.now(UTC),
        }
    )


def _same_class_radius(findings: Findings, statement: Statement) -> Radius | None:
    """The votes are about their own class, not about one that the memory gives."""
    of_votes = findings.verdict.same_class_radius
    if of_votes is None:
        return None
    same = statement.label == findings.verdict.finding.label
    return in_each_norm(min, of_votes, statement.radius) if same else NO_RADIUS


def _reaches_target(findings: Findings, statement: Statement) -> bool | None:
    """The target is compared with the radius before rounding, unless the memory changed it."""
    asked, verdict = findings.question.asked, findings.verdict
    if asked.target_radius is None:
        return None
    stated, found = statement.radius.of(asked.noise), verdict.finding.radius.of(asked.noise)
    radius: float = getattr(verdict.unrounded, asked.noise.norm) if stated == found else stated
    return statement.label is not None and radius >= asked.target_radius
