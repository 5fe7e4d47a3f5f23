"""A client of the HTTP API: submit, follow, fetch."""

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx
from httpx_sse import connect_sse
from pydantic import BaseModel, ValidationError

from contract.jobs import Job, Progress
from contract.models import ModelInfo, ModelList
from contract.problems import Problem
from contract.version import __version__
from radii.retry import Patience

Model = TypeVar("Model", bound=BaseModel)

_TIMEOUT = httpx.Timeout(10, read=40)


class ClientError(Exception):
    """The server refused, or none answered. The text is for people; `problem` is what the server said."""

    def __init__(self, message: str, problem: Problem | None = None) -> None:
        super().__init__(message)
        self.problem = problem


class Client:
    """Talks to one server, and asks again when it is busy. Use as a context manager."""

    def __init__(self, url: str, api_key: str | None, patience: Patience) -> None:
        self.url = url.rstrip("/")
        self._patience = patience
        headers = {"X-API-Key": api_key} if api_key else {}
        try:
            _ = urlsplit(self.url).port  # refuses what is no port, which httpx would try to reach
            self._http = httpx.Client(base_url=self.url, timeout=_TIMEOUT, headers=headers)
        except (httpx.InvalidURL, ValueError) as error:
            raise ClientError(f"'url' must be the address of a server, got {url!r}: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def submit(self, path: str, image: Path, fields: Mapping[str, object]) -> Job:
        """Sends an image to ``/certify`` or ``/predict``; None is left out, a list repeats its field.

        However often it has to be sent, it makes one job.
        """
        form = {name: _form_value(value) for name, value in fields.items() if value is not None}
        try:
            content = image.read_bytes()
        except OSError as error:
            raise ClientError(
                f"'image' must be a file that can be read, got {str(image)!r}: {error.strerror}"
            ) from error
        sent: dict[str, Any] = {"data": form, "files": {"image": (image.name, content)}}
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        return _parse(Job, self._request("POST", path, headers=headers, **sent))

    def follow(self, job: Job, on_progress: Callable[[Progress], None]) -> Job:
        """Waits until the job is final, telling of its progress; goes on where a lost connection stopped.

        When a stream ends early, the job itself is asked for; a refusal says why. A server that is away, as
        while it is started again, is waited for as one that is busy.

        Raises:
            ClientError: It refuses, or stays away; the job, which goes on without us, is named.
        """
        try:
            return self._follow(job, on_progress)
        except ClientError as error:
            raise ClientError(
                f"{error}\njob {job.id} was accepted, and is not given up", error.problem
            ) from error

    def _follow(self, job: Job, on_progress: Callable[[Progress], None]) -> Job:
        last_event: str | None = None
        while not job.status.final:
            headers = {"Last-Event-ID": last_event} if last_event else {}
            try:
                with connect_sse(self._http, "GET", job.links.events, headers=headers) as events:
                    for event in events.iter_sse():
                        last_event = event.id or last_event
                        if event.event == "progress":
                            on_progress(_parse(Progress, event.data))
                        elif event.event == "job":
                            return _parse(Job, event.data)
            except httpx.TransportError:
                pass  # the next request says why
            job = _parse(Job, self._request("GET", f"/jobs/{job.id}", patient=True, params={"wait": 1}))
        return job

    def job(self, job_id: str, wait: int = 0) -> Job:
        """Returns the state of a job, after ``wait`` seconds or as soon as it is final."""
        return _parse(Job, self._request("GET", f"/jobs/{job_id}", params={"wait": wait}))

    def cancel(self, job_id: str) -> None:
        """Gives a job up."""
        self._request("DELETE", f"/jobs/{job_id}")

    def models(self) -> ModelList:
        """Returns every model that the server knows."""
        return _parse(ModelList, self._request("GET", "/models"))

    def model(self, name: str) -> ModelInfo:
        """Returns one model."""
        return _parse(ModelInfo, self._request("GET", f"/models/{name}"))

    def _request(self, method: str, path: str, *, patient: bool = False, **arguments: Any) -> bytes:
        """Returns what a request is answered with; where the server was there before, it is waited for."""
        while True:
            try:
                response = self._http.request(method, path, **arguments)
            except httpx.TransportError as error:
                if patient and self._patience.wait_for_return(f"no radii server answers at {self.url}"):
                    continue
                raise ClientError(
                    f"no radii server answers at {self.url}: start one with `radii serve`"
                ) from error
            if response.is_success:
                return response.content
            refusal = _refusal(response)
            kind = refusal.problem.code if refusal.problem else response.status_code
            if not self._patience.wait(response, kind, str(refusal)):
                raise refusal


def _form_value(value: object) -> str | list[str]:
    if isinstance(value, bool):
        return str(value).lower()
    return [str(item) for item in value] if isinstance(value, list | tuple) else str(value)


def _parse(kind: type[Model], content: str | bytes) -> Model:
    """Reads an answer; a server of another version may send what this one does not know."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise ClientError(
            f"the server's answer is not understood (at '{where}'): is it of this version, {__version__}?"
        ) from error


def _refusal(response: httpx.Response) -> ClientError:
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return ClientError(f"the server answered {response.status_code}: {response.text[:200]}")
    return ClientError(describe(problem), problem)


def describe(problem: Problem) -> str:
    """Returns a problem in words."""
    fields = [f"{error.pointer}: {error.message}" for error in problem.errors]
    return "\n".join(
        [f"{problem.title}: {problem.detail}", *(line for line in fields if problem.detail not in line)]
    )
