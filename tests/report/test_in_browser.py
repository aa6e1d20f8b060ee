"""The page as Chromium shows it; left out where there is none."""

import pytest
from browser import EXECUTABLE, Browser
from PIL import Image
from report_runs import HOSTILE, write_run

from tfautolabel.report import write_report

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="needs Chromium: apt-get install chromium")

BRIGHTNESS = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module", params=["image", "text", "audio"])
def page(request, tmp_path_factory):
    return write_report(write_run(tmp_path_factory.mktemp(request.param), request.param))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_is_said_on_the_console_and_nothing_asked_for(browser, page, width, scheme):
    browser.open(page, width, scheme)
    assert browser.trouble == []
    assert browser.requested == [page.resolve().as_uri()]
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask("document.scripts.length") == 0
    assert HOSTILE in browser.ask("document.body.textContent")


def test_light_and_dark_are_followed(browser, page):
    seen = {}
    for scheme in ("light", "dark"):
        browser.open(page, 1200, scheme)
        texts = "getComputedStyle(document.querySelector('svg.plot text')).fill"
        seen[scheme] = browser.ask(BRIGHTNESS), browser.ask(texts)
    assert seen["light"] == ("rgb(255, 255, 255)", "rgb(27, 32, 39)")
    assert seen["dark"] == ("rgb(20, 24, 29)", "rgb(232, 235, 238)")


def test_pictures_and_sounds_are_let_through_by_the_policy(browser, page):
    browser.open(page)
    assert browser.ask("[...document.images].every(image => image.naturalWidth > 0)")
    playable = """Promise.all([...document.querySelectorAll("audio")].slice(0, 3).map(player => new Promise(
        done => { player.onloadedmetadata = () => done(player.duration); player.onerror = () => done(0);
                  player.preload = "metadata"; player.load(); })))"""
    assert all(0.4 < seconds < 0.6 for seconds in browser.ask(playable))


def test_the_keyboard_reaches_the_results(browser, page):
    browser.open(page)
    press = {"key": "Tab", "windowsVirtualKeyCode": 9}
    for kind in ("rawKeyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, **press)
    assert browser.ask("document.activeElement.textContent") == "Skip to the results"
    assert browser.ask("document.activeElement.getBoundingClientRect().left") >= 0


def test_it_can_be_printed_and_photographed(browser, page, tmp_path):
    browser.open(page)
    assert browser.pdf().startswith(b"%PDF-")
    (tmp_path / "page.png").write_bytes(browser.screenshot())
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
