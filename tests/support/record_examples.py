"""Records what a real service answers, for the examples in the OpenAPI document.

``make examples`` starts store, API and a worker, certifies the shipped image, calls every operation in every
way, and writes ``service/openapi/recorded/<operationId>.json``. Last it stops the store, since every operation
can also meet a store that does not answer.
"""

import base64
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from redis import Redis

from contract import keys
from contract.limits import DEFAULT_MEMORY
from radii.stack import Stack, StackPlan, free_port
from service.openapi.examples import EXAMPLES

PICTURE = (
    Path(__file__).parents[2] / "models" / "zoo" / "fashion-mnist-gaussian" / "examples" / "09-ankle-boot.png"
)
UNKNOWN = "f" * 32
SHOWN_MODELS = 2  # of the list; more tell a reader nothing new
FIELDS = {"n": 2000, "label": "ankle-boot"}
FIXED = {"n": 2000, "sigma": 0.5, "adapt": False, "memory": "off"}
SUBMITTING = {"certify": "/certify", "predict": "/predict"}


class Recorder:
    """Asks, and keeps what was sent and answered, per operation."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self.recorded: dict[str, dict[str, Any]] = {}

    def ask(
        self, operation: str, method: str, path: str, *, shown: dict[str, Any] | None = None, **arguments: Any
    ) -> Any:
        """Sends one request and returns the body of its answer; ``shown`` is what was sent, as an example."""
        response = self._http.request(method, path, **arguments)
        kind = response.headers["Content-Type"]
        body = response.json() if "json" in kind else response.text
        kept = self.recorded.setdefault(operation, {"responses": {}})
        kept["responses"][str(response.status_code)] = body
        if shown is not None:
            kept["request"] = shown
        return body

    def ask_until_done(self, operation: str, path: str, **arguments: Any) -> None:
        """Submits a job until one ends within the wait; the first may have to load and adapt a model."""
        while "finished_at" in (job := self.ask(operation, "POST", path, **arguments)):
            if job["finished_at"] is not None:
                return
            self.until_final(job["id"])
        raise RuntimeError(f"{path} is refused: {job}")

    def until_final(self, job_id: str) -> None:
        """Waits for a job, however long it takes."""
        while self._http.get(f"/jobs/{job_id}", params={"wait": 20}).json()["finished_at"] is None:
            pass


def record_answers(recorder: Recorder) -> str:
    """Asks all that a service in order can be asked; returns the id of a certificate."""
    picture = PICTURE.read_bytes()
    form = {"files": {"image": (PICTURE.name, picture, "image/png")}}
    encoded = base64.b64encode(picture).decode()
    ask = recorder.ask
    waiting: dict[str, Any] = {"headers": {"Prefer": "wait=30"}}
    for operation, path in SUBMITTING.items():
        ask(operation, "POST", path, data={**FIELDS, "memory": "first"}, **form)
        shown = {"image": PICTURE.name, **FIELDS}
        recorder.ask_until_done(operation, path, data=FIELDS, shown=shown, **form, **waiting)
        sent = {"image": encoded, **FIXED}
        ask(f"{operation}_json", "POST", f"{path}/json", json=sent)
        recorder.ask_until_done(f"{operation}_json", f"{path}/json", json=sent, shown=sent, **waiting)
        record_refusals(recorder, operation, path)
    certificate_id: str = recorder.recorded["certify"]["responses"]["200"]["certificate"]["id"]
    record_jobs(recorder, certificate_id, form)
    for one in (certificate_id, UNKNOWN):
        ask("get_certificate", "GET", f"/certificates/{one}")
        ask("verify", "POST", f"/certificates/{one}/verify")
    for namespace in (DEFAULT_MEMORY, "off"):
        ask("list_regions", "GET", "/regions", params={"memory": namespace, "limit": 2})
    del ask("list_models", "GET", "/models")["models"][SHOWN_MODELS:]
    for name in (PICTURE.parents[1].name, "unknown"):
        ask("get_model", "GET", f"/models/{name}")
    for operation, path in (
        ("check_liveness", "/livez"),
        ("check_readiness", "/readyz"),
        ("get_version", "/version"),
        ("get_metrics", "/metrics"),
    ):
        ask(operation, "GET", path)
    return certificate_id


def record_refusals(recorder: Recorder, operation: str, path: str) -> None:
    """What is wrong with a request, one kind after the other."""
    ask, json_operation = recorder.ask, f"{operation}_json"
    picture = PICTURE.read_bytes()
    for image, fields in ((picture, {"sigma": -0.5, "n": 5}), (b"no image", {}), (large_picture(), {})):
        ask(operation, "POST", path, data=fields, files={"image": image})
        ask(
            json_operation, "POST", f"{path}/json", json={"image": base64.b64encode(image).decode(), **fields}
        )
    broken: dict[str, Any] = {"content": b"{", "headers": {"Content-Type": "multipart/form-data"}}
    ask(operation, "POST", path, **broken)
    ask(json_operation, "POST", f"{path}/json", content=b"{", headers={"Content-Type": "application/json"})


def record_jobs(recorder: Recorder, finished: str, form: dict[str, Any]) -> None:
    """A job that has ended, one that is given up, and one that never was."""
    ask = recorder.ask
    ask("cancel_job", "DELETE", f"/jobs/{finished}")
    slow = ask("certify", "POST", "/certify", data={**FIXED, "n": 10_000_000}, **form)["id"]
    while ask("get_job", "GET", f"/jobs/{slow}", params={"wait": 1})["progress"]["completed"] == 0:
        pass
    ask("cancel_job", "DELETE", f"/jobs/{slow}")
    recorder.until_final(slow)
    ask("cancel_job", "DELETE", f"/jobs/{slow}")
    for one, wait in ((finished, 20), (UNKNOWN, 20), (finished, 31)):
        ask("get_job", "GET", f"/jobs/{one}", params={"wait": wait})
    for one, last in ((finished, None), (UNKNOWN, None), (finished, "nonsense")):
        ask("follow_job", "GET", f"/jobs/{one}/events", headers={"Last-Event-ID": last} if last else {})
    ask("cancel_job", "DELETE", f"/jobs/{UNKNOWN}")


def record_outage(recorder: Recorder, redis: Redis, certificate_id: str) -> None:
    """A memory that is damaged, then a store that is gone."""
    ask = recorder.ask
    digest = recorder.recorded["get_model"]["responses"]["200"]["digest"]
    redis.rpush(keys.memory_log(digest, "damaged"), b"nonsense")
    ask("list_regions", "GET", "/regions", params={"memory": "damaged"})
    redis.shutdown(nosave=True)
    form = {"files": {"image": PICTURE.read_bytes()}}
    encoded = {"json": {"image": base64.b64encode(PICTURE.read_bytes()).decode()}}
    for operation, path in SUBMITTING.items():
        ask(operation, "POST", path, **form)
        ask(f"{operation}_json", "POST", f"{path}/json", **encoded)
    ask("cancel_job", "DELETE", f"/jobs/{certificate_id}")
    ask("verify", "POST", f"/certificates/{certificate_id}/verify")
    for operation, path in (
        ("get_job", f"/jobs/{certificate_id}"),
        ("follow_job", f"/jobs/{certificate_id}/events"),
        ("get_certificate", f"/certificates/{certificate_id}"),
        ("list_regions", "/regions"),
        ("list_models", "/models"),
        ("get_model", f"/models/{UNKNOWN}"),
        ("check_readiness", "/readyz"),
        ("get_metrics", "/metrics"),
    ):
        ask(operation, "GET", path)


def large_picture() -> bytes:
    """A PNG of more pixels than are taken, in few bytes."""
    buffer = io.BytesIO()
    Image.new("1", (4001, 4000)).save(buffer, "PNG")
    return buffer.getvalue()


def main() -> None:
    """Records everything into `service/openapi/recorded`."""
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w") as log:
        plan = StackPlan(Path(folder) / "store", port=free_port(), stop_grace=1, log=log)
        with Stack(plan) as stack:
            stack.wait_until_ready()
            with (
                httpx.Client(base_url=stack.url, timeout=60, headers={"X-API-Key": stack.api_key}) as http,
                Redis.from_url(stack.redis_url) as redis,
            ):
                recorder = Recorder(http)
                record_outage(recorder, redis, record_answers(recorder))
    EXAMPLES.mkdir(exist_ok=True)
    for operation, kept in recorder.recorded.items():
        kept["responses"] = dict(sorted(kept["responses"].items()))
        text = json.dumps(kept, ensure_ascii=False, indent=1) + "\n"
        (EXAMPLES / f"{operation}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
