"""Options that several commands share, and settings made from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from service.settings import Codec, Device, Settings

MOST_ERRORS_SHOWN = 20
# Exit status of a command that did all but a part; restic's number for it, too.
INCOMPLETE = 3

Bundle = Annotated[
    Path | None, typer.Option("--bundle", help="Folder of the trained model.", show_default=False)
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of the collection.", show_default=False)
]
DeviceName = Annotated[
    Device | None,
    typer.Option("--device", help="Where to compute.", show_default=False),
]
CodecName = Annotated[
    Codec | None,
    typer.Option(
        "--codec",
        help="How region and word vectors are stored; a collection keeps its own.",
        show_default=False,
    ),
]
Url = Annotated[
    str | None,
    typer.Option("--url", help="A running service, instead of a folder.", show_default=False),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="SIGHTLINE_KEY",
        help="An API key, for a service at --url that asks for one.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def settings_from(**flags: Any) -> Settings:
    """The settings: flags that were given, then `SIGHTLINE_*` variables, then the defaults.

    A value that is wrong is a wrong call: exit status 2.
    """
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        raise typer.BadParameter("; ".join(_finding(found) for found in error.errors())) from error


def one_of(context: typer.Context, url: str | None, **of_a_folder: Any) -> None:
    """Refuses a call that names a service and what is a folder's, or gives a key to a folder.

    A key in the environment is for the calls that need one, and contradicts nothing.
    """
    if url is None:
        source = context.get_parameter_source("key")
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter("--key is for a service: give --url, too")
        return
    for name, value in of_a_folder.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            raise typer.BadParameter(f"give {option} or --url, not both: a service has its own")


def tell(errors: Sequence[tuple[str, str]]) -> None:
    """Prints what is wrong with which file; of very many the first."""
    for name, words in errors[:MOST_ERRORS_SHOWN]:
        typer.echo(f"{name}: {words}", err=True)
    if len(errors) > MOST_ERRORS_SHOWN:
        typer.echo(f"and {len(errors) - MOST_ERRORS_SHOWN:,} more (--json lists all)", err=True)


def left_out(errors: Sequence[tuple[str, str]]) -> None:
    """Ends a command that has done the rest of its work; does nothing if nothing was left out."""
    if errors:
        raise typer.Exit(INCOMPLETE)


def _finding(found: Any) -> str:
    name = ".".join(str(part) for part in found["loc"])
    message = str(found["msg"]).removeprefix("Value error, ")
    return f"{name}: {message}" if name else message
