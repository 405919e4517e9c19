"""Chains of thought from a model behind an OpenAI-compatible HTTP interface. See docs/curation.md."""

from videostr.data.annotate.cost import Prices
from videostr.data.annotate.journal import Journal, JournalError
from videostr.data.annotate.run import AnnotateError, Settings, annotate, side_files

__all__ = ["AnnotateError", "Journal", "JournalError", "Prices", "Settings", "annotate", "side_files"]
