"""The names of series, whole numbers or texts, as numeric codes, because tensors hold numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regression.common.collectives import all_gather_objects
from regression.common.errors import DataError
from regression.readers.source import FilePath

__all__ = ["Labels"]

LIMIT = 2**63  # whole numbers from here on are not int64


class Labels:
    """Codes of names: a whole number is its own code, the code of a text is its place in the order of appearance.

    The order is that of this process, until ``share`` makes the codes the same in all processes.
    """

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._are_texts: bool | None = None

    def expect(self, path: FilePath, are_texts: bool) -> None:
        """Record what kind of names a file has.

        Args:
            path: The file.
            are_texts: Whether they are texts.

        Raises:
            DataError: If another file has the other kind.
        """
        if are_texts is not (are_texts if self._are_texts is None else self._are_texts):
            kinds = ("texts", "whole numbers")[:: 1 if are_texts else -1]
            raise DataError(f"{path} names series by {kinds[0]}, and another file by {kinds[1]}: use one kind")
        self._are_texts = are_texts

    def codes(self, column: Any) -> NDArray[np.float64]:
        """Return the codes of a column of names as float64, NaN for missing ones.

        Args:
            column: A pyarrow array of texts.
        """
        from pyarrow import compute

        encoded = column if hasattr(column, "indices") else column.dictionary_encode()
        known = self._codes
        own = [known.setdefault(text, len(known)) for text in encoded.dictionary.to_pylist()]
        places = compute.fill_null(encoded.indices, len(own)).to_numpy(zero_copy_only=False)
        codes: NDArray[np.float64] = np.array([*own, np.nan])[places]
        return codes

    def share(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Make the codes the same in all processes, which must all call it; return given codes as the new ones."""
        parts = all_gather_objects(list(self._codes))
        if len(parts) == 1 or not any(parts):
            return codes
        before = list(self._codes)
        self._codes = {text: place for place, text in enumerate(dict.fromkeys(text for part in parts for text in part))}
        new_codes = np.array([self._codes[text] for text in before], dtype=np.int64)
        return new_codes[codes] if len(codes) else codes

    def names(self, codes: NDArray[np.int64]) -> tuple[Any, NDArray[np.int64]]:
        """Return the names of codes in ascending order, and the positions of the codes in that order.

        Texts are sorted as whole numbers if all of them are such, otherwise by their characters.

        Args:
            codes: Different codes, shape (S,).
        """
        if not self._codes:
            if (codes[1:] > codes[:-1]).all():
                return codes, np.arange(len(codes))
            order = np.argsort(codes)
            return codes[order], order
        known = list(self._codes)
        texts = [known[code] for code in codes.tolist()]
        if all(map(_is_whole, texts)):
            numbers = np.array(list(map(int, texts)), dtype=np.int64)
            order = np.argsort(numbers)
            return numbers[order], order
        order = np.array(sorted(range(len(texts)), key=texts.__getitem__), dtype=np.int64)
        return [texts[place] for place in order.tolist()], order


def _is_whole(text: str) -> bool:
    """Tell whether a text is an int64 number in its usual form, without a plus sign or leading zeros."""
    digits = text.removeprefix("-")
    plain = digits.isascii() and digits.isdecimal() and len(digits) < 20 and text != "-0"
    return plain and (digits == "0" or digits[0] != "0") and -LIMIT <= int(text) < LIMIT
