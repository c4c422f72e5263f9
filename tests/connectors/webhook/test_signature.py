"""Who may push: decided by signature and time alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from standardwebhooks import Webhook

from connectors import connect
from connectors.base import BadSignature, Delivery
from connectors.webhook.signature import sign
from tests.connectors.webhook.peer import OTHER_SECRET, SECRET
from tests.connectors.webhook.test_contract import NOW, delivery

BODY = b'{"text": "hi", "author": {"id": "u"}}'


def verify(pushed: Delivery, **config: Any) -> str:
    return connect("webhook", {"secrets": [SECRET], **config}).verify(pushed)


def test_a_signed_push_is_known_by_its_id() -> None:
    assert verify(delivery(BODY, delivery_id="d-7")) == "d-7"


def test_the_package_that_senders_use_signs_what_we_accept() -> None:
    signature = Webhook(SECRET).sign("d-8", NOW, BODY.decode())
    headers = {
        "webhook-id": "d-8",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": f"v1a,xyz v1,AAAA {signature}",
    }
    assert verify(Delivery(headers, BODY, NOW)) == "d-8"


@pytest.mark.parametrize("secrets", [[SECRET, OTHER_SECRET], [OTHER_SECRET, SECRET]])
def test_while_a_secret_is_replaced_both_serve(secrets: list[str]) -> None:
    for secret in (SECRET, OTHER_SECRET):
        assert verify(delivery(BODY, secret=secret), secrets=secrets) == "d-1"
    with pytest.raises(BadSignature):
        verify(delivery(BODY, secret=SECRET), secrets=[OTHER_SECRET])


@pytest.mark.parametrize(
    ("seconds", "fresh"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
def test_a_push_is_fresh_around_the_time_it_came(seconds: int, fresh: bool) -> None:
    pushed = replace(delivery(BODY), received_at=NOW + timedelta(seconds=seconds))
    if fresh:
        assert verify(pushed) == "d-1"
    else:
        with pytest.raises(BadSignature):
            verify(pushed)


def test_the_tolerance_is_a_setting() -> None:
    pushed = replace(delivery(BODY), received_at=NOW + timedelta(seconds=11))
    assert verify(pushed, tolerance_seconds=11) == "d-1"
    with pytest.raises(BadSignature):
        verify(pushed, tolerance_seconds=10)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Webhook-Id", ""),
        ("Webhook-Id", "d-2"),
        ("Webhook-Timestamp", ""),
        ("Webhook-Timestamp", "soon"),
        ("Webhook-Timestamp", "-1"),
        ("Webhook-Timestamp", "9" * 40),
        ("Webhook-Timestamp", str(int(NOW.timestamp()) + 1)),
        ("Webhook-Timestamp", f"{int(NOW.timestamp())}.0"),
        ("Webhook-Signature", ""),
        ("Webhook-Signature", "v1"),
        ("Webhook-Signature", "v1,"),
        ("Webhook-Signature", "v1,not base64 at all"),
        ("Webhook-Signature", "v2," + sign(SECRET, "d-1", int(NOW.timestamp()), BODY.decode()).split(",")[1]),
    ],
)
def test_a_changed_header_does_not_pass(name: str, value: str) -> None:
    pushed = delivery(BODY)
    with pytest.raises(BadSignature):
        verify(replace(pushed, headers={**pushed.headers, name: value}))


@pytest.mark.parametrize("body", [BODY + b" ", b"", b"\xff"])
def test_a_changed_body_does_not_pass(body: bytes) -> None:
    with pytest.raises(BadSignature):
        verify(replace(delivery(BODY), body=body))


def test_without_secrets_nothing_passes() -> None:
    with pytest.raises(BadSignature, match="no secret"):
        verify(delivery(BODY), secrets=[])


@given(
    st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text()),
    st.binary(),
)
def test_no_request_raises_anything_else(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(BadSignature):
        verify(Delivery(headers, body, NOW))


@pytest.mark.parametrize("secret", ["", "whsec_", "short", "whsec_c2hvcnQ=", "päss" * 20, "A" * 33])
def test_an_unusable_secret_is_refused_and_not_repeated(secret: str) -> None:
    for config in ({"secrets": [secret]}, {"reply_secret": secret, "reply_url": "https://brand.example"}):
        with pytest.raises(ValidationError) as refused:
            connect("webhook", config)
        told = secret.removeprefix("whsec_")
        assert not told or told not in str(refused.value)
