"""Certificates for the simulated upstreams, so that a node's TLS verification stays on.

A laboratory has an authority of its own, made when it opens and trusted only inside its sandboxes. Validity spans every
clock that the laboratory sets.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_FROM = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_TO = dt.datetime(2099, 12, 31, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM texts: the authority's certificate, and for each host its chain followed by its private key."""

    authority: bytes
    hosts: dict[str, bytes]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(subject: str, issuer: str, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_TO)
    )


def issue(hosts: tuple[str, ...]) -> Certificates:
    """An authority and one certificate for each host name or address."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = (
        _builder("Certify laboratory", "Certify laboratory", authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    chains: dict[str, bytes] = {}
    for host in hosts:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(host, "Certify laboratory", key.public_key())
            .add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
            .sign(authority_key, hashes.SHA256())
        )
        chains[host] = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    return Certificates(authority.public_bytes(serialization.Encoding.PEM), chains)
