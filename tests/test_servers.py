"""The servers of the tests are real: they keep what they acknowledged and refuse what they should."""

from pathlib import Path

import botocore.exceptions
import pytest
from sqlalchemy import create_engine, text

from tests import servers


def test_s3_gives_back_what_it_was_given(s3_server):
    bucket = s3_server.new_bucket()
    s3_server.client().put_object(Bucket=bucket, Key="a/b", Body=b"forecast")
    assert s3_server.client().get_object(Bucket=bucket, Key="a/b")["Body"].read() == b"forecast"


def test_s3_refuses_a_wrong_key(s3_server):
    bucket = s3_server.new_bucket()
    with pytest.raises(botocore.exceptions.ClientError, match="SignatureDoesNotMatch|Forbidden|403"):
        s3_server.client(aws_secret_access_key="wrong").put_object(Bucket=bucket, Key="a", Body=b"")


def test_s3_takes_its_credentials_from_the_environment(s3_environment):
    bucket = s3_environment.new_bucket()
    client = s3_environment.client(aws_access_key_id=None, aws_secret_access_key=None)
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_s3_keeps_acknowledged_objects_through_a_kill():
    servers.require_server(servers.weed_executable(), "SeaweedFS is not installed")
    with servers.temporary_directory() as directory:
        server = servers.S3Server(Path(directory))
        servers.started(server)
        try:
            bucket = server.new_bucket()
            server.client().put_object(Bucket=bucket, Key="kept", Body=b"bytes")
            server.kill()
            server.start()
            assert server.client().get_object(Bucket=bucket, Key="kept")["Body"].read() == b"bytes"
        finally:
            server.stop()


def test_postgresql_answers(postgresql_url):
    engine = create_engine(postgresql_url)
    with engine.connect() as connection:
        assert "PostgreSQL" in connection.execute(text("select version()")).scalar_one()
    engine.dispose()


def test_a_missing_server_is_a_skip_for_users_and_a_failure_where_it_is_demanded(monkeypatch):
    monkeypatch.setattr(servers, "REQUIRED", False)
    with pytest.raises(pytest.skip.Exception, match="not there"):
        servers.require_server(False, "not there")
    monkeypatch.setattr(servers, "REQUIRED", True)
    with pytest.raises(pytest.fail.Exception, match="not there"):
        servers.require_server(False, "not there")


def test_the_data_files_of_the_demo_are_found(neuralgcm_data):
    assert neuralgcm_data.checkpoint.is_file()
    assert neuralgcm_data.analysis.is_file()
