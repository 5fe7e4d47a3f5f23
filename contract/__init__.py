"""What travels between API, queue and workers: requests, answers, problems, key names. pydantic only."""

__version__ = "0.1.0"
