"""`/openapi.json` and `/docs`: the API's description, for generators and for people."""

from importlib.resources import files
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse

from contract.choices import ProblemCode
from contract.problems import refusal

_ASSETS: Final = "fastapi_swagger.resources"  # the released files of Swagger UI, so that no CDN is needed
_MEDIA_TYPES: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
_ASSET_CACHE: Final = "public, max-age=86400"
router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def get_document(request: Request) -> JSONResponse:
    """Get the description of this API in OpenAPI 3.1, at the address where a proxy shows it."""
    document: dict[str, Any] = request.app.openapi()
    return JSONResponse({**document, "servers": [{"url": _root(request) or "/"}]})


@router.get("/docs")
async def show_documentation(request: Request) -> HTMLResponse:
    """Show the description in Swagger UI; everything the page loads comes from this server."""
    root = _root(request)
    return get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title=request.app.title,
        swagger_js_url=f"{root}/docs/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/swagger-ui.css",
        swagger_favicon_url=f"{root}/docs/favicon-32x32.png",
        # Its badge would send the document to an outside host.
        swagger_ui_parameters={"validatorUrl": None, "persistAuthorization": True},
    )


@router.get("/docs/{name}")
async def get_asset(name: str) -> Response:
    """Get a file of Swagger UI."""
    if name not in _MEDIA_TYPES:
        raise refusal(ProblemCode.NOT_FOUND, "no such path")
    content = (files(_ASSETS) / name).read_bytes()
    return Response(content, media_type=_MEDIA_TYPES[name], headers={"Cache-Control": _ASSET_CACHE})


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")
