"""Wires the service: settings in, an ASGI application out. Holds no logic of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from itertools import chain

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from service import openapi
from service.allowed import allowed_methods
from service.documentation import serve_documentation
from service.errors import InvalidFieldsError
from service.failures import note
from service.guard import Guard
from service.head import Head
from service.keys import Keyring, read_keyring
from service.leaving import Leaving
from service.middleware import Envelope, Gate, answer_http_exception, request_id_of
from service.pages import PAGE_FOLDER, PageFiles
from service.problems import TABLE, headers_of, parameter_problems, problem_of, respond
from service.routes import exchange, images, operations, search, texts
from service.running import Running, run
from service.settings import Settings
from service.watching import Watch

# The framework's would put paths and queries, with the ids and filters in them, into spans.
OWN_TELEMETRY = {"tracing": False, "metrics": False, "logs": False}


def create_app(
    settings: Settings,
    opening: AbstractContextManager[Running] | None = None,
    keyring: Keyring | None = None,
) -> FastAPI:
    """The application.

    opening: entered by its lifespan, by default one that opens everything. keyring: by default the
    one that the settings name. Raises StartError for keys that can't be read.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with opening or run(settings) as running:
            app.state.running = running
            yield

    app = FastAPIOffline(
        docs_url=None,
        redoc_url=None,
        title=openapi.TITLE,
        lifespan=lifespan,
        redirect_slashes=False,
        generate_unique_id_function=openapi.operation_name,
        telemetry=OWN_TELEMETRY,
    )
    serve_documentation(app)
    app.openapi = partial(openapi.describe, app)  # type: ignore[method-assign]
    # The last one added is the outermost.
    app.add_middleware(Head)
    app.add_middleware(Leaving)
    app.add_middleware(Gate, settings=settings)
    app.add_middleware(Guard, keyring=read_keyring(settings) if keyring is None else keyring)
    app.add_middleware(Envelope)
    for error, _ in TABLE:
        app.add_exception_handler(error, _known_error)
    app.add_exception_handler(RequestValidationError, _wrong_parameters)
    routers = [module.router for module in (search, images, texts, exchange, operations)]
    for router in routers:
        app.include_router(router)
    app.mount("/page", PageFiles(directory=PAGE_FOLDER), name="page")
    all_routes = [*chain(*(one.routes for one in routers)), *app.routes]
    app.add_exception_handler(HTTPException, partial(_refusal, all_routes))
    # Outside of all others, so that what they refuse is counted and logged, too.
    app.add_middleware(Watch, routes=all_routes)
    return app


async def _known_error(request: Request, error: Exception) -> Response:
    request_id = request_id_of(request.scope)
    note(error, request.app.state.running.collection.metrics, request_id)
    return respond(problem_of(error), request_id, headers_of(error))


async def _wrong_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = InvalidFieldsError(parameter_problems(error.errors()))
    return respond(problem_of(problems), request_id_of(request.scope))


async def _refusal(routes: Sequence[BaseRoute], request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = ", ".join(allowed_methods(request.scope, routes))
        error = HTTPException(405, error.detail, {"Allow": allowed})
    return answer_http_exception(request.scope, error)
