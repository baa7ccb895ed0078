"""Alerts reach people once each way, whatever happens to receivers, daemons and the database, and hold up nothing."""

import json
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import db
from ops import alerts, log
from ops.alerting import telling
from ops.alerting.channels import Channel, channels
from ops.alerting.messages import trial
from ops.alerting.ping import is_well, ping
from ops.alerting.teller import DATABASE_PATIENCE, Teller
from ops.config import LogSettings, load
from ops.errors import ConfigurationError
from publish.notify import SIGNATURE_HEADER, NotDelivered, signature
from tests.ops.histories_of_alerts import CYCLE, MINUTE, Watched
from tests.publish.receiver import Receiver
from tests.servers import free_port

SECOND = timedelta(seconds=1)


class Ways:
    """A channel in memory that fails as often as it is told to."""

    def __init__(self, name: str = "webhook", failures: int = 0) -> None:
        self.name = name
        self.failures = failures
        self.got: list[str] = []

    def deliver(self, message) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise NotDelivered(f"{self.name} is away")
        self.got.append(message.title)


def teller(watched: Watched, *ways: Channel) -> Teller:
    return Teller(watched.engine, watched.settings.alerts, list(ways), None, watched.clock)


@pytest.fixture
def watched(tmp_path) -> Watched:
    return Watched(tmp_path)


def raise_(watched: Watched, kind: str = "late", subject: str = "tiny 06 UTC") -> None:
    alerts.raise_(watched.engine, kind, subject, "not published", now=watched.now)


def test_an_alert_is_told_once_and_that_it_is_right_again_once(watched):
    webhook, mail = Ways(), Ways("mail")
    one, other = teller(watched, webhook, mail), teller(watched, webhook, mail)
    raise_(watched)
    assert (one.round(), other.round(), one.round()) == (2, 0, 0)
    alerts.resolve(watched.engine, "late", "tiny 06 UTC", now=watched.now, reason="published")
    assert (other.round(), one.round()) == (2, 0)
    assert webhook.got == mail.got == ["sigmacast late: tiny 06 UTC", "sigmacast recovered, was late: tiny 06 UTC"]


def test_a_receiver_that_is_away_is_tried_again_and_holds_up_no_other(watched):
    webhook, mail = Ways(failures=2), Ways("mail")
    one = teller(watched, webhook, mail)
    raise_(watched)
    assert one.round() == 1 and mail.got and not webhook.got
    assert one.round() == 0
    watched.now += 30 * SECOND
    assert one.round() == 0
    watched.now += 60 * SECOND
    assert one.round() == 1 and len(webhook.got) == len(mail.got) == 1


def test_a_way_that_breaks_in_an_unexpected_manner_holds_up_no_other(watched):
    class Broken(Ways):
        def deliver(self, message) -> None:
            raise KeyError(message.title)

    mail = Ways("mail")
    raise_(watched, subject="two\nlines")
    assert teller(watched, Broken(), mail).round() == 1
    assert mail.got == ["sigmacast late: two lines"]


def test_what_a_killed_daemon_was_about_to_tell_another_tells(watched):
    class Killed(BaseException):
        pass

    class Dying(Ways):
        def deliver(self, message) -> None:
            raise Killed

    raise_(watched)
    with pytest.raises(Killed):
        teller(watched, Dying()).round()
    webhook = Ways()
    assert teller(watched, webhook).round() == 0
    watched.now += 2 * MINUTE
    assert teller(watched, webhook).round() == 1


def test_the_history_that_is_away_is_told_by_each_daemon_itself_and_that_it_is_back(watched):
    webhook = Ways(failures=1)
    one = teller(watched, webhook)
    away = db.engine("postgresql://app:s3cret@127.0.0.1:1/nowhere")
    here, one._engine = one._engine, away
    one.round()
    watched.now += DATABASE_PATIENCE - SECOND
    one.round()
    assert webhook.failures == 1
    for _ in range(3):
        watched.now += 30 * SECOND
        one.round()
    one._engine = here
    one.round()
    one.round()
    told = ["sigmacast database", "sigmacast recovered, was database"]
    assert [title.partition(":")[0] for title in webhook.got] == told


def test_a_short_absence_of_the_history_is_told_to_nobody(watched):
    webhook = Ways()
    one = teller(watched, webhook)
    here, one._engine = one._engine, db.engine("postgresql://app@127.0.0.1:1/nowhere")
    one.round()
    one._engine = here
    watched.now += 9 * MINUTE
    one.round()
    assert webhook.got == []


def test_the_webhook_gets_a_signed_document_with_the_runbook(tmp_path):
    with Receiver([503]) as receiver:
        watched = Watched(
            tmp_path,
            alerts__webhook_url=receiver.url,
            alerts__webhook_secret="s3cret",
            alerts__runbook_url="https://wiki.example.org/runbook",
        )
        watched.begin()
        alerts.raise_(watched.engine, "failed", "run-1", "no such file", now=CYCLE, run_id="run-1")
        assert teller(watched, *channels(watched.settings.alerts)).round() == 1
    assert len(receiver.got) == 2 and receiver.got[0].body == receiver.got[1].body
    got = receiver.got[1]
    assert got.headers[SIGNATURE_HEADER] == signature(got.body, "s3cret")
    document = json.loads(got.body)
    assert document["Subject"] == "sigmacast failed: run-1"
    assert json.loads(document["Message"]) == {
        "event": "alert raised",
        "kind": "failed",
        "subject": "run-1",
        "message": "no such file",
        "run_id": "run-1",
        "raised_at": "2026-11-21T06:00:00Z",
        "resolved_at": None,
        "resolution": None,
        "runbook": "https://wiki.example.org/runbook#failed",
    }


class Mailbox:
    """Keeps the mails of a server, which wants a password."""

    def __init__(self) -> None:
        self.mails: list = []

    async def handle_DATA(self, server, session, envelope) -> str:
        self.mails.append((session.ssl is not None, envelope, message_from_bytes(envelope.content)))
        return "250 OK"


def certificate(directory: Path) -> ssl.SSLContext:
    """A server's context for the name localhost; its certificate lies in directory/cert.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    builder = builder.not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    signed = builder.sign(key, hashes.SHA256())
    (directory / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    return context


@contextmanager
def mail_server(directory: Path) -> Iterator[tuple[Mailbox, int]]:
    mailbox, port = Mailbox(), free_port()

    def known(_server, _session, _envelope, _mechanism, data) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"sigmacast", b"s3cret")
        return AuthResult(success=right, handled=right)

    options = {"tls_context": certificate(directory), "require_starttls": True, "auth_required": True}
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, authenticator=known, **options)
    controller.start()
    try:
        yield mailbox, port
    finally:
        controller.stop()


def mail_settings(port: int, **others: object):
    given = {"mail_to": ("ops@example.org", "duty@example.org"), "mail_from": "sigmacast@example.org"}
    server = {"mail_host": "localhost", "mail_port": port, "mail_user": "sigmacast", "mail_password": "s3cret"}
    return load(options={f"alerts.{name}": value for name, value in (given | server | others).items()}).alerts


def test_a_mail_goes_out_encrypted_and_says_what_to_do(watched, tmp_path, monkeypatch):
    with mail_server(tmp_path) as (mailbox, port):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        raise_(watched, subject="Überlingen 06 UTC")
        assert teller(watched, *channels(mail_settings(port))).round() == 1
    ((encrypted, envelope, mail),) = mailbox.mails
    assert encrypted and envelope.rcpt_tos == ["ops@example.org", "duty@example.org"]
    assert mail["Auto-Submitted"] == "auto-generated" and "alert.1.raised" in mail["Message-ID"]
    body = mail.get_payload(decode=True).decode()
    assert "Not published." in body and "docs/runbook.md#late" in body


@pytest.mark.parametrize(
    ("trusted", "others", "complaint"),
    [
        (False, {}, "SSLCertVerificationError"),
        (True, {"mail_password": "wrong"}, "SMTPAuthenticationError 535"),
        (True, {"mail_security": "none", "mail_user": None}, "530"),
        (True, {"mail_port": 1}, "ConnectionRefusedError"),
    ],
)
def test_a_mail_that_is_not_taken_is_told_without_the_password(tmp_path, monkeypatch, trusted, others, complaint):
    with mail_server(tmp_path) as (mailbox, port):
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        (way,) = channels(mail_settings(port, **others))
        with pytest.raises(NotDelivered, match=complaint) as caught:
            way.deliver(trial(mail_settings(port), CYCLE))
    assert mailbox.mails == [] and "s3cret" not in str(caught.value) and "wrong" not in str(caught.value)


def command(*words: str, seconds: float = 15.0):
    settings = load(options={"alerts.command": words, "alerts.seconds": seconds}).alerts
    (way,) = channels(settings)
    return way, trial(settings, CYCLE)


def test_a_command_reads_json_and_gets_none_of_our_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGMACAST_DATABASE__URL", "sqlite:///secret.db")
    code = (
        "import os, sys; open(sys.argv[1], 'w').write(sys.stdin.read() + str([n for n in os.environ if 'SIGMA' in n]))"
    )
    way, message = command(
        sys.executable,
        "-c",
        code,
        str(tmp_path / "told"),
    )
    way.deliver(message)
    document, _, names = (tmp_path / "told").read_text().rpartition("}")
    assert json.loads(document + "}")["title"] == "sigmacast test: nothing is wrong" and names == "[]"


def test_a_command_that_hangs_is_killed_with_its_children():
    way, message = command("sh", "-c", "sleep 60 & sleep 60", seconds=0.3)
    begun = time.monotonic()
    with pytest.raises(NotDelivered, match=r"took more than 0.3 s"):
        way.deliver(message)
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("words", "complaint"), [(("false",), "exited with 1"), (("/nowhere/page-me",), "No such file or directory")]
)
def test_a_command_that_fails_is_told(words, complaint):
    way, message = command(*words)
    with pytest.raises(NotDelivered, match=complaint):
        way.deliver(message)


def test_the_dead_mans_switch_is_called_while_all_is_well_and_not_otherwise(tmp_path):
    with Receiver() as receiver:
        watched = Watched(tmp_path, alerts__ping_url=receiver.url, alerts__ping_method="POST")
        one = Teller(watched.engine, watched.settings.alerts, [], ping(watched.settings.alerts), watched.clock)
        one.round()
        assert len(receiver.got) == 0
        watched.daemon()
        one.round()
        one.round()
        assert len(receiver.got) == 1
        watched.now += 60 * SECOND
        one.round()
        assert len(receiver.got) == 2
        raise_(watched, "late")
        watched.now += 60 * SECOND
        one.round()
        assert len(receiver.got) == 2
        alerts.resolve(watched.engine, "late", "tiny 06 UTC", now=watched.now)
        one.round()
        assert len(receiver.got) == 3


def test_no_daemon_no_pings(watched):
    watched.daemon()
    watched.now += 6 * MINUTE
    with db.reading(watched.engine) as session:
        assert not is_well(session, watched.now)


def test_telling_works_beside_the_block_and_holds_it_up_for_nothing(tmp_path):
    with Receiver([503] * 10_000) as receiver:
        watched = Watched(tmp_path, alerts__webhook_url=receiver.url, alerts__seconds=0.2)
        raise_(watched)
        with telling(watched.engine, watched.settings.alerts, watched.clock):
            deadline = time.monotonic() + 20
            while not receiver.got and time.monotonic() < deadline:
                time.sleep(0.05)
            begun = time.monotonic()
        assert receiver.got and time.monotonic() - begun < 5


def test_no_secret_is_in_a_log_line(tmp_path, capsys):
    log.configure(LogSettings(level="debug"))
    with Receiver([403, 403]) as receiver:
        watched = Watched(
            tmp_path, alerts__webhook_url=f"{receiver.url}-t0ken", alerts__webhook_secret="s3cret",
            alerts__ping_url=f"{receiver.url}-t0ken", alerts__ping_method="POST",
        )  # fmt: skip
        watched.daemon()
        raise_(watched, "failed")
        found = watched.settings.alerts
        assert Teller(watched.engine, found, channels(found), ping(found), watched.clock).round() == 0
    told = "".join(capsys.readouterr())
    assert "an alert waits to be told" in told and "the dead man's switch was not reached" in told
    assert "s3cret" not in told + repr(found) and "t0ken" not in told + repr(found)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [("webhook_url", "gopher://x", "alerts.webhook_url: expected"), ("ping_url", "x", "alerts.ping_url: expected")],
)
def test_a_wrong_address_is_told_at_the_start(watched, name, value, complaint):
    settings = load(options={f"alerts.{name}": value}).alerts
    with pytest.raises(ConfigurationError, match=complaint), telling(watched.engine, settings, watched.clock):
        pass


@pytest.mark.parametrize("objectives", [{"6": 9}, {"24": 9}, {"06": 0}])
def test_objectives_are_of_hours_of_the_day(objectives):
    with pytest.raises(ConfigurationError, match="expected hours of cycles"):
        load(options={"alerts.objectives": objectives})
