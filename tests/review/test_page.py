"""What a person does on the review page, and what the server then has."""

import time

KEYS = "123"


def labels(server):
    """(id, label) of what was answered, in the order in which it came."""
    return [(line["id"], line["label"]) for line in server.lines]


def pressed(server, keys):
    """What a server with three classes should have after these keys, from the first example on."""
    return [(name, server.classes[int(key) - 1]) for name, key in zip(server.ids, keys, strict=False)]


def test_five_hundred_answers_by_keyboard_none_lost_and_in_order(page, serve):
    server = serve("text", 501)
    page.begin(server.address("anna"))
    keys = [KEYS[place * place // 3 % 3] for place in range(500)]
    started = time.perf_counter()
    for key in keys:
        page.answer(key)
    assert time.perf_counter() - started < 50, "slower than ten a second"
    assert labels(server) == pressed(server, keys)
    assert page.not_counted == 0
    assert page.text("#progress-said") == "500 answered"
    # An answer is saved before the next example shows: never two on the way, never one ahead.
    assert all(len(body["events"]) == 1 for _, path, body in server.requests if path == "/api/answers")
    assert page.trouble == []


def test_keys_at_ten_a_second_are_answers_or_said_not_to_count(page, serve):
    server = serve("text", 200)
    page.begin(server.address("anna"))
    server.delay = 0.06
    keys, begun = [KEYS[place % 3] for place in range(30)], time.perf_counter()
    for place, key in enumerate(keys):
        time.sleep(max(0, begun + place / 10 - time.perf_counter()))
        page.key(key)
    page.wait_for("document.body.dataset.unsaved === '0'")
    assert len(server.lines) == 30 - page.not_counted
    assert [line["id"] for line in server.lines] == server.ids[: len(server.lines)]
    if page.not_counted == 0:
        assert labels(server) == pressed(server, keys)


def test_a_key_before_the_answer_is_saved_is_no_answer_to_what_nobody_saw(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    server.delay = 0.5
    page.key("1")
    page.key("2")
    assert page.example == "row 0"  # it stays until the answer is on the disk
    assert not server.file.exists()
    assert "Not counted" in page.text("#remark")
    page.wait_for("document.body.dataset.shown === '2'")
    assert (page.not_counted, labels(server)) == (1, [("row 0", "rust")])
    page.key("3", repeated=True)
    page.key("1", modifiers=2)
    assert page.example == "row 1"


def test_thirty_steps_back_and_forth_again(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    for place in range(30):
        page.answer(KEYS[place % 3])
    for place in reversed(range(30)):
        before = page.shown
        page.key(*(("Backspace",) if place % 2 else ("z", 2)))
        page.wait_for(f"document.body.dataset.shown > {before}")
        assert page.example == f"row {place}"
        assert page.text(".badge.earlier") == f"taken back: {server.classes[place % 3]}"
    assert server.current() == {}
    page.key("Backspace")
    page.wait_for("document.getElementById('remark').textContent.includes('nothing left')")
    for _ in range(31):
        page.answer("2")
    assert {name: line["label"] for name, line in server.current().items()} == dict.fromkeys(
        server.ids[:31], "clean"
    )


def test_thirty_quick_undos_are_thirty(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    for _ in range(32):
        page.answer("1")
    for _ in range(30):
        page.key("Backspace")
    page.wait_for("document.body.dataset.example === 'row 2'")
    assert list(server.current()) == ["row 0", "row 1"]


def test_skip_cannot_tell_and_none_of_these_are_three_things(page, serve):
    server = serve(count=4)
    page.begin(server.address("anna"))
    assert page.ask("document.getElementById('verdicts').textContent") == "SkipSCannot tellDNone of theseN"
    page.answer("s")
    page.answer("d")
    page.click("#verdicts button:last-child")
    page.wait_for("document.body.dataset.shown === '4'")
    kinds = [(line["kind"], line["label"]) for line in server.lines]
    assert kinds == [("skip", None), ("cannot_tell", None), ("none_of_these", None)]
    page.answer("1")
    assert page.example == "row 0"  # the skipped one comes again
    page.answer("1")
    page.wait_for("document.getElementById('nothing').innerText.includes('Everything is answered.')")


def test_the_guess_is_hidden_until_it_is_asked_for_and_the_answer_says_so(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    assert "scratch" not in page.text("#told")
    page.answer("1")
    page.key("g")
    assert page.text(".badge.guess") == "guess: scratch 83 %"
    page.answer("1")
    page.wait_for("!document.querySelector('.badge.guess')")
    assert [line["guess_shown"] for line in server.lines] == [False, True]
    assert all(0 < line["seconds"] < 20 for line in server.lines)


def test_audit_and_check_show_labels_and_take_them_with_one_key(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    page.choose("#mode", "audit")
    page.wait_for("document.querySelector('.badge.given')")
    assert page.text(".badge.given") == "label to check: rust"
    page.answer("y")
    page.answer("2")
    page.choose("#mode", "check")
    page.wait_for("document.querySelector('.badge.guess')")
    assert page.text("#told") == "given label: rust\nmore likely: scratch 83 %"
    page.answer("Enter")
    page.answer("k")
    page.click("#accept")
    page.wait_for("document.body.dataset.example === 'row 5'")
    assert [label for _, label in labels(server)] == ["rust", "clean", "scratch", "rust", "scratch"]
    assert all(line["guess_shown"] for line in server.lines)
    page.visit(f"http://127.0.0.1:{server.port}/")
    page.wait_for("document.querySelector('.badge.guess')")
    assert (page.ask("document.body.dataset.mode"), page.example) == ("check", "row 5")


def test_a_comment_is_saved_at_once_and_can_be_undone(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    page.key("c")
    page.write("a second line says more\n1")
    page.key("Enter", modifiers=2)
    page.wait_for("document.querySelector('.badge.comment')")
    assert page.example == "row 0"
    assert (server.lines[0]["kind"], server.lines[0]["comment"]) == ("comment", "a second line says more\n1")
    page.answer("1")
    assert server.lines[1]["comment"] == "a second line says more\n1"
    assert server.lines[0]["act"] != server.lines[1]["act"]


def test_an_old_answer_is_changed_from_the_history(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    for key in "1231":
        page.answer(key)
    page.key("h")
    page.wait_for("document.querySelectorAll('.history li').length === 4")
    assert "rust for row 3" in page.text(".history li")
    page.click(".history li:nth-child(3) button")
    page.wait_for("document.body.dataset.example === 'row 1'")
    assert page.text(".badge.earlier") == "your answer: clean"
    assert page.text(".class[aria-pressed=true] .name") == "clean"
    page.answer("3")
    assert page.example == "row 4"
    assert server.current()["row 1"]["label"] == "scratch"


def test_a_button_in_focus_is_pressed_by_its_own_keys(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    for key in ("Enter", " "):
        page.ask("document.querySelector('.class:nth-child(3)').focus()")
        page.answer(key)
        assert page.ask("document.activeElement.id") == "example"
    assert labels(server) == [("row 0", "scratch"), ("row 1", "scratch")]


def test_the_panel_says_what_is_known_and_where_it_comes_from(page, serve):
    server = serve()
    server.panel = {
        "answered": 37,
        "accuracy": {"value": 0.88, "low": 0.74, "high": 0.95, "n": 31},
        "accepted": {"share": 0.61, "why": "The rest is less sure."},
        "needed": {"answers": 65, "target_error": 0.05, "sentence": "From audit answers."},
        "stop": {"hint": True, "unchanged": [0.99, 0.991, 0.988], "sentence": "No proof, but a hint."},
        "agreement": {"percent": 0.93, "kappa": 0.86, "kind": "Cohen's kappa", "items": 40},
        "problem": "The model could not learn: one class has no answer.",
    }
    page.begin(server.address("anna"))
    said = page.text("#panel")
    for part in (
        "88 %\n74 % to 95 %, from the 31 randomly asked ones",
        "61 %\nThe rest is less sure.",
        "For at most 5 % errors\n65 more answers\nFrom audit answers.",
        "No proof, but a hint.",
        "Cohen's kappa 0.86, on 40 examples",
        "one class has no answer",
    ):
        assert part in said
    assert page.text("#progress-said") == "37 of 200, about 12 min left"
    server.panel |= {"accuracy": None, "stop": {**server.panel["stop"], "hint": False}}
    page.answer("1")
    page.wait_for("document.getElementById('panel').innerText.includes('not known yet')")
    assert "No proof" not in page.text("#panel")


def test_the_panel_tells_what_was_set_aside_and_why(page, serve):
    server = serve()
    broken = [{"id": f"row {number}.jpg", "reason": "it is <b>no</b> picture"} for number in range(3)]
    server.unreadable = {"count": 8, "first": broken}
    page.begin(server.address("anna"))
    page.click("#unreadable summary")
    said = page.text("#unreadable").split("\n")
    assert said[0] == "8 examples were set aside: they cannot be read"
    assert said[1:] == [*(f"row {number}.jpg: it is <b>no</b> picture" for number in range(3)), "and 5 more"]
    page.answer("1")
    assert page.ask("document.getElementById('unreadable').open")


def test_nothing_is_said_where_nothing_was_set_aside(page, serve):
    page.begin(serve().address("anna"))
    assert page.ask("document.getElementById('unreadable').hidden")


def test_the_end_labels_all_and_says_where_the_report_is(page, serve):
    page.begin(serve().address("anna"))
    page.click("#finish")
    page.wait_for("document.querySelector('dialog[open]')")
    assert "nobody knows how good the labels are" in page.text("dialog")
    page.click("dialog button.main")
    page.wait_for("document.getElementById('finish-said').innerText.includes('All are labelled.')")
    assert page.ask("document.querySelector('#finish-said a').getAttribute('href')") == "/report"
