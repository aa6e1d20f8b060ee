"""The page as Chromium runs it: dropped, pasted and recorded examples become labels."""

import base64
import time

import browser as chromium
import pytest
from clips import tones, wav
from separable import picture
from served import Running

pytestmark = pytest.mark.skipif(
    chromium.EXECUTABLE is None, reason="needs Chromium: apt-get install chromium"
)

BARS = """[
  [...document.querySelectorAll('.bars td:last-child')].map(cell => parseFloat(cell.textContent) / 100),
  [...document.querySelectorAll('.bar i')].map(part => part.offsetWidth / part.parentElement.offsetWidth),
]"""
"""What the bars say, and how long they are."""

MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
"""Chromium's own made-up microphone, which beeps, without a question to the user."""


class Page(chromium.Browser):
    """A browser that opens addresses."""

    def visit(self, url, width=1200, scheme="light", wait="document.querySelector('#model option')"):
        self.events.clear()
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.call("Page.navigate", url="about:blank")  # a change behind the # alone loads nothing
        self.call("Page.navigate", url=url)
        self.wait_for(f"document.readyState === 'complete' && {wait}")

    def wait_for(self, expression, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.ask(f"Boolean({expression})"):
                return
            time.sleep(0.02)
        raise TimeoutError(f"{expression}: {self.ask('document.body.innerText')}; {self.trouble}")

    def choose(self, model):
        self.ask(f"$('model').value = '{model}'; $('model').dispatchEvent(new Event('change'))")

    def drop(self, content, name):
        encoded = base64.b64encode(content).decode()
        self.ask(
            f"""(() => {{
              const bytes = Uint8Array.from(atob("{encoded}"), letter => letter.charCodeAt(0));
              const moved = new DataTransfer();
              moved.items.add(new File([bytes], "{name}"));
              const event = new DragEvent("drop", {{ dataTransfer: moved, bubbles: true, cancelable: true }});
              $("drop").dispatchEvent(event);
            }})()"""
        )

    def answer(self):
        self.wait_for("document.querySelector('.result')")
        return self.ask("$('answer').innerText")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chromium, "FLAGS", [*chromium.FLAGS, *MICROPHONE])
        with Page(tmp_path_factory.mktemp("profile")) as opened:
            yield opened


def test_a_dropped_picture_is_labelled(page, labels):
    page.visit(labels.url)
    page.choose("pictures")
    page.drop(picture("red", 7), "red.png")
    assert "red\n" in page.answer()
    assert page.ask("$('label').textContent") == "red"
    assert page.ask("$('accepted').textContent") == "Accepted"
    assert page.ask("/^Confidence \\d+\\.\\d %$/.test($('confidence').textContent)")
    assert page.ask("document.querySelectorAll('.bars tr').length") == 3
    shares, widths = page.ask(BARS)
    assert widths[0] > 0.3
    assert widths == pytest.approx(shares, abs=0.02)
    assert page.ask("document.querySelector('#shown img').naturalWidth") == 24
    page.drop(b"this is no picture", "broken.png")
    page.wait_for("$('answer').innerText.includes('cannot read it')")
    assert page.trouble == []


def test_a_text_is_labelled_with_the_keyboard_alone(page, labels):
    page.visit(labels.url)
    page.choose("texts")
    page.ask("$('text').focus(); $('text').value = 'a bad and poor film'")
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "modifiers": 2}
    page.call("Input.dispatchKeyEvent", type="rawKeyDown", **enter)
    assert "blame" in page.answer()
    assert page.trouble == []


def test_a_dropped_sound_is_labelled(page, labels):
    page.visit(labels.url)
    page.choose("sounds")
    page.drop(wav(tones(seed=9)), "loud.wav")
    assert page.answer().startswith("loud")
    page.wait_for("document.querySelector('#shown audio').duration > 0.4")
    assert page.trouble == []


def test_a_recording_is_labelled(page, labels):
    page.visit(labels.url)
    page.choose("sounds")
    page.ask("$('record').click()")
    page.wait_for("$('record').getAttribute('aria-pressed') === 'true'")
    time.sleep(1)
    page.ask("$('record').click()")
    assert "Confidence" in page.answer()
    assert page.ask("$('shown').innerText") == "recording.wav"
    page.wait_for("document.querySelector('#shown audio').duration > 0.5")
    assert page.trouble == []


def test_other_models_take_a_request_as_it_is(page, server):
    page.visit(server.url)
    page.ask("$('json').value = '{\"instances\": [[1, 1, 1]]}'; $('send-json').click()")
    assert '"predictions": [\n  6\n ]' in page.answer()
    page.ask("$('json').value = '{'; $('send-json').click()")
    page.wait_for("$('answer').innerText.startsWith('JSON Parse error')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_else_is_asked_for_and_all_is_named(page, labels, width, scheme):
    page.visit(labels.url, width, scheme)
    assert page.trouble == []
    own = {labels.url, f"{labels.url}models", f"{labels.url}favicon.ico"}
    assert set(page.requested) <= own
    assert page.ask("document.documentElement.scrollWidth") <= width
    colour = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}[scheme]
    assert page.ask("getComputedStyle(document.body).backgroundColor") == colour
    for model in ("pictures", "texts", "sounds"):
        page.choose(model)
        tree = page.call("Accessibility.getFullAXTree")["nodes"]
        controls = [
            node["name"]["value"]
            for node in tree
            if node.get("role", {}).get("value") in ("button", "combobox", "textbox") and not node["ignored"]
        ]
        assert len(controls) >= 2
        assert all(controls)


def test_scripts_from_elsewhere_are_kept_out(page, labels):
    _, _, headers = labels.ask("GET", "/")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page.visit(labels.url)
    page.ask("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.harmed = 1\">')")
    assert page.ask("window.harmed") is None


def test_modalities_have_plain_names(page, labels):
    page.visit(labels.url)
    for model, name in {"pictures": "Pictures", "texts": "Texts", "sounds": "Sounds"}.items():
        page.choose(model)
        headings = (
            "[...document.querySelectorAll('h2')].filter(one => one.offsetHeight).map(one => one.innerText)"
        )
        assert page.ask(headings) == [name]
        assert page.ask("$('about').textContent") == f"version 1, labels {name.lower()}"


@pytest.mark.parametrize("width", [390, 1200])
def test_bars_are_seen(page, labels, width):
    page.visit(labels.url, width)
    page.choose("pictures")
    page.drop(picture("red", 7), "red.png")
    page.answer()
    assert page.ask("document.querySelector('.bar div').offsetWidth") >= 96
    assert page.ask("document.querySelector('.bar div').offsetHeight") >= 8
    assert page.ask("document.documentElement.scrollWidth") <= width


def test_the_page_asks_for_the_token(page, exports):
    token = "a-token-of-some-length"
    with Running(exports, token=token) as running:
        page.visit(running.url, wait="document.querySelector('#for-token:not([hidden])')")
        assert page.ask("$('choice').hidden")
        page.ask("$('token').value = 'another-token'; $('for-token').requestSubmit()")
        page.wait_for("$('refused').textContent === 'The server does not know this token.'")
        page.ask(f"$('token').value = '{token}'; $('for-token').requestSubmit()")
        page.wait_for("document.querySelector('#model option') && $('for-token').hidden")
        page.choose("texts")
        page.ask("$('text').value = 'a bad and poor film'; $('send-text').click()")
        assert "blame" in page.answer()
        # It stays for as long as the tab does.
        page.visit(running.url)
        page.ask("sessionStorage.clear()")
        page.visit(f"{running.url}#token={token}")
        assert page.ask("location.href") == running.url
        assert token not in str(page.requested)
        page.ask("sessionStorage.clear()")


def test_names_are_shown_as_they_are(page, folder):
    with Running(f"<b>sums & more={folder / 'sums'}") as running:
        page.visit(running.url)
        assert page.ask("$('model').selectedOptions[0].innerText") == "<b>sums & more"
        page.ask("$('json').value = '{\"instances\": [[1, 1, 1]]}'; $('send-json').click()")
        assert "predictions" in page.answer()
