"""ZIP archives from elsewhere, unpacked without trust in the names and sizes that they state."""

import re
import zipfile
import zlib
from pathlib import Path

from ingest.errors import Broken, Refused

_START = b"PK\x03\x04"
_BLOCK = 1 << 20
_MOST_MEMBERS = 64


def is_archive(path: Path) -> bool:
    """Whether a file is a ZIP archive, by its first bytes."""
    with open(path, "rb") as file:
        return file.read(len(_START)) == _START


def unpack(archive: Path, folder: Path, most_bytes: int) -> list[Path]:
    """The members as files of `folder`, numbered, each with what is harmless of its name.

    Raises Broken when it is damaged, Refused when it is encrypted, holds nothing, or would take more than
    `most_bytes` [bytes]; then nothing of it is left behind.
    """
    unpacked: list[Path] = []
    try:
        with zipfile.ZipFile(archive) as file:
            members = _checked([member for member in file.infolist() if not member.is_dir()], archive.name)
            for number, member in enumerate(members, start=1):
                unpacked.append(folder / f"{archive.stem}-{number}-{_harmless(member.filename)}")
                most_bytes -= _extract(file, member, unpacked[-1], most_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        _remove(unpacked)
        raise Broken(f"{archive.name}: cannot be unpacked: {error}; fetch it again") from error
    except BaseException:
        _remove(unpacked)
        raise
    return unpacked


def _harmless(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", re.split(r"[/\\]", name)[-1])[-80:]


def _checked(members: list[zipfile.ZipInfo], name: str) -> list[zipfile.ZipInfo]:
    if not 0 < len(members) <= _MOST_MEMBERS:
        raise Refused(f"{name}: expected an archive of 1 to {_MOST_MEMBERS} files, found {len(members)}")
    if any(member.flag_bits & 0x1 for member in members):
        raise Refused(f"{name}: expected an archive without encryption; unpack it yourself")
    return members


def _extract(file: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, most_bytes: int) -> int:
    """The number of bytes written."""
    written = 0
    with file.open(member) as source, open(target, "wb") as sink:
        while block := source.read(_BLOCK):
            written += len(block)
            if written > most_bytes:
                raise Refused(f"{file.filename}: expected at most {most_bytes} bytes more when unpacked, found more")
            sink.write(block)
    return written


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
