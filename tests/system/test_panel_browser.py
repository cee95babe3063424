"""The technician's page in a real Chromium, on a telephone's screen, before a real daemon on the demo clip."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("playwright.sync_api", reason="needs playwright; install edged[dev]")
pytest.importorskip("uvicorn", reason="needs a web server; install edged[panel]")

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from edged.config.load import load
from tests.support.waiting import until
from tests.system.panel_site import TOKEN, PanelSite

LIMIT_S = 240.0  # of any wait; never reached when all is well
PHONE = ViewportSize(width=320, height=640)  # px, the smallest in use
MAX_BYTES = 200_000  # of the page, all in all
CORNERS = ((24, 311), (618, 355), (532, 169), (188, 152))  # of the floor, px of the camera's image of 640 x 360
IMAGE = "article[data-camera=stall] img"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PanelSite]:
    made = PanelSite(tmp_path_factory.mktemp("site"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    binary = shutil.which("chromium")
    if binary is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    expect.set_options(timeout=LIMIT_S * 1000)
    with sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=binary, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield made
        made.close()


@pytest.fixture
def page(site: PanelSite, browser: Browser) -> Iterator[Page]:
    """Logged in."""
    context = browser.new_context(viewport=PHONE, has_touch=True)
    context.set_default_timeout(LIMIT_S * 1000)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    log_in(page, site)
    yield page
    context.close()
    assert faults == []


def log_in(page: Page, site: PanelSite) -> None:
    page.goto(site.address)
    page.get_by_label("Token of this device").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#name")).to_have_text("Demo barn")


def number(page: Page) -> int:
    """Of the picture that is shown."""
    return int(page.locator(IMAGE).get_attribute("data-number") or 0)


def picture_changes(page: Page) -> bool:
    first = until(lambda: number(page), LIMIT_S)
    return bool(until(lambda: number(page) > first, LIMIT_S))


def tap(page: Page, x: float, y: float) -> None:
    """A tap on a pixel of the camera's image."""
    canvas = page.locator("article[data-camera=stall] svg")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + x * box["width"] / 640, box["y"] + y * box["height"] / 360)


def test_wrong_token_is_refused_and_says_so(site: PanelSite, browser: Browser) -> None:
    page = browser.new_context(viewport=PHONE).new_page()
    page.goto(site.address)
    page.get_by_label("Token of this device").fill("wrong-token-0123456789")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#login-error")).to_contain_text("not the token")
    expect(page.locator("#page")).to_be_hidden()
    page.context.close()


def test_live_picture_changes_for_two_viewers_on_a_small_screen(site: PanelSite, browser: Browser, page: Page) -> None:
    other = browser.new_context().new_page()
    log_in(other, site)
    assert picture_changes(page)
    assert picture_changes(other)
    other.context.close()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    yard = page.locator("article[data-camera=yard] .picture p")
    yard.scroll_into_view_if_needed()  # a picture that is not on the screen is not asked for
    expect(yard).to_contain_text("images = false")
    sizes = page.evaluate(
        "performance.getEntries().filter(e => e.name.includes('/static/')).map(e => e.encodedBodySize)"
    )
    assert 0 < sum(sizes) < MAX_BYTES


def test_drawn_stall_is_taken_up_by_the_daemon_and_undone(site: PanelSite, page: Page) -> None:
    card = page.locator("article[data-camera=stall]")
    assert picture_changes(page)
    card.get_by_role("button", name="Draw", exact=True).click()
    for x, y in CORNERS:
        tap(page, x, y)
    expect(card.locator("circle")).to_have_count(len(CORNERS))
    card.get_by_label("side 0").fill("4")
    card.get_by_label("side 1").fill("3.5")
    card.locator("line").first.press("Enter")  # an open side, by keyboard
    expect(card.locator("line").first).to_have_attribute("aria-label", "opening 0")
    expect(card.locator(".measures")).to_contain_text("Understood")
    save = card.get_by_role("button", name="Save", exact=True)
    card.get_by_role("button", name="Bed", exact=True).click()
    for x, y in ((300, 200), (400, 260), (400, 200), (300, 260)):
        tap(page, x, y)
    expect(card.locator(".found")).to_contain_text("its outline crosses itself: side 0 from")
    expect(save).to_be_disabled()
    card.get_by_role("button", name="− corner").click()
    card.get_by_label("people who lie on the floor").check()
    expect(card.locator(".found")).to_contain_text("can be saved")
    save.click()
    expect(page.locator("#message")).to_contain_text("saved; changed: cameras.stall.")
    drawn = load(site.folder, env={}).cameras["stall"]
    assert drawn.stall.floor is not None
    assert np.allclose(drawn.stall.floor, CORNERS, atol=3)
    assert drawn.person_down.enabled
    assert [len(bed) for bed in drawn.person_down.beds] == [3]
    card.get_by_role("button", name="Undo the last save").click()
    until(lambda: "floor" not in site.drawings, LIMIT_S)
    expect(card.locator("circle")).to_have_count(0)
    card.get_by_role("button", name="Close").click()


def test_alert_shows_its_still_and_its_clip_and_is_acknowledged(page: Page) -> None:
    card = page.locator("article[data-camera=stall]")
    assert picture_changes(page)
    card.get_by_text("Test alert").click()
    card.get_by_role("button", name="Ring").click()
    page.get_by_role("tab", name="Alerts (1)").click()
    alert = page.locator("article[data-alert]").first
    expect(alert.locator("img.still")).to_be_visible()
    assert until(lambda: alert.locator("img.still").evaluate("image => image.naturalWidth"), LIMIT_S) == 640
    alert.get_by_role("button", name="Acknowledge").click()
    expect(alert).to_contain_text("acknowledged")
    expect(alert.locator("video")).to_be_visible()
    assert until(lambda: alert.locator("video").evaluate("video => video.videoWidth"), LIMIT_S) == 640


def test_camera_and_profile_are_switched_by_keyboard_on_a_small_screen(page: Page) -> None:
    card = page.locator("article[data-camera=yard]")
    page.locator("#to-live").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#to-log")).to_be_focused()
    page.keyboard.press("ArrowRight")
    card.get_by_text("Switches").focus()
    for key in ("Enter", "Tab", "3", "0", "Tab", "Space"):
        page.keyboard.press(key)
    expect(card).to_contain_text("○ switched off")
    expect(card.locator("details").first).to_contain_text("until ")
    expect(card.get_by_label("Pictures")).to_be_disabled()
    expect(card.get_by_role("button", name="Restart")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.keyboard.press("Space")
    expect(card).to_contain_text("● online")
    page.locator("summary", has_text="Profile").press("Enter")
    page.locator("#profile").select_option("night")
    page.get_by_role("button", name="Use").press("Enter")
    expect(page.locator("#profile-state")).to_contain_text("night applies")
    stall = page.locator("article[data-camera=stall]")
    expect(stall.get_by_label("Alerts")).not_to_be_checked()
    stall.get_by_text("Test alert").press("Enter")
    stall.get_by_role("button", name="Ring").press("Enter")
    expect(page.locator("#message")).to_contain_text("alerts = false")
    page.locator("#profile").select_option("auto")
    page.get_by_role("button", name="Use").press("Enter")
    expect(stall.get_by_label("Alerts")).to_be_checked()


def test_page_goes_on_by_itself_after_the_daemon_restarted(site: PanelSite, page: Page, tmp_path: Path) -> None:
    assert picture_changes(page)
    site.stop()
    expect(page.locator("#connection")).to_contain_text("no connection")
    site.start()
    expect(page.locator("#connection")).to_have_text("connected")
    assert picture_changes(page)
