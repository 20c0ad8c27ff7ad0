"""`sightline key`: makes an API key."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from service.keys import NAME, Access, Key, digest_of, new_key, read_keys_file

EXAMPLE = "sightline key laptop --access write --file sightline.keys"


def key(
    name: Annotated[str, typer.Argument(help="What the log calls the key.")],
    access: Annotated[
        Access, typer.Option(help="What it allows; `write` includes `read`.")
    ] = "read",
    file: Annotated[
        Path | None,
        typer.Option(help="Keys file to append the entry to; made if it isn't there."),
    ] = None,
) -> None:
    """Make an API key. It is printed once; what is stored is its digest."""
    if not NAME.fullmatch(name):
        raise typer.BadParameter(
            "a name has 1 to 64 letters, digits, dots, dashes and underscores",
            param_hint="NAME",
        )
    secret = new_key()
    made = Key(name, access, digest_of(secret.encode()))
    if file is None:
        typer.echo(secret)
        typer.echo(made.line)
        typer.echo("The first line is the key; the second is what to store.", err=True)
    else:
        _append(file, made, lambda: typer.echo(secret))
        typer.echo(f"{file} has its digest; restart the service to use it.", err=True)


def _append(file: Path, made: Key, show: Callable[[], None]) -> None:
    """Shows the key once the file can be written: a digest whose key nobody saw opens nothing."""
    before = ""
    if file.exists() and file.stat().st_size:
        if made.name in {known.name for known in read_keys_file(file)}:
            taken = f"{file} has a key named {made.name} already"
            raise typer.BadParameter(taken, param_hint="NAME")
        before = "" if file.read_text(encoding="utf-8").endswith("\n") else "\n"
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as keys:
        show()
        keys.write(f"{before}{made.line}\n")
