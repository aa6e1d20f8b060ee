"""What is fetched from a Label Studio server: its media, with its token, and nothing from anywhere else."""

import pytest
from studio_server import page, studio

from tfautolabel.serving.studio_site import StudioSite

TOKEN = "not-a-real-token-0123456789"


@pytest.mark.parametrize("place", ["/data/upload/1/0a1b-é 1.png", "/data/local-files/?d=photos/1%20a.png"])
def test_media_are_fetched_with_the_token(place):
    with studio(
        {"/data/upload/1/0a1b-%C3%A9%201.png": page(b"one"), "/data/local-files/": page(b"one")}
    ) as server:
        site = StudioSite.named(server.url, TOKEN)
        assert site.media(place, 3, 5) == b"one"
        assert site.media(server.url + place, 3, 5) == b"one"
        assert {token for _, token in server.asked} == {f"Token {TOKEN}"}
        assert StudioSite.named(server.url, None).media(place, 3, 5) == b"one"
        assert server.asked[-1][1] is None
        with pytest.raises(ValueError, match="may have 2 bytes"):
            site.media(place, 2, 5)


@pytest.mark.parametrize(
    "address",
    [
        "http://evil.example/data/upload/1.png",
        "https://127.0.0.1:{port}/data/upload/1.png",
        "http://127.0.0.1/data/upload/1.png",
        "http://127.0.0.1:{other}/data/upload/1.png",
        "http://localhost:{port}/data/upload/1.png",
        "http://127.0.0.1:{port}@evil.example/data/upload/1.png",
        "http://a:b@127.0.0.1:{port}/data/upload/1.png",
        "http://127.0.0.1.evil.example:{port}/data/upload/1.png",
        "//evil.example/data/upload/1.png",
        "\\\\evil.example/data/upload/1.png",
        "/\\evil.example/data/upload/1.png",
        "/api/current-user/token",
        "/data/upload/../../api/current-user/token",
        "/data/upload/%2e%2e/%2e%2e/api/current-user/token",
        "/data/upload",
        "data/upload/1.png",
        "/x/data/upload/1.png",
        "file:///etc/passwd",
        "s3://bucket/1.png",
        "data:image/png;base64,AAAA",
        "http://[::1/data/upload/1.png",
        "http://127.0.0.1:99999/data/upload/1.png",
        "",
    ],
)
def test_nothing_else_is_asked(address):
    with studio({}) as server:
        site = StudioSite.named(server.url, TOKEN)
        with pytest.raises(ValueError, match="media must be at") as refused:
            site.media(address.format(port=server.server_port, other=server.server_port + 1), 9, 5)
        assert server.asked == []
        assert TOKEN not in f"{refused.value} {site!r}"


def test_redirections_lead_nowhere_else():
    with studio({}) as other, studio({}) as server:
        other.pages["/data/upload/a"] = page(b"stolen")
        here, there = f"{server.url}/data/upload/b", f"{other.url}/data/upload/a"
        server.pages |= {
            "/data/upload/b": page(b"one"),
            "/data/upload/here": page(status=302, Location="/data/upload/b", Content_Length="0"),
            "/data/upload/whole": page(status=307, Location=here, Content_Length="0"),
            "/data/upload/there": page(status=302, Location=there, Content_Length="0"),
            "/data/upload/api": page(status=302, Location="/api/users", Content_Length="0"),
            "/data/upload/round": page(status=302, Location="/data/upload/round", Content_Length="0"),
            "/data/upload/none": page(status=302, Content_Length="0"),
        }
        site = StudioSite.named(server.url, TOKEN)
        assert site.media("/data/upload/here", 9, 5) == site.media("/data/upload/whole", 9, 5) == b"one"
        for name in ("there", "api"):
            with pytest.raises(ValueError, match="media must be at"):
                site.media(f"/data/upload/{name}", 9, 5)
        for name in ("round", "none"):
            with pytest.raises(ValueError, match="redirected more than 3 times"):
                site.media(f"/data/upload/{name}", 9, 5)
        assert other.asked == []


def test_slow_cut_and_failed_answers_end():
    with studio({}) as server:
        server.pages |= {
            "/data/upload/slow": page([b"a"] * 50, Content_Length="50"),
            "/data/upload/cut": page(b"a", Content_Length="5"),
        }
        site = StudioSite.named(server.url, TOKEN)
        with pytest.raises(OSError, match=r"too long|timed out"):
            site.media("/data/upload/slow", 99, 0.3)
        with pytest.raises(OSError, match="too early"):
            site.media("/data/upload/cut", 99, 5)
        with pytest.raises(ValueError, match="Received: 404"):
            site.media("/data/upload/gone", 99, 5)
    with pytest.raises(OSError):
        site.media("/data/upload/gone", 99, 5)


def test_an_export_is_fetched_below_the_servers_own_path():
    with studio(
        {"/studio/api/projects/7/export": page(b"[]"), "/studio/data/upload/1": page(b"one")}
    ) as server:
        site = StudioSite.named(f"{server.url}/studio/", TOKEN)
        assert site.export(7, 10, 5) == b"[]"
        assert site.media("/data/upload/1", 10, 5) == site.media("/studio/data/upload/1", 10, 5) == b"one"
        assert server.asked[0] == ("/studio/api/projects/7/export?exportType=JSON", f"Token {TOKEN}")


@pytest.mark.parametrize(
    ("hostname", "token"),
    [
        ("", TOKEN),
        (7, TOKEN),
        ("ftp://a", TOKEN),
        ("http://a b", TOKEN),
        ("http://user:secret-of-mine@a", TOKEN),
        ("http://a?x=1", TOKEN),
        ("http://a:x", TOKEN),
        ("http://a", "two words " + TOKEN),
        ("http://a", TOKEN + "\r\nHost: evil"),
        ("http://a", 7),
    ],
)
def test_odd_names_and_tokens_are_refused_and_not_shown(hostname, token):
    with pytest.raises(ValueError, match="must be") as refused:
        StudioSite.named(hostname, token)
    assert TOKEN not in str(refused.value)
    assert "secret" not in str(refused.value)
