"""Opens remote stores with pyarrow.fs; credentials come from the environment, as for the stores' tools."""

from __future__ import annotations

import configparser
import os
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SCHEMES = ("s3", "gs", "gcs", "az", "abfss", "abfs", "hdfs")
"""Amazon S3 and what speaks its protocol; Google Cloud Storage; Azure, in two spellings; HDFS."""

CONNECT_SECONDS = 5.0
"""A store that has not answered by then does not answer."""

ATTEMPTS = 3
"""How often the S3 client asks before it reports a failure."""

GOOGLE_SECONDS = 5
"""How long the client for Google Cloud Storage repeats a question before it reports a failure."""


def path_in_store(scheme: str, host: str, key: str) -> str:
    """Returns the path that the filesystem of `open_store` knows.

    Examples:
        >>> path_in_store("s3", "bucket", "a/b.jpg"), path_in_store("hdfs", "host:8020", "a/b.jpg")
        ('bucket/a/b.jpg', '/a/b.jpg')
        >>> path_in_store("abfss", "container@account.dfs.core.windows.net", "a/b.jpg")
        'container/a/b.jpg'
    """
    if scheme == "hdfs":
        return f"/{key}"
    bucket = host.partition("@")[0]
    return f"{bucket}/{key}" if key else bucket


def open_store(scheme: str, host: str) -> Any:
    """Returns the `pyarrow.fs.FileSystem` of an address.

    Args:
        scheme: one of `SCHEMES`.
        host: bucket, container, container@account host, or host of HDFS.

    Raises:
        ValueError: If the environment does not say what is needed.
        OSError: If the store cannot be opened.
    """
    if scheme == "s3":
        return _s3(host, *_endpoint(), _region(), os.environ.get("AWS_CA_BUNDLE"))
    if scheme in ("gs", "gcs"):
        return _google(os.environ.get("STORAGE_EMULATOR_HOST"))
    if scheme == "hdfs":
        return _hadoop(host)
    account = host.partition("@")[2].partition(".")[0] or os.environ.get("AZURE_STORAGE_ACCOUNT", "")
    if not account:
        raise ValueError(
            "an address of az:// needs the name of the storage account in AZURE_STORAGE_ACCOUNT, or "
            "abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH names it"
        )
    return _azure(account)


@lru_cache
def _s3(bucket: str, scheme: str | None, endpoint: str | None, region: str | None, bundle: str | None) -> Any:
    from pyarrow import fs

    if region is None:
        # Of other stores than Amazon's any region is right, and to ask Amazon would take seconds.
        region = "us-east-1" if endpoint else _asked_region(bucket)
    options = {"tls_ca_file_path": bundle} if bundle and scheme != "http" else {}
    try:
        return fs.S3FileSystem(
            region=region,
            scheme=scheme,
            endpoint_override=endpoint,
            connect_timeout=CONNECT_SECONDS,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
            **options,
        )
    except TypeError as error:
        raise ValueError("AWS_CA_BUNDLE needs a newer pyarrow: pip install -U pyarrow") from error


def _asked_region(bucket: str) -> str:
    from pyarrow import fs

    try:
        return str(fs.resolve_s3_region(bucket))
    except (OSError, ValueError) as error:
        raise OSError(
            f"the region of s3://{bucket} could not be found out: set AWS_REGION, or AWS_ENDPOINT_URL for "
            "another store than Amazon's"
        ) from error


def _endpoint() -> tuple[str | None, str | None]:
    """Returns scheme and host of another store than Amazon's, as the AWS tools find it; None for Amazon's."""
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None, None
    found = (
        os.environ.get("AWS_ENDPOINT_URL_S3")
        or os.environ.get("AWS_ENDPOINT_URL")
        or _of_profile("endpoint_url")
    )
    if not found:
        return None, None
    url = urlsplit(found)
    if (
        url.scheme not in ("http", "https")
        or not url.hostname
        or url.username
        or url.path.strip("/")
        or url.query
    ):
        raise ValueError(
            "AWS_ENDPOINT_URL must be http://HOST:PORT or https://HOST:PORT without a user, a path or a query"
        )
    return url.scheme, url.netloc


def _region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _of_profile("region")


def _of_profile(name: str) -> str | None:
    """Returns a setting of the profile that the AWS tools would use."""
    profile = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE") or "default"
    file = os.environ.get("AWS_CONFIG_FILE") or Path.home() / ".aws" / "config"
    config = configparser.RawConfigParser()
    try:
        config.read(file, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return None
    sections = [f"profile {profile}"] + ([profile] if profile == "default" else [])
    return next((config.get(one, name) for one in sections if config.has_option(one, name)), None)


@lru_cache
def _google(emulator: str | None) -> Any:
    from pyarrow import fs

    limit = timedelta(seconds=GOOGLE_SECONDS)
    if not emulator:
        return fs.GcsFileSystem(retry_time_limit=limit)
    url = urlsplit(emulator if "://" in emulator else f"http://{emulator}")
    return fs.GcsFileSystem(
        anonymous=True, scheme=url.scheme, endpoint_override=url.netloc, retry_time_limit=limit
    )


@lru_cache
def _azure(account: str) -> Any:
    try:
        from pyarrow.fs import AzureFileSystem
    except ImportError as error:
        raise ValueError("Azure needs a newer pyarrow: pip install -U pyarrow") from error
    return AzureFileSystem(account_name=account)


@lru_cache
def _hadoop(host: str) -> Any:
    from pyarrow import fs

    user, _, where = host.rpartition("@")
    name, _, port = where.partition(":")
    try:
        return fs.HadoopFileSystem(name or "default", int(port or 0), user=user or None)
    except OSError as error:
        raise OSError(
            "hdfs:// needs Java and Hadoop's libhdfs, found by JAVA_HOME, HADOOP_HOME and CLASSPATH"
        ) from error
