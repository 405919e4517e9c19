"""Readers of the public sets: a set's own files -> samples. See docs/data.md."""

from videostr.data.readers.convert import convert, side_files, to_text
from videostr.data.readers.sources import SourceError, load_durations
from videostr.data.readers.table import READERS, get_reader

__all__ = ["READERS", "SourceError", "convert", "get_reader", "load_durations", "side_files", "to_text"]
