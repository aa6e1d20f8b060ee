import browser as chromium
import pytest
from review_page import ReviewPage, examples_of
from review_stand_in import StandIn

CLASSES = ("rust", "clean", "scratch")


def pytest_collection_modifyitems(items):
    """Tests of the page need a browser."""
    skip = pytest.mark.skipif(chromium.EXECUTABLE is None, reason="needs Chromium: apt-get install chromium")
    for item in items:
        if "page" in getattr(item, "fixturenames", ()):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    with ReviewPage(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(browser):
    """The one browser, with nothing left of the test before."""
    yield browser
    browser.offline(False)
    browser.forget()
    browser.call("Page.navigate", url="about:blank")


@pytest.fixture
def serve(tmp_path):
    """Starts a server that keeps answers of a session in one file; another on its port goes on."""
    started = []

    def start(modality="text", count=40, classes=CLASSES, port=0):
        file = tmp_path / "answers.jsonl"
        started.append(StandIn(file, modality, examples_of(modality, count), classes, port))
        return started[-1]

    yield start
    for server in started:
        if not server.gone:
            server.close()
