"""Sample file -> what ms-swift, TRL, verl and EasyR1 train on. See docs/data.md."""

from videostr.data.export.rows import FORMATS, Format
from videostr.data.export.write import ExportError, export

__all__ = ["FORMATS", "ExportError", "Format", "export"]
