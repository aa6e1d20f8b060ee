"""The review page in Chromium, used as a person uses it: by keys, by the pointer, by reading."""

import io
import json
import time

import browser as chromium
import numpy as np
from clips import tones, wav
from PIL import Image

NAMED = {
    "Enter": ("Enter", 13, "\r"),
    "Backspace": ("Backspace", 8, None),
    "Escape": ("Escape", 27, None),
    "Tab": ("Tab", 9, None),
    "ArrowLeft": ("ArrowLeft", 37, None),
    "ArrowUp": ("ArrowUp", 38, None),
    "ArrowRight": ("ArrowRight", 39, None),
    "ArrowDown": ("ArrowDown", 40, None),
    " ": ("Space", 32, " "),
}
SHIFT, CTRL = 8, 2


class ReviewPage(chromium.Browser):
    """A browser in which the review page is open."""

    def __init__(self, profile):
        super().__init__(profile)
        self.call("Page.enable")
        # A background tab draws no frames and slows its clocks.
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)

    def visit(self, address, width=1200, height=800, scheme="light"):
        """Opens an address with nothing remembered from before but cookies and storage."""
        self.events.clear()
        is_phone = width < 600
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        self.call("Emulation.setTouchEmulationEnabled", enabled=is_phone)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete' && document.getElementById('example')")

    def begin(self, address, who="anna", **look):
        """Opens a link as a person who says a name, and waits for the first example."""
        self.visit(address, **look)
        self.wait_for("document.querySelector('dialog input') || document.body.dataset.shown")
        if self.ask("Boolean(document.querySelector('dialog input'))"):
            self.write(who)
            self.key("Enter")
        self.wait_for("document.body.dataset.shown")

    def forget(self):
        """Forgets all that the browser keeps of pages."""
        self.call("Network.clearBrowserCookies")
        if self.ask("location.protocol") == "http:":
            self.ask("localStorage.clear()")

    def wait_for(self, expression, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.ask(f"Boolean({expression})"):
                return
            time.sleep(0.01)
        raise TimeoutError(f"{expression}: {self.ask('document.body.innerText')}; {self.trouble}")

    def key(self, key, modifiers=0, repeated=False):
        """Presses a key."""
        if key in NAMED:
            code, number, text = NAMED[key]
        else:
            code = f"Key{key.upper()}" if key.isalpha() else f"Digit{key}" if key.isdigit() else ""
            number, text = ord(key.upper()), key
        text = None if modifiers & CTRL else text
        shared = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers}
        down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        self.call("Input.dispatchKeyEvent", autoRepeat=repeated, **down, **shared)
        if not repeated:
            self.call("Input.dispatchKeyEvent", type="keyUp", **shared)

    def write(self, text):
        """Types into the field in focus."""
        self.call("Input.insertText", text=text)

    def click(self, selector):
        """Clicks with the pointer on the middle of an element that is in view."""
        place = f"document.querySelector({json.dumps(selector)})"
        self.wait_for(place)
        self.ask(f"{place}.scrollIntoView({{block: 'nearest'}})")
        x, y = self.ask(
            f"(box => [box.left + box.width / 2, box.top + box.height / 2])({place}.getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def choose(self, selector, value):
        """Takes an option of a list."""
        place = f"document.querySelector({json.dumps(selector)})"
        self.ask(f"{place}.value = {json.dumps(value)}; {place}.dispatchEvent(new Event('change'))")

    def text(self, selector):
        """The words of an element as they are seen."""
        return self.ask(f"document.querySelector({json.dumps(selector)})?.innerText")

    def count(self, selector):
        return self.ask(f"document.querySelectorAll({json.dumps(selector)}).length")

    @property
    def example(self):
        """The id of the example that is shown."""
        return self.ask("document.body.dataset.example")

    @property
    def shown(self):
        """How many examples were shown since the page was opened."""
        return int(self.ask("document.body.dataset.shown"))

    @property
    def not_counted(self):
        """How many keys the page said it does not count."""
        return int(self.ask("document.body.dataset.notCounted ?? 0"))

    def answer(self, key, **how):
        """Presses a key and waits for the next example; returns the id of the one that was answered."""
        before, example = self.shown, self.example
        self.key(key, **how)
        self.wait_for(f"document.body.dataset.shown > {before} || document.querySelector('#nothing p')")
        return example

    def offline(self, is_off):
        """Cuts the network of the browser, or mends it."""
        self.call(
            "Network.emulateNetworkConditions",
            offline=is_off,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )


def photo(number):
    """The bytes of a picture of 60 by 40 pixels."""
    rng = np.random.default_rng(number)
    pixels = np.clip(rng.integers(0, 255, 3) + rng.normal(0, 20, (40, 60, 3)), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


MAKERS = {
    "image": lambda number: (f"photos/{number:04}.png", photo(number)),
    "text": lambda number: (f"row {number}", f"The first line of {number}.\n\nThe <b>second</b> & last one."),
    "audio": lambda number: (f"clips/{number:04}.wav", wav(tones(seconds=0.4, seed=number))),
}


def examples_of(modality, count):
    """Id to example."""
    return dict(MAKERS[modality](number) for number in range(count))
