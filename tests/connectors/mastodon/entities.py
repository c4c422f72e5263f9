"""Invented people and what they write, as a Mastodon server would say it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

DOMAIN = "toot.example"
IMAGE = f"https://files.{DOMAIN}/blank.png"


def account(account_id: str, acct: str, *, followers: int = 12, **more: Any) -> dict[str, Any]:
    """An Account; `acct` has the server's name where it is another's."""
    username, _, host = acct.partition("@")
    home = f"https://{host or DOMAIN}"
    return {
        "id": account_id,
        "username": username,
        "acct": acct,
        "display_name": username.title(),
        "locked": False,
        "bot": False,
        "group": False,
        "discoverable": True,
        "indexable": False,
        "created_at": "2024-05-01T00:00:00.000Z",
        "note": "<p>Invented.</p>",
        "url": f"{home}/@{username}",
        "uri": f"{home}/users/{username}",
        "avatar": IMAGE,
        "avatar_static": IMAGE,
        "header": IMAGE,
        "header_static": IMAGE,
        "followers_count": followers,
        "following_count": 3,
        "statuses_count": 40,
        "last_status_at": "2026-03-01",
        "emojis": [],
        "fields": [],
        **more,
    }


def status(status_id: str, author: dict[str, Any], content: str, at: datetime, **more: Any) -> dict[str, Any]:
    """A Status of that time."""
    return {
        "id": status_id,
        "created_at": stamp(at),
        "in_reply_to_id": None,
        "in_reply_to_account_id": None,
        "sensitive": False,
        "spoiler_text": "",
        "visibility": "public",
        "language": "en",
        "uri": f"{author['uri']}/statuses/{status_id}",
        "url": f"{author['url']}/{status_id}",
        "replies_count": 0,
        "reblogs_count": 0,
        "favourites_count": 0,
        "edited_at": None,
        "content": content,
        "reblog": None,
        "account": author,
        "media_attachments": [],
        "mentions": [],
        "tags": [],
        "emojis": [],
        "card": None,
        "poll": None,
        **more,
    }


def notification(notification_id: str, about: dict[str, Any], **more: Any) -> dict[str, Any]:
    """That a status mentions the account."""
    return {
        "id": notification_id,
        "type": "mention",
        "group_key": f"ungrouped-{notification_id}",
        "created_at": about["created_at"],
        "account": about["account"],
        "status": about,
        **more,
    }


def mention(of: dict[str, Any]) -> dict[str, Any]:
    """What a status says of somebody it names."""
    return {key: of[key] for key in ("id", "username", "acct", "url")}


def credentials(of: dict[str, Any]) -> dict[str, Any]:
    """The same account, as it sees itself."""
    role = {"id": "-99", "name": "", "color": "", "permissions": "0", "highlighted": False}
    source = {
        "privacy": "public",
        "sensitive": False,
        "language": "en",
        "note": "Invented.",
        "fields": [],
        "follow_requests_count": 0,
    }
    return {**of, "role": role, "source": source}


def instance(streaming: str, **statuses: Any) -> dict[str, Any]:
    """What the server says of itself, with its limits of a status."""
    return {
        "domain": DOMAIN,
        "title": "Toot",
        "version": "4.5.2",
        "source_url": "https://code.example/mastodon",
        "description": "An invented server.",
        "usage": {"users": {"active_month": 7}},
        "thumbnail": {"url": IMAGE},
        "icon": [],
        "languages": ["en"],
        "configuration": {
            "urls": {"streaming": streaming},
            "accounts": {"max_featured_tags": 10, "max_pinned_statuses": 5},
            "statuses": {
                "max_characters": 500,
                "max_media_attachments": 4,
                "characters_reserved_per_url": 23,
                **statuses,
            },
            "media_attachments": {
                "supported_mime_types": ["image/png", "image/jpeg", "video/mp4"],
                "description_limit": 1500,
                "image_size_limit": 5_000,
                "image_matrix_limit": 33_177_600,
                "video_size_limit": 50_000,
                "video_frame_rate_limit": 120,
                "video_matrix_limit": 8_294_400,
            },
            "polls": {
                "max_options": 4,
                "max_characters_per_option": 50,
                "min_expiration": 300,
                "max_expiration": 2_629_746,
            },
            "translation": {"enabled": False},
        },
        "registrations": {"enabled": False, "approval_required": True, "message": None},
        "api_versions": {"mastodon": 7},
        "contact": {"email": f"admin@{DOMAIN}", "account": None},
        "rules": [],
    }


def stamp(at: datetime) -> str:
    """A time as Mastodon writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"
