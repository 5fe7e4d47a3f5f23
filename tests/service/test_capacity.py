"""What docs/operations.md tells of bytes, as far as it takes no engine: queued jobs, and an API full of images."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import yaml
from PIL import Image
from redis import Redis

from tests.docs.pages import ROOT
from tests.docs.settings_table import told
from tests.service.conftest import run_api


def test_a_queued_job_takes_what_the_page_says(submit: Callable[..., str], redis: Redis) -> None:
    """The page's figure is this one rounded up, by a third at most."""
    job_id = submit()
    found = sum(redis.memory_usage(key, samples=0) or 0 for key in redis.scan_iter(f"*{job_id}*"))
    assert 0.67 * told("queued") < found <= told("queued")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_an_api_full_of_large_images_stays_within_its_container(
    redis_url: str, beat: Callable[..., None]
) -> None:
    """Sixteen clients at a time send as many pixels as an image may have; few are decoded at a time."""
    beat()
    buffer = io.BytesIO()
    Image.new("RGB", (4000, 4000), (1, 2, 3)).save(buffer, "PNG")
    with run_api(redis_url) as api, ThreadPoolExecutor(16) as clients:

        def send(_: int) -> int:
            fields = {"model": "colour", "fit": "resize"}
            files = {"image": buffer.getvalue()}
            return httpx.post(f"{api.url}/certify", files=files, data=fields, timeout=60).status_code

        assert set(clients.map(send, range(16))) == {202}
        peak = int(Path(f"/proc/{api.pid}/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    limit = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["api"]["mem_limit"]
    assert limit == "1g"
    assert 0.3 * told("api") < peak <= told("api") < 0.7 * 2**30
