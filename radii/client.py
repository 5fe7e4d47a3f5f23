"""A client of the HTTP API: certify an image and wait for the answer, or follow it as it comes.

Errors are `ClientError`, of `radii.errors`. Nothing here needs torch or numpy.
"""

import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx
from httpx_sse import connect_sse

from contract.certificates import Certificate, PredictedLabel
from contract.choices import JobKind
from contract.jobs import Job, Progress
from contract.models import ModelInfo, ModelList
from radii.errors import ClientError, InvalidRequest, ServerUnavailable
from radii.http_messages import make_form, read_answer, read_refusal, require_success
from radii.images import Image, encode
from radii.retry import WaitLimit

DEFAULT_URL: Final = "http://127.0.0.1:8000"
DEFAULT_MAX_WAIT: Final = 300.0

_TIMEOUT: Final = httpx.Timeout(10, read=40)
_log = logging.getLogger(__name__)


class Client:
    """Talks to one server.

    ```python
    with Client("http://127.0.0.1:8000", key) as client:
        certificate = client.certify("boot.png", sigma=0.5)
        print(certificate.label, certificate.radius.l2)
    ```

    An image is a path, the bytes of a file, a Pillow image, or an array of uint8, ``(height, width)`` or
    ``(height, width, 1 or 3)``. Fields are those of `POST /certify` and `POST /predict`
    (`contract.requests.CertifyRequest`); an omitted field, or None, has the server's default.

    While the server is busy (429 or 503), requests wait as its ``Retry-After`` says.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        max_wait: float = DEFAULT_MAX_WAIT,
        on_wait: Callable[[str], None] = _log.info,
    ) -> None:
        """Makes a client; nothing is sent yet.

        Args:
            url: The server's address. None: ``RADII_URL``, then http://127.0.0.1:8000.
            key: The API key. None: ``RADII_API_KEY``, then the file that ``RADII_API_KEY_FILE`` names, then,
                for a server on this machine, the key that `radii serve` made.
            max_wait: Seconds to wait for a busy server before giving up; 0: not at all.
            on_wait: Gets one line when a wait begins.

        Raises:
            InvalidRequest: The address is none, or the key cannot be read or sent.
        """
        from radii.own_key import choose_key  # loads the service's key types, which `--help` needs not

        url = url or os.environ.get("RADII_URL") or DEFAULT_URL
        self.url = url.rstrip("/")
        self._limit = WaitLimit(max_wait, on_wait)
        key = choose_key(self.url, key)
        try:
            _ = urlsplit(self.url).port  # refuses what is no port, which httpx would try to reach
            if not self.url.startswith(("http://", "https://")):
                raise ValueError("it must begin with http:// or https://")
            self._http = httpx.Client(
                base_url=self.url, timeout=_TIMEOUT, headers={"X-API-Key": key} if key else {}
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise InvalidRequest(f"'url' must be the address of a server, got {url!r}: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def certify(self, image: Image, **fields: object) -> Certificate:
        """Certifies an image, and waits for the certificate; an interrupt cancels the job.

        Raises:
            InvalidRequest: A field or the image breaks a rule.
            ServerRefused: The server refuses the request.
            ServerUnavailable: No server answers.
            JobFailed: The job fails, or is cancelled.
        """
        job = self._finish(self.submit(image, **fields))
        assert job.certificate is not None  # noqa: S101 (a certify job that succeeded has one)
        return job.certificate

    def predict(self, image: Image, **fields: object) -> PredictedLabel:
        """Predicts the smoothed classifier's label, with far fewer votes than a radius takes.

        Raises:
            ClientError: As `certify`.
        """
        job = self._finish(self.submit(image, JobKind.PREDICT, **fields))
        assert job.prediction is not None  # noqa: S101 (a predict job that succeeded has one)
        return job.prediction

    def stream(self, image: Image, **fields: object) -> Iterator[Progress | Certificate]:
        """Certifies an image; yields the progress with the radius certified so far, and last the certificate.

        Leaving the loop early cancels the job.

        Raises:
            ClientError: As `certify`.
        """
        job = self.submit(image, **fields)
        try:
            for event in self.follow(job):
                if isinstance(event, Progress):
                    yield event
                else:
                    job = event
        except (GeneratorExit, KeyboardInterrupt):
            self._give_up(job)
            raise
        certificate = require_success(job).certificate
        assert certificate is not None  # noqa: S101 (a certify job that succeeded has one)
        yield certificate

    def submit(self, image: Image, kind: JobKind = JobKind.CERTIFY, /, **fields: object) -> Job:
        """Queues a job and returns it at once; however often the request is repeated, it makes one job.

        Raises:
            ClientError: As `certify`.
        """
        sent: dict[str, Any] = {"data": make_form(kind, fields), "files": {"image": encode(image)}}
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        return read_answer(Job, self._request("POST", f"/{kind.value}", headers=headers, **sent))

    def follow(self, job: Job) -> Iterator[Progress | Job]:
        """Yields a job's progress as it comes, and last the job in its final state.

        A lost connection is taken up where it stopped. A server that is away, for instance while it restarts,
        is waited for as a busy one is.

        Raises:
            ClientError: The server refuses or stays away; the message names the job, which goes on.
        """
        try:
            yield from self._follow(job)
        except ClientError as error:
            error.args = (f"{error}\njob {job.id} was accepted and goes on without this client",)
            raise

    def job(self, job_id: str, wait: int = 0) -> Job:
        """Returns the state of a job, after ``wait`` seconds or as soon as it is final."""
        return read_answer(Job, self._request("GET", f"/jobs/{job_id}", params={"wait": wait}))

    def cancel(self, job_id: str) -> None:
        """Cancels a job."""
        self._request("DELETE", f"/jobs/{job_id}")

    def certificate(self, certificate_id: str) -> Certificate:
        """Returns a certificate that was made before."""
        return read_answer(Certificate, self._request("GET", f"/certificates/{certificate_id}"))

    def models(self) -> ModelList:
        """Returns the models that the server's workers hold."""
        return read_answer(ModelList, self._request("GET", "/models"))

    def model(self, name: str) -> ModelInfo:
        """Returns one model."""
        return read_answer(ModelInfo, self._request("GET", f"/models/{name}"))

    def _finish(self, job: Job) -> Job:
        try:
            *_, last = self.follow(job)
        except KeyboardInterrupt:
            self._give_up(job)
            raise
        assert isinstance(last, Job)  # noqa: S101 (`follow` ends with it)
        return require_success(last)

    def _give_up(self, job: Job) -> None:
        with suppress(ClientError):  # it may be finished by now, or the server away
            self.cancel(job.id)

    def _follow(self, job: Job) -> Iterator[Progress | Job]:
        last_event: str | None = None
        while not job.status.final:
            headers = {"Last-Event-ID": last_event} if last_event else {}
            try:
                with connect_sse(self._http, "GET", job.links.events, headers=headers) as events:
                    for event in events.iter_sse():
                        last_event = event.id or last_event
                        if event.event == "progress":
                            yield read_answer(Progress, event.data)
                        elif event.event == "job":
                            yield read_answer(Job, event.data)
                            return
            except httpx.TransportError:
                pass  # the next request says why
            job = read_answer(
                Job, self._request("GET", f"/jobs/{job.id}", wait_for_return=True, params={"wait": 1})
            )
        yield job

    def _request(self, method: str, path: str, *, wait_for_return: bool = False, **arguments: Any) -> bytes:
        """Returns the body of a successful answer; waits while the server is busy and, if asked, away."""
        while True:
            try:
                response = self._http.request(method, path, **arguments)
            except httpx.TransportError as error:
                if wait_for_return and self._limit.wait_for_return(f"no radii server answers at {self.url}"):
                    continue
                raise ServerUnavailable(
                    f"no radii server answers at {self.url}: start one with `radii serve`"
                ) from error
            if response.is_success:
                self._limit.reset()
                return response.content
            refusal = read_refusal(response)
            kind = refusal.problem.code if refusal.problem else response.status_code
            if not self._limit.wait(response, kind, str(refusal)):
                raise refusal
