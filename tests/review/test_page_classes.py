"""Classes on the review page: their keys, their order, many of them, and changes while a person works."""

import json

MANY = [f"Class {number:02}" for number in range(30)]


def labels(server):
    return [line["label"] for line in server.lines]


def test_digits_then_letters_then_a_filter(page, serve):
    server = serve(classes=[*MANY, "Überzug", "Rost an der Kante"])
    page.begin(server.address("anna"))
    shown = page.ask("[...document.querySelectorAll('.class kbd')].map(each => each.textContent).join('')")
    assert shown == "1234567890AIOPQTUWXZ"
    for key in "10az":
        page.answer(key)
    page.key("/")
    assert page.ask("document.activeElement.id") == "filter"
    page.write("uber")
    page.wait_for("document.querySelectorAll('.class').length === 1")
    assert "Enter takes the first" not in page.text("#found")
    assert "Überzug" in page.text("#found")
    page.answer("Enter")
    page.key("/")
    page.write("KANTE")
    page.answer("Enter")
    page.key("/")
    page.write("no such")
    page.key("Enter")
    assert page.text("#found") == "No class has this name."
    page.key("Escape")
    assert page.count(".class") == 32
    page.key("/")
    page.write("29")
    page.click(".class")
    page.wait_for("document.body.dataset.example === 'row 7'")
    assert labels(server) == [
        "Class 00",
        "Class 09",
        "Class 10",
        "Class 19",
        "Überzug",
        "Rost an der Kante",
        "Class 29",
    ]


LAYOUTS = [
    ({"key": "A", "code": "KeyA", "shiftKey": True}, ["shift+a"]),
    ({"key": "&", "code": "Digit1"}, ["&", "1"]),  # AZERTY
    ({"key": "/", "code": "Digit7", "shiftKey": True}, ["/"]),  # QWERTZ
    ({"key": "ф", "code": "KeyA"}, ["ф", "a"]),
    ({"key": "q", "code": "KeyA"}, ["q"]),
    ({"key": "z", "code": "KeyY", "ctrlKey": True}, ["ctrl+z"]),
]


def test_no_class_key_is_a_command_and_other_layouts_work(page, serve):
    page.begin(serve(classes=MANY).address("anna"))
    clash = page.ask(
        """(async () => {
          const { CLASS_KEYS } = await import("/static/class_keys.js");
          const { commandsOf } = await import("/static/commands.js");
          const taken = commandsOf({ example: {}, open: {} }).flatMap(command => command.keys);
          return [CLASS_KEYS.filter(key => taken.includes(key)), new Set(CLASS_KEYS).size];
        })()"""
    )
    assert clash == [[], 20]
    for event, names in LAYOUTS:
        pressed = f"new KeyboardEvent('keydown', {json.dumps(event)})"
        assert page.ask(f"import('/static/keyboard.js').then(module => module.keyNames({pressed}))") == names


def test_most_used_first_sorts_once_and_keys_follow(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    for key in "3323":
        page.answer(key)
    assert page.text(".class .name") == "rust"
    page.click("#most-used")
    order = "[...document.querySelectorAll('.class .name')].map(each => each.textContent)"
    assert page.ask(order) == ["scratch", "clean", "rust"]
    page.answer("1")
    for _ in range(5):
        page.answer("3")
    assert page.ask(order) == ["scratch", "clean", "rust"]
    assert labels(server)[4:] == ["scratch"] + ["rust"] * 5
    page.click("#most-used")
    assert page.ask(order) == ["rust", "clean", "scratch"]
    assert page.ask("[...document.querySelectorAll('.class .count')].map(each => each.textContent)") == [
        "5",
        "1",
        "4",
    ]


def test_a_person_chooses_keys(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    page.key("e")
    page.wait_for("document.querySelector('dialog[open]')")
    page.choose(".class-row:nth-child(3) select", "w")
    page.key("Escape")
    page.answer("w")
    page.visit(f"http://127.0.0.1:{server.port}/")
    page.wait_for("document.body.dataset.shown")
    page.answer("w")
    page.answer("1")
    assert labels(server) == ["scratch", "scratch", "rust"]


def test_classes_are_added_renamed_merged_and_all_undone(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    page.answer("1")
    page.key("e")
    page.wait_for("document.activeElement.tagName === 'INPUT'")
    page.write("moss & <i>more</i>")
    page.key("Enter")
    page.wait_for("document.querySelectorAll('.class-row').length === 4")
    page.key("Escape")
    page.answer("4")
    assert labels(server) == ["rust", "moss & <i>more</i>"]
    page.key("e")
    page.click(".class-row:nth-child(1) button")
    page.wait_for("document.querySelector('.class-row form input')")
    page.ask("document.querySelector('.class-row form input').select()")
    page.write("corrosion")
    page.key("Enter")
    page.wait_for("document.querySelector('.class-row .name').textContent === 'corrosion'")
    page.click(".class-row:nth-child(2) button:last-of-type")
    page.wait_for("document.querySelector('.class-row form select')")
    page.choose(".class-row form select", "scratch")
    page.click(".class-row form button")
    page.wait_for("document.querySelectorAll('.class-row').length === 3")
    page.key("Escape")
    names = "[...document.querySelectorAll('.class .name')].map(each => each.textContent).join()"
    assert page.ask(names) == "corrosion,scratch,moss & <i>more</i>"
    page.key("Backspace")
    page.wait_for(f"{names} === 'corrosion,clean,scratch,moss & <i>more</i>'")
    page.key("Backspace")
    page.wait_for(f"{names} === 'rust,clean,scratch,moss & <i>more</i>'")
    assert page.trouble == []


def test_a_class_that_another_person_adds_appears(page, serve):
    server = serve()
    page.begin(server.address("anna"))
    server.classes.append("moss")
    page.answer("1")
    page.wait_for("document.querySelectorAll('.class').length === 4")
    page.answer("4")
    assert labels(server) == ["rust", "moss"]
