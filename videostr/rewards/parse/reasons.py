"""Why an answer earns what it earns: one code a completion and parser."""

REASONS = (
    "ok",
    # tags
    "no_tag",  # no closed pair of the tag outside the thinking
    "unclosed_tag",  # the tag without its closing one: most often an answer cut off by the length limit
    "unclosed_think",  # <think> without </think>: cut off while thinking, no answer exists
    "empty",  # the tag says nothing
    "too_long",  # more text inside the tag than any answer of its kind takes
    # numbers and times
    "bad_number",  # something that is not the number, or the two times, that was asked for
    "not_finite",  # NaN, infinity, or a number too large for one
    "negative",
    "reversed",  # the end before the start, or a box's right side left of its left one
    "zero_length",  # the end equal to the start; a box without area
    # choices
    "ambiguous",  # several answers at once
    "no_choice",  # neither a letter nor the text of an option
    "out_of_range",  # a letter beyond the options
    # structures
    "bad_json",  # nothing like a JSON value
    "too_deep",  # nested deeper than any answer is
    "bad_box",  # no four numbers
    "no_nodes",  # a graph without a single object that has a class and a position
    "not_asked",  # this completion's sample has no truth for the term; not the model's fault
    # an answer is there, without format credit
    "no_think",  # no <think> … </think> begins the text
    "empty_think",  # the same, with nothing said inside it
    "unexpected_think",  # thinking where none was asked for
    "bad_format",  # the tags are there, but something stands before, between or behind them, or one stands twice
    "no_timestamps",  # MUSEG: the thinking does not mention the answer's times
)
"""Every reason code. From "no_think" on there is an answer, without (full) format credit."""
