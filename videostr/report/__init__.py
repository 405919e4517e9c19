"""Looking at a run: plots, film strips with intervals, one page."""

from videostr.report.page import write_report
from videostr.report.picture import readme_picture
from videostr.report.run import Run, read_run

__all__ = ["Run", "read_run", "readme_picture", "write_report"]
