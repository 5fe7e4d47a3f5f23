"""The application: `uvicorn --factory service.app:create_app_from_environment`."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio import to_thread
from fastapi import FastAPI
from pydantic import ValidationError

from contract import __version__
from contract.logs import configure_logs
from contract.redis_url import describe_settings
from service.edge.auth import AuthMiddleware, open_guard
from service.edge.headers import use_headers
from service.edge.limits import BodyLimitMiddleware
from service.edge.rate_limits import RateLimitMiddleware
from service.edge.request_log import RequestLogMiddleware
from service.metrics import ApiMetrics
from service.openapi.document import use_openapi
from service.problems import add_problem_handlers
from service.resources import open_resources
from service.routes import certificates, certify, documentation, health, jobs, metrics, models, page, regions
from service.settings import Auth, Misconfiguration, ServiceSettings
from service.shutdown import set_on_signal
from service.tracing import trace_requests

_ROUTES: Final = (certify, jobs, certificates, regions, models, metrics, health, documentation, page)


def create_app(settings: ServiceSettings) -> FastAPI:
    """Makes the application. It starts without Redis or a worker; requests that need them get 503.

    Raises:
        Misconfiguration: The settings would open the API to other machines, or close it to everyone.
    """

    metrics = ApiMetrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.resources = open_resources(settings, metrics)
        with set_on_signal(app.state.resources.stopping, settings.drain_seconds):
            try:
                yield
            finally:
                app.state.resources.stopping.set()
                await app.state.resources.close()
                await to_thread.run_sync(end_tracing)

    configure_logs("api", settings.log_format, settings.log_level, whole_process=False)
    app = FastAPI(
        title="radii",
        summary="Send an image, get a label and a radius within which no perturbation can change it.",
        version=__version__,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        openapi_url=None,  # `documentation` serves it, and a page that loads nothing from other hosts
        generate_unique_id_function=lambda route: route.name,
        separate_input_output_schemas=False,
        redirect_slashes=False,
    )
    add_problem_handlers(app)
    # From the innermost outwards: a request meets them from the last to the first.
    app.add_middleware(BodyLimitMiddleware, seconds=settings.body_seconds)
    app.add_middleware(RateLimitMiddleware, settings=settings)
    app.add_middleware(AuthMiddleware, guard=open_guard(settings))
    app.add_middleware(RequestLogMiddleware, metrics=metrics)
    end_tracing = trace_requests(app, settings)  # it must find the framework's own stack
    use_headers(app, settings.cors_origins)
    for routes in _ROUTES:
        app.include_router(routes.router)
    use_openapi(app)
    return app


def describe_api() -> dict[str, Any]:
    """Returns the API's OpenAPI 3.1 document; it depends on no setting, and needs no Redis."""
    return create_app(ServiceSettings.model_construct(auth=Auth.OFF, host="127.0.0.1")).openapi()


def create_app_from_environment() -> FastAPI:
    """Makes the application from ``RADII_*``; exits with the reason if the settings are invalid."""
    try:
        app = create_app(ServiceSettings())
    except ValidationError as error:
        raise SystemExit(f"radii api: {describe_settings(error)}") from None
    except Misconfiguration as error:
        raise SystemExit(f"radii api: {error}") from None
    # Modules and schemas live as long as the process. A full collection scans them for 0.1 s, and no
    # request is served.
    gc.collect()
    gc.freeze()
    return app
