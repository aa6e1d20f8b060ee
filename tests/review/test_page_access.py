"""The review page for everybody: what axe finds, what keys and fingers reach, what readers are told."""

import pytest

from tfautolabel._wheels import PinnedWheel, fetch_member

# The axe-core 4.12.1 of npm, byte for byte, and a line end. This wheel has it in 160 kB, so that the test
# needs neither npm nor a copy of it here. Nothing else in the wheel is used.
WHEEL = PinnedWheel(
    "axe-playwright-python",
    "0.1.8",
    "axe_playwright_python-0.1.8-py3-none-any.whl",
    "fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8",
)
AXE = """axe.run(document, { resultTypes: ["violations"] }).then(found => found.violations.map(each => [
  each.impact, each.id, each.nodes.map(node => node.html.slice(0, 160) + " " + node.failureSummary)]))"""
PANEL = {
    "accuracy": {"value": 0.88, "low": 0.74, "high": 0.95, "n": 31},
    "accepted": {"share": 0.61, "why": "The rest is less sure."},
    "needed": {"answers": 65, "target_error": 0.05, "sentence": "From audit answers."},
    "stop": {"hint": True, "unchanged": [0.99, 0.991, 0.988], "sentence": "You may stop."},
    "agreement": {"percent": 0.93, "kappa": None, "kind": "Cohen's kappa", "items": 40},
    "problem": "The model could not learn.",
    "finish": {"state": "done", "sentence": "All are labelled.", "report": "/report"},
}
OPEN = "(found => found?.open && !found.innerText.includes('moment'))(document.querySelector('dialog'))"
REACHABLE = """[...document.querySelectorAll('button, select, input')]
  .filter(one => one.offsetParent && !one.disabled).map(one => one.id || one.textContent)"""
TOUCHED = """[...document.querySelectorAll('button, select, input:not([type=checkbox]), label.check')]
  .map(one => [one.textContent.slice(0, 30), one.getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.width < 44 || box.height < 44))
  .map(([text, box]) => `${text} ${box.width} x ${box.height}`)"""


@pytest.fixture(scope="module")
def axe():
    return fetch_member(WHEEL, "axe_playwright_python/axe.min.js").read_text("utf-8")


@pytest.fixture
def violations(page, axe):
    """Returns what axe finds now."""

    def find():
        if not page.ask("'axe' in window"):
            page.ask(axe + "; null")
        found = []
        for scheme in ("light", "dark"):
            feature = {"name": "prefers-color-scheme", "value": scheme}
            page.call("Emulation.setEmulatedMedia", features=[feature])
            found += page.ask(AXE)
        return found

    return find


@pytest.mark.packaged
@pytest.mark.parametrize("modality", ["image", "text", "audio"])
def test_axe_finds_nothing_in_any_view(page, serve, violations, modality):
    server = serve(modality, 70)
    server.panel = dict(PANEL)
    page.begin(server.address("anna"))
    page.answer("1")
    page.choose("#mode", "check")
    page.wait_for("document.querySelector('.badge.guess')")
    assert violations() == []
    page.key("l")
    page.wait_for("document.querySelectorAll('.cell').length")
    page.key(" ")
    page.key("g")
    assert violations() == []


@pytest.mark.packaged
def test_axe_finds_nothing_in_any_window(page, serve, violations):
    server = serve("text", 30, classes=[f"Class {number}" for number in range(25)])
    page.visit(server.address("anna"))
    page.wait_for("document.querySelector('dialog[open]')")
    assert violations() == []
    page.write("anna")
    page.key("Enter")
    page.wait_for("document.body.dataset.shown")
    page.answer("1")
    page.key("Backspace")
    page.wait_for("document.querySelector('.badge.earlier')")
    page.answer("2")
    for key in "?hce":
        page.key(key)
        page.wait_for(OPEN)
        assert violations() == []
        page.key("Escape")
        page.wait_for("!document.querySelector('dialog')")
        assert page.ask("document.activeElement.id") == "example"
    for selector in ("#invite", "#finish"):
        page.click(selector)
        page.wait_for(OPEN)
        assert violations() == []
        page.key("Escape")
    page.offline(True)
    page.key("1")
    page.wait_for("document.querySelector('[data-banner=outbox]')")
    assert violations() == []


@pytest.mark.packaged
def test_axe_finds_nothing_on_a_phone(page, serve, violations):
    server = serve("image", 70)
    server.panel = dict(PANEL)
    page.begin(server.address("anna"), width=360, height=740)
    assert violations() == []
    page.click("#panel-toggle")
    assert violations() == []


def test_axe_would_find_something(page, serve, violations):
    page.begin(serve().address("anna"))
    page.ask("document.getElementById('mode').labels[0].remove()")
    assert {found[1] for found in violations()} == {"select-name"}


@pytest.mark.parametrize("modality", ["image", "text", "audio"])
def test_fingers_hit_what_is_on_a_phone(page, serve, modality):
    server = serve(
        modality, 70, classes=["rust", "a name that is rather long for a button", "c", "d", "e", "f"]
    )
    page.begin(server.address("anna"), width=360, height=740)
    assert page.ask(TOUCHED) == []
    assert page.ask("document.documentElement.scrollWidth") <= 360
    box = page.ask("(b => [b.width, b.height])(document.getElementById('stage').getBoundingClientRect())")
    assert min(box) > 150
    x, y = page.ask(
        "(b => [b.left + 20, b.top + 20])(document.querySelector('.class').getBoundingClientRect())"
    )
    page.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
    page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    page.wait_for("document.body.dataset.shown === '2'")
    assert [line["label"] for line in server.lines] == ["rust"]
    page.click("#menu button:nth-last-child(2)")
    page.wait_for("document.querySelectorAll('.cell').length")
    assert page.ask(TOUCHED) == []
    assert page.ask("document.documentElement.scrollWidth") <= 360


def test_all_is_reached_by_tab_and_nothing_holds_the_focus(page, serve):
    page.begin(serve().address("anna"))
    seen = []
    while len(seen) < 60 and (not seen or seen[-1] != "") and seen.count("mode") < 2:
        page.key("Tab")
        seen.append(page.ask("document.activeElement.id || document.activeElement.textContent"))
    assert set(page.ask(REACHABLE)) <= set(seen)


def test_a_screen_reader_is_told_what_was_saved_and_what_comes(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    page.answer("2")
    said = page.text("#said")
    assert said.startswith("Saved: clean. The first line of 1.")
    page.key("g")
    assert page.text("#said") == "Guess: scratch, 83 %."
    page.key("Backspace")
    page.wait_for("document.getElementById('said').textContent === 'Undone: clean for row 0'")
    page.key("l")
    page.wait_for("document.querySelectorAll('.cell').length")
    page.key(" ")
    name = page.ask("document.activeElement.getAttribute('aria-label')")
    assert name.endswith(", left out")


def test_single_keys_can_be_turned_off_and_stay_off(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    page.key("?")
    page.click("dialog input[type=checkbox]")
    page.key("Escape")
    for key in "1sdg":
        page.key(key)
    assert server.lines == []
    page.visit(f"http://127.0.0.1:{server.port}/")
    page.wait_for("document.body.dataset.shown")
    page.key("1")
    assert server.lines == []
    page.click(".class")
    page.wait_for("document.body.dataset.shown === '2'")
    assert len(server.lines) == 1


def test_nothing_moves_where_less_motion_is_wanted(page, serve):
    page.begin(serve().address("anna"))
    stage = "getComputedStyle(document.getElementById('stage')).transitionDuration"
    assert page.ask(stage) != "0s"
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    assert page.ask(stage) == "0s"
