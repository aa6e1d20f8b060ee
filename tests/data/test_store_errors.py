"""What the clients of stores report is told in one sentence, by its kind."""

import pytest

from tfautolabel.data.store_errors import DENIED, MISSING, NETWORK, OTHER, is_of_store, kind_of, told

REPORTS = [
    (
        MISSING,
        "When listing objects in bucket 'b': AWS Error NO_SUCH_BUCKET during ListObjectsV2",
    ),
    (MISSING, "AWS Error RESOURCE_NOT_FOUND during HeadObject operation: No response body."),
    (MISSING, "google::cloud::Status(NOT_FOUND: Permanent error GetObjectMetadata: Not Found)"),
    (MISSING, "GetProperties failed. Azure Error: [BlobNotFound] 404 The specified blob does not exist."),
    (DENIED, "AWS Error ACCESS_DENIED during HeadObject operation: No response body."),
    (DENIED, "AWS Error UNKNOWN (HTTP status 403) during HeadObject operation: InvalidObjectState"),
    (
        DENIED,
        "AWS Error UNKNOWN (HTTP status 400): ExceptionName: ExpiredToken Message: The token",
    ),
    (DENIED, "google::cloud::Status(PERMISSION_DENIED: Permanent error)"),
    (DENIED, "google::cloud::Status(UNAUTHENTICATED: no credentials)"),
    (
        NETWORK,
        "AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7, Could not connect",
    ),
    (NETWORK, "AWS Error UNKNOWN (HTTP status 503) during GetObject operation"),
    (NETWORK, "AWS Error SLOW_DOWN during GetObject operation: Please reduce your request rate."),
    (NETWORK, "google::cloud::Status(UNAVAILABLE: Retry policy exhausted)"),
    (OTHER, "Couldn't deserialize thrift: TProtocolException: Invalid data"),
]


@pytest.mark.parametrize(("kind", "report"), REPORTS)
def test_reports_are_told_apart(kind, report):
    error = OSError(report)
    assert kind_of(error) == kind
    assert is_of_store(error) == (kind in (DENIED, NETWORK))
    said = told(error, "s3://b/x", "read")
    assert kind_of(said) == kind
    assert str(said).startswith("s3://b/x cannot be read: ")
    assert "\n" not in str(said)
    # Told once more, it is the same error.
    assert (type(told(said, "s3://b/x", "read")), kind_of(told(said, "s3://b/x", "read"))) == (
        type(said),
        kind,
    )


def test_mistakes_of_the_caller_stay_as_they_are():
    error = ValueError("an address is SCHEME://BUCKET/PATH")
    assert told(error, "s3://b/x", "read") is error
