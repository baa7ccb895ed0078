"""Large files to and from S3, part by part."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from publish.stores.base import StoreError, StoreUnavailable
from publish.stores.retrying import Deadline, blocks
from publish.stores.s3_client import Bucket, TimedBody

MOST_PARTS = 10_000
"""S3's limit; a file that would have more gets larger parts."""

_AT_ONCE = 4


def upload(bucket: Bucket, key: str, path: Path, of_object: Mapping[str, Any], condition: Mapping[str, str]) -> str:
    """A multipart upload, which appears whole at its end, if the condition still holds; the object's version."""
    size = path.stat().st_size
    part_bytes = max(bucket.options.part_bytes, -(-size // MOST_PARTS))
    with _upload_id(bucket, key, of_object) as upload_id:

        def send(number: int) -> dict[str, Any]:
            with path.open("rb") as file:
                file.seek((number - 1) * part_bytes)
                content = file.read(part_bytes)
            return _send_part(bucket, key, upload_id, number, content)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            parts = list(pool.map(send, range(1, -(-size // part_bytes) + 1)))
        named = bucket.named(key) | {"UploadId": upload_id, "MultipartUpload": {"Parts": parts}}
        return bucket.ask(key, lambda _: bucket.client.complete_multipart_upload(**named, **condition))["ETag"]


@contextmanager
def _upload_id(bucket: Bucket, key: str, of_object: Mapping[str, Any]) -> Iterator[str]:
    """An upload, whose parts the server is told to forget when the block raises."""
    named = bucket.named(key)
    upload_id = bucket.ask(key, lambda _: bucket.client.create_multipart_upload(**named, **of_object))["UploadId"]
    try:
        yield upload_id
    except BaseException:
        with suppress(StoreError), bucket.translated(key):
            bucket.client.abort_multipart_upload(**named, UploadId=upload_id)
        raise


def _send_part(bucket: Bucket, key: str, upload_id: str, number: int, content: bytes) -> dict[str, Any]:
    def send(deadline: Deadline) -> Any:
        return bucket.client.upload_part(
            **bucket.named(key),
            UploadId=upload_id,
            PartNumber=number,
            Body=TimedBody(content, deadline),
            ChecksumAlgorithm="SHA256",
        )

    answer = bucket.ask(key, send)
    return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": answer["ChecksumSHA256"]}


def download(bucket: Bucket, key: str, size: int, version: str, file: BinaryIO) -> None:
    """This version of an object into an open file, part by part."""
    for begin in range(0, size, bucket.options.part_bytes):
        end = min(begin + bucket.options.part_bytes, size) - 1
        file.write(_fetch_range(bucket, key, begin, end, version))


def _fetch_range(bucket: Bucket, key: str, begin: int, end: int, version: str) -> bytes:
    def fetch(deadline: Deadline) -> bytes:
        answer = bucket.client.get_object(**bucket.named(key), Range=f"bytes={begin}-{end}", IfMatch=version)
        content = body_of(answer, deadline)
        if len(content) != end - begin + 1:
            raise StoreUnavailable(f"{key}: {len(content)} bytes came where {end - begin + 1} were asked for")
        return content

    return bucket.ask(key, fetch)


def body_of(answer: Mapping[str, Any], deadline: Deadline) -> bytes:
    """The body of an answer. Raises StoreUnavailable when it takes too long."""
    return b"".join(blocks(answer["Body"].read, deadline))
