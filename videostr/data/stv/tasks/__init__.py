"""A file a task: (what to ask about) -> questions. What is not asked is counted with a reason of `question.FILTERS`."""

from videostr.data.stv.tasks.counting import object_counting
from videostr.data.stv.tasks.direction import relative_direction
from videostr.data.stv.tasks.distance import relative_distance
from videostr.data.stv.tasks.localisation import object_localisation
from videostr.data.stv.tasks.motion import displacement, motion_tracking
from videostr.data.stv.tasks.order import appearance_order
from videostr.data.stv.tasks.size import object_size

ASKERS = {
    "object counting": object_counting,
    "relative direction": relative_direction,
    "relative distance": relative_distance,
    "appearance order": appearance_order,
    "object size": object_size,
    "motion tracking": motion_tracking,
    "object localisation": object_localisation,
    "displacement": displacement,
}

__all__ = ["ASKERS"]
