"""Says which files have trailing spaces, no line end at their end, Windows line ends, or are too large.

python .ci/text_files.py [FILE ...]     # all files that git knows by default
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

MAX_BYTES = 1_000_000
"""Beyond it a file belongs elsewhere: every clone carries it for good."""

LARGE: tuple[str, ...] = ()
"""Files that are larger for a reason."""


def faults(name: str, content: bytes) -> list[str]:
    """What is wrong with a file, in words that follow its name.

    Examples:
        >>> faults("a.py", b"x = 1")
        ['a.py: no line end at its end']
        >>> faults("a.png", bytes(3))
        []
    """
    found = []
    if len(content) > MAX_BYTES and name not in LARGE:
        found.append(f"{len(content):,} bytes, more than {MAX_BYTES:,}")
    if b"\0" not in content and content:
        if b"\r\n" in content:
            found.append("Windows line ends")
        if not content.endswith(b"\n"):
            found.append("no line end at its end")
        if content.endswith(b"\n\n"):
            found.append("empty lines at its end")
        if any(line.endswith((b" ", b"\t")) for line in content.split(b"\n")):
            found.append("spaces at the end of a line")
    return [f"{name}: {fault}" for fault in found]


def main() -> None:
    """Checks what is asked for."""
    names = sys.argv[1:] or subprocess.run(
        ["git", "ls-files", "-z"], capture_output=True, check=True, text=True
    ).stdout.split("\0")
    paths = [path for path in map(pathlib.Path, names) if path.is_file() and not path.is_symlink()]
    found = [fault for path in paths for fault in faults(path.as_posix(), path.read_bytes())]
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
