"""The lessons' workbooks, written anew: live formulas, with their values beside them.

Whoever opens one in Excel or LibreOffice changes a framed number and watches it run through; a
viewer that computes nothing shows the values that NumPy put there.
"""

from utils.spreadsheets._book import position, read_workbook
from utils.spreadsheets.collaborative_filtering import write_collaborative_filtering
from utils.spreadsheets.convolutions import write_convolutions
from utils.spreadsheets.optimizers import write_optimizers

__all__ = [
    "position",
    "read_workbook",
    "write_collaborative_filtering",
    "write_convolutions",
    "write_optimizers",
]
