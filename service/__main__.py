"""`python -m service` is `sightline`."""

from service.cli import main

main()
