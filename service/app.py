"""Wires the service: settings in, an ASGI application out. Holds no logic of its own."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from service import openapi
from service.documentation import cut_outside_links
from service.errors import InvalidFieldsError
from service.leaving import Leaving
from service.middleware import Envelope, Gate, answer_http_exception, request_id_of
from service.pages import PAGE_FOLDER, PageFiles
from service.problems import TABLE, headers_of, parameter_problems, problem_of, respond
from service.routes import exchange, images, operations, search, texts
from service.running import Running, run
from service.settings import Settings


def create_app(
    settings: Settings, opening: AbstractContextManager[Running] | None = None
) -> FastAPI:
    """The application. Its lifespan enters `opening`, by default one that opens everything."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with opening or run(settings) as running:
            app.state.running = running
            yield

    app = FastAPIOffline(title=openapi.TITLE, lifespan=lifespan, redirect_slashes=False)
    cut_outside_links(app)
    app.openapi = partial(openapi.describe, app)  # type: ignore[method-assign]
    # The last one added is the outermost.
    app.add_middleware(Leaving)
    app.add_middleware(Gate, settings=settings)
    app.add_middleware(Envelope)
    for error, _ in TABLE:
        app.add_exception_handler(error, _known_error)
    app.add_exception_handler(RequestValidationError, _wrong_parameters)
    app.add_exception_handler(HTTPException, _refusal)
    for module in (search, images, texts, exchange, operations):
        app.include_router(module.router)
    app.mount("/page", PageFiles(directory=PAGE_FOLDER), name="page")
    return app


async def _known_error(request: Request, error: Exception) -> Response:
    return respond(problem_of(error), request_id_of(request.scope), headers_of(error))


async def _wrong_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = InvalidFieldsError(parameter_problems(error.errors()))
    return respond(problem_of(problems), request_id_of(request.scope))


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return answer_http_exception(request.scope, error)
