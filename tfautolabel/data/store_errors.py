"""What a store's client reports, as Python's own errors in one sentence, without anything secret."""

from __future__ import annotations

import re

MISSING, DENIED, NETWORK, OTHER = "missing", "denied", "network", "other"

_KINDS = (
    (MISSING, r"NO_SUCH_(KEY|BUCKET|UPLOAD)|RESOURCE_NOT_FOUND|NoSuch(Key|Bucket)|HTTP status 404|"
              r"\bNOT_FOUND\b|(Blob|Container|Filesystem|Path)NotFound"),
    (DENIED, r"ACCESS_DENIED|HTTP status 40[13]|INVALID_ACCESS_KEY_ID|INVALID_CLIENT_TOKEN_ID|"
             r"SIGNATURE_DOES_NOT_MATCH|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|EXPIRED_TOKEN|InvalidToken|AccessDenied|"
             r"INVALID_OBJECT_STATE|InvalidObjectState|PERMISSION_DENIED|UNAUTHENTICATED|Authoriz|Authentic|"
             r"credential|Permission denied"),
    (NETWORK, r"NETWORK_CONNECTION|curlCode|CURL error|HTTP status (5\d\d|429|408)|SLOW_DOWN|"
              r"SERVICE_UNAVAILABLE|INTERNAL_FAILURE|INTERNAL_ERROR|REQUEST_TIME(OUT|_TOO_SKEWED)|THROTTL|"
              r"UNAVAILABLE|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|ABORTED|[Tt]imed? ?out|[Cc]onnection|"
              r"[Cc]ould not (resolve|connect)|Unexpected end of stream|Transport"),
)  # fmt: skip
"""The words of each kind, in messages of S3, Google Cloud Storage, Azure and HDFS; the first kind decides."""

_CODE = re.compile(
    r"AWS Error (?:UNKNOWN \()?([A-Z_]+|HTTP status \d+)|google::cloud::Status\(([A-Z_]+)|ErrorCode: ?(\w+)|"
    r"ExceptionName: (\w+)"
)
_SENTENCES: dict[str, tuple[type[OSError], str]] = {
    MISSING: (FileNotFoundError, "there is no such bucket, folder or file"),
    DENIED: (
        PermissionError,
        "the store refuses it; credentials come from the environment",
    ),
    NETWORK: (ConnectionError, "the network or the store fails: try the same command again later"),
    OTHER: (OSError, "the store refuses it"),
}


def kind_of(error: BaseException) -> str:
    """Returns whether an error says that something is missing, denied, or that the network failed."""
    if isinstance(error, FileNotFoundError):
        return MISSING
    if isinstance(error, PermissionError):
        return DENIED
    if isinstance(error, (ConnectionError, TimeoutError)):
        return NETWORK
    text = str(error)
    return next((kind for kind, words in _KINDS if re.search(words, text)), OTHER)


def is_of_store(error: BaseException) -> bool:
    """Returns whether an error says that a store did not answer or refused: nothing is known of the file."""
    return kind_of(error) in (DENIED, NETWORK)


def told(error: OSError | ValueError, address: str, verb: str) -> OSError | ValueError:
    """Returns an error of Python's own in one sentence that names the place.

    Args:
        error: of pyarrow. A `ValueError` that is not pyarrow's own is returned as it is.
        address: the place.
        verb: what could not be done with it, such as "read".
    """
    if isinstance(error, ValueError) and type(error) is ValueError:
        return error
    kind = kind_of(error)
    made, sentence = _SENTENCES[kind]
    code = next((name for name in _CODE.findall(str(error)) for name in name if name), "")
    return made(f"{address} cannot be {verb}: {sentence}{f' ({code})' if code else ''}")
