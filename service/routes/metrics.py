"""`/metrics`: for Prometheus."""

from fastapi import APIRouter, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from service.edge.callers import KeyScope, require
from service.jobs.metrics import StoreCollector
from service.openapi.responses import problem_responses
from service.resources import Shared

router = APIRouter(tags=["service"], dependencies=[require(KeyScope.ADMIN)])


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "content": {"text/plain": {"schema": {"type": "string"}}},
            "description": "Prometheus' text format.",
        },
        **problem_responses(),
    },
)
def get_metrics(resources: Shared) -> Response:
    """Get metrics for Prometheus; those of workers and queue are the same from every API process."""
    store = StoreCollector(resources.redis, resources.settings.timing)
    text = generate_latest(resources.metrics.registry) + generate_latest(store)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
