"""What a sample has to pass before a model is trained on it. See docs/curation.md."""

from videostr.data.curation.cold_start import Answer, CurationResult, filter_cold_start
from videostr.data.curation.contamination import Contamination, video_key
from videostr.data.curation.run import curate, side_files, to_text
from videostr.data.curation.similar import Duplicates, SentenceIndex
from videostr.data.curation.step import Step
from videostr.data.curation.text import Language, Length

__all__ = [
    "Answer",
    "Contamination",
    "CurationResult",
    "Duplicates",
    "Language",
    "Length",
    "SentenceIndex",
    "Step",
    "curate",
    "filter_cold_start",
    "side_files",
    "to_text",
    "video_key",
]
