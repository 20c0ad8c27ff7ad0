"""The house holds: who imports whom, how long a file may be, and docs that tell what is there."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

import sightline_client
from service import __version__
from service.app import create_app
from service.cli import app as command_line
from service.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("model", "index", "service", "client")
LONGEST_FILE_LINES = 400
# What a room may import of ours.
ARROWS = {
    "model": {"model"},
    "index": {"index"},
    "service": {"service", "model", "index", "sightline_client"},
    "client": {"sightline_client"},
}
OURS = {"model", "index", "service", "sightline_client", "tests", "benchmarks"}
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "deploy/**/*.md", "bundle/*.md", "client/*.md")
    for path in ROOT.glob(pattern)
)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def _imported_packages(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # Relative imports are banned by lint, so that every arrow can be read here.
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_run_one_way(room: str) -> None:
    against = {
        f"{_name(source)} imports {package}"
        for source in _sources(room)
        for package in _imported_packages(source)
        if package in OURS and package not in ARROWS[room]
    }
    assert against == set()


@pytest.mark.parametrize("room", ROOMS)
def test_files_fit_in_the_head(room: str) -> None:
    kinds = ("*.py", "*.js", "*.css", "*.html", "*.sql", "*.cpp", "*.hpp")
    lengths = {
        _name(path): len(path.read_text(encoding="utf-8").splitlines())
        for kind in kinds
        for path in (ROOT / room).rglob(kind)
    }
    assert lengths
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE_LINES} == {}


def _packages_below(folder: Path, rooms: Sequence[str]) -> set[str]:
    return {
        source.parent.relative_to(folder).as_posix().replace("/", ".")
        for room in rooms
        for source in (folder / room).rglob("__init__.py")
    }


def _project(folder: Path) -> Any:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_of_the_rooms_is_installed() -> None:
    there = _packages_below(ROOT, [room for room in ROOMS if room != "client"])
    assert set(_project(ROOT)["tool"]["setuptools"]["packages"]) == there
    there = _packages_below(ROOT / "client", ["sightline_client"])
    assert set(_project(ROOT / "client")["tool"]["setuptools"]["packages"]) == there


def test_the_version_has_one_value() -> None:
    versions = {_project(ROOT)["project"]["version"], __version__}
    versions |= {_project(ROOT / "client")["project"]["version"], sightline_client.__version__}
    assert len(versions) == 1


def test_the_client_needs_two_packages_and_no_more() -> None:
    dependencies = _project(ROOT / "client")["project"]["dependencies"]
    assert {re.split(r"[<>=]", name)[0] for name in dependencies} == {"httpx", "pydantic"}
    standard = {*sys.stdlib_module_names, "sightline_client", "httpx", "pydantic"}
    imported = {package for source in _sources("client") for package in _imported_packages(source)}
    assert imported - standard == set()


def _commands() -> set[str]:
    return set(typer.main.get_command(command_line).commands)  # type: ignore[attr-defined]


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## sightline ([a-z-]+)$", text, re.MULTILINE)) == _commands()


def test_every_option_is_documented() -> None:
    sections = re.split(r"^## ", (ROOT / "docs/commands.md").read_text("utf-8"), flags=re.MULTILINE)
    documented = {
        section.partition("\n")[0].removeprefix("sightline "): set(
            re.findall(r"--[a-z][a-z-]*", section)
        )
        for section in sections[1:]
    }
    commands = typer.main.get_command(command_line).commands  # type: ignore[attr-defined]
    there = {
        name: {
            option
            for parameter in command.params
            for option in (*parameter.opts, *parameter.secondary_opts)
            if option.startswith("--") and option != "--help"
        }
        for name, command in commands.items()
    }
    assert documented == there


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_documents_name_commands_that_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    named = set(re.findall(r"(?:^|[\s/`])sightline ([a-z][a-z-]+)", code))
    assert named - _commands() == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_documents_name_make_targets_that_exist(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    named = set(
        re.findall(r"(?:`|^)make ([a-z][a-z-]+)", document.read_text("utf-8"), re.MULTILINE)
    )
    assert named - targets == set()


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `SIGHTLINE_([A-Z_]+)` \| `([^`]*)` \|", text, re.MULTILINE))
    defaults = {
        name.upper(): _shown(field.get_default(call_default_factory=True))
        for name, field in Settings.model_fields.items()
    }
    assert documented == defaults


def _shown(default: object) -> str:
    match default:
        case Path() if default.is_absolute():
            return default.relative_to(ROOT).as_posix()
        case bool():
            return str(default).lower()
        case None:
            return "none"
        case _:
            return str(default)


def test_the_api_page_names_every_route_and_no_other() -> None:
    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`\s]*)`", text))
    assert documented == _routes()


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_documents_name_routes_that_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`\s?]*)", text))
    assert named - _routes() == set()


def _routes() -> set[tuple[str, str]]:
    paths = create_app(Settings()).openapi()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}
