"""The types shared by API, queue and workers: requests, answers, problems, key names. Needs only pydantic."""

from pydantic import BaseModel, ConfigDict

__version__ = "0.1.0"


class Frozen(BaseModel):
    """The base of what travels: its fields cannot be assigned."""

    model_config = ConfigDict(frozen=True)
