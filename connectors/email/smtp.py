"""Hands a mail to an SMTP server (RFC 5321) and says what became of it."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from base64 import b64encode
from collections.abc import Iterator
from email.message import EmailMessage

from connectors.base import AuthExpired, BadPayload, ConnectorError, OutcomeUnknown, Refused, RetryLater
from connectors.email.config import EmailConfig
from connectors.email.oauth import AccessTokens

_MAX_TOLD = 300
# RFC 4954: the server wants another sign-in, or a stronger one.
_SIGN_IN = (530, 534, 535, 538)


class SmtpClient:
    """The SMTP side of a channel: a new connection for each mail."""

    def __init__(self, config: EmailConfig, tokens: AccessTokens) -> None:
        self._config = config
        self._tokens = tokens

    def check(self) -> None:
        """Sign in and leave. Raises: RetryLater, AuthExpired, BadPayload."""
        with self._signed_in():
            pass

    def send(self, mail: EmailMessage, sender: str, recipient: str) -> str:
        """Hand it over; what comes back is the server's own word.

        Raises: RetryLater (4xx, or no connection, before the whole mail was there), AuthExpired, BadPayload,
        Refused (5xx), OutcomeUnknown (the connection broke between the end of the mail and the answer).
        """
        raw = mail.as_bytes()
        with self._signed_in() as server:
            limit = str(server.esmtp_features.get("size", "")).split(" ")[0]
            if limit.isdecimal() and 0 < int(limit) < len(raw):
                raise Refused(f"The mail has {len(raw):,} bytes; the server takes {int(limit):,}.")
            options = [f"size={len(raw)}"] if "size" in server.esmtp_features else []
            if not (sender + recipient).isascii():
                if "smtputf8" not in server.esmtp_features:
                    raise Refused("The server cannot send to an address in other letters than ASCII.")
                options += ["SMTPUTF8", "BODY=8BITMIME"]
                server.command_encoding = "utf-8"
            _expect(server.mail(sender, options), 250)
            _expect(server.rcpt(recipient), 250, 251)
            _expect(server.docmd("DATA"), 354)
            # As `smtplib.SMTP.data` does it, but in two steps: only with the last line is it a mail.
            server.send(_stuffed(raw))
            return _handed_over(server)

    @contextlib.contextmanager
    def _signed_in(self) -> Iterator[smtplib.SMTP]:
        server: smtplib.SMTP | None = None
        try:
            server = self._connected()
            self._sign_in(server)
            yield server
            # What is said now changes nothing any more.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                server.quit()
        except ConnectorError:
            raise
        except ssl.SSLCertVerificationError as error:
            host = self._config.smtp_host
            raise BadPayload(
                f"The certificate of {host} cannot be trusted ({error.verify_message}); set ca_file if it is"
                " your own."
            ) from error
        except smtplib.SMTPAuthenticationError as error:
            if error.smtp_code < 500:
                raise RetryLater(_line(error.smtp_code, error.smtp_error), status=error.smtp_code) from None
            self._tokens.forget()
            line = _line(error.smtp_code, error.smtp_error)
            raise AuthExpired(f"The SMTP server does not take the name and password: {line}") from None
        except smtplib.SMTPResponseException as error:
            raise _refusal_of_all(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPNotSupportedError as error:
            raise AuthExpired(f"The SMTP server does not offer what the settings ask for: {error}") from None
        except (smtplib.SMTPException, OSError) as error:
            raise RetryLater(f"No SMTP connection: {str(error)[:_MAX_TOLD]}") from error
        finally:
            if server is not None:
                server.close()

    def _connected(self) -> smtplib.SMTP:
        host, port = self._config.smtp_place
        timeout = self._config.timeout_seconds
        if self._config.smtp_security == "none":
            server = smtplib.SMTP(host, port, timeout=timeout)
            server.ehlo_or_helo_if_needed()
            return server
        context = ssl.create_default_context(cafile=self._config.ca_file)
        if self._config.smtp_security == "tls":
            server = smtplib.SMTP_SSL(host, port, timeout=timeout, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=timeout)
            server.starttls(context=context)
        server.ehlo_or_helo_if_needed()
        return server

    def _sign_in(self, server: smtplib.SMTP) -> None:
        config = self._config
        if not config.smtp_sign_in:
            return
        user = config.smtp_user or config.login
        if self._tokens.wanted and config.smtp_password is None:
            words = f"user={user}\1auth=Bearer {self._tokens.token()}\1\1"
            # A second question is why it was refused; an empty answer ends it.
            server.auth("XOAUTH2", lambda challenge=None: words if challenge is None else "")
            return
        secret = config.smtp_password or config.password
        password = secret.get_secret_value() if secret else ""
        if (user + password).isascii():
            server.login(user, password)
            return
        plain = b64encode(f"\0{user}\0{password}".encode()).decode()
        code, told = server.docmd("AUTH", f"PLAIN {plain}")
        if code != 235:
            raise smtplib.SMTPAuthenticationError(code, told)


def _handed_over(server: smtplib.SMTP) -> str:
    try:
        server.send(b".\r\n")
        code, told = server.getreply()
    except (smtplib.SMTPException, OSError) as error:
        raise OutcomeUnknown(f"The SMTP connection broke after the mail was sent: {error}") from error
    _expect((code, told), 250)
    return _line(code, told)


def _expect(answer: tuple[int, bytes], *codes: int) -> None:
    if answer[0] not in codes:
        raise _refusal(*answer)


def _stuffed(raw: bytes) -> bytes:
    """With the lines' ends and leading points as the wire wants them (RFC 5321, 4.5.2)."""
    lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").removesuffix(b"\n").split(b"\n")
    return b"".join(b".%s\r\n" % line if line.startswith(b".") else b"%s\r\n" % line for line in lines)


def _refusal(code: int, told: bytes) -> ConnectorError:
    line = _line(code, told)
    if code in _SIGN_IN:
        return AuthExpired(f"The SMTP server wants another sign-in: {line}")
    if code >= 500:
        return Refused(f"The SMTP server refuses it: {line}", status=code)
    return RetryLater(f"The SMTP server does not take it now: {line}", status=code)


def _refusal_of_all(code: int, told: bytes | str) -> ConnectorError:
    """A no before it has seen the mail says nothing about the mail."""
    line = _line(code, told)
    if code in _SIGN_IN:
        return AuthExpired(f"The SMTP server wants another sign-in: {line}")
    return RetryLater(f"The SMTP server takes nothing from here now: {line}", status=code)


def _line(code: int, told: bytes | str) -> str:
    text = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
    return f"{code} {' '.join(text.split())}"[:_MAX_TOLD]
