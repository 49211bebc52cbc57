"""Masks: images whose levels are the ids of classes, read as they lie in the file."""

from __future__ import annotations

import io

import numpy as np

from augment.codec.formats import file_format
from augment.codec.rejection import DecodeError, Rejection, check_size, corrupt

_STRETCHED = {"L;2": 85, "L;4": 17}
"""By how much Pillow multiplies gray levels of 2 and 4 bits."""
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")


def decode_mask(contents: bytes) -> np.ndarray:
    """An image file's bytes as uint8 [H, W]: the ids that stand in it.

    Of a palette those are the indices, whatever its colors; 16 bits are taken where no id is above 255.
    Raises DecodeError for a lossy file, for one in color, and for all that `decode` refuses.
    """
    from PIL import PngImagePlugin, TiffImagePlugin

    from augment.codec.pillow import refusing

    form = file_format(contents)
    readers = {"PNG": PngImagePlugin.PngImageFile, "TIFF": TiffImagePlugin.TiffImageFile}
    if form not in readers:
        raise DecodeError(
            Rejection(
                "unsupported", f"a mask must be PNG or TIFF, which keep ids; it is {form or 'no image'}"
            )
        )
    with refusing(form, lambda _: corrupt(form)), readers[form](io.BytesIO(contents)) as file:
        check_size(form, *file.size, longest=1_000_000)
        stretched = _STRETCHED.get(str(file.tile[0][3]) if file.tile else "", 1)
        file.load()
        if file.mode in ("L", "P", "1"):
            return np.asarray(file).astype(np.uint8) // np.uint8(stretched)
        if file.mode in _SIXTEEN_BITS:
            ids = np.asarray(file)
            if ids.size and not 0 <= ids.min() <= ids.max() <= 255:
                raise DecodeError(
                    Rejection("unsupported", f"a mask of 16 bits with id {ids.max()}; ids go up to 255")
                )
            return ids.astype(np.uint8)
    raise DecodeError(
        Rejection(
            "unsupported",
            f"a mask with pixels of mode {file.mode}; ids are gray levels or a palette's indices",
        )
    )
