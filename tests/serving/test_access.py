"""Who is answered: no page from elsewhere, no name that leads here by trick, nobody without the token."""

import pytest
from served import Running

from tfautolabel.serving.access import Access
from tfautolabel.serving.refusals import Refusal
from tfautolabel.serving.settings import Settings

TOKEN = "a-token-of-some-length"
PREDICT = "/v1/models/sums:predict"
ROWS = '{"instances": [[1, 1, 1]]}'


def status_of(settings, path="/models", method="GET", **headers):
    """The status that a request is refused with; None if it is not."""
    given = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
    try:
        Access(settings).check(given, method, path)
    except Refusal as refusal:
        return refusal.status
    return None


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", None),
        ("LocalHost:8501", None),
        ("localhost.:8501", None),
        ("127.0.0.1:8501", None),
        ("127.1.2.3", None),
        ("[::1]:8501", None),
        ("", None),
        ("evil.example", 403),
        ("evil.example:8501", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("evil.example@localhost", 403),
        ("192.168.0.5:8501", 403),
        ("0.0.0.0:8501", 403),
        ("[::1", None),
        ("[fe80::1]", 403),
        ("\xff", 403),
    ],
)
def test_a_name_that_leads_here_by_trick_is_refused(host, status):
    assert status_of(Settings(), host=host) == status


def test_further_names_are_known_and_their_pages_may_ask():
    settings = Settings(allow_host=("Models.example.org", "10.0.0.5"))
    assert status_of(settings, host="models.example.org") is None
    assert status_of(settings, host="10.0.0.5:80") is None
    assert status_of(settings, host="localhost:8501", origin="https://models.example.org") is None
    assert status_of(settings, host="other.example.org") == 403
    # A server that others reach has names that it does not know, unless it is told.
    elsewhere = Settings(host="0.0.0.0", token=TOKEN)
    assert status_of(elsewhere, host="anything.example", x_api_key=TOKEN) is None
    told = Settings(host="0.0.0.0", token=TOKEN, allow_host=("a.example",))
    assert status_of(told, host="anything.example", x_api_key=TOKEN) == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8501", None),
        ("https://localhost:8501", None),
        ("http://localhost:3000", 403),
        ("http://localhost", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
        ("localhost:8501", 403),
        ("file://localhost:8501", 403),
    ],
)
def test_pages_from_elsewhere_may_not_ask(origin, status):
    assert status_of(Settings(), host="localhost:8501", origin=origin) == status
    assert status_of(Settings(allow_origin="*"), host="localhost:8501", origin=origin) is None
    only = Settings(allow_origin="https://evil.example")
    expected = None if origin == "https://evil.example" else status
    assert status_of(only, host="localhost:8501", origin=origin) == expected


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": f"Bearer {TOKEN}"}, None),
        ({"authorization": f"bearer  {TOKEN} "}, None),
        ({"x_api_key": TOKEN}, None),
        ({"authorization": TOKEN}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"x_api_key": ""}, 401),
        ({"x_api_key": TOKEN + "x"}, 401),
        ({"authorization": "Bearer \xff", "x_api_key": TOKEN}, None),
    ],
)
def test_a_token_is_asked_for(headers, status):
    settings = Settings(token=TOKEN)
    assert status_of(settings, host="localhost", **headers) == status
    for path in ("/", "/healthz"):
        assert status_of(settings, path, host="localhost", **headers) is None
    for path in ("/metrics", PREDICT, "/v1/models/sums", "/nowhere"):
        assert status_of(settings, path, host="localhost", **headers) == status


def test_a_browser_asks_for_leave_without_the_token():
    asks = {"host": "localhost", "origin": "https://a.example"}
    both = Settings(token=TOKEN, allow_origin="https://a.example")
    assert status_of(both, PREDICT, "OPTIONS", **asks) is None
    assert status_of(both, PREDICT, "POST", **asks) == 401
    assert status_of(Settings(token=TOKEN), PREDICT, "OPTIONS", host="localhost") == 401


def test_a_server_that_others_reach_has_a_token():
    for host in ("0.0.0.0", "::", "192.168.0.5", "example.org", ""):
        with pytest.raises(ValueError, match=r"needs a token, or no_token.*Received: host="):
            Settings(host=host).check()
        Settings(host=host, token=TOKEN).check()
        Settings(host=host, no_token=True).check()
    for host in ("127.0.0.1", "localhost", "::1", "127.9.9.9"):
        Settings(host=host).check()
    with pytest.raises(ValueError, match="no_token and a token"):
        Settings(token=TOKEN, no_token=True).check()
    for token in ("", "short", "with space in it", "täuschend-lang"):
        with pytest.raises(ValueError, match="token must have 8 characters or more") as failure:
            Settings(token=token).check()
        assert not token or token not in str(failure.value)
    assert TOKEN not in repr(Settings(token=TOKEN))
    for name in ("http://a.example", "a.example:80", "", "a b"):
        with pytest.raises(ValueError, match="allow_host must be a name or an address without a port"):
            Settings(allow_host=(name,)).check()
    Settings(allow_host=("a.example", "10.0.0.5", "fe80::1")).check()


def test_requests_over_http(folder):
    with Running(folder, token=TOKEN) as running:
        assert running.ask("GET", "/models")[0] == 401
        status, answer, headers = running.ask("POST", PREDICT, ROWS)
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert "Authorization: Bearer TOKEN" in answer["error"]
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert running.ask("POST", PREDICT, ROWS, bearer)[:2] == (200, {"predictions": [3.0]})
        assert running.ask("GET", "/healthz")[:2] == (200, {"status": "ok"})
        assert running.ask("GET", "/healthz", None, bearer)[1] == {"status": "ok", "models": ["sums"]}
        assert running.ask("GET", "/")[0] == 200


def test_rebinding_and_foreign_pages_over_http(server):
    status, answer, _ = server.ask("GET", "/models", None, {"Host": f"evil.example:{server.port}"})
    assert status == 403
    assert answer["error"].endswith(f"Received: Host 'evil.example:{server.port}'")
    foreign = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
    assert server.ask("POST", PREDICT, ROWS, foreign)[0] == 403
    assert server.ask("POST", PREDICT, ROWS, {"Origin": server.url.rstrip("/")})[0] == 200
