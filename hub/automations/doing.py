"""Doing what an automation says, each action for itself: what cannot be done is told, and stops no other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from hub import log
from hub.accounts.models import User
from hub.assignment.agents import load_agents
from hub.assignment.owning import disown, own
from hub.assignment.service import leave_team
from hub.automations.models import AutomationRun
from hub.automations.replying import reply_automatically
from hub.conversations.models import Conversation
from hub.conversations.service import add_activity, set_priority, set_status
from hub.conversations.tags import change_tags
from hub.errors import Conflict, HubError, NotFound
from hub.policies.service import ActivePolicy
from hub.queue.service import place
from hub.warnings.service import tell_people
from routing.assignment import is_eligible, needs_of_lane, why_not
from routing.automation_rules import Action, Assignee, Automation, Setting
from routing.automation_texts import fill
from routing.conditions import Known

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Doing:
    """What the actions of one run need to know. `who` is what the conversation's history says did it."""

    session: Session
    conversation: Conversation
    automation: Automation
    active: ActivePolicy
    known: Known
    who: str
    now: datetime

    def do(self, run: AutomationRun) -> None:
        """Do all of it, and write down in `run` what came of each."""
        run.actions = [self._outcome(action, run) for action in self.automation.do]
        run.result = "failed" if any(each["result"] == "failed" for each in run.actions) else "done"

    def _outcome(self, action: Action, run: AutomationRun) -> dict[str, str]:
        result, why = "unchanged", ""
        try:
            with self.session.begin_nested():
                why = self._act(action, run)
                result = "done" if why else "unchanged"
        except HubError as error:
            result, why = "failed", str(error)
            self._tell(f"could not {action.told}: {error}")
        except OperationalError:
            # The database is away, or somebody else holds what this needs: all of it is done again.
            raise
        except Exception as error:
            # One automation that breaks must not keep the others from running.
            logger.exception("automation_failed", conversation_id=self.conversation.id, action=action.kind)
            result, why = "failed", f"the hub failed: {type(error).__name__}"
            self._tell(f"could not {action.told}: {why}")
        return {"what": action.told, "result": result, "why": why}

    def _act(self, action: Action, run: AutomationRun) -> str:
        """Do it, and say what was done; nothing where it was so already. Raises: HubError."""
        match action.kind:
            case "set":
                assert action.set is not None
                return self._set(action.set)
            case "tag" | "untag":
                added, removed = change_tags(
                    self.session,
                    self.conversation,
                    add=action.tag,
                    remove=action.untag,
                    user=None,
                    who=self.who,
                    now=self.now,
                )
                return ", ".join([*added, *removed])
            case "notify":
                people = tell_people(self.session, self.conversation, action.notify, run, self.now)
                told = ", ".join(person.name for person in people)
                self._tell(f"told {told or 'nobody: there is nobody to tell'}")
                return told
            case "assign":
                assert action.assign is not None
                return self._assign(action.assign)
            case _:
                assert action.reply is not None
                return self._reply(action.reply)

    def _set(self, setting: Setting) -> str:
        session, conversation, done = self.session, self.conversation, []
        if setting.priority is not None and setting.priority != conversation.priority:
            done.append(f"{conversation.priority} → {setting.priority}")
            set_priority(session, conversation, setting.priority, user=None, who=self.who, now=self.now)
        if setting.status is not None and setting.status != conversation.status:
            done.append(f"{conversation.status} → {setting.status}")
            set_status(session, conversation, setting.status, user=None, who=self.who, now=self.now)
        return ", ".join(done)

    def _assign(self, to: Assignee) -> str:
        if self.conversation.status in ("solved", "closed"):
            raise Conflict(f"this conversation is {self.conversation.status}")
        if to.team is not None:
            return self._assign_to_team(to.team)
        assert to.agent is not None
        return self._assign_to_agent(to.agent)

    def _assign_to_team(self, team: str) -> str:
        conversation, owner = self.conversation, self.conversation.owner
        if owner is not None and team in owner.teams:
            return ""
        if owner is None and conversation.sent_to_team == team:
            return ""
        disown(self.session, conversation, self.now, "sent_on")
        conversation.sent_to_team = team
        place(self.session, [conversation], self.active, self.now)
        self._tell(f"sent it to team {team}")
        return f"team {team}"

    def _assign_to_agent(self, email: str) -> str:
        """Only to whom the rules of assignment would give it now: nobody else becomes an owner by rule."""
        session, conversation = self.session, self.conversation
        user = session.scalar(select(User).where(User.email == email.strip().lower()))
        if user is None:
            raise NotFound(f"nobody signs in as {email}")
        if conversation.owner_id == user.id:
            return ""
        (agent,) = load_agents(session, self.active.policy, self.now, ids=[user.id], lock=True)
        needs = needs_of_lane(conversation.lane)
        if not is_eligible(agent, needs):
            raise Conflict(f"{user.name} cannot get it: {', '.join(why_not(agent, needs))}")
        leave_team(session, conversation, self.active, self.now)
        own(session, conversation, user, self.now, how="sent", reasons=[f"sent by {self.who}"])
        session.refresh(conversation, ["owner"])
        self._tell(f"gave it to {user.name}")
        return user.name

    def _reply(self, name: str) -> str:
        template = self.active.policy.templates[name]
        values = self.known.values
        language = str(values.get("language") or values.get("customer.language") or "")
        text = fill(template, values, language)
        reply_automatically(self.session, self.conversation, text, self.now)
        self._tell(f"answered with “{name}”")
        return f"“{name}”"

    def _tell(self, what: str) -> None:
        add_activity(self.session, self.conversation, f"{self.who}: {what}", None, self.now)
