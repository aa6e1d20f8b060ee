"""The review page when the server, the network or the page goes away: nothing is lost, and this is said."""

import time
from itertools import pairwise

UNSAVED = "document.body.dataset.unsaved"


def labels(server):
    return [(line["id"], line["label"]) for line in server.lines]


def test_the_network_is_cut_and_comes_back(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    page.answer("1")
    page.offline(True)
    page.key("2")
    page.wait_for("document.querySelector('[data-banner=outbox]')")
    said = page.text("[data-banner=outbox] p")
    assert said.startswith("1 answer is not saved yet, and kept in this browser. The server does not answer.")
    page.key("3")
    page.wait_for("document.body.dataset.notCounted === '1'")
    assert page.example == "row 1"
    page.offline(False)
    page.wait_for("document.body.dataset.example === 'row 2'")
    assert labels(server) == [("row 0", "rust"), ("row 1", "clean")]
    assert page.ask(f"{UNSAVED} === '0' && !document.querySelector('.banner')")
    page.answer("1")


def test_a_save_that_fails_is_said_and_tried_again_until_it_is_done(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    server.failures = 3
    page.key("1")
    page.wait_for("document.querySelector('[data-banner=outbox]')")
    assert "The disk is full." in page.text(".banner")
    assert page.example == "row 0"
    page.wait_for("document.body.dataset.example === 'row 1'")
    tries = [when for when, path, _ in server.requests if path == "/api/answers"]
    waits = [later - sooner for sooner, later in pairwise(tries)]
    assert len(tries) == 4
    assert all(later > sooner for sooner, later in pairwise(waits))
    assert labels(server) == [("row 0", "rust")]


def test_the_server_is_killed_and_another_goes_on_where_it_was(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    for key in "123":
        page.answer(key)
    server.close()
    page.key("1")
    page.wait_for("document.querySelector('[data-banner=outbox]')")
    again = serve(port=server.port)
    page.wait_for("document.body.dataset.example === 'row 4'")
    assert labels(again) == [("row 0", "rust"), ("row 1", "clean"), ("row 2", "scratch"), ("row 3", "rust")]
    assert page.answer("2") == "row 4"
    assert page.text("#progress-said").startswith("5 of 200")


def test_a_page_that_is_closed_without_a_server_saves_when_it_is_opened_again(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    page.answer("1")
    server.close()
    page.key("2")
    page.wait_for(f"{UNSAVED} === '1'")
    page.call("Page.navigate", url="about:blank")
    again = serve(port=server.port)
    assert len(again.lines) == 1
    page.begin(f"http://127.0.0.1:{again.port}/")
    assert labels(again) == [("row 0", "rust"), ("row 1", "clean")]
    assert page.example == "row 2"
    assert page.ask("Object.keys(localStorage).filter(key => key.includes('unsaved')).length") == 0


def test_an_answer_whose_acknowledgement_is_lost_is_saved_once(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    whole = server._answers

    def saved_but_not_said(person, body):
        server._answers = whole
        whole(person, body)
        raise ConnectionError("cut before the reply")

    server._answers = saved_but_not_said
    page.answer("2")
    sent = [body for _, path, body in server.requests if path == "/api/answers"]
    assert len(sent) == 2
    assert sent[0] == sent[1]
    assert labels(server) == [("row 0", "clean")]


def test_an_answer_that_the_server_refuses_for_good_waits_for_a_decision(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    server.failures, server.fail_with = 100, 400
    page.key("1")
    page.wait_for("document.querySelector('[data-banner=outbox] button:nth-of-type(2)')")
    assert "1 answer is not saved: The disk is full." in page.text(".banner")
    page.click("[data-banner=outbox] button:nth-of-type(2)")
    page.wait_for(f"{UNSAVED} === '0'")
    assert page.example == "row 0"
    server.failures = 0
    page.answer("3")
    assert labels(server) == [("row 0", "scratch")]


def test_an_answer_that_is_refused_does_not_hold_up_others(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    page.answer("3")
    server.close()
    page.key("1")
    page.wait_for(f"{UNSAVED} === '1'")
    kept = "Object.entries(localStorage).find(([key]) => key.includes('unsaved'))"
    page.ask(
        f"""(([key, text]) => {{
          const other = {{ ...JSON.parse(text), act: "other", label: "gone" }};
          localStorage.setItem(key.replace(/[^:]+$/, "0"), JSON.stringify(other));
        }})({kept})"""
    )
    page.call("Page.navigate", url="about:blank")
    again = serve(port=server.port)
    page.visit(f"http://127.0.0.1:{again.port}/")
    page.wait_for("document.querySelector('[data-banner=outbox] button:nth-of-type(2)')")
    assert "1 answer is not saved: There is no class gone." in page.text("[data-banner=outbox]")
    page.click("[data-banner=outbox] button:nth-of-type(2)")
    page.wait_for("document.body.dataset.example === 'row 2'")
    assert labels(again) == [("row 0", "scratch"), ("row 1", "rust")]


def test_a_link_that_is_used_up_is_said_and_a_new_one_goes_on(page, serve):
    server = serve()
    page.visit(server.address("used"))
    page.wait_for("document.querySelector('.banner')")
    assert "Ask for a new link at the terminal" in page.text(".banner")
    page.begin(server.address("anna"))
    page.ask(f"fetch('{server.address('used')}')")
    page.key("1")
    page.wait_for("document.querySelector('[data-banner=outbox]')")
    assert "Ask for a new link at the terminal" in page.text("[data-banner=outbox]")
    page.ask(f"fetch('{server.address('anna')}')")
    page.wait_for("document.body.dataset.example === 'row 1'")
    assert labels(server) == [("row 0", "rust")]


def test_an_undo_that_does_not_arrive_is_not_repeated_by_itself(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    for key in "12":
        page.answer(key)
    page.offline(True)
    page.key("Backspace")
    page.wait_for("document.getElementById('remark').textContent.includes('does not answer')")
    page.offline(False)
    time.sleep(0.3)
    assert len(server.current()) == 2
    page.key("Backspace")
    page.wait_for("document.body.dataset.example === 'row 1'")
    assert len(server.current()) == 1


def test_answers_of_another_person_stay_hers(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    server.failures = 1000
    page.key("1")
    page.wait_for(f"{UNSAVED} === '1'")
    page.begin(server.address("ben"), who="ben")
    page.wait_for("document.querySelector('[data-banner=others]')")
    server.failures = 0
    page.answer("2")
    assert [line["who"] for line in server.lines] == ["ben"]
    page.begin(server.address("anna"))
    assert [(line["who"], line["label"]) for line in server.lines] == [("ben", "clean"), ("anna", "rust")]


def test_examples_that_cannot_be_loaded_are_said_and_asked_for_again(page, serve):
    server = serve(count=12)
    page.begin(server.address("anna"))
    page.answer("1")
    whole = server._next

    def refuse(person, body):
        raise ConnectionError("no examples now")

    server._next = refuse
    for _ in range(7):
        page.answer("1")
    assert "cannot be loaded now" in page.text("#nothing")
    assert page.text("[data-banner=server] p").endswith("The page tries again by itself.")
    server._next = whole
    page.wait_for("document.body.dataset.example === 'row 8' && !document.querySelector('.banner')")
    page.answer("2")
    assert [name for name, _ in labels(server)] == server.ids[:9]


def test_who_comes_back_after_a_long_time_gets_what_nobody_else_has(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    page.answer("1")
    server.leases.update(dict.fromkeys(server.ids[1:9], "ben"))
    page.ask("(now => { Date.now = () => now() + 600000; })(Date.now)")
    page.ask("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for("document.body.dataset.example === 'row 9'")
    page.answer("2")
    assert labels(server) == [("row 0", "rust"), ("row 9", "clean")]


def test_a_second_page_of_the_same_person_is_told(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    other = page.call("Target.createTarget", url=f"http://127.0.0.1:{server.port}/")["targetId"]
    page.wait_for("document.querySelector('[data-banner=tabs]')")
    assert "open in another page of this browser" in page.text(".banner")
    page.click("[data-banner=tabs] button")
    page.call("Target.closeTarget", targetId=other)
    page.answer("1")
    assert page.count(".banner") == 0
