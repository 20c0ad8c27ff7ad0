"""What looking through a data directory found, told in the terminal."""

import json

import typer

from index.records import Report


def tell(report: Report, summary: str, as_json: bool) -> None:
    """Prints the report; exit status 1 if it holds problems. summary: `{counts}` is filled in."""
    if as_json:
        typer.echo(json.dumps({"items": report.items, "problems": report.problems}))
    else:
        for problem in report.problems:
            typer.echo(problem, err=True)
        counts = ", ".join(f"{count:,} {kind}s" for kind, count in report.items.items())
        typer.echo(summary.format(counts=counts))
    if not report.ok:
        raise typer.Exit(1)
