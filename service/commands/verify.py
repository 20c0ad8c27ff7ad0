"""`sightline verify`: whether a data directory holds what was written."""

from service.commands.findings import tell
from service.commands.options import AsJson, Bundle, DataDir, settings_from

EXAMPLE = "sightline verify --data-dir data/holiday"


def verify(data_dir: DataDir = None, bundle: Bundle = None, as_json: AsJson = False) -> None:
    """Read everything back, compare vectors with the catalog; exit status 1 if they differ."""
    settings = settings_from(data_dir=data_dir, bundle=bundle, device="cpu")

    from service.commands.opening import opened_again
    from service.progress import waiting

    with opened_again(settings) as collection, waiting(f"reading {settings.data_dir}"):
        report = collection.index.verify()
    tell(report, "{counts}: all in order" if report.ok else "{counts}: damaged", as_json)
