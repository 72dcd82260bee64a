"""Ed25519 keys of certificates, from files or the environment; their content is never shown."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

KEY = "AMPY_CONFORM_SIGNING_KEY"
PASSPHRASE = "AMPY_CONFORM_SIGNING_PASSPHRASE"  # noqa: S105 (the name of a variable)
MAKE = "ampy-conform report keygen"
LARGEST = 64 * 1024


@dataclass(frozen=True, repr=False)
class Public:
    """A key that verifies; `id` is the SHA-256 (hex) of its DER form."""

    _key: Any
    id: str

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Tell whether this key made the signature over the data."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 (an extra)

        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, repr=False)
class Private:
    """A key that signs."""

    _key: Any

    def sign(self, data: bytes) -> bytes:
        """Return the signature over the data, 64 bytes."""
        return bytes(self._key.sign(data))

    def public(self) -> Public:
        """Return the key that verifies what this one signs."""
        return _public(self._key.public_key())


def private(path: Path | None) -> Private:
    """Return the signing key of a PEM file, or of the environment where there is no path.

    Raises `UsageError`; no message says anything of what the key holds.
    """
    pem, name = _pem(path)
    serialization, ed25519 = _library()
    secret = os.environ.get(PASSPHRASE)
    try:
        key = serialization.load_pem_private_key(pem, secret.encode() if secret else None)
    except TypeError:
        if secret is None:
            raise UsageError(f"{name} is encrypted: put its passphrase into {PASSPHRASE}") from None
        raise UsageError(f"{name} is not encrypted: unset {PASSPHRASE}, or encrypt it") from None
    except Exception:  # noqa: BLE001 (whatever the parser says may quote the key)
        if b"PUBLIC KEY" in pem:
            raise UsageError(f"{name} is a public key, and signing needs the private one") from None
        hint = " (or its passphrase is another)" if secret else ""
        raise UsageError(f"{name} is no private key in PEM form{hint}; make one: {MAKE}") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise UsageError(f"{name} is no Ed25519 key; make one: {MAKE}")
    return Private(key)


def public(path: Path) -> Public:
    """Return the verifying key of a PEM file; raises `UsageError`."""
    pem, name = _pem(path)
    serialization, ed25519 = _library()
    if b"PRIVATE KEY" in pem:
        raise UsageError(
            f"{name} is a private key: verifying needs the public one, keep this one secret"
        )
    try:
        key = serialization.load_pem_public_key(pem)
    except Exception:  # noqa: BLE001 (as above)
        raise UsageError(f"{name} is no public key in PEM form") from None
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise UsageError(f"{name} is no Ed25519 key")
    return _public(key)


def make(path: Path) -> tuple[Path, Path]:
    """Make a pair of keys: `path` for signing, readable by its owner only, and `path`.pub.

    Encrypted where the environment has a passphrase. Raises `UsageError`; nothing is overwritten.
    """
    serialization, ed25519 = _library()
    key = ed25519.Ed25519PrivateKey.generate()
    secret = os.environ.get(PASSPHRASE)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(secret.encode())
        if secret
        else serialization.NoEncryption(),
    )
    other = path.with_name(f"{path.name}.pub")
    _write(path, pem, 0o600)
    _write(other, _der(key.public_key(), pem=True), 0o644)
    return path, other


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(data)
    except FileExistsError:
        raise UsageError(
            f"{path} exists, and a key is never overwritten; choose another name"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _pem(path: Path | None) -> tuple[bytes, str]:
    if path is None:
        text = os.environ.get(KEY)
        if not text:
            raise UsageError(
                f"a key is needed: --key FILE, or its PEM text in {KEY}; make one: {MAKE}"
            )
        return text.encode(), KEY
    try:
        if not path.is_file():
            raise UsageError(f"there is no key file {path}; make one: {MAKE}")
        with path.open("rb") as stream:
            pem = stream.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"cannot read the key {path}: {error.strerror}") from error
    if len(pem) > LARGEST:
        raise UsageError(f"{path} is too large for a key")
    return pem, str(path)


def exposed(path: Path) -> bool:
    """Tell whether others than the owner can read a key file."""
    return os.name == "posix" and bool(path.stat().st_mode & 0o077)


def _public(key: Any) -> Public:
    return Public(key, hashlib.sha256(_der(key)).hexdigest())


def _der(key: Any, *, pem: bool = False) -> bytes:
    serialization, _ = _library()
    form = serialization.Encoding.PEM if pem else serialization.Encoding.DER
    return bytes(key.public_bytes(form, serialization.PublicFormat.SubjectPublicKeyInfo))


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 (an extra)
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            "certificates need the package cryptography: pip install 'ampy-bus-conformance[sign]'"
        ) from error
    return serialization, ed25519
