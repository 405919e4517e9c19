"""When to stop early."""

from videostr.grpo.config import PlateauConfig


def reached_plateau(history: list[dict], config: PlateauConfig) -> bool:
    """True when reward and group std of the last window differ from the window before by no more than the tolerance.

    After TimeLens (papers.md A5): training on stops paying when neither moves.
    """
    window = config.window
    if not window or len(history) < 2 * window:
        return False

    def moved(key: str) -> float:
        values = [row[key] for row in history[-2 * window :] if key in row]
        half = len(values) // 2
        return abs(sum(values[half:]) / (len(values) - half) - sum(values[:half]) / half) if half else float("inf")

    return moved("reward") <= config.tolerance and moved("group_std") <= config.tolerance
