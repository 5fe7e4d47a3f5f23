"""The types shared by API, queue and workers: requests, answers, problems, key names. Needs only pydantic."""

__version__ = "0.1.0"
