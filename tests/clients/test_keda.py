"""The manifests are what KEDA accepts: by models made from its own definitions."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject, TriggerAuthentication

FILE = Path(__file__).parents[2] / "deploy" / "kubernetes" / "keda.yaml"
KINDS = {"ScaledObject": ScaledObject, "TriggerAuthentication": TriggerAuthentication}
DOCUMENTS = [document for document in yaml.safe_load_all(FILE.read_text()) if document["kind"] in KINDS]


def test_there_are_some() -> None:
    assert {document["kind"] for document in DOCUMENTS} == set(KINDS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["metadata"]["name"])
def test_what_keda_reads_is_of_its_schema(document: dict[str, Any]) -> None:
    """What the models leave out was unknown to them."""
    understood = (
        KINDS[document["kind"]]
        .model_validate(document)
        .model_dump(by_alias=True, exclude_unset=True, mode="json")
    )
    assert understood["spec"] == document["spec"]
