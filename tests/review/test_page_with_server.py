"""The page and its server together: what a person does is what the store holds."""

import pytest
from review_page import ReviewPage
from review_server import CLASSES, RealServer

from tfautolabel.review.questions import Question


@pytest.mark.parametrize("modality", ["image", "text", "audio"])
def test_a_person_answers_and_the_model_learns(page, tmp_path, modality):
    with RealServer(tmp_path, modality) as server:
        page.begin(server.link())
        asked = [(page.example, key) for _ in range(30) if page.answer(key := server.key_of(page.example))]
        stored = server.stored()
        assert len(asked) == len(stored) == 30
        assert len({item for item, *_ in stored}) == 30
        assert all(
            CLASSES[server.truth[server.review.material.row_of[item]]] == label for item, _, label in stored
        )
        page.wait_for("document.getElementById('notes').innerText.includes('has learnt')")
        assert page.trouble == []
        assert "randomly asked ones" in page.text("#figures")


def test_undo_skip_comment_history_and_classes(page, tmp_path):
    with RealServer(tmp_path) as server:
        page.begin(server.link())
        first, second = page.answer("1"), page.answer("d")
        page.key("Backspace")
        page.wait_for("document.querySelector('.badge.earlier')")
        assert (page.example, page.text(".badge.earlier")) == (second, "taken back: cannot tell")
        page.key("Backspace")
        page.wait_for(f"document.body.dataset.example === '{first}'")
        assert page.text(".badge.earlier") == "taken back: rust"
        page.key("c")
        page.write("unclear")
        page.key("Enter", modifiers=2)
        page.wait_for("document.querySelector('.badge.comment')")
        page.answer("2")
        page.answer("s")
        page.key("h")
        page.wait_for("document.querySelectorAll('.history li').length === 3")
        page.click(".history li:nth-child(2) button")
        page.wait_for(f"document.body.dataset.example === '{first}'")
        assert page.text(".badge.earlier") == "your answer: clean"
        page.answer("3")
        assert server.review.labels() == {first: "scratch"}
        page.key("e")
        page.wait_for("document.activeElement.tagName === 'INPUT'")
        page.write("moss")
        page.key("Enter")
        page.wait_for("document.querySelectorAll('.class-row').length === 4")
        page.key("Escape")
        page.key("Backspace")
        page.wait_for("document.querySelectorAll('.class').length === 3")
        assert server.review.classes == CLASSES


def test_a_grid_is_one_act(page, tmp_path):
    with RealServer(tmp_path) as server:
        page.begin(server.link())
        for _ in range(12):
            page.answer(server.key_of(page.example))
        page.wait_for("document.getElementById('notes').innerText.includes('has learnt')")
        page.key("l")
        page.wait_for("document.querySelectorAll('.cell').length > 3")
        shown, label = page.count(".cell"), page.ask("document.getElementById('grid-label').value")
        page.key(" ")
        page.key("Enter")
        page.wait_for("document.getElementById('remark').textContent.startsWith('Saved')")
        held = server.review.labels()
        assert len(held) == 12 + shown - 1
        assert sum(name == label for name in held.values()) >= shown - 1
        page.key("Backspace")
        page.wait_for("document.getElementById('grid-title').textContent.includes('taken back')")
        assert len(server.review.labels()) == 12
        page.click("#search")
        page.write("row 19")
        page.key("Enter")
        page.wait_for("document.getElementById('grid-title').textContent === '12 found for “row 19”'")
        page.key("j")
        page.wait_for("document.getElementById('grid-title').textContent.includes('like row 19')")


def test_the_server_is_stopped_and_started_again(page, tmp_path):
    with RealServer(tmp_path) as server:
        page.begin(server.link())
        for _ in range(5):
            page.answer("1")
        waiting = page.example
    page.key("2")
    page.wait_for("document.querySelector('[data-banner=outbox]')")
    with RealServer(tmp_path, port=server.port) as again:
        page.wait_for("document.body.dataset.unsaved === '0'")
        assert again.stored()[5:] == [(waiting, "label", "clean")]
        page.wait_for(f"document.body.dataset.example !== '{waiting}'")
        page.answer("3")
        assert len(again.stored()) == 7
        page.visit(f"http://127.0.0.1:{again.port}/")
        page.wait_for("document.body.dataset.shown")
        assert page.text("#progress-said").startswith("7 of 200")


def test_two_people_never_have_the_same_example(page, tmp_path):
    with RealServer(tmp_path) as server, ReviewPage(tmp_path / "other") as other:
        page.begin(server.link())
        other.begin(server.link(), who="ben")
        by_anna = [page.answer("1") for _ in range(10) if other.answer("2")]
        assert page.example != other.example
        other.key("Backspace")
        other.wait_for("document.querySelector('.badge.earlier')")
        page.visit(f"http://127.0.0.1:{server.port}/")
        page.wait_for("document.body.dataset.shown")
        assert "Also here: ben" in page.text("#panel")
        by_ben = [event.item for event in server.answers.events() if event.who == "ben" and event.item]
        assert len({*by_anna, *by_ben}) == 20
        labels = server.review.labels()
        assert sorted(labels.values()) == ["clean"] * 9 + ["rust"] * 10


def test_labels_to_check_are_kept_or_replaced(page, tmp_path):
    lists = {"check": [Question(row, "check", "rust", "clean") for row in range(4)]}
    with RealServer(tmp_path, lists=lists) as server:
        page.begin(server.link())
        page.choose("#mode", "check")
        page.wait_for("document.querySelector('.badge.guess')")
        assert page.text(".badge.given") == "given label: rust"
        items = [page.answer(key) for key in ("Enter", "k", "3")]
        assert [label for *_, label in server.stored()] == ["clean", "rust", "scratch"]
        assert items == [item for item, *_ in server.stored()]
        assert all(event.guess_shown for event in server.answers.events())


def test_the_end(page, tmp_path):
    with RealServer(tmp_path) as server:
        page.begin(server.link())
        page.click("#finish")
        page.click("dialog button.main")
        page.wait_for("document.getElementById('finish-said').innerText.includes('Done: teach.')")
        page.click("#invite")
        page.wait_for("document.querySelector('dialog input')?.value.includes('token')")
