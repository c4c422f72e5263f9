"""What people mean by a picture, where its Unicode name does not say it.

The names describe what is drawn ("face with look of triumph"), and the vocabulary of plain words takes them
at their word. These are the pictures that customers use most, in words that mean the same; variation
selectors and colours of skin are left to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping

_MEANINGS = {
    "love": "❤♥💙💚💛💜🧡🖤🤍🤎💕💖💗💓💞💘💝💟❣🫶",
    "love it": "😍🥰😻🤩",
    "kiss": "😘😗😙😚💋",
    "happy": "😊☺🙂😀😃😄😁😺😸🤗",
    "pleased": "😌😇",
    "yum": "😋🤤",
    "laughing": "😂🤣😆😹",
    "sweating laugh": "😅",
    "cool": "😎🆒",
    "applause": "👏",
    "hooray": "🙌",
    "good": "👍👌🤙✔✅",
    "perfect": "💯",
    "party": "🎉🎊🥳🍾",
    "star": "⭐🌟✨",
    "on fire": "🔥",
    "strong": "💪",
    "winner": "🏆🥇",
    "thank you please": "🙏",
    "bad": "👎",
    "angry": "😠😡👿💢",
    "swearing angry": "🤬",
    "annoyed": "😤😒🙄😑",
    "rude": "🖕",
    "sad": "😞😔☹🙁😟😕😢😿🥺😥",
    "crying": "😭",
    "broken heart": "💔",
    "disappointed": "😓😩😫😖😣",
    "shocked": "😱😨😧😦🙀",
    "surprised": "😮😯😲😳🤯",
    "disgusted sick": "🤢🤮🤧",
    "ashamed": "🤦🙈",
    "do not know": "🤷",
    "wondering": "🤔🧐",
    "no words": "😐😶",
    "smirk": "😏",
    "clown ridiculous": "🤡",
    "shit": "💩",
    "rubbish": "🗑🚮",
    "wrong": "❌✖🚫",
    "warning": "⚠🚨",
    "tired": "😴🥱💤",
    "wink": "😉😜",
    "upside down smile irony": "🙃",
    "dead": "💀☠",
    "slow": "🐌🐢",
    "waiting": "⏳⌛⏰",
    "worried": "😬😰",
    "moved and thankful": "🥹",
    "bitter smile": "🥲🫠",
    "doubtful": "🤨",
    "hello": "👋",
    "look": "👀👇👉👈👆",
}
MEANINGS: Mapping[str, str] = {
    picture: meaning for meaning, pictures in _MEANINGS.items() for picture in pictures
}
"""By the one character that the picture is."""
