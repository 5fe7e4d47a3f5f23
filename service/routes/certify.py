"""`POST /certify`: certify an image, sent as a form or inside JSON."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi.responses import JSONResponse
from pydantic import Field, field_validator

from contract.jobs import Job
from contract.requests import CertifyJsonRequest, CertifyRequest
from service.edge.callers import KeyScope, require
from service.jobs.idempotency import SentKey
from service.openapi.document import MULTIPART
from service.resources import Resources, get_resources
from service.routes.submitting import RESPONSES, JsonRoute, MultipartRoute, PreferredWait, answer


class CertifyForm(CertifyRequest):
    """Request a label and a radius within which no perturbation can change it, as a form."""

    image: UploadFile = Field(description="The image file: PNG, JPEG, WebP or BMP.")

    @field_validator("sigma_grid", mode="before")
    @classmethod
    def _written_as_text(cls, sent: Any) -> Any:
        """Reads one field per item, or one field with commas. Empty texts count as absent."""
        if not isinstance(sent, list) or not all(isinstance(text, str) for text in sent):
            return sent
        return [item.strip() for text in sent for item in text.split(",") if item.strip()] or None


router = APIRouter(tags=["certify"], dependencies=[require(KeyScope.CERTIFY)])
_form = APIRouter(route_class=MultipartRoute)
_json = APIRouter(route_class=JsonRoute)


@_form.post("/certify", status_code=202, response_model=Job, responses=RESPONSES)
async def certify(
    request: Request,
    resources: Annotated[Resources, Depends(get_resources)],
    form: Annotated[CertifyForm, Form(media_type=MULTIPART)],
    wait: PreferredWait,
    key: SentKey,
) -> JSONResponse:
    """Certify an image: its label, and a radius within which no perturbation can change it."""
    return await answer(resources, request, form, await form.image.read(), wait, key)


@_json.post("/certify/json", status_code=202, response_model=Job, responses=RESPONSES)
async def certify_json(
    request: Request,
    resources: Annotated[Resources, Depends(get_resources)],
    body: CertifyJsonRequest,
    wait: PreferredWait,
    key: SentKey,
) -> JSONResponse:
    """Certify an image that is sent inside a JSON document."""
    return await answer(resources, request, body, body.image, wait, key)


router.include_router(_form)
router.include_router(_json)
