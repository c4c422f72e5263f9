"""Texts as X counts and changes them.

The count is that of twitter-text (https://github.com/twitter/twitter-text, `config/v3.json`):
after NFC a character weighs one or two, an emoji of however many code points two, and a link 23.
"""

from __future__ import annotations

import re
import unicodedata

MAX_LENGTH = 280
LINK_LENGTH = 23

_LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))

_BASE = (
    "[\u203c\u2049\u2139\u2194-\u2199\u21a9\u21aa\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935"
    "\u2b05-\u2b55\u3030\u303d\u3297\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff]"
)
_ONE = f"{_BASE}[\ufe0f\U0001f3fb-\U0001f3ff]*"
_EMOJI = re.compile(
    "[#*0-9]\ufe0f?\u20e3"  # a keycap
    "|[\U0001f1e6-\U0001f1ff]{2}"  # a flag of two letters
    "|\U0001f3f4[\U000e0061-\U000e007a]+\U000e007f"  # a flag of a region
    f"|{_ONE}(?:\u200d(?:{_ONE}|[\u2640\u2642\u2695\u2696]\ufe0f?))*"
    "|[\u00a9\u00ae\u2122]\ufe0f"
)

# A word with a dot is a link to X where its end is a domain of the first level. All those of two letters
# that are assigned, and the common longer ones; a rarer one counts a few characters too little.
_COUNTRIES = (
    "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt "
    "bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er "
    "es et eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr "
    "ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk "
    "lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf "
    "ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc "
    "sd se sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv "
    "tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw"
)
_LONGER = (
    "com org net edu gov mil int info biz name app dev shop store online site website blog cloud tech agency "
    "live news media page link team world digital email group help support example"
)
_DOMAIN = rf"(?:[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?\.)+(?:{'|'.join((_LONGER + ' ' + _COUNTRIES).split())})"
_LINK = re.compile(
    rf"https?://[^\s<>\"]+[^\s<>\".,;:!?'()\[\]]|(?<![\w@$#./-]){_DOMAIN}(?![\w@-]|\.\w)(?:[/?][^\s<>\"]*[\w/=&-])?",
    re.IGNORECASE,
)
_SHORTENED = re.compile(r"https?://t\.co/\w+")
_LEADING_MENTIONS = re.compile(r"^(?:\s*@\w{1,15}(?=\s|$))+")
_DOTTED = re.compile(r"\S*\w\.\w\S*")


def weighted_length(text: str) -> int:
    """How long X says that a post is."""
    composed = unicodedata.normalize("NFC", text)
    links = 0
    pieces: list[str] = []
    reached = 0
    for found in _LINK.finditer(composed):
        pieces.append(composed[reached : found.start()])
        reached = found.end()
        links += 1
    pieces.append(composed[reached:])
    rest, emoji = _EMOJI.subn("", "\n".join(pieces)) if links else _EMOJI.subn("", composed)
    # The line breaks put between the pieces are not counted.
    return links * LINK_LENGTH + emoji * 2 + sum(_weight(ord(character)) for character in rest) - links


def _weight(point: int) -> int:
    return 1 if any(first <= point <= last for first, last in _LIGHT) else 2


def comparable(text: str) -> str:
    """What stays of a reply whatever X does to it: it puts mentions before it, shortens its links and adds
    those of its pictures."""
    text = _SHORTENED.sub(" ", unicodedata.normalize("NFC", text))
    text = _LEADING_MENTIONS.sub(" ", text)
    text = _LINK.sub(" ", text)
    return " ".join(_DOTTED.sub(" ", text).split()).casefold()
