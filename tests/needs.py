"""What a test needs that is not everywhere. CI has it, so there the lack of it fails."""

import importlib
import os
from types import ModuleType
from typing import NoReturn

import pytest


def lacks(reason: str) -> NoReturn:
    """Skips a test, or a module that is being imported; fails it where `CI` is set."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


def module(name: str) -> ModuleType:
    """A package that the tests can do without."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        lacks(f"the package {name} is missing ({error})")
