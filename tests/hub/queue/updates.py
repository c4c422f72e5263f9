"""A conversation that stands in the queue only because its customer was promised to hear from us."""

from __future__ import annotations

from hub.conversations.models import Conversation
from hub.conversations.service import get_conversation, release, reply, set_status
from hub.policies.service import activate
from hub.queue.sweep import pass_time
from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY
from tests import factories
from tests.factories import NOW, inbound, receive_one
from tests.hub.conftest import Clock

_TARGET = "    first_reply_time: {platinum: 15m"
UPDATES = DEFAULT_POLICY.replace(_TARGET, "    periodic_update_time: {default: 100m}\n" + _TARGET)


def owe_an_update(hub: Hub, clock: Clock) -> int:
    """Answered, put on hold and given back; four fifths of the time until the next update have passed."""
    with hub.database.session() as session:
        activate(session, UPDATES, NOW)
        who = factories.user(session, "Una Updates")
        message = receive_one(session, factories.channel(session), inbound("Where is it?", author="ann"))
        conversation = get_conversation(session, message.conversation_id)
        reply(session, conversation, user=who, text="We look into it.", now=NOW)
        set_status(session, conversation, "on_hold", user=who, now=NOW)
        release(session, conversation, user=who, now=NOW)
    now = clock.advance(minutes=80)
    with hub.database.session() as session:
        assert pass_time(session, now) == 1
        found = session.get_one(Conversation, conversation.id)
        assert (found.waiting_since, found.reply_by is None) == (None, False)
    return conversation.id
