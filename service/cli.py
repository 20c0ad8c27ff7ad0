"""The command line. One file a command in `service/commands/`; this one lists them.

torch takes two seconds to import, so commands import the model when they run, not before:
`--help` and wrong calls answer at once.
"""

import io
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
EXAMPLE_OF = "Example: "

app = typer.Typer(
    name="sightline",
    help="Finds photos with sentences and sentences with photos.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve", epilog=EXAMPLE_OF + serve.EXAMPLE)(serve.serve)
app.command("key", epilog=EXAMPLE_OF + key.EXAMPLE)(key.key)
app.command("index", epilog=EXAMPLE_OF + index.EXAMPLE)(index.index)
app.command("search", epilog=EXAMPLE_OF + search.EXAMPLE)(search.search)
app.command("embed", epilog=EXAMPLE_OF + embed.EXAMPLE)(embed.embed)
app.command("convert-regions", epilog=EXAMPLE_OF + convert_regions.EXAMPLE)(
    convert_regions.convert_regions
)
app.command("train", epilog=EXAMPLE_OF + train.EXAMPLE)(train.train)
app.command("evaluate", epilog=EXAMPLE_OF + evaluate.EXAMPLE)(evaluate.evaluate)
app.command("export", epilog=EXAMPLE_OF + export.EXAMPLE)(export.export)
app.command("verify", epilog=EXAMPLE_OF + verify.EXAMPLE)(verify.verify)
app.command("rebuild", epilog=EXAMPLE_OF + rebuild.EXAMPLE)(rebuild.rebuild)
app.command("migrate", epilog=EXAMPLE_OF + migrate.EXAMPLE)(migrate.migrate)
app.command("backup", epilog=EXAMPLE_OF + backup.EXAMPLE)(backup.backup)
app.command("restore", epilog=EXAMPLE_OF + restore.EXAMPLE)(restore.restore)
app.command("compact", epilog=EXAMPLE_OF + compact.EXAMPLE)(compact.compact)


def main() -> None:
    """Runs a command.

    Exit status: 0 done, 1 the work failed, 2 the call is wrong, 3 done but for what was left out.
    """
    for stream in (sys.stdout, sys.stderr):
        # A file's name may hold what no encoding can.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
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
