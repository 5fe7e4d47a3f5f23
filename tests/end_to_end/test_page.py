"""The web page in a real browser, on the real stack."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from contract.choices import JobStatus
from contract.jobs import Job
from radii.show.numbers import ceiling, floor
from tests.end_to_end.browsing import Tab, open_browser, open_tab
from tests.support.service import Service

LONG = 2_000_000  # votes: minutes of sampling
_ACCURACIES = {
    "clean_accuracy": "",
    "noisy_accuracy": " under noise",
    "noisy_accuracy_adapted": " adapted to it",
}
WATCH = """
globalThis.watched = [];
const radius = document.getElementById("live-radius");
new MutationObserver(() => watched.push(radius.textContent)).observe(radius, {childList: true});
0"""


class OpenTab(Protocol):
    """Opens a browser session of its own."""

    def __call__(self, **options: Any) -> AbstractContextManager[Tab]: ...


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=60_000)  # the machine may be busy
    with open_browser() as browser:
        yield browser


@pytest.fixture
def new_tab(browser: Browser, running: Service) -> OpenTab:
    """Tabs that send the key with everything, so that nobody has to be asked for it."""
    key = {"X-API-Key": running.key_file.read_text().strip()}
    return lambda **options: open_tab(browser, running.url, extra_http_headers=key, **options)


@pytest.fixture
def tab(new_tab: OpenTab) -> Iterator[Tab]:
    with new_tab(viewport={"width": 1280, "height": 900}) as tab:
        yield tab


def ask(page: Page, **fields: object) -> None:
    """Fills the form as a person does, with what makes the least work, and sends it."""
    wanted: dict[str, object] = {"sigma": 0.5, "n": 1000, "adapt": "false", **fields}
    page.click("#examples [data-label=ankle-boot]")
    expect(page.locator("#preview canvas")).to_be_visible()
    page.check("[name=noise_level][value=fixed]")
    if not page.locator("#n").is_visible():
        page.click("details.more > summary")
    page.select_option("#adapt", str(wanted.pop("adapt")))
    for name, value in wanted.items():
        page.fill(f"#{name}", str(value))
    page.click("#submit")


def answered(page: Page, running: Service) -> dict[str, Any]:
    """Waits for the answer; returns the certificate as the API has it."""
    page.wait_for_selector("#answer-parts .headline")
    certificate: dict[str, Any] = running.http.get(f"/certificates/{page.url.rpartition('/')[2]}").json()
    return certificate


def tab_to(page: Page, selector: str) -> None:
    """Presses Tab until an element has the focus."""
    for _ in range(60):
        if page.locator(f"{selector}:focus").count():
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {selector}")


def test_a_person_certifies_with_the_keyboard_alone(tab: Tab, running: Service) -> None:
    """From the example to the answer, whose label and radius are those of the API's JSON."""
    page = tab.open()
    tab_to(page, "#examples [data-label=ankle-boot]")
    page.keyboard.press("Space")
    expect(page.locator("#preview canvas")).to_be_visible()
    tab_to(page, "[name=noise_level][value=auto]")
    page.keyboard.press("ArrowRight")
    tab_to(page, "#sigma")
    page.keyboard.type("0.5")
    tab_to(page, "details.more > summary")
    page.keyboard.press("Enter")
    tab_to(page, "#n")
    page.keyboard.type("20000")
    tab_to(page, "#submit")
    tab.run(WATCH)
    page.keyboard.press("Enter")
    certificate = answered(page, running)
    expect(page.locator("#answer-label")).to_have_text(certificate["label"]["name"])
    expect(page.locator("#answer-radius")).to_have_text(floor(certificate["radius"]["l2"]))
    expect(page.locator(".claim")).to_have_text(certificate["claim"])
    expect(page.locator("#announcer")).to_contain_text("Certified: ankle-boot")
    expect(page.locator("#answer-heading")).to_be_focused()
    grown = [float(text.split()[0]) for text in tab.run("globalThis.watched") if text[0].isdigit()]
    assert grown  # it grew while somebody watched
    assert grown == sorted(grown)
    assert grown[-1] <= certificate["radius"]["l2"]
    assert json.loads(page.locator("#certificate-json").text_content() or "") == certificate
    assert (certificate["sigma"], certificate["noise"][0]["n"]) == (0.5, 20_000)
    assert certificate["correct"] is True  # the example's class was told
    tab_to(page, "#verify")
    page.keyboard.press("Enter")
    expect(page.locator(".verdict")).to_have_text("Verified: everything holds.")


def test_what_the_certificate_holds_is_shown(tab: Tab, running: Service) -> None:
    """Votes, bounds, memory, machine; and the list to come back by."""
    page = tab.open()
    ask(page, memory="page-shown")
    certificate = answered(page, running)
    (noise,) = certificate["noise"]
    votes = page.locator("table.bars tbody tr").first
    expect(votes).to_contain_text(f"{noise['counts'][noise['top_class']]:,}")
    expect(page.locator(".votes .note")).to_contain_text(floor(noise["p_lower"]))
    expect(page.locator(".votes .note")).to_contain_text(ceiling(noise["p_upper"]))
    expect(page.locator(".facts")).to_contain_text("region 0 of “page-shown”")
    expect(page.locator(".facts")).to_contain_text(certificate["compute"]["dtype"])
    assert page.locator(".strip canvas").count() == 8
    with page.expect_download() as download:
        page.click("text=Download JSON")
    assert json.loads(Path(download.value.path()).read_text()) == certificate
    page.click(".brand")
    expect(page.locator("#welcome")).to_be_visible()
    page.click("#history-list a")
    expect(page.locator("#answer-radius")).to_have_text(floor(certificate["radius"]["l2"]))
    assert page.locator(".strip canvas").count() == 8


def test_a_wrong_image_is_told_beside_its_field(tab: Tab, tmp_path: Path) -> None:
    """The API's own message, tied to the field, which has the focus."""
    page = tab.open()
    page.click("#submit")
    expect(page.locator("#image-error")).to_have_text("Choose an image first.")
    wrong = tmp_path / "picture.png"
    wrong.write_text("no picture at all")
    page.set_input_files("#image", wrong)
    expect(page.locator("#image-error")).to_be_hidden()
    page.click("#submit")
    expect(page.locator("#image-error")).to_have_text(
        "'image' must be a PNG, JPEG, WebP or BMP file, got text"
    )
    field = page.locator("#image")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    assert "image-error" in (field.get_attribute("aria-describedby") or "").split()
    assert tab.violations() == []


def test_every_field_of_the_api_is_on_the_page(tab: Tab, running: Service) -> None:
    schemas = running.http.get("/openapi.json").json()["components"]["schemas"]
    offered = tab.open().eval_on_selector_all("#form [name]", "fields => fields.map(field => field.name)")
    assert {"image" if name == "picture" else name for name in offered} == set(
        schemas["CertifyForm"]["properties"]
    )


def test_a_field_of_the_api_that_the_page_does_not_know(tab: Tab, running: Service) -> None:
    """It appears with label, limits, default and help, is sent, and its refusal is shown beside it."""
    document = running.http.get("/openapi.json").json()
    document["components"]["schemas"]["CertifyForm"]["properties"] |= {
        "draw_twice": {
            "type": "integer",
            "minimum": 2,
            "maximum": 9,
            "default": 3,
            "description": "How `often`.",
        },
        "colour": {"$ref": "#/components/schemas/BoundKind", "default": "two_sided"},
        "careful": {"type": "boolean", "description": "With care."},
    }
    tab.page.route("**/openapi.json", lambda route: route.fulfill(json=document))
    page = tab.open()
    page.click("details.more > summary")
    number = page.get_by_label("Draw twice")
    expect(number).to_have_attribute("placeholder", "3")
    expect(number).to_have_accessible_description("How often. At least 2, at most 9.")
    options = page.get_by_label("Colour").locator("option").all_inner_texts()
    assert options == ["default: two sided", "one sided", "two sided"]
    assert page.get_by_label("Careful").locator("option").all_inner_texts() == ["default", "yes", "no"]
    number.fill("4")
    page.get_by_label("Careful").select_option("yes")
    with page.expect_request("**/certify") as sent:
        ask(page)
    body = sent.value.post_data_buffer
    assert body is not None
    assert b'name="draw_twice"\r\n\r\n4\r\n' in body
    assert b'name="careful"\r\n\r\ntrue\r\n' in body
    assert b"colour" not in body
    expect(page.locator("#draw_twice-error")).to_have_text("'draw_twice' is not a field of this request")
    expect(number).to_be_focused()
    assert tab.violations() == []


def test_every_option_is_sent(tab: Tab, running: Service) -> None:
    """Beside those of the other tests."""
    page = tab.open()
    page.click("#examples [data-label=ankle-boot]")
    expect(page.locator("#preview canvas")).to_be_visible()
    page.click("details.more > summary")
    options = {"sigma_grid": "0.25, 0.5", "n0": "50", "seed": "c0ffee", "max_seconds": "60", "n": "500"}
    for name, text in {
        **options,
        "clean_size": "64",
        "momentum": "0.5",
        "alpha": "0.01",
        "memory": "off",
    }.items():
        page.fill(f"#{name}", text)
    page.select_option("#bound", "one_sided")
    page.select_option("#adapt", "true")
    page.click("#submit")
    certificate = answered(page, running)
    (noise,) = certificate["noise"]
    assert [trial["sigma"] for trial in noise["trials"]] == [0.25, 0.5]
    assert (noise["n0"], noise["n_planned"]) == (50, 500)
    assert certificate["bound"] == "one_sided"
    assert certificate["seed"].lstrip("0") == "c0ffee"
    assert (certificate["adaptation"]["clean_size"], certificate["adaptation"]["momentum"]) == (64, 0.5)


def test_a_wrong_field_is_told_beside_it(tab: Tab) -> None:
    page = tab.open()
    ask(page, n=1, alpha="often")
    expect(page.locator("#alpha-error")).to_have_text("'alpha' must be a number, got 'often'")
    expect(page.locator("#alpha")).to_be_focused()
    page.fill("#alpha", "")
    page.click("#submit")
    expect(page.locator("#alpha-error")).to_be_hidden()
    expect(page.locator("#n-error")).to_contain_text("'n' must be >= 10")


def test_a_running_job_is_cancelled(tab: Tab, running: Service) -> None:
    page = tab.open()
    ask(page, n=LONG)
    expect(page.locator("#live-chart path.chart-line")).to_be_visible()
    job_id = page.url.rpartition("/")[2]
    page.click("#cancel")
    expect(page.locator("#answer-parts .label")).to_have_text("The job is cancelled")
    assert running.job(job_id).status is JobStatus.CANCELLED
    expect(page.locator("#history-list")).to_contain_text("cancelled")


def certified(running: Service, **fields: object) -> Job:
    job = running.certify(**{"n": 1000, **fields})
    assert job.certificate is not None, job
    return job


def test_a_permalink_opens_in_a_fresh_page(tab: Tab, running: Service) -> None:
    """The image is not part of it, until the same one is chosen."""
    certificate = certified(running).certificate
    assert certificate is not None
    page = tab.open(f"#/certificates/{certificate.id}")
    expect(page.locator("#answer-label")).to_have_text("ankle-boot")
    expect(page.locator("#answer-radius")).to_have_text(floor(certificate.radius.l2))
    expect(page.locator("#rest")).to_contain_text("does not hold the image")
    page.click("#examples [data-label=trouser]")
    expect(page.locator("#preview canvas")).to_be_visible()
    assert page.locator(".strip canvas").count() == 0
    page.click("#examples [data-label=ankle-boot]")
    expect(page.locator(".strip canvas")).to_have_count(8)


def test_a_running_job_is_taken_up_in_a_fresh_page(tab: Tab, running: Service) -> None:
    """From its first event, also after the connection was cut, which goes on where it was."""
    job = running.certify(wait=0, n=10_000)
    seen: list[str | None] = []
    told = False

    def cut(route: Route) -> None:
        seen.append(route.request.headers.get("last-event-id"))
        if len(seen) > 1:
            return route.continue_() if told else route.abort()
        progress = '{"stage": "sampling", "completed": 7, "total": 10100, "radius_so_far": null}'
        body = f"event: progress\ndata: {progress}\nid: 1-0\n\n"
        return route.fulfill(content_type="text/event-stream", body=body)

    tab.page.route("**/events", cut)
    page = tab.open(f"#/jobs/{job.id}")
    expect(page.locator("#connection")).to_contain_text("Connection lost")
    told = True
    expect(page.locator("#answer-label")).to_have_text("ankle-boot")
    assert (seen[0], {*seen[1:]}) == (None, {"1-0"})
    assert page.url.endswith(f"#/certificates/{job.id}")


def test_an_unknown_address_is_told(tab: Tab) -> None:
    page = tab.open(f"#/certificates/{'f' * 32}")
    expect(page.locator("#trouble")).to_contain_text("no such certificate")
    expect(page.locator("#welcome")).to_be_visible()


def test_a_busy_service_is_asked_again_after_a_countdown(tab: Tab, running: Service) -> None:
    keys: list[str | None] = []

    def busy_once(route: Route) -> None:
        keys.append(route.request.headers.get("idempotency-key"))
        if len(keys) > 1:
            return route.continue_()
        problem = {"type": "urn:radii:problem:no-workers", "title": "No worker available", "status": 503}
        body = json.dumps({**problem, "detail": "come back", "code": "no_workers", "errors": []})
        return route.fulfill(status=503, headers={"Retry-After": "3"}, body=body)

    tab.page.route("**/certify", busy_once)
    page = tab.open()
    ask(page)
    expect(page.locator("#form-trouble")).to_contain_text("No worker available")
    expect(page.locator("#form-trouble")).to_contain_text("Trying again in")
    assert answered(page, running)["label"]["name"] == "ankle-boot"
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_a_key_is_asked_for_and_kept_for_the_session(browser: Browser, running: Service) -> None:
    """It is asked for when it is needed, told when it is wrong, sent with everything, and kept nowhere else."""
    with open_tab(browser, running.url, viewport={"width": 1280, "height": 900}) as tab:
        page, refused = tab.page, []
        page.on("response", lambda response: refused.append(response.url) if response.status == 401 else None)
        page.goto(f"{running.url}/")
        dialog = page.locator("#key-dialog")
        expect(dialog).to_be_visible()
        expect(page.locator("#key")).to_be_focused()
        assert tab.violations() == []
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#key-error")).to_contain_text("the API key is unknown")
        key = running.key_file.read_text().strip()
        page.fill("#key", key)
        page.keyboard.press("Enter")
        expect(dialog).to_be_hidden()
        page.wait_for_selector("#model-facts dl")
        before = len(refused)
        ask(page)
        assert answered(page, running)["label"]["name"] == "ankle-boot"
        page.click("#verify")
        expect(page.locator(".verdict")).to_have_text("Verified: everything holds.")
        assert len(refused) == before
        assert tab.run(f"Object.values(sessionStorage).includes({key!r})")
        assert tab.run("localStorage.length + document.cookie.length") == 0


@pytest.mark.parametrize("noise", ["uniform", "hybrid"])
def test_other_noises_are_told_in_their_norms(tab: Tab, running: Service, noise: str) -> None:
    certificate = certified(running, noise=noise).certificate
    assert certificate is not None
    page = tab.open(f"#/certificates/{certificate.id}")
    own = certificate.radius.l1 if noise == "uniform" else certificate.radius.l2
    expect(page.locator("#answer-radius")).to_have_text(floor(own))
    expect(page.locator("p.radius .unit, p.second").last).to_contain_text("ℓ1")
    assert page.locator("table.bars").count() == len(certificate.noise)
    assert tab.violations() == []


def test_an_abstention_is_an_answer(tab: Tab, running: Service) -> None:
    """What is left to say is said, and nothing is claimed."""
    certificate = certified(running).certificate
    assert certificate is not None
    nothing = {"l2": 0.0, "l1": 0.0, "linf": 0.0}
    changes = {"label": None, "agrees": None, "abstained": True, "radius": nothing, "claim": "No claim."}
    body = certificate.model_dump(mode="json") | changes | {"abstain_reason": "top_class_not_separated"}
    tab.page.route(f"**/certificates/{certificate.id}", lambda route: route.fulfill(json=body))
    page = tab.open(f"#/certificates/{certificate.id}")
    expect(page.locator("#answer-label")).to_have_text("The classifier abstains")
    expect(page.locator(".reason")).to_have_text("The votes do not separate any class from the others.")
    assert page.locator("#answer-radius, .radii").count() == 0
    assert tab.violations() == []


LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 900}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark", "reduced_motion": "reduce"},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True},
    "zoomed": {"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2},  # as 1280 at 200 %
}


@pytest.mark.parametrize("look", LOOKS)
def test_everybody_can_use_it(new_tab: OpenTab, running: Service, look: str, tmp_path: Path) -> None:
    """Axe finds nothing on any of the three views, and nobody scrolls sideways; pictures are kept to look at."""
    with new_tab(**LOOKS[look]) as tab:
        page = tab.open()
        page.click("details.more > summary")
        for view in ("welcome", "running", "answer"):
            if view == "running":
                ask(page, n=LONG)
                expect(page.locator("#live-chart path.chart-line")).to_be_visible()
            elif view == "answer":
                page.click("#cancel")
                expect(page.locator("#answer-parts .label")).to_have_text("The job is cancelled")
                ask(page)
                page.wait_for_selector("#answer-radius")
                for summary in page.locator("#rest summary").all():
                    summary.click()
            assert tab.violations() == [], view
            assert not tab.overflows(), view
            page.screenshot(path=tmp_path / f"{look}-{view}.png", full_page=True)


def test_numbers_are_rounded_as_in_the_terminal(tab: Tab) -> None:
    """Radii down and upper bounds up, in exact decimals."""
    values = [0.0, 0.3, 0.81239, 1e-7, 2.5e-5, 0.1 + 0.2, 0.99995, 0.9999999, 1.0, 12.34567, 1 / 3, 123456.7]
    tab.open()
    code = "import('./page/numbers.js').then(({floor, ceiling}) => %s.map((x) => [floor(x), ceiling(x), floor(x, 6)]))"
    assert tab.run(code % json.dumps(values)) == [
        [floor(value), ceiling(value), floor(value, 6)] for value in values
    ]


def test_noise_and_changes_follow_their_laws(tab: Tab) -> None:
    """Gaussian noise of standard deviation σ, uniform noise on ±√3·σ, and changes as long as they say."""
    tab.open()
    code = """import('./page/noise.js').then((noise) => {
        const pixels = {width: 200, height: 200, channels: 1, data: new Float32Array(40000).fill(0.25)};
        const law = (kind) => {
            const drawn = noise.noisy(pixels, kind, 0.5).data.map((value) => value - 0.25);
            const square = drawn.reduce((sum, value) => sum + value * value, 0) / drawn.length;
            return {deviation: Math.sqrt(square), largest: Math.max(...drawn.map(Math.abs))};
        };
        const lengths = ['l1', 'l2'].flatMap((norm) => [
            noise.inRandomDirection(40000, norm, 3), noise.spreadEvenly(pixels, norm, 3),
            noise.onFewPixels(pixels, norm, 3).change].map((change) => noise.length(change, norm)));
        const few = noise.changed(pixels, noise.onFewPixels(pixels, 'l2', 3).change).data;
        return {gaussian: law('gaussian'), uniform: law('uniform'), lengths, few: [Math.min(...few), Math.max(...few)]};
    })"""
    found = tab.run(code)
    assert found["gaussian"]["deviation"] == pytest.approx(0.5, rel=0.02)
    assert found["gaussian"]["largest"] > 1.5
    assert found["uniform"]["deviation"] == pytest.approx(0.5, rel=0.02)
    assert 0.85 < found["uniform"]["largest"] <= 3**0.5 * 0.5
    assert found["lengths"] == pytest.approx([3.0] * 6, rel=1e-4)
    assert found["few"] == pytest.approx([0.25, 1.0])  # still an image: nothing below 0 or above 1


def test_a_model_s_accuracy_is_that_of_its_card(tab: Tab, running: Service) -> None:
    """Of each that can be chosen: clean, under noise, and adapted to it, as far as that was measured."""
    page = tab.open()
    for model in running.http.get("/models").json()["models"]:
        page.select_option("#model", model["name"])
        told = page.locator("#model-facts dt:text-is('Accuracy') + dd")
        measured = {metric["metric"]: metric["value"] for metric in model["metrics"]}
        if not measured:
            expect(told).to_have_text("unknown")
        for name, words in _ACCURACIES.items():
            if name in measured:
                expect(told).to_contain_text(f"{100 * measured[name]:.1f} %{words}")
