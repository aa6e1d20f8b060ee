"""Many examples at once: groups, marks, one key for the rest, undo as a whole, search, more like this."""

import pytest


def open_grid(page, server):
    page.begin(server.address("anna"))
    page.key("l")
    page.wait_for("document.querySelectorAll('.cell').length")


def at(page):
    """The place of the cell in focus."""
    return page.ask("[...document.querySelectorAll('.cell')].indexOf(document.activeElement)")


def test_a_grid_of_sixty_is_labelled_but_the_wrong_ones_and_undone_as_a_whole(page, serve):
    server = serve("image", 90)
    open_grid(page, server)
    assert page.count(".cell") == 60
    assert at(page) == 0
    page.wait_for("[...document.querySelectorAll('.cell img')].every(image => image.naturalWidth === 60)")
    columns = page.ask(
        "getComputedStyle(document.getElementById('cells')).gridTemplateColumns.split(' ').length"
    )
    page.key(" ")
    page.key("ArrowRight")
    page.key("ArrowDown")
    page.key(" ")
    assert at(page) == 1 + columns
    page.key("ArrowLeft")
    page.key("ArrowUp")
    assert at(page) == 0
    page.click(".cell:nth-child(3)")
    assert page.count(".cell[aria-selected=true]") == 3
    assert page.text("#left-out") == "3 left out"
    page.key("2")
    assert page.text("#save-grid .words") == "Label 57 as “clean”"
    assert server.lines == []
    page.key("Enter")
    page.wait_for("document.getElementById('remark').textContent.includes('57 examples')")
    left_out = {server.ids[place] for place in (0, 1 + columns, 2)}
    assert {line["id"] for line in server.lines} == set(server.ids[:60]) - left_out
    assert {line["label"] for line in server.lines} == {"clean"}
    assert len({line["act"] for line in server.lines}) == 1
    # What was left out comes again, with its mark.
    page.wait_for("document.querySelectorAll('.cell').length === 33")
    assert page.count(".cell[aria-selected=true]") == 3
    page.key("Backspace")
    page.wait_for("document.querySelectorAll('.cell').length === 57")
    assert server.current() == {}
    assert page.text("#grid-title") == "57 taken back"
    page.key("1")
    page.key("Enter")
    page.wait_for("document.getElementById('grid-title').textContent.startsWith('Nothing')")
    assert {line["label"] for line in server.current().values()} == {"rust"}
    page.key("Backspace")
    page.wait_for("document.querySelectorAll('.cell').length === 57")
    assert page.trouble == []


def test_earlier_answers_are_not_overwritten_without_a_warning(page, serve):
    server = serve("text", 12)
    page.begin(server.address("anna"))
    page.answer("1")
    page.answer("2")
    page.key("l")
    page.wait_for("document.querySelectorAll('.cell').length")
    page.click("#search")
    page.write("row")
    page.key("Enter")
    page.wait_for("document.querySelectorAll('.cell').length === 12")
    assert page.text("#grid-warning").startswith("2 examples with an answer of yours are left out.")
    assert page.count(".cell[aria-selected=true]") == 2
    page.key(" ")
    page.key("3")
    page.key("Enter")
    page.wait_for("document.getElementById('grid-warning').textContent.includes('overwrites 1 example')")
    assert len(server.lines) == 2
    page.key("Enter")
    page.wait_for("document.body.dataset.unsaved === '0' && document.querySelectorAll('.cell').length === 1")
    held = {name: line["label"] for name, line in server.current().items()}
    assert held.pop("row 1") == "clean"
    assert set(held.values()) == {"scratch"}
    page.key("Backspace")
    page.wait_for("document.querySelectorAll('.cell').length === 11")
    assert {name: line["label"] for name, line in server.current().items()} == {
        "row 0": "rust",
        "row 1": "clean",
    }


def test_guesses_are_shown_in_the_grid_and_the_answers_say_so(page, serve):
    server = serve("text", 6)
    open_grid(page, server)
    page.choose("#group", "cluster:1")
    page.wait_for("document.getElementById('save-grid').disabled")
    for _ in range(3):
        page.key(" ")
        page.key("ArrowRight")
    page.key("1")
    page.key("Enter")
    page.wait_for("document.querySelectorAll('.cell').length === 3")
    assert page.ask("document.querySelector('.cell-guess').offsetParent") is None
    page.key("g")
    assert page.text(".cell-guess") == "guess: scratch"
    assert "guess: scratch" in page.ask("document.activeElement.getAttribute('aria-label')")
    page.key(" ")
    page.key("1")
    page.key("Enter")
    page.wait_for("document.querySelectorAll('.cell').length === 2")
    assert [line["guess_shown"] for line in server.lines] == [False] * 3 + [True]


def test_nothing_is_labelled_without_a_class_or_without_examples(page, serve):
    server = serve("text", 6)
    open_grid(page, server)
    page.choose("#group", "cluster:1")
    page.wait_for("document.getElementById('save-grid').disabled")
    page.key("Enter")
    assert "Choose a class first" in page.text("#remark")
    for _ in range(6):
        page.key(" ")
        page.key("ArrowRight")
    page.key("1")
    page.key("Enter")
    assert "nothing to label" in page.text("#remark")
    assert server.lines == []


def test_more_like_this_and_one_of_them_alone(page, serve):
    server = serve("text", 30)
    page.begin(server.address("anna"))
    page.answer("1")
    page.key("j")
    page.wait_for("document.querySelectorAll('.cell').length === 30")
    assert page.text("#grid-title") == "30 like row 1"
    page.key("ArrowRight")
    page.key("ArrowRight")
    page.key("f")
    page.wait_for("document.body.dataset.example === 'row 2'")
    page.answer("3")
    assert page.example == "row 1"
    assert [(line["id"], line["label"]) for line in server.lines] == [("row 0", "rust"), ("row 2", "scratch")]
    page.key("l")
    page.key("Escape")
    assert page.ask("document.activeElement.id") == "example"


@pytest.mark.parametrize("modality", ["text", "audio"])
def test_texts_and_sounds_have_grids_of_their_own(page, serve, modality):
    server = serve(modality, 8)
    open_grid(page, server)
    if modality == "text":
        assert page.text(".excerpt") == "The first line of 0.\n\nThe <b>second</b> & last one."
    else:
        page.key("ArrowRight")
        page.key("r")
        page.wait_for("document.querySelector('.cell:nth-child(2) audio').currentTime > 0")
    page.key("1")
    page.key("Enter")
    page.wait_for("document.getElementById('grid-empty').hidden === false")
    assert len(server.current()) == 8


def test_a_grid_that_cannot_be_saved_is_kept_until_it_can(page, serve):
    server = serve("text", 70)
    open_grid(page, server)
    page.offline(True)
    page.key("2")
    page.key("Enter")
    page.wait_for("document.querySelector('[data-banner=outbox]')")
    assert page.text(".banner").startswith("60 answers are not saved yet")
    page.key("Enter")
    page.offline(False)
    page.wait_for("document.body.dataset.unsaved === '0'")
    assert len(server.lines) == 60
