"""One process a data directory."""

import fcntl
import os
from pathlib import Path

from index.errors import LockedError


class FolderLock:
    """Held from construction to `release`, or until the process ends, however it ends.

    Raises LockedError naming the process that holds it, OSError when the file can't be made.
    """

    def __init__(self, folder: Path) -> None:
        # flock and not a POSIX record lock: it also keeps out a second opening by this process,
        # and closing some other descriptor of the file doesn't drop it.
        self._descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise LockedError(f"{folder} is open in another process (pid {holder})") from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Lets the next process in. The file stays: removing it would let two in at once."""
        os.close(self._descriptor)
