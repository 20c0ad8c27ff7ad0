"""The command line. One file a command in `service/commands/`; this one lists them.

torch takes two seconds to import, so commands import the model when they run, not before:
`--help` and wrong calls answer at once.
"""

import sys

import typer

from index.errors import LockedError, StoreError
from model.errors import ModelError
from service.commands import (
    backup,
    compact,
    convert_regions,
    embed,
    evaluate,
    export,
    index,
    key,
    migrate,
    rebuild,
    restore,
    search,
    serve,
    train,
    verify,
)
from service.errors import ServiceError

FAILED = 1
INTERRUPTED = 130  # what typer makes of Ctrl-C

app = typer.Typer(
    name="sightline",
    help="Finds photos with sentences and sentences with photos.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("key")(key.key)
app.command("index")(index.index)
app.command("search")(search.search)
app.command("embed")(embed.embed)
app.command("convert-regions")(convert_regions.convert_regions)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("verify")(verify.verify)
app.command("rebuild")(rebuild.rebuild)
app.command("migrate")(migrate.migrate)
app.command("backup")(backup.backup)
app.command("restore")(restore.restore)
app.command("compact")(compact.compact)


def main() -> None:
    """Runs a command. Exit status: 0 done, 1 the work failed, 2 the call is wrong."""
    try:
        app(prog_name="sightline")
    except LockedError as error:
        typer.echo(f"sightline: {error}; stop the service or the command that has it", err=True)
        sys.exit(FAILED)
    except (ServiceError, ModelError, StoreError, OSError) as error:
        typer.echo(f"sightline: {error}", err=True)
        sys.exit(FAILED)
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        typer.echo("sightline: stopped; what was stored stays", err=True)
        sys.exit(FAILED)
