"""The manifests are what Kubernetes accepts, and ask for no more rights than they need."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from contract import keys
from contract.limits import JOB_TIMEOUT
from service.settings import ServiceSettings
from workers.settings import WorkerSettings

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
KEDA = ("ScaledObject", "TriggerAuthentication")  # `tests/clients/test_keda.py` knows their schemas
KUBERNETES = ("1.30", "1.37")  # the oldest that is aimed at, and the latest whose schemas there are
SETTINGS = {*ServiceSettings.model_fields, *WorkerSettings.model_fields}
# Of other releases than this may be: the file is written for those, too.
KNOWN = {"redis_password_file", "api_keys_file", "drain_seconds"}


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every manifest, with its file and name."""
    for file in sorted(FOLDER.glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            if document["kind"] != "Kustomization":
                yield f"{file.name}:{document['kind']}/{document['metadata']['name']}", document


ALL = dict(documents())
PODS = {
    name: document["spec"]["template"]["spec"]
    for name, document in ALL.items()
    if document["kind"] in ("Deployment", "StatefulSet")
}


@pytest.mark.parametrize("name", [name for name in ALL if ALL[name]["kind"] not in KEDA])
@pytest.mark.parametrize("version", KUBERNETES)
def test_a_manifest_is_of_the_schema(name: str, version: str) -> None:
    """Strictly: a field that Kubernetes does not know is an error."""
    kubernetes_validate.validate(ALL[name], version, strict=True)


def test_every_file_is_named_by_the_kustomization() -> None:
    """Some behind a comment sign: they need what not every cluster has."""
    text = (FOLDER / "kustomization.yaml").read_text()
    assert [file.name for file in FOLDER.glob("*.yaml") if f"- {file.name}" not in text] == [
        "kustomization.yaml"
    ]
    images = {image["name"] for image in yaml.safe_load(text)["images"]}
    assert images == {container["image"] for pod in PODS.values() for container in pod["containers"]}


@pytest.mark.parametrize("name", PODS)
def test_pods_keep_to_the_restricted_standard(name: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards, and a file system that is read-only."""
    pod = PODS[name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False, (
        "variables that begin with RADII_ would come from services' names"
    )
    security = pod["securityContext"]
    assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 10001)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["livenessProbe"]
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"]
        assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/tmp", "/secrets/redis"}


def test_services_budgets_and_policies_select_what_is_there() -> None:
    """A selector that matches nothing is no error in Kubernetes."""
    labels = [
        document["spec"]["template"]["metadata"]["labels"]
        for document in ALL.values()
        if "template" in document.get("spec", {})
    ]
    for name, document in ALL.items():
        spec = document.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector"))
        if selector is not None:
            wanted = (
                selector.get("matchLabels", {})
                if "podSelector" in spec or "matchLabels" in selector
                else selector
            )
            assert any(wanted.items() <= found.items() for found in labels), name


def test_the_longest_job_may_end_before_its_worker_is_killed() -> None:
    """And the API's grace is longer than its drain."""
    settings = next(document["data"] for document in ALL.values() if document["kind"] == "ConfigMap")
    assert float(settings["RADII_STOP_GRACE"]) >= JOB_TIMEOUT
    for name, pod in PODS.items():
        if "worker" in name:
            assert pod["terminationGracePeriodSeconds"] > float(settings["RADII_STOP_GRACE"]) + 30
        elif "api" in name:
            assert pod["terminationGracePeriodSeconds"] > float(settings["RADII_DRAIN_SECONDS"]) + 10


def test_the_queue_that_keda_watches_is_the_queue() -> None:
    """By RQ's own naming."""
    from rq import Queue

    trigger = ALL["keda.yaml:ScaledObject/radii-worker-cpu"]["spec"]["triggers"][0]
    assert trigger["metadata"]["listName"] == Queue.redis_queue_namespace_prefix + keys.QUEUE
    target = ALL["keda.yaml:ScaledObject/radii-worker-cpu"]["spec"]["scaleTargetRef"]["name"]
    assert f"worker-cpu.yaml:Deployment/{target}" in ALL


def test_settings_are_known() -> None:
    """A variable that nobody reads would be a mistake in silence."""
    names = {
        name for document in ALL.values() if document["kind"] == "ConfigMap" for name in document["data"]
    }
    names |= {
        one["name"]
        for pod in PODS.values()
        for container in pod["containers"]
        for one in container.get("env", [])
    }
    assert {name.removeprefix("RADII_").lower() for name in names} <= SETTINGS | KNOWN
