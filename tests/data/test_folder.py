import os
import socket

import pytest

from tfautolabel.data.folder import list_folder, readable_path


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def reasons(listing):
    return {item.id: item.reason for item in listing.unreadable}


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    return root


def test_every_regular_file_at_any_depth_is_listed_in_order(photos):
    write(photos, "b.jpg", "a/2.txt", "a/10", "a-b.png", "B.JPG", "deep/er/est/x.gif")
    listing = list_folder(photos)
    assert listing.ids == ["B.JPG", "a-b.png", "a/10", "a/2.txt", "b.jpg", "deep/er/est/x.gif"]
    assert listing.paths == listing.ids
    assert listing.unreadable == []


def test_hidden_and_system_files_are_left_out_silently(photos):
    write(
        photos,
        ".hidden",
        ".git/x.jpg",
        "a/.DS_Store",
        "a/Thumbs.db",
        "desktop.ini",
        "a/._b.jpg",
        "a/b.jpg",
        "ehthumbs.db",
        "a/Picasa.ini",
        "~$labels.xlsx",
        "a/Icon\r",
        "a/ZbThumbnail.info",
    )
    listing = list_folder(photos)
    assert listing.ids == ["a/b.jpg"]
    assert listing.unreadable == []


def test_links(photos):
    write(photos, "in/a.jpg")
    write(photos.parent, "out.jpg", "photos2/near.jpg")
    links = {
        "good.jpg": "in/a.jpg",
        "absolute.jpg": photos / "in/a.jpg",
        "up_and_down.jpg": "../photos/in/a.jpg",
        "chain.jpg": "good.jpg",
        "out.jpg": "../out.jpg",
        "near.jpg": "../photos2/near.jpg",
        "chain_out.jpg": "out.jpg",
        "device.jpg": "/dev/zero",
        "broken.jpg": "nowhere",
        "through_a_file.jpg": "in/a.jpg/x",
        "loop1.jpg": "loop2.jpg",
        "loop2.jpg": "loop1.jpg",
        "directory": "in",
        "in/parent": "..",
        "outer_directory": "/",
    }
    for name, target in links.items():
        (photos / name).symlink_to(target)
    listing = list_folder(photos)
    assert listing.ids == ["absolute.jpg", "chain.jpg", "good.jpg", "in/a.jpg", "up_and_down.jpg"]
    outside, loop = "a link that leads out of the folder", "a link that leads back to itself"
    directory, broken = "a link to a directory, which is not followed", "a broken link"
    assert reasons(listing) == {
        "broken.jpg": broken,
        "chain_out.jpg": outside,
        "device.jpg": outside,
        "directory": directory,
        "in/parent": directory,
        "loop1.jpg": loop,
        "loop2.jpg": loop,
        "near.jpg": outside,
        "out.jpg": outside,
        "outer_directory": outside,
        "through_a_file.jpg": broken,
    }
    assert [item.id for item in listing.unreadable] == sorted(reasons(listing))


def test_the_folder_itself_may_be_a_link(photos, tmp_path):
    write(photos, "a.jpg")
    (photos / "again.jpg").symlink_to("a.jpg")
    (tmp_path / "link").symlink_to("photos")
    listing = list_folder(tmp_path / "link")
    assert listing.ids == ["a.jpg", "again.jpg"]
    assert listing.unreadable == []


def test_a_directory_named_like_a_picture_is_set_aside_and_still_searched(photos):
    write(photos, "x.jpg/inside.png", "y.JPEG/z", "notes.d/n")
    listing = list_folder(photos)
    assert listing.ids == ["notes.d/n", "x.jpg/inside.png", "y.JPEG/z"]
    assert reasons(listing) == dict.fromkeys(["x.jpg", "y.JPEG"], "a directory, not an image file")


def test_things_that_are_no_files_are_set_aside(photos, monkeypatch):
    monkeypatch.chdir(photos)  # the address of a socket must be short
    os.mkfifo(photos / "fifo.jpg")
    (photos / "link").symlink_to("fifo.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        listing = list_folder(photos)
    assert listing.ids == []
    assert reasons(listing) == {
        "fifo.jpg": "not a regular file",
        "link": "a link to something that is not a regular file",
        "socket": "not a regular file",
    }


def test_a_directory_that_cannot_be_listed_is_set_aside(photos, monkeypatch):
    write(photos, "closed/a.jpg", "open/b.jpg")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # by hand, because root may list any directory
    listing = list_folder(photos)
    assert listing.ids == ["open/b.jpg"]
    assert reasons(listing) == {"closed": "a directory that cannot be listed: Permission denied"}


def test_a_root_that_cannot_be_listed_is_an_error(photos, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ValueError, match=r"cannot be listed: Permission denied. Received: path='.*photos'"):
        list_folder(photos)


def test_a_name_that_is_not_utf8_is_readable_and_opens(photos):
    raw = os.fsencode(photos) + b"/caf\xe9.jpg"
    with open(raw, "wb") as file:
        file.write(b"x")
    write(photos, "café.jpg")
    listing = list_folder(photos)
    assert listing.ids == ["caf\\xe9.jpg", "café.jpg"]
    assert [os.fsencode(path) for path in listing.paths] == [b"caf\xe9.jpg", "café.jpg".encode()]


def test_two_names_that_read_the_same_do_not_become_one_id(photos):
    with open(os.fsencode(photos) + b"/caf\xe9.jpg", "wb") as file:
        file.write(b"x")
    write(photos, "caf\\xe9.jpg")
    listing = list_folder(photos)
    assert listing.ids == ["caf\\xe9.jpg"]
    assert reasons(listing) == {"caf\\xe9.jpg": "its name, made readable, equals another file's"}


def test_readable_path_holds_in_utf8():
    for raw in [b"a", b"\xff\xfe", "🐈".encode(), b"\xed\xb2\x80"]:
        readable_path(os.fsdecode(raw)).encode("utf-8")


def test_exclude_leaves_files_and_directories_out_silently(photos, tmp_path, monkeypatch):
    write(photos, "a.jpg", "labels.csv", "out/x.jpg", "out/deep/y.jpg", "outside/z.jpg")
    (photos / "link.csv").symlink_to("labels.csv")
    (photos / "link.jpg").symlink_to("out/x.jpg")
    monkeypatch.chdir(photos)
    (tmp_path / "alias").symlink_to("photos")
    listing = list_folder(photos, ["labels.csv", tmp_path / "alias" / "out", "not_there"])
    assert listing.ids == ["a.jpg", "outside/z.jpg"]
    assert listing.unreadable == []


def test_excluding_a_parent_does_not_empty_the_folder(photos):
    write(photos, "a.jpg")
    assert list_folder(photos, [photos, photos.parent]).ids == ["a.jpg"]
