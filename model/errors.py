"""Everything that this room raises.

ModelError
├── WeightsError        pretrained weights missing or not the ones that were named
├── PictureError        bytes that are not a picture we can read
│   └── PictureTooLargeError
├── DataError           a caption data set that can't be read (names file and line), or arrays of it
│                       that the disk has no room for
├── ConfigError         a size or an option out of its range
├── PackedNodesError    nodes that can't be packed, or bytes that packed nodes are not made of
└── BundleError         a bundle that is incomplete, damaged or of another format
"""


class ModelError(Exception):
    """Base of the errors of the model room."""


class WeightsError(ModelError):
    """Pretrained weights are missing or are not the ones that were named."""


class PictureError(ModelError):
    """The bytes are not a picture that can be read."""


class PictureTooLargeError(PictureError):
    """The picture has more bytes or pixels than the limit."""


class DataError(ModelError):
    """A data set can't be read, or its arrays not be kept; the message names file and line."""


class ConfigError(ModelError):
    """A size or an option is out of its range."""


class PackedNodesError(ModelError):
    """Nodes can't be packed, or the bytes are not those of packed nodes that fit together."""


class BundleError(ModelError):
    """A bundle is incomplete, damaged, or of another format."""
