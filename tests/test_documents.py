"""What the documents point at is there: files, headings, commands with their options, pictures."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import typer

from service.cli import app as command_line
from tests.test_house import DOCUMENTS, ROOT

LARGEST_FIGURE_BYTES = 60_000
FIGURES = sorted((ROOT / "docs" / "figures").glob("*.svg"))
CODE_BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
COMMANDS = typer.main.get_command(command_line).commands  # type: ignore[attr-defined]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    text = CODE_BLOCK.sub("", document.read_text(encoding="utf-8"))
    anchors: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        repeats = sum(1 for known in anchors if re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", known))
        anchors.add(f"{anchor}-{repeats}" if repeats else anchor)
    return anchors


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_links_lead_to_a_file_and_a_heading(document: Path) -> None:
    text = CODE_BLOCK.sub("", document.read_text(encoding="utf-8"))
    astray = []
    for link in re.findall(r"\]\(([^)\s]+)[^)]*\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        found = target.exists() and (not anchor or anchor in _anchors(target))
        astray += [] if found else [link]
    assert astray == []


def _calls(document: Path) -> Iterator[list[str]]:
    """The arguments of each call of `sightline` in the document's blocks of sh."""
    text = document.read_text(encoding="utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.match(r"\w+=", words[0]):
                words.pop(0)
            program = Path(words[0]).name if words else ""
            if program == "sightline":
                yield words[1:]
            elif program == "torchrun":
                yield words[words.index("service") + 1 :]


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_calls_of_the_command_line_parse(document: Path) -> None:
    for name, *arguments in _calls(document):
        COMMANDS[name].make_context(name, arguments)


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_commands_named_in_a_line_have_the_options(document: Path) -> None:
    text = CODE_BLOCK.sub("", document.read_text(encoding="utf-8"))
    for name, rest in re.findall(r"`sightline ([a-z][a-z-]*)([^`]*)`", text):
        there = {option for parameter in COMMANDS[name].params for option in parameter.opts}
        assert set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest)) - there == set()


def test_calls_are_found_in_the_documents() -> None:
    called = {_name(document): [call[0] for call in _calls(document)] for document in DOCUMENTS}
    assert called["docs/training.md"].count("train") >= 3
    assert "key" in called["docs/operations.md"]
    assert set(COMMANDS) == set(called["docs/commands.md"])


@pytest.mark.parametrize("figure", FIGURES, ids=_name)
def test_a_figure_is_small_and_has_a_title_and_text(figure: Path) -> None:
    assert figure.stat().st_size < LARGEST_FIGURE_BYTES
    tags = [element.tag.rpartition("}")[2] for element in ElementTree.parse(figure).iter()]
    assert tags.count("title") == 1
    assert tags.count("text") >= 5


def test_the_times_in_the_figure_are_those_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    times = re.search(r"encode ([\d.]+), search ([\d.]+), fetch ([\d.]+), re-rank ([\d.]+)", readme)
    assert times is not None
    shown = (ROOT / "docs/figures/two-stages.svg").read_text(encoding="utf-8")
    assert [time for time in times.groups() if f">{time} ms<" not in shown] == []
