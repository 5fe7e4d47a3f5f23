"""The application: `uvicorn --factory service.app:create_app_from_environment`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute

from contract.limits import MAX_BODY_BYTES
from contract.version import __version__
from service.logs import configure_logs
from service.middleware import BodyLimitMiddleware, RequestIdMiddleware
from service.openapi import use_openapi
from service.problems import add_problem_handlers
from service.resources import open_resources
from service.routes import certificates, certify, documentation, health, jobs, models, predict, regions
from service.settings import ServiceSettings
from service.shutdown import set_on_signal


def create_app(settings: ServiceSettings) -> FastAPI:
    """Makes the application. It starts without Redis or a worker; requests that need them get 503."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.resources = open_resources(settings)
        with set_on_signal(app.state.resources.stopping):
            try:
                yield
            finally:
                app.state.resources.stopping.set()
                await app.state.resources.close()

    configure_logs()
    app = FastAPI(
        title="radii",
        summary="Send an image, get a label and a radius within which no perturbation can change it.",
        version=__version__,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        openapi_url=None,  # `documentation` serves it, and a page that loads nothing from elsewhere
        generate_unique_id_function=_operation_id,
        separate_input_output_schemas=False,
        redirect_slashes=False,
    )
    add_problem_handlers(app)
    app.add_middleware(BodyLimitMiddleware, limit=MAX_BODY_BYTES)
    app.add_middleware(RequestIdMiddleware)
    for routes in (certify, predict, jobs, certificates, regions, models, health, documentation):
        app.include_router(routes.router)
    use_openapi(app)
    return app


def create_app_from_environment() -> FastAPI:
    """Makes the application from ``RADII_*``."""
    return create_app(ServiceSettings())


def _operation_id(route: APIRoute) -> str:
    return route.name
