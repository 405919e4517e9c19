"""Looking at a run: plots, film strips with intervals, one page; and at questions with answers."""

from videostr.report.page import write_report
from videostr.report.picture import readme_picture
from videostr.report.run import Run, read_run
from videostr.report.stv import write_stv_page

__all__ = ["Run", "read_run", "readme_picture", "write_report", "write_stv_page"]
