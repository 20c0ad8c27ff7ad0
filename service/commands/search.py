"""`sightline search`: both directions, in the terminal."""

import errno
import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.options import (
    AsJson,
    Bundle,
    DataDir,
    DeviceName,
    Key,
    Url,
    one_of,
    settings_from,
)
from service.fields import MAX_RESULTS
from service.photos import ENDINGS

if TYPE_CHECKING:
    from service.answers import SearchResponse, SearchResult
    from sightline_client.searches import Options

EXAMPLE = 'sightline search "two dogs in the snow" -k 5 --data-dir data/holiday'


def search(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="Words, or the path of a picture.")],
    k: Annotated[int, typer.Option("-k", min=1, max=MAX_RESULTS, help="Results.")] = 10,
    rerank: Annotated[bool, typer.Option(help="Compare words with regions.")] = True,
    explain: Annotated[bool, typer.Option("--explain", help="Show what each word saw.")] = False,
    data_dir: DataDir = None,
    url: Url = None,
    key: Key = None,
    bundle: Bundle = None,
    device: DeviceName = None,
    as_json: AsJson = False,
) -> None:
    """Find pictures for words, or sentences for a picture."""
    local = {"data_dir": data_dir, "bundle": bundle, "device": device}
    one_of(context, url, **local)
    picture = _picture(query)
    options: Options = {"k": k, "rerank": rerank, "explain": explain}

    from service.asking import ask_collection, ask_service
    from service.commands.opening import opened_again
    from service.remote import connected

    if url is not None:
        with connected(url, key) as client:
            found = ask_service(client, query, picture, options)
    else:
        with opened_again(settings_from(**local)) as collection:
            found = ask_collection(collection, query, picture, options)
    typer.echo(found.model_dump_json(indent=2) if as_json else _page(found))


def _picture(query: str) -> Path | None:
    """The file that is meant; None for words. Refuses what may be a path, but of no picture."""
    path = Path(query)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        wrong = "no such file" if path.suffix.lower() in ENDINGS else None
    except ValueError:  # with a NUL, so no path
        return None
    except OSError as error:
        # A sentence may be longer than the name of any file.
        wrong = None if error.errno == errno.ENAMETOOLONG else error.strerror
    else:
        if stat.S_ISREG(mode):
            return path
        # "dogs" are words, also where a folder has that name.
        wrong = "not a file" if "/" in query or path.suffix.lower() in ENDINGS else None
    if wrong is not None:
        raise typer.BadParameter(
            f"{query}: {wrong}; with a space behind them, '{query} ', these are words to find",
            param_hint="QUERY",
        )
    return None


def _page(found: "SearchResponse") -> str:
    lines = [_line(place, result) for place, result in enumerate(found.results, start=1)]
    if found.no_match:
        lines.append("nothing here matches well; these are the nearest" if lines else "nothing yet")
    took = found.took_ms
    lines.append(
        f"{found.reranked} of {found.candidates} candidates re-ranked in {took.total:.0f} ms "
        f"(encode {took.encode:.0f}, search {took.search:.0f}, fetch {took.fetch:.0f}, "
        f"rerank {took.rerank:.0f})"
    )
    return "\n".join(lines)


def _line(place: int, result: "SearchResult") -> str:
    name = result.text or result.metadata.get("file") or result.metadata.get("title") or ""
    line = f"{place:4}  {result.probability:6.1%}  {result.id}  {name}".rstrip()
    for word in result.explanation.words if result.explanation else ():
        line += f"\n{'':14}{word.text:16} {word.score:6.3f}"
        if word.regions:
            line += f"  {json.dumps(word.regions[0].box)}"
    return line
