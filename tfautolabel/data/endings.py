"""The endings of file names, by what the files hold: one table for the whole package."""

from __future__ import annotations

IMAGES = (
    ".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif",
    ".dcm", ".dicom",
)  # fmt: skip
SOUNDS = (
    ".wav", ".wave", ".bwf", ".rf64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".mpga", ".aif",
    ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64", ".sph", ".voc", ".m4a", ".m4b", ".aac", ".amr", ".3ga",
    ".wma", ".mka", ".weba", ".wv", ".ape", ".ac3", ".mpc", ".tta", ".dsf", ".gsm", ".spx", ".ra",
    ".dts", ".tak", ".mid", ".aup3", ".vox",
)  # fmt: skip
VIDEOS = (
    ".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".wmv", ".mpg", ".mpeg", ".3gp", ".3g2", ".flv",
    ".ogv",
)  # fmt: skip
"""Films. Telephones put them among photographs, so they count only where a folder has nothing else."""

PROSE = frozenset((".txt", ".text", ".md", ".rst", ".html", ".htm", ".eml"))
"""Endings of the files in a folder of texts."""

TEXTS = (".txt", ".text", ".md", ".rst", ".html", ".htm", ".json", ".xml", ".eml", ".pdf", ".doc", ".docx")
"""Endings in a column of paths to texts."""

OTHER_FILES = (
    ".svg", ".ico", ".ppm", ".pgm", ".nii", ".raw", ".dng", ".cr2", ".nef", ".npy", ".npz", ".pt",
)  # fmt: skip
"""Pictures and arrays that are not read; a name with such an ending is still a file name."""

ARCHIVES = (
    ".zip", ".gz", ".tar", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".part", ".crdownload", ".tmp", ".bak",
    ".swp", ".lnk", ".url", ".webloc", ".exe", ".dll", ".bat", ".py", ".ipynb", ".sh", ".m", ".r", ".pyc",
)  # fmt: skip
"""Files that are never examples: archives, partial downloads, desktop links, programs."""

SIDECARS = frozenset((
    *TEXTS, *ARCHIVES, ".textgrid", ".csv", ".tsv", ".yaml", ".yml", ".log", ".ini", ".cfg", ".toml", ".lab",
    ".eaf", ".cue", ".srt", ".vtt", ".npy", ".npz", ".pkl", ".pickle", ".db", ".xls", ".xlsx", ".ppt",
    ".pptx", ".odt", ".ods", ".rtf", ".xmp", ".aae", ".thm", ".info", ".jbf", ".jsonl", ".names", ".data",
    ".sha1", ".sha256", ".md5", ".sfv", ".bib", ".cff", ".phn", ".wrd", ".trans", ".f0", ".parquet",
    ".feather", ".m3u", ".m3u8", ".pls", ".nfo", ".mat", ".h5", ".hdf5", ".feat", ".vocab",
))  # fmt: skip
"""Files that lie beside pictures and sounds but are neither."""

FILES = frozenset((*IMAGES, *SOUNDS, *VIDEOS, *TEXTS, *OTHER_FILES))
"""Endings that show that a value is a file name."""


def ending_of(path: str) -> str:
    """Returns the ending of a file's name in small letters; "" if it has none.

    Args:
        path: a path with `/`.

    Examples:
        >>> ending_of("a.b/IMG_1.JPG"), ending_of("a.b/README"), ending_of(".hidden")
        ('.jpg', '', '')
    """
    name = path.rpartition("/")[2]
    place = name.rfind(".")
    return name[place:].lower() if place > 0 else ""
