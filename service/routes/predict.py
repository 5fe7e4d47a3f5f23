"""`POST /predict`: predict a label, for an image sent as a form or inside JSON."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi.responses import JSONResponse
from pydantic import Field

from contract.jobs import Job
from contract.requests import PredictJsonRequest, PredictRequest
from service.edge.callers import KeyScope, require
from service.jobs.idempotency import SentKey
from service.openapi.document import MULTIPART
from service.resources import Resources, get_resources
from service.routes.submitting import RESPONSES, JsonRoute, MultipartRoute, PreferredWait, answer


class PredictForm(PredictRequest):
    """Request the label only, as a form."""

    image: UploadFile = Field(description="The image file: PNG, JPEG, WebP or BMP.")


router = APIRouter(tags=["predict"], dependencies=[require(KeyScope.CERTIFY)])
_form = APIRouter(route_class=MultipartRoute)
_json = APIRouter(route_class=JsonRoute)


@_form.post("/predict", status_code=202, response_model=Job, responses=RESPONSES)
async def predict(
    request: Request,
    resources: Annotated[Resources, Depends(get_resources)],
    form: Annotated[PredictForm, Form(media_type=MULTIPART)],
    wait: PreferredWait,
    key: SentKey,
) -> JSONResponse:
    """Predict the label of an image, without a radius."""
    return await answer(resources, request, form, await form.image.read(), wait, key)


@_json.post("/predict/json", status_code=202, response_model=Job, responses=RESPONSES)
async def predict_json(
    request: Request,
    resources: Annotated[Resources, Depends(get_resources)],
    body: PredictJsonRequest,
    wait: PreferredWait,
    key: SentKey,
) -> JSONResponse:
    """Predict the label of an image that is sent inside a JSON document."""
    return await answer(resources, request, body, body.image, wait, key)


router.include_router(_form)
router.include_router(_json)
