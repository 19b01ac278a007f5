"""Kaggle without surprises: find a competition's data, download it, write and check a submission.

>>> from utils import kaggle
>>> folder = kaggle.locate("state-farm-distracted-driver-detection")     # or None
>>> kaggle.log_loss(labels, probabilities, clip=0.93)                    # before you submit
>>> kaggle.write_submission("submission.csv.gz", ids, probabilities, sample=sample, clip=0.93)

Only `download` touches the network, by the package kagglehub, which is optional.
"""

from utils.kaggle.archives import unpack_zips
from utils.kaggle.competition import CompetitionUnavailable, download, locate
from utils.kaggle.scores import clip_probabilities, log_loss
from utils.kaggle.submissions import (
    InvalidSubmission,
    SampleSubmission,
    read_sample_submission,
    validate_submission,
    write_submission,
)

__all__ = [
    "CompetitionUnavailable",
    "InvalidSubmission",
    "SampleSubmission",
    "clip_probabilities",
    "download",
    "locate",
    "log_loss",
    "read_sample_submission",
    "unpack_zips",
    "validate_submission",
    "write_submission",
]
