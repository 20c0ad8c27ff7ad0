"""Runs the service under uvicorn: one process, httptools and uvloop."""

import gc
import signal
import socket
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import uvicorn

from service import logs
from service.app import create_app
from service.collection import Collection
from service.draining import DrainingServer
from service.errors import StartError
from service.keys import read_keyring
from service.protocol import limited_protocol
from service.running import run
from service.settings import Settings
from service.watching import tell_of_refused

BACKLOG = 2048

Announce = Callable[[str], None]


def serve(settings: Settings, prepare: Callable[[Collection], None], announce: Announce) -> None:
    """Serves until SIGINT, or `drain_delay_s` after SIGTERM.

    Running requests then get `shutdown_grace_s` to finish.

    prepare: called with the open collection before the first request. announce: called with the
    address once everything is loaded. Raises StartError when the address is taken or the
    keys are damaged, and what opening the collection raises: all before anything is served.
    """
    with logs.written(settings.log_level, settings.log_format) as log:
        keyring = read_keyring(settings)
        with (
            bound_socket(settings.host, settings.port) as listener,
            run(settings, log) as running,
        ):
            prepare(running.collection)
            server = DrainingServer(
                uvicorn.Config(
                    create_app(settings, nullcontext(running), keyring),
                    loop="uvloop",
                    http=limited_protocol(
                        settings.client_timeout_s, partial(tell_of_refused, running)
                    ),
                    ws="none",
                    lifespan="on",
                    # Our own (access_log.py) knows routes and keys, and leaves out what was asked.
                    access_log=False,
                    log_config=None,
                    log_level="warning",
                    server_header=False,
                    timeout_graceful_shutdown=settings.shutdown_grace_s,
                ),
                running.drain,
                settings.drain_delay_s,
            )
            # uvicorn puts these aside while it runs, and repeats the signal that stopped it once it
            # has finished; with its own handler in their place that does no more harm.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, server.handle_exit)
            # What is loaded now stays until the end: 300,000 objects of torch's that a full
            # collection would walk again and again, for a tenth of a second with every thread
            # waiting.
            gc.collect()
            gc.freeze()
            listener.listen(BACKLOG)
            announce(address_of(listener))
            server.run(sockets=[listener])


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket with its address taken, so that a taken one is known before a model is loaded."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartError(f"host {host}: {error.strerror or error}") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise StartError(f"{host}, port {port}: {error.strerror}") from error
    return listener


def address_of(listener: socket.socket) -> str:
    """The address as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
