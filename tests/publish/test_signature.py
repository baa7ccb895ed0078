"""What a signature proves, and what it does not."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from publish.signature import InvalidKeyFile, Signer, complaint, create_key, read_public_key


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return create_key(tmp_path / "keys" / "signing.pem")


def test_a_new_key_is_for_its_owner_alone_and_is_never_made_twice(signer: Signer, tmp_path: Path):
    path = tmp_path / "keys" / "signing.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Signer.from_file(path).public_key == signer.public_key
    with pytest.raises(FileExistsError):
        create_key(path)


def test_what_is_signed_is_recognised_by_the_public_key(signer: Signer):
    signed = signer.sign(b"manifest")
    assert complaint(b"manifest", signed) is None
    assert complaint(b"manifest", signed, read_public_key(signer.public_key)) is None
    assert signer.sign(b"manifest") == signed


def test_a_change_of_a_single_octet_is_found(signer: Signer):
    signed = signer.sign(b"manifest")
    assert "does not fit" in str(complaint(b"manifesT", signed))


def test_another_key_is_found(signer: Signer, tmp_path: Path):
    other = create_key(tmp_path / "other.pem")
    wanted = read_public_key(other.public_key)
    assert "another key" in str(complaint(b"manifest", signer.sign(b"manifest"), wanted))


@pytest.mark.parametrize(
    "signed",
    [b"", b"{}", b'{"schema": "sigmacast-signature/1"}', b'{"schema": "sigmacast-signature/1", "public_key": 1}'],
)
def test_what_is_no_signature_is_told(signed: bytes):
    assert complaint(b"manifest", signed) is not None


def test_other_files_are_no_keys(tmp_path: Path):
    path = tmp_path / "key.pem"
    with pytest.raises(InvalidKeyFile, match=r"key\.pem"):
        Signer.from_file(path)
    path.write_text("nonsense")
    with pytest.raises(InvalidKeyFile):
        Signer.from_file(path)
    rsa = generate_private_key(65537, 2048)
    path.write_bytes(rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(InvalidKeyFile, match="Ed25519"):
        Signer.from_file(path)
    with pytest.raises(InvalidKeyFile):
        read_public_key("nonsense")
