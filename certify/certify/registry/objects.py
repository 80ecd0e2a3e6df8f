"""Blobs in S3-compatible storage.

Rules this module keeps:

- an object's name is ``PREFIX/blobs/ab/cdef…``, as in a folder; it is whole or not there;
- ``PREFIX/incoming/`` is the journal: a mark is put before the blob and removed after the commit, so that what a dead
  writer left can be told from what an entry names;
- credentials come from the environment or the machine, as boto3 finds them; none is stored here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from certify.registry.disk import Disk
from certify.registry.entries import DIGEST
from certify.registry.errors import MALFORMED, wrong

_AT_ONCE: Final = 16


class ObjectBlobs:
    """Blobs in a bucket.

    Args:
        url: ``s3://bucket/prefix``, with ``?endpoint=http://…&region=…`` for storage other than Amazon's.
        disk: announces the steps, as for files.

    Raises:
        RequestError: REG009 it is no such address, or the client library is not installed.
    """

    def __init__(self, url: str, disk: Disk | None = None) -> None:
        self._disk = disk or Disk()
        parts = urlsplit(url)
        options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        if parts.scheme != "s3" or not parts.netloc or options.keys() - {"endpoint", "region"}:
            raise wrong(MALFORMED, f"{url!r} is not of the form s3://bucket/prefix?endpoint=…&region=…")
        self._bucket = parts.netloc
        self._prefix = f"{parts.path.strip('/')}/" if parts.path.strip("/") else ""
        self._client = _client(options)
        self._clean = False

    def create(self) -> None:
        """Make the bucket unless it is there."""
        self._disk.steps("make bucket")
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except self._client.exceptions.ClientError:
            self._client.create_bucket(Bucket=self._bucket)

    def _name(self, digest: str) -> str:
        if not DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is not a digest of 64 hexadecimal digits")
        return f"{self._prefix}blobs/{digest[:2]}/{digest[2:]}"

    def file(self, digest: str) -> Path | None:
        """No blob here is a file."""
        self._name(digest)
        return None

    def read(self, digest: str, start: int = 0, stop: int | None = None) -> bytes | None:
        """The bytes under that name, or those from `start` to before `stop`, unchecked; None when there are none."""
        if stop is not None and stop <= start:
            return b"" if self.size(digest) is not None else None
        wanted = {} if not start and stop is None else {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._name(digest), **wanted)
        except self._client.exceptions.NoSuchKey:
            return None
        data: bytes = answer["Body"].read()
        return data

    def size(self, digest: str) -> int | None:
        """Number of bytes under that name; None when there are none."""
        try:
            return int(self._client.head_object(Bucket=self._bucket, Key=self._name(digest))["ContentLength"])
        except self._client.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise

    def put(self, blobs: Mapping[str, bytes], known: Callable[[str], bool]) -> list[Path]:
        """Store blobs; returns the journal, to be forgotten after the commit."""
        fresh = {d: data for d, data in blobs.items() if not (known(d) and self.size(d) == len(data))}
        self._clean = False
        marks = {digest: f"{self._prefix}incoming/{digest}.{secrets.token_hex(8)}" for digest in fresh}

        def store(digest: str) -> None:
            self._client.put_object(Bucket=self._bucket, Key=marks[digest], Body=b"")
            self._client.put_object(Bucket=self._bucket, Key=self._name(digest), Body=fresh[digest])

        self._disk.steps("put objects")
        if fresh:
            with ThreadPoolExecutor(min(len(fresh), _AT_ONCE), "certify-put") as pool:
                list(pool.map(store, fresh))
        return [Path(mark) for mark in marks.values()]

    def forget(self, journal: Collection[Path]) -> None:
        """Remove the journal's marks."""
        self._delete([str(PurePosixPath(mark)) for mark in journal])
        self._clean = True

    def remove(self, digests: Collection[str]) -> None:
        """Remove blobs that nothing names."""
        self._delete([self._name(digest) for digest in digests])

    def take_back(self, known: Callable[[str], bool]) -> None:
        """Remove what dead writers left; not asked again while this writer leaves nothing behind itself."""
        if self._clean:
            return
        for mark in list(self._names("incoming/")):
            digest = mark.rpartition("/")[2].partition(".")[0]
            self._delete([*([] if known(digest) else [self._name(digest)]), mark])
        self._clean = True

    def digests(self) -> Iterator[str]:
        """Every name that is a digest, in no order."""
        for name in self._names("blobs/"):
            digest = "".join(name.rsplit("/", 2)[-2:])
            if DIGEST.fullmatch(digest):
                yield digest

    def _names(self, below: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + below):
            yield from (str(found["Key"]) for found in page.get("Contents", ()))

    def _delete(self, names: Collection[str]) -> None:
        for name in names:
            self._disk.steps("remove object")
            self._client.delete_object(Bucket=self._bucket, Key=name)


def _client(options: Mapping[str, str]) -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise wrong(
            MALFORMED, "S3 storage needs a client that is not installed", fix="pip install 'certify-toolkit[s3]'"
        ) from None
    return boto3.client(
        "s3",
        endpoint_url=options.get("endpoint"),
        region_name=options.get("region", "us-east-1"),
        config=Config(retries={"max_attempts": 3, "mode": "standard"}, connect_timeout=5, read_timeout=60),
    )
