"""`sightline serve`: the REST service and the web page."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.options import Bundle, CodecName, DataDir, DeviceName, settings_from

if TYPE_CHECKING:
    from service.collection import Collection

EXAMPLE = "sightline serve --data-dir data --port 8000"


def serve(
    data_dir: DataDir = None,
    bundle: Bundle = None,
    device: DeviceName = None,
    codec: CodecName = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default=False)
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.", show_default=False)
    ] = None,
    gallery: Annotated[
        bool, typer.Option("--gallery", help="Put the sample gallery into the collection first.")
    ] = False,
) -> None:
    """Serve searches, the collection and the web page until Ctrl-C."""
    settings = settings_from(
        data_dir=data_dir, bundle=bundle, device=device, codec=codec, host=host, port=port
    )

    from service import server

    def announce(address: str) -> None:
        typer.echo(f"Sightline answers at {address} (documentation: {address}/docs)")

    server.serve(settings, _fill_gallery if gallery else _leave, announce)


def _leave(_: "Collection") -> None:
    """Prepares nothing."""


def _fill_gallery(collection: "Collection") -> None:
    from service.gallery.load import load_gallery
    from service.progress import progress

    with progress("gallery") as advance:
        load_gallery(collection, advance)
