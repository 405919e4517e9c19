"""Many texts as two tensors, as the parsers among the operators take them."""

from collections.abc import Sequence

import numpy as np
import torch

_AT_ONCE = 64  # texts copied together: large temporary strings cost more in fresh memory pages than the copying does


def pack_texts(texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """The texts in UTF-8 (C,) uint8, and where each begins (N + 1,) int64. Raises TypeError for what is no str."""
    try:
        ascii_only = all(map(str.isascii, texts))
    except TypeError:
        row = next(row for row, text in enumerate(texts) if not isinstance(text, str))
        raise TypeError(f"texts[{row}]: expected str, got {type(texts[row]).__name__}") from None
    parts = texts if ascii_only else [text.encode("utf-8", "surrogatepass") for text in texts]
    offsets_N1 = np.zeros(len(parts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)), out=offsets_N1[1:])
    text_C = torch.empty(int(offsets_N1[-1]), dtype=torch.uint8)
    data = memoryview(text_C.numpy())
    for first in range(0, len(parts), _AT_ONCE):
        some = parts[first : first + _AT_ONCE]
        joined = "".join(some).encode() if ascii_only else b"".join(some)
        data[offsets_N1[first] : offsets_N1[first] + len(joined)] = joined
    return text_C, torch.from_numpy(offsets_N1)
