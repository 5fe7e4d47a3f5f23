"""`POST /certify` and `POST /predict`: submit an image, sent as a form or inside JSON."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, UploadFile
from fastapi.responses import JSONResponse
from pydantic import Field, field_validator

from contract.jobs import Job
from contract.requests import CertifyJsonRequest, CertifyRequest, PredictJsonRequest, PredictRequest
from service.edge.callers import KeyScope, require
from service.openapi.operations import MULTIPART
from service.routes.submitting import RESPONSES, Submit, SubmittingRoute

ImageFile = Annotated[UploadFile, Field(description="The image file: PNG, JPEG, WebP or BMP.")]


class CertifyForm(CertifyRequest):
    """Request a label and a radius within which no perturbation can change it, as a form."""

    image: ImageFile

    @field_validator("sigma_grid", mode="before")
    @classmethod
    def _written_as_text(cls, sent: Any) -> Any:
        """Reads one field per item, or one field with commas. Empty texts count as absent."""
        if not isinstance(sent, list) or not all(isinstance(text, str) for text in sent):
            return sent
        return [item.strip() for text in sent for item in text.split(",") if item.strip()] or None


class PredictForm(PredictRequest):
    """Request the label only, as a form."""

    image: ImageFile


_SUBMITS: Final[dict[str, Any]] = {"status_code": 202, "response_model": Job, "responses": RESPONSES}
router = APIRouter(route_class=SubmittingRoute, dependencies=[require(KeyScope.CERTIFY)])


@router.post("/certify", tags=["certify"], **_SUBMITS)
async def certify(submit: Submit, form: Annotated[CertifyForm, Form(media_type=MULTIPART)]) -> JSONResponse:
    """Certify an image: its label, and a radius within which no perturbation can change it."""
    return await submit(form, await form.image.read())


@router.post("/certify/json", tags=["certify"], **_SUBMITS)
async def certify_json(submit: Submit, body: CertifyJsonRequest) -> JSONResponse:
    """Certify an image that is sent inside a JSON document."""
    return await submit(body, body.image)


@router.post("/predict", tags=["predict"], **_SUBMITS)
async def predict(submit: Submit, form: Annotated[PredictForm, Form(media_type=MULTIPART)]) -> JSONResponse:
    """Predict the label of an image, without a radius."""
    return await submit(form, await form.image.read())


@router.post("/predict/json", tags=["predict"], **_SUBMITS)
async def predict_json(submit: Submit, body: PredictJsonRequest) -> JSONResponse:
    """Predict the label of an image that is sent inside a JSON document."""
    return await submit(body, body.image)
