"""Objects of a real S3 server that lets everybody read, and what it says when it does not."""

import json

import pytest

from ingest.download import Transfer
from ingest.errors import Busy, Changed, Denied, NotYetAvailable
from ingest.feed import Part
from ingest.patience import Deadline
from ingest.s3 import S3Remote, public_client

CONTENT = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def bucket(s3_server):
    name, client = s3_server.new_bucket(), s3_server.client()
    allow = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": [f"arn:aws:s3:::{name}/*"]}
    client.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    return name


@pytest.fixture
def remote(s3_server, bucket):
    s3_server.client().put_object(Bucket=bucket, Key="a/object", Body=CONTENT)
    return S3Remote(public_client(s3_server.endpoint_url), bucket, "a/object")


def read(remote, offset, length):
    return b"".join(remote.read(Part(offset, length), 5.0))


def test_a_range_is_read_as_it_is(remote, bucket):
    assert remote.uri == f"s3://{bucket}/a/object"
    assert remote.version() is None
    assert remote.size() == len(CONTENT)
    assert remote.version()
    assert read(remote, 1000, 70_000) == CONTENT[1000:71_000]
    assert read(remote, len(CONTENT) - 1, 1) == CONTENT[-1:]


def test_an_object_that_is_replaced_while_it_is_read_has_changed(s3_server, bucket, remote):
    remote.size()
    s3_server.client().put_object(Bucket=bucket, Key="a/object", Body=CONTENT[::-1])
    with pytest.raises(Changed, match="replaced"):
        read(remote, 0, 10)
    assert Transfer(first_wait=0.01).read(remote, Deadline.after(20.0)) == CONTENT[::-1]


def test_a_range_beyond_the_object_means_that_it_is_another_one(remote):
    with pytest.raises(Changed, match="416"):
        read(remote, 10 * len(CONTENT), 5)


def test_what_is_not_there_is_not_there_yet(s3_server, bucket):
    absent = S3Remote(public_client(s3_server.endpoint_url), bucket, "absent")
    with pytest.raises(NotYetAvailable, match="404"):
        absent.size()
    with pytest.raises(NotYetAvailable, match="404 NoSuchKey"):
        read(absent, 0, 10)


def test_what_is_closed_is_denied(s3_server):
    closed = s3_server.new_bucket()
    s3_server.client().put_object(Bucket=closed, Key="object", Body=CONTENT)
    with pytest.raises(Denied, match="403 AccessDenied"):
        read(S3Remote(public_client(s3_server.endpoint_url), closed, "object"), 0, 10)


def test_where_nobody_listens_it_is_busy():
    with pytest.raises(Busy, match="EndpointConnectionError"):
        S3Remote(public_client("http://127.0.0.1:9"), "bucket", "object").size()


def test_a_name_that_is_no_bucket_is_denied(s3_server):
    with pytest.raises(Denied, match="check bucket"):
        S3Remote(public_client(s3_server.endpoint_url), "no bucket", "object").size()
