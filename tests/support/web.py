"""A small web server on loopback that answers as a test says, over HTTP or HTTPS, and remembers what it was asked."""

import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    """What a request said."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    """A running server. ``answer`` may be changed at any time."""

    answer: Answer
    port: int = 0
    asked: list[Asked] = field(default_factory=list)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(request.method, request.path_qs, headers, await request.read()))
        return await self.answer(request)


@asynccontextmanager
async def running_site(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """Run a server on 127.0.0.1."""
    site = Site(answer)
    runner = web.ServerRunner(web.Server(site._answer, handler_cancellation=True), shutdown_timeout=1)
    await runner.setup()
    try:
        listener = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await listener.start()
        site.port = int(runner.addresses[0][1])
        yield site
    finally:
        await runner.cleanup()


class Authority:
    """An authority of the test's own; ``file`` is its certificate."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of the tests")])
        certificate = self._certificate(self._name, self._key.public_key(), None)
        self.file = directory / "authority.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, *names: str) -> ssl.SSLContext:
        """Return what a server needs to be one of these names or addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = self._certificate(subject, key.public_key(), names)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self._directory / f"{names[0].replace('*', 'any')}.pem"
        path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(path)
        return context

    def trusted(self) -> ssl.SSLContext:
        """Return what a client needs to trust this authority and no other."""
        return ssl.create_default_context(cafile=str(self.file))

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, names: tuple[str, ...] | None
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
        )
        if names is not None:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_name(each) for each in names]), critical=False
            )
        return builder.sign(self._key, hashes.SHA256())


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
