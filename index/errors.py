"""Everything that this room raises.

StoreError
├── RecordError         an id, record, metadata or tag refused at the door (names field and limit)
├── QueryError          a search, a page or an option out of its range
│   └── FilterError     a filter that can't be read (names the field and the operator)
├── FingerprintError    the rows were made by another model
├── CodecError          the arrays were stored by another codec than the one that is asked for
├── StagingError        a switch to a model for which not every item is staged
├── FormatError         the data directory has a format that this version doesn't know
├── LockedError         another process has the data directory open
├── DamagedError        stored bytes are not the ones that were written
├── StorageError        the disk refuses: read-only, no such folder, I/O error
│   └── StorageFullError
├── DeviceError         the device that was asked for is not there
└── ClosedError         the index was closed
"""


class StoreError(Exception):
    """Base of the errors of the index room."""


class RecordError(StoreError):
    """An id, record, metadata or tag was refused at the door; names the field and its limit."""


class QueryError(StoreError):
    """A search, a page or an option is out of its range."""


class FilterError(QueryError):
    """A filter can't be read; names the place in it, the field and the operator.

    pointer: that place, as a JSON pointer into the filter. words: the message without it.
    """

    def __init__(self, pointer: str, words: str) -> None:
        super().__init__(f"filter{pointer}: {words}")
        self.pointer = pointer
        self.words = words


class FingerprintError(StoreError):
    """The rows of the data directory were made by another model."""


class CodecError(StoreError):
    """The arrays of the data directory were stored by another codec than the one asked for."""


class StagingError(StoreError):
    """A switch to another model for which not every item is staged."""


class FormatError(StoreError):
    """The data directory has a format that this version doesn't know."""


class LockedError(StoreError):
    """Another process has the data directory open."""


class DamagedError(StoreError):
    """Stored bytes are not the ones that were written."""


class StorageError(StoreError):
    """The disk refuses: read-only, no such folder, I/O error."""


class StorageFullError(StorageError):
    """No space is left on the disk."""


class DeviceError(StoreError):
    """The device that was asked for is not there."""


class ClosedError(StoreError):
    """The index was closed."""
