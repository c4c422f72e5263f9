"""A mailbox as a channel: mails in by IMAP, replies out by SMTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import ClassVar

from connectors.base import (
    Batch,
    ChannelKind,
    Config,
    Connector,
    ConnectorError,
    Cursor,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    RetryLater,
    Sent,
)
from connectors.email.compose import compose, recipient_of
from connectors.email.config import EmailConfig
from connectors.email.imap import Mailbox
from connectors.email.oauth import AccessTokens
from connectors.email.parse import Rules
from connectors.email.reading import Reader, day_of
from connectors.email.smtp import SmtpClient
from connectors.email.tokens import Tokens, plus_address

_HEARTBEAT_SECONDS = 5.0
_ROUND_SECONDS = 60.0  # how often folders are looked at that IDLE does not watch


class EmailConnector(Connector):
    """Reads the folders of one mailbox, and answers by mail."""

    name: ClassVar[str] = "email"
    kind: ClassVar[ChannelKind] = "mail"
    config_type: ClassVar[type[Config]] = EmailConfig
    scorecard: ClassVar[Mapping[str, str]] = {
        "fetch": "done",
        "push": "done",
        "backfill": "done",
        "threads": "done",
        "profile": "exempt: a mail tells its author's name, which is taken; there is no reach",
        "edits": "exempt: what was sent by mail cannot be changed",
        "deletions": "exempt: a mail that is moved or deleted in the mailbox was written all the same",
        "attachments": "done",
        "send": "done",
        "media": "done",
        "length": "exempt: a mail has no limit worth counting; the server's own is known before sending",
        "idempotent": "done",
        "budget": "exempt: mail servers do not tell their limits; 4xx answers are obeyed",
        "auth": "done",
        "tickets": "exempt: a mail has neither",
    }
    steps: ClassVar[tuple[str, ...]] = (
        "Have an address of its own for the brand, and IMAP switched on for it.",
        "With **Google Workspace or Gmail**: switch on 2-step verification, make an *app password*"
        " (myaccount.google.com/apppasswords) and enter it as `password`; hosts are `imap.gmail.com` and"
        " `smtp.gmail.com`, and copies of sent mails lie in `[Gmail]/Sent Mail`.",
        "With **Microsoft 365**: register an application in Entra ID with the permissions"
        " `IMAP.AccessAsUser.All`, `SMTP.Send` and `offline_access`, authorize it for the mailbox, and enter"
        " its client id, secret, refresh token and token address; hosts are `outlook.office365.com` and"
        " `smtp.office365.com`.",
        "With **any other server**: enter its IMAP and SMTP hosts and the mailbox's name and password.",
        "Choose a long random `reply_secret`, and a `sent_folder`, so that nothing is ever sent twice.",
    )

    def __init__(
        self, config: EmailConfig, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._config = config
        self._clock = clock
        self._tokens = Tokens(config.address.rpartition("@")[2], config.signing)
        self._access = AccessTokens(config)
        self._mailbox = Mailbox(config, self._access)
        self._listening = Mailbox(config, self._access)
        self._smtp = SmtpClient(config, self._access)

    def check(self) -> str:
        """Sign in on both sides and open every folder."""
        told = []
        if self._config.imap_host or not self._config.smtp_host:
            for folder in self._config.folders:
                self._mailbox.select(folder)
            told.append(f"reads {', '.join(self._config.folders)} of {self._config.login}")
        if self._config.smtp_host:
            self._smtp.check()
            told.append(f"sends as {self._config.address}")
        return ", ".join(told)

    def fetch(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Read what is new in every folder; `connectors.email.reading` explains the cursor."""
        return self._reader(self._mailbox).new(self._config.folders, cursor)

    def backfill(self, since: datetime, cursor: Cursor | None) -> Iterator[Batch]:
        """Read what the server received on the day of `since` or later, in every folder."""
        return self._reader(self._mailbox).history(self._config.folders, day_of(since), cursor)

    @property
    def streams(self) -> bool:
        """Whether there is a server to listen to."""
        return bool(self._config.imap_host)

    def stream(self, cursor: Cursor | None, stop: Callable[[], bool]) -> Iterator[Batch]:
        """Be told of new mail by IDLE in the first folder; the other folders are looked at every minute.

        IDLE is issued again after `idle_seconds`, which also shows a line that died silently. Where the
        server has no IDLE, all folders are looked at every few seconds.
        """
        box, reader, folders = self._listening, self._reader(self._listening), self._config.folders
        try:
            while not stop():
                for batch in reader.new(folders, cursor):
                    cursor = batch.cursor
                    yield batch
                # What came while we read is told by no IDLE: it is there already.
                if cursor is None or box.select(folders[0]).uidnext - 1 <= cursor[folders[0]]["uid"]:
                    yield from self._until_told(box, stop)
        finally:
            box.close()

    def _until_told(self, box: Mailbox, stop: Callable[[], bool]) -> Iterator[Batch]:
        lasts = self._config.idle_seconds if len(self._config.folders) == 1 else _ROUND_SECONDS
        ends_at = time.monotonic() + min(lasts, self._config.idle_seconds)
        if not box.can_idle:
            yield Batch(())
            pause_ends_at = time.monotonic() + _HEARTBEAT_SECONDS
            while not stop() and time.monotonic() < pause_ends_at:
                time.sleep(0.1)
            return
        box.start_waiting()
        yield Batch(())
        while not stop():
            left = ends_at - time.monotonic()
            asked_at = time.monotonic()
            if left <= 0 or box.wait(min(_HEARTBEAT_SECONDS, left)):
                break
            if time.monotonic() - asked_at < min(_HEARTBEAT_SECONDS, left) / 2:
                # Nothing said, and yet there is something to read: the end of the line.
                raise RetryLater("The IMAP server has hung up.")
            yield Batch(())
        box.stop_waiting()

    @property
    def replies(self) -> bool:
        """Whether there is a server to send by."""
        return bool(self._config.smtp_host)

    def send(self, message: OutboundMessage) -> Sent:
        """Hand the reply to the SMTP server; what comes back as id is its Message-ID.

        With `append_sent` a copy lies in the folder of sent mails from before the mail goes out, marked as a
        draft until it has: so `find_sent` knows what was not sent, what was, and what nobody can tell.
        """
        config = self._config
        if not config.smtp_host:
            raise Refused("This channel has no smtp_host to send by; set one, or answer elsewhere.")
        recipient = recipient_of(message)
        token = self._tokens.token(message.idempotency_key)
        mail = compose(message, config, self._tokens, self._clock())
        found = self._copies(token) if config.sent_folder else []
        if any(not draft for _, draft in found):
            return Sent(self._tokens.message_id(token), f"found in {config.sent_folder}")
        if config.append_sent and not found:
            self._mailbox.append_draft(config.sent_folder, mail.as_bytes())
        sender = plus_address(config.address, token) if config.reply_plus else config.address
        try:
            told = self._smtp.send(mail, sender, recipient)
        except OutcomeUnknown:
            raise
        except ConnectorError:
            self._settle(token, sent=False)
            raise
        self._settle(token, sent=True)
        return Sent(self._tokens.message_id(token), told)

    def find_sent(self, message: OutboundMessage) -> Sent | None:
        """Look for the reply's Message-ID in the folder of sent mails.

        Raises: OutcomeUnknown where there is no such folder, it cannot be looked into, or all it has is a
        draft.
        """
        config = self._config
        if not config.sent_folder:
            raise OutcomeUnknown("This channel has no sent_folder where one could look.")
        token = self._tokens.token(message.idempotency_key)
        try:
            found = self._copies(token)
        except ConnectorError as error:
            raise OutcomeUnknown(f"{config.sent_folder} cannot be looked into: {error}") from error
        if any(not draft for _, draft in found):
            return Sent(self._tokens.message_id(token), f"found in {config.sent_folder}")
        if found:
            raise OutcomeUnknown("It was about to be sent when something broke.")
        return None

    def _copies(self, token: str) -> list[tuple[int, bool]]:
        return self._mailbox.copies(self._config.sent_folder, self._tokens.message_id(token))

    def _settle(self, token: str, *, sent: bool) -> None:
        """Say of the draft what became of it. Where that fails it stays one: nobody can tell, then."""
        if not self._config.append_sent:
            return
        try:
            drafts = [uid for uid, draft in self._copies(token) if draft]
            change = self._mailbox.mark_sent if sent else self._mailbox.remove
            change(self._config.sent_folder, drafts)
        except ConnectorError:
            return

    def close(self) -> None:
        """End the connections."""
        self._mailbox.close()
        self._listening.close()

    def _reader(self, mailbox: Mailbox) -> Reader:
        config = self._config
        return Reader(mailbox, self._rules, config.max_mail_bytes, config.recent_days)

    def _rules(self) -> Rules:
        config = self._config
        return Rules(
            own=config.own,
            tokens=self._tokens,
            own_lists=config.own_lists,
            max_body_bytes=config.max_body_bytes,
            max_attachment_bytes=config.max_attachment_bytes,
            now=self._clock(),
        )
