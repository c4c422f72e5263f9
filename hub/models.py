"""All tables in one import, for migrations and tests."""

from hub.accounts.models import ApiToken, User
from hub.assignment.models import Assignment
from hub.automations.models import AutomationEvent, AutomationRound, AutomationRun, AutomationTimer
from hub.channels.models import Backfill, Channel, Feed
from hub.conversations.models import (
    AnalysisRow,
    Attachment,
    Conversation,
    ConversationTag,
    DeliveryAttempt,
    Message,
    MessageVersion,
    Promise,
    Tag,
)
from hub.customers.models import Customer, CustomerIdentity, Event
from hub.database import Base
from hub.inbox.models import Receipt, Reject
from hub.learning.models import Correction, IntentExample, ModelVersion, Reanalysis, TaughtIntentRow
from hub.listening.models import SavedSearch, SearchHit
from hub.policies.models import PolicyActivation, PolicyVersion
from hub.queue.models import Decision, PlanSummary
from hub.staffing.models import Foresight
from hub.tickets.models import Ticket
from hub.warnings.models import PromiseWarning, WarningMail

__all__ = [
    "AnalysisRow",
    "ApiToken",
    "Assignment",
    "Attachment",
    "AutomationEvent",
    "AutomationRound",
    "AutomationRun",
    "AutomationTimer",
    "Backfill",
    "Base",
    "Channel",
    "Conversation",
    "ConversationTag",
    "Correction",
    "Customer",
    "CustomerIdentity",
    "Decision",
    "DeliveryAttempt",
    "Event",
    "Feed",
    "Foresight",
    "IntentExample",
    "Message",
    "MessageVersion",
    "ModelVersion",
    "PlanSummary",
    "PolicyActivation",
    "PolicyVersion",
    "Promise",
    "PromiseWarning",
    "Reanalysis",
    "Receipt",
    "Reject",
    "SavedSearch",
    "SearchHit",
    "Tag",
    "TaughtIntentRow",
    "Ticket",
    "User",
    "WarningMail",
]
