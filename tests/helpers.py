"""Pictures to upload, waiting for something, and real server processes."""

import io
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx
import numpy as np
from fastapi import FastAPI
from PIL import Image

from service.app import create_app
from service.settings import Settings

NOBODY = 65534
START_SECONDS = 60.0
STOP_SECONDS = 30.0


def photo(seed: int = 0, width: int = 96, height: int = 72) -> Image.Image:
    """A picture with some shape to it; the same seed gives the same picture."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def file_of(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """A picture's file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(seed: int = 0, width: int = 96, height: int = 72) -> bytes:
    """The JPEG file of `photo`."""
    return file_of(photo(seed, width, height))


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Polls until the condition holds. Fails when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds:g} s"
        time.sleep(0.02)


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Without the rights of root, where tests have them, to files of root's."""
    if os.geteuid() != 0:
        yield
        return
    folder.chmod(0o755)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@asynccontextmanager
async def client_of(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the real application with these settings, without a socket in between."""
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as asking,
    ):
        yield asking


def app_of(client: httpx.AsyncClient) -> FastAPI:
    """The application behind a client."""
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    assert isinstance(transport.app, FastAPI)
    return transport.app


@dataclass(frozen=True)
class Server:
    """A real server process."""

    process: subprocess.Popen[str]
    url: str

    def stop(self) -> int:
        """Asks it to stop, as Ctrl-C or a supervisor would; gives its exit status."""
        self.process.terminate()
        return self.process.wait(timeout=STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        self.process.kill()
        self.process.wait(timeout=STOP_SECONDS)


@dataclass
class ServerStarter:
    """Starts servers on free ports, and at the end stops those that still run.

    environment: further variables of each.
    """

    bundle: Path
    data_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    started: list[Server] = field(default_factory=list)

    def __call__(self, *flags: str, stderr: IO[str] | None = None, **variables: str) -> Server:
        """`sightline serve` on `data_dir`, once it is ready; stderr: by default this process's."""
        process = subprocess.Popen(
            self.command(*flags),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **self.environment, **variables},
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        if "answers at http://" not in line:
            process.kill()
            process.communicate()
            raise AssertionError(f"the server did not start; it said {line!r}")
        server = Server(process, line.split()[3])
        self.started.append(server)
        wait_until(lambda: is_ready(server.url), START_SECONDS)
        return server

    def command(self, *flags: str) -> list[str]:
        """The command line that starts a server."""
        return [
            *(sys.executable, "-W", "error", "-m", "service", "serve", "--device", "cpu"),
            *("--port", "0", "--data-dir", str(self.data_dir), "--bundle", str(self.bundle)),
            *flags,
        ]

    def close(self) -> None:
        """Stops what still runs."""
        for server in self.started:
            if server.process.poll() is None:
                server.stop()
            if server.process.stdout is not None:
                server.process.stdout.close()


def is_ready(url: str) -> bool:
    """Whether a server says that it is."""
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
