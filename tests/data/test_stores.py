"""Which store an address and the environment lead to."""

import sys

import pytest

from tfautolabel.data import load_dataset
from tfautolabel.data.stores import open_store


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """An environment that says nothing of stores, as far as they are asked for here."""
    for name in (
        "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_CA_BUNDLE",
        "AZURE_STORAGE_ACCOUNT",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path / "config"


def test_the_region_comes_from_where_the_tools_of_aws_find_it(bare, monkeypatch):
    bare.write_text("[default]\nregion = eu-south-1\n[profile work]\nregion = eu-north-1\n")
    assert open_store("s3", "bucket").region == "eu-south-1"
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert open_store("s3", "bucket").region == "eu-north-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-1")
    assert open_store("s3", "bucket").region == "us-west-1"
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert open_store("s3", "bucket").region == "us-west-2"


def test_only_amazon_is_asked_for_a_region(bare, monkeypatch):
    from pyarrow import fs

    asked = []

    def resolve(bucket):
        asked.append(bucket)
        raise OSError("no network")

    monkeypatch.setattr(fs, "resolve_s3_region", resolve)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert open_store("s3", "one-bucket").region == "us-east-1"
    assert asked == []
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    with pytest.raises(OSError, match=r"the region of s3://one-bucket .* set AWS_REGION"):
        open_store("s3", "one-bucket")
    assert asked == ["one-bucket"]


def test_an_endpoint_may_stand_in_the_profile(bare, monkeypatch):
    bare.write_text("[default]\nregion = eu-south-1\nendpoint_url = ftp://host\n")
    with pytest.raises(ValueError, match=r"AWS_ENDPOINT_URL must be http://HOST:PORT"):
        open_store("s3", "bucket")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:secret@127.0.0.1:9")
    with pytest.raises(ValueError, match=r"without a user") as caught:
        open_store("s3", "bucket")
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://127.0.0.1:9")
    assert open_store("s3", "bucket").type_name == "s3"


def test_azure_needs_an_account(bare, monkeypatch):
    pyarrow_fs = pytest.importorskip("pyarrow.fs")
    if not hasattr(pyarrow_fs, "AzureFileSystem"):
        pytest.skip("this pyarrow has no Azure")
    with pytest.raises(ValueError, match=r"AZURE_STORAGE_ACCOUNT"):
        open_store("az", "container")
    assert open_store("abfss", "container@account.dfs.core.windows.net").type_name == "abfs"
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "account")
    assert open_store("az", "container").type_name == "abfs"


@pytest.mark.skipif(sys.platform == "win32", reason="libhdfs is found otherwise there")
def test_hdfs_says_what_it_lacks(bare, monkeypatch):
    monkeypatch.setattr("pyarrow.fs.HadoopFileSystem", _without_java)
    with pytest.raises(OSError, match=r"^hdfs:// needs Java and Hadoop's libhdfs"):
        load_dataset("hdfs://no-such-host:8020/photos")


def _without_java(*arguments, **options):
    raise OSError("Unable to load libjvm\n" * 100)
