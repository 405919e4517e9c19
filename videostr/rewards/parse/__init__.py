"""Text -> structured answer: a parser a file, each in time linear in the text; none raises for what the text holds."""

from videostr.rewards.parse.answer import read_answer
from videostr.rewards.parse.boxes import ParsedBox, ParsedTube, parse_box, parse_tube
from videostr.rewards.parse.choice import ParsedChoice, parse_choice
from videostr.rewards.parse.interval import MODES, Mode, ParsedInterval, find_interval, parse_interval
from videostr.rewards.parse.intervals import ParsedIntervals, find_intervals, parse_intervals
from videostr.rewards.parse.number import ParsedNumber, parse_number
from videostr.rewards.parse.reasons import REASONS
from videostr.rewards.parse.segments import ParsedSegments, parse_segments
from videostr.text.tags import Section, find_section
from videostr.text.tolerant_json import Json, read_json

__all__ = [
    "MODES",
    "REASONS",
    "Json",
    "Mode",
    "ParsedBox",
    "ParsedChoice",
    "ParsedInterval",
    "ParsedIntervals",
    "ParsedNumber",
    "ParsedSegments",
    "ParsedTube",
    "Section",
    "find_interval",
    "find_intervals",
    "find_section",
    "parse_box",
    "parse_choice",
    "parse_interval",
    "parse_intervals",
    "parse_number",
    "parse_segments",
    "parse_tube",
    "read_answer",
    "read_json",
]
