"""Signatures of manifests: Ed25519 (RFC 8032), in a small document of their own beside the manifest.

A manifest names every object by its SHA-256, so whoever trusts the signature can trust them all. The public key
stands in the document too, for those who only ask whether the manifest was changed; who asks where it comes
from must have the key from elsewhere.
"""

import base64
import binascii
import json
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from publish.manifest import ManifestError, parse

SCHEMA = "sigmacast-signature/1"


class InvalidKeyFile(ValueError):
    """This file holds no Ed25519 key of the kind that is needed."""


class Signer:
    """Signs with one private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def from_file(cls, path: Path) -> "Signer":
        """The key in a PEM file (PKCS 8, not encrypted). Raises InvalidKeyFile."""
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InvalidKeyFile(f"expected an Ed25519 private key (PEM) in {path}: {error}") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidKeyFile(f"expected an Ed25519 private key in {path}, got {type(key).__name__}")
        return cls(key)

    @property
    def public_key(self) -> str:
        """The public key as PEM."""
        return public_pem(self._key.public_key())

    def sign(self, content: bytes) -> bytes:
        """The signature of these bytes, as a JSON document."""
        document = {
            "schema": SCHEMA,
            "algorithm": "Ed25519",
            "public_key": self.public_key,
            "signature": base64.b64encode(self._key.sign(content)).decode(),
        }
        return (json.dumps(document, indent=1) + "\n").encode()


def create_key(path: Path) -> Signer:
    """A new private key in a file that only its owner may read. Raises FileExistsError when there is one."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return Signer(key)


def public_pem(key: Ed25519PublicKey) -> str:
    """A public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def read_public_key(text: str) -> Ed25519PublicKey:
    """The public key of a PEM text. Raises InvalidKeyFile."""
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidKeyFile(f"expected an Ed25519 public key (PEM): {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidKeyFile(f"expected an Ed25519 public key, got {type(key).__name__}")
    return key


def complaint(content: bytes, signature: bytes, key: Ed25519PublicKey | None = None) -> str | None:
    """What is wrong with the signature of these bytes; None when nothing is. Without a key, its own is taken."""
    try:
        document = parse(signature)
        if document.get("schema") != SCHEMA:
            return f"expected a signature of schema {SCHEMA}"
        own = read_public_key(document["public_key"])
        if key is not None and public_pem(key) != public_pem(own):
            return "made with another key than the one expected"
        own.verify(base64.b64decode(document["signature"], validate=True), content)
    except InvalidSignature:
        return "does not fit the manifest: one of the two was changed"
    except (ManifestError, InvalidKeyFile, KeyError, TypeError, AttributeError, binascii.Error) as error:
        return f"cannot be read: {error}"
    return None
