"""`sightline rebuild`: everything derived, made again from the catalog."""

from service.commands.findings import tell
from service.commands.options import AsJson, Bundle, DataDir, settings_from

EXAMPLE = "sightline rebuild --data-dir data/holiday"


def rebuild(data_dir: DataDir = None, bundle: Bundle = None, as_json: AsJson = False) -> None:
    """Make the vectors again from the catalog; exit status 1 if the catalog itself is damaged."""
    settings = settings_from(data_dir=data_dir, bundle=bundle, device="cpu")

    from service.commands.opening import opened_again
    from service.progress import waiting

    with opened_again(settings) as collection, waiting(f"rebuilding {settings.data_dir}"):
        report = collection.index.rebuild()
    tell(report, "rebuilt: {counts}", as_json)
