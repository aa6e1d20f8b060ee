"""Pictures, texts and sounds as they are shown, and what a person can do to see and hear more."""

import pytest

SCALE = "Number(document.getElementById('stage').dataset.scale)"

IN_VIEW = """[...document.querySelectorAll('.class, #verdicts button')]
  .map(one => one.getBoundingClientRect())
  .every(box => box.top > 0 && box.bottom <= innerHeight)"""

DRAWN = """(wave => {
  const pixels = wave.getContext("2d").getImageData(0, 0, wave.width, wave.height).data;
  const opaque = pixels.filter((_, place) => place % 4 === 3);
  return opaque.includes(255) && opaque.includes(0);
})(document.querySelector('.wave'))"""


@pytest.mark.parametrize("modality", ["image", "text", "audio"])
def test_each_modality_is_answered_by_keyboard(page, serve, modality):
    server = serve(modality, 12)
    page.begin(server.address("anna"))
    for key in "1231231231":
        page.answer(key)
    assert [line["id"] for line in server.lines] == server.ids[:10]
    assert page.trouble == []
    assert all(address.startswith((server.address("")[:21], "blob:")) for address in page.requested)
    # The next one was there before the key: nothing was asked for between key and example.
    media = [path for _, path, _ in server.requests if path.startswith("/media/")]
    assert sorted(set(media)) == sorted(f"/media/{n}" for n in range(12)) if modality != "text" else not media


def test_a_picture_is_looked_at_closely(page, serve):
    page.begin(serve("image").address("anna"))
    assert page.ask("document.querySelector('.picture').naturalWidth") == 60
    fit = page.ask(SCALE)
    box = page.ask(
        "(b => [b.left, b.top, b.width, b.height])(document.getElementById('stage').getBoundingClientRect())"
    )
    assert fit == pytest.approx(min(box[2] / 60, box[3] / 40, 12), abs=0.01)
    page.key("+")
    assert page.ask(SCALE) == pytest.approx(1.25 * fit, rel=0.01)
    page.key("-")
    page.key("-")
    assert page.ask(SCALE) == pytest.approx(fit / 1.25, rel=0.01)
    page.key("f")
    assert page.ask(SCALE) == pytest.approx(fit, rel=0.01)
    page.key("f")
    assert page.ask(SCALE) == 1
    before = page.ask("document.querySelector('.picture').getBoundingClientRect().left")
    page.key("ArrowRight")
    assert page.ask("document.querySelector('.picture').getBoundingClientRect().left") == before - 60
    page.key("Escape")
    x, y = box[0] + box[2] / 4, box[1] + box[3] / 4
    box_of_picture = "document.querySelector('.picture').getBoundingClientRect()"
    inside = f"(b => [({x} - b.left) / b.width, ({y} - b.top) / b.height])({box_of_picture})"
    under = page.ask(inside)
    page.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-200)
    page.wait_for(f"{SCALE} > {1.3 * fit}")
    assert page.ask(inside) == pytest.approx(under, abs=0.01)  # it grows about the pointer
    left = page.ask("document.querySelector('.picture').getBoundingClientRect().left")
    for kind, step in (("mousePressed", 0), ("mouseMoved", 30), ("mouseReleased", 30)):
        page.call(
            "Input.dispatchMouseEvent", type=kind, x=x + step, y=y, button="left", buttons=1, clickCount=1
        )
    assert page.ask("document.querySelector('.picture').getBoundingClientRect().left") == pytest.approx(
        left + 30
    )
    page.key("b")
    page.key("V", modifiers=8)
    assert page.ask("document.querySelector('.picture').style.filter") == "brightness(1.15) contrast(0.85)"
    page.key("Escape")
    assert page.ask("document.querySelector('.picture').style.filter") == ""
    page.answer("1")
    assert page.ask(SCALE) == pytest.approx(fit, rel=0.01)


def test_a_picture_that_cannot_be_shown_is_said_and_can_be_answered(page, serve):
    server = serve("image", 3)
    server.examples[server.ids[0]] = b"no picture"
    page.begin(server.address("anna"))
    assert "cannot show this picture" in page.text("#stage")
    page.answer("d")
    assert page.count(".picture") == 1


def test_a_text_keeps_its_lines_direction_and_size_and_the_buttons_stay(page, serve):
    server = serve("text", 5)
    texts = ["one\n\n  two <b>&amp;", "שלום\nleft again", "word " * 20_000, "", "x" * 5_000]
    server.examples.update(zip(server.ids, texts, strict=True))
    page.begin(server.address("anna"))
    assert page.ask("document.querySelector('.text').textContent") == texts[0]
    assert page.text(".text") == texts[0]
    size = "parseFloat(getComputedStyle(document.querySelector('.text')).fontSize)"
    before = page.ask(size)
    page.key("+")
    assert page.ask(size) == pytest.approx(1.15 * before, rel=0.01)
    page.answer("1")
    assert page.ask(size) == pytest.approx(1.15 * before, rel=0.01)
    page.key("f")
    assert page.ask(size) == pytest.approx(before, rel=0.01)
    assert page.ask("getComputedStyle(document.querySelector('.text')).direction") == "rtl"
    page.answer("1")
    page.key("ArrowDown")
    assert page.ask("document.getElementById('stage').scrollTop") == 60
    for _ in range(2):
        assert page.ask(IN_VIEW)
        assert page.ask("document.documentElement.scrollHeight <= innerHeight")
        page.answer("1")
    assert page.ask("document.documentElement.scrollWidth <= innerWidth")


def test_a_sound_plays_when_it_is_shown_and_obeys_keys(page, serve):
    page.begin(serve("audio").address("anna"))
    page.answer("1")
    playing = "document.getElementById('stage').dataset.playing === 'true'"
    page.wait_for("document.querySelector('audio').ended")  # it played by itself
    page.key(" ")
    page.wait_for(playing)
    page.key(" ")
    page.wait_for(f"!({playing})")
    page.key("+")
    assert page.ask("document.querySelector('audio').playbackRate") == 1.25
    page.key("-")
    page.key("-")
    assert page.ask("document.querySelector('audio').playbackRate") == 0.75
    page.key("f")
    page.key("r")
    page.wait_for("document.querySelector('audio').ended")
    assert "0.4 of 0.4 s" in page.text(".player")
    page.key("ArrowLeft")
    page.wait_for("document.querySelector('audio').currentTime === 0")
    assert page.ask(DRAWN)
    page.click(".player input")
    page.answer("1")
    assert page.ask(
        "document.querySelector('audio').paused && document.querySelector('audio').currentTime === 0"
    )


def test_the_time_from_key_to_example_is_measured_by_the_page(page, serve):
    page.begin(serve("image").address("anna"))
    for _ in range(20):
        page.answer("2")
    page.wait_for("performance.getEntriesByName('key-to-next').length === 20")
    waits = page.ask("performance.getEntriesByName('key-to-next').map(each => each.duration)")
    assert min(waits) > 0
    assert sorted(waits)[10] < 100
