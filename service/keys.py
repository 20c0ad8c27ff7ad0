"""API keys: how they are made, kept as digests, read at start, and recognised.

An entry is a line `name access sha256:digest`. The key itself is nowhere but with who uses it.
"""

import hashlib
import hmac
import logging
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from service.errors import StartError
from service.settings import Settings

log = logging.getLogger(__name__)

Access = Literal["read", "write"]

KEY_PREFIX = "sl_"
KEY_BYTES = 32
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
DIGEST = re.compile(r"sha256:([0-9a-fA-F]{64})")
VARIABLE = "SIGHTLINE_KEYS"


@dataclass(frozen=True)
class Key:
    """What the service knows of a key. digest: SHA-256 of the key, 32 bytes."""

    name: str
    access: Access
    digest: bytes

    @property
    def line(self) -> str:
        """The entry as it is stored."""
        return f"{self.name} {self.access} sha256:{self.digest.hex()}"

    def may(self, access: Access) -> bool:
        """Whether the key is enough; one that may write may read."""
        return self.access in (access, "write")


@dataclass(frozen=True)
class Keyring:
    """The keys that the service accepts; without any, nobody is asked for one."""

    keys: tuple[Key, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys)

    def find(self, presented: bytes) -> Key | None:
        """The key that was presented; None if there is no such key.

        Every digest is compared, each in constant time, so the time tells nothing about any.
        """
        digest = digest_of(presented)
        found = None
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found


def new_key() -> str:
    """A random key of 256 bits."""
    return KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)


def digest_of(key: bytes) -> bytes:
    """What is stored of a key. Its 256 random bits can't be guessed, so a fast hash is enough."""
    return hashlib.sha256(key).digest()


def read_keyring(settings: Settings) -> Keyring:
    """The keys of the file and of the variable that the settings name.

    Raises StartError, which names the place, for what can't be read, is no entry, or is there
    twice, and for a file or a variable without a key: nobody is to be let in by mistake.
    """
    keys: list[Key] = []
    if settings.keys_file is not None:
        keys += _some(read_keys_file(settings.keys_file), f"keys file {settings.keys_file}")
    if settings.keys is not None:
        keys += _some(_parsed(_entries_of_variable(settings.keys), VARIABLE), VARIABLE)
    return Keyring(_distinct(keys))


def read_keys_file(path: Path) -> tuple[Key, ...]:
    """The keys of a file, which may have none. Raises StartError; warns when others may read."""
    try:
        text = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise StartError(f"keys file {path}: {words}") from error
    if mode & (stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH):
        log.warning(
            "keys file %s is open to other users (mode %o); it should be 600",
            path,
            stat.S_IMODE(mode),
        )
    lines = ((f"line {number}", line) for number, line in enumerate(text.splitlines(), start=1))
    return _parsed(lines, str(path))


def parse_key(entry: str) -> Key:
    """An entry as a key. Raises ValueError with what is wrong; the entry itself isn't repeated."""
    parts = entry.split()
    if len(parts) != 3:
        raise ValueError(f"expected `name access sha256:digest`, not {len(parts)} words")
    name, access, digest = parts
    if not NAME.fullmatch(name):
        raise ValueError("a name has 1 to 64 letters, digits, dots, dashes and underscores")
    if access not in get_args(Access):
        raise ValueError(f"the access of {name} is {access!r}; it can be read or write")
    hexadecimal = DIGEST.fullmatch(digest)
    if hexadecimal is None:
        raise ValueError(
            f"the digest of {name} is not `sha256:` and 64 hexadecimal digits; "
            "`sightline key` makes a key and its entry"
        )
    return Key(name, access, bytes.fromhex(hexadecimal[1]))  # type: ignore[arg-type]


def _entries_of_variable(text: str) -> Iterator[tuple[str, str]]:
    for number, entry in enumerate(re.split(r"[,\n]", text), start=1):
        yield f"entry {number}", entry


def _parsed(entries: Iterable[tuple[str, str]], source: str) -> tuple[Key, ...]:
    keys: dict[str, Key] = {}
    for place, entry in entries:
        if not entry.strip() or entry.lstrip().startswith("#"):
            continue
        try:
            key = parse_key(entry)
        except ValueError as error:
            raise StartError(f"{source}, {place}: {error}") from error
        if key.name in keys:
            raise StartError(f"{source}, {place}: there is a key named {key.name} already")
        keys[key.name] = key
    return tuple(keys.values())


def _some(keys: tuple[Key, ...], source: str) -> tuple[Key, ...]:
    if not keys:
        raise StartError(f"{source} holds no key; `sightline key NAME` makes one")
    return keys


def _distinct(keys: list[Key]) -> tuple[Key, ...]:
    names = [key.name for key in keys]
    for name in names:
        if names.count(name) > 1:
            raise StartError(f"there is a key named {name} in the keys file and in {VARIABLE}")
    return tuple(keys)
