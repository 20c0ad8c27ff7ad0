"""Fixtures: the toy bundle, a fresh collection and app for each test, real server processes."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import torch

from model.toy import write_toy_bundle
from service.collection import Collection, open_collection
from service.settings import Settings
from tests.helpers import Server, ServerStarter, client_of
from tests.scripted import Scripted

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def toy_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with random weights from a fixed seed."""
    return write_toy_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def settings(toy_bundle: Path, tmp_path: Path) -> Settings:
    """Settings of a collection that isn't there yet. Tests that need others copy them."""
    return Settings(bundle=toy_bundle, data_dir=tmp_path / "data", device="cpu")


@pytest.fixture
def collection(settings: Settings) -> Iterator[Collection]:
    """A fresh, open collection."""
    with open_collection(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run as the service does."""
    return "asyncio"


@pytest.fixture
async def client(settings: Settings, anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the real application on a fresh collection, without a socket in between."""
    async with client_of(settings) as asking:
        yield asking


@pytest.fixture(scope="module")
async def shared_client(
    toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[httpx.AsyncClient]:
    """The same for the tests of a module that leave the collection as it is."""
    folder = tmp_path_factory.mktemp("shared") / "data"
    async with client_of(Settings(bundle=toy_bundle, data_dir=folder, device="cpu")) as asking:
        yield asking


@pytest.fixture
def start_server(toy_bundle: Path, tmp_path: Path) -> Iterator[ServerStarter]:
    """Starts real servers on one data directory of this test."""
    starter = ServerStarter(toy_bundle, tmp_path / "data")
    yield starter
    starter.close()


@pytest.fixture(scope="module")
def server(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server that the tests of a module share."""
    starter = ServerStarter(toy_bundle, tmp_path_factory.mktemp("shared") / "data")
    yield starter()
    starter.close()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()
