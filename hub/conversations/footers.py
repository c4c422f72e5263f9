"""What stands below a customer's words in a mail and is not theirs to say: signature, disclaimer, adverts.

Read upwards from the end, block by block, until one is none of these. When in doubt it is the customer's: a
disclaimer never says "I", a signature without dashes needs a closing formula above it and a telephone
number, address or link in it, and names no order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_MOST_BLOCKS = 10
_LONGEST_SIGNATURE = 10
_LONGEST_BLOCK = 40
_LONGEST_LINE = 2000
_LONGEST_NOTICE = 4000

# What a telephone or a mail program adds of its own.
_SENT_FROM = re.compile(
    r"""(?:
        Sent\ (?:from|via|with) | Get\ Outlook\ for | Gesendet\ (?:von|mit) | Von\ meinem\ .{1,40}\ gesendet
        | Diese\ Nachricht\ wurde\ von\ meinem\ .{1,40}\ gesendet | Envoyé\ (?:de|depuis|à\ partir)
        | Enviado\ (?:desde|do|a\ partir) | Inviato\ (?:da|dal) | Verzonden\ (?:vanaf|met) | Skickat\ från
        | Sendt\ fra | Wysłan[eo]\ z
    )\b[^,;?]{0,80} | (?:Virus-free\.|Yahoo\ Mail:).{0,80}""",
    re.IGNORECASE | re.VERBOSE,
)
_DISCLAIMER = re.compile(
    r"""[\W_]{0,5}(?:
        (?:This|The\ (?:information|contents?)\ .{0,20}\bthis)\ (?:e-?mail|message|communication)\b
        | (?:Confidentiality|Privacy|Legal)\ (?:notice|disclaimer|note) | Disclaimer | Confidential:
        | (?:Any|The)\ (?:views|opinions)\b | If\ you\ (?:are\ not\ the|have\ received|received)\b
        | Diese\ (?:E-?Mail|Nachricht) | Der\ Inhalt\ dieser | Vertraulichkeitshinweis | Wichtiger\ Hinweis
        | Ce\ (?:message|courriel|mail) | Les\ informations\ contenues | Avis\ de\ confidentialité
        | Est[ea]\ (?:mensaje|correo|mensagem|e-?mail) | La\ información\ contenida | Aviso\ (?:legal|de)
        | Quest[oa]\ (?:messaggio|e-?mail|comunicazione) | Le\ informazioni\ contenute | Avviso
        | As\ informações\ contidas | Dit\ (?:e-?mail)?bericht | Deze\ e-?mail | De\ informatie\ in
        | (?:Ta|Niniejsza)\ wiadomość | Informacje\ zawarte | Detta\ (?:e-post)?meddelande
        | Denne\ (?:e-?mail|e-post|meddelelse|melding)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
# A disclaimer speaks of secrecy or of whom it is for, and of one thing more.
_SECRET = re.compile(r"confiden|konfiden|vertrau|vertrouw|riserva|poufn|fortrol|privileged", re.IGNORECASE)
_READER = re.compile(
    r"recipient|addressee|empfänger|adressat|destinat|ontvanger|geadresseerde|adresat|mottagar|modtager",
    re.IGNORECASE,
)
_CONSEQUENCE = re.compile(
    r"""delete|unauthori|prohibited|in\ error|views|opinions|disclos|lösch|vernicht|unbefugt|irrtüm|détrui
    |supprim|erreur|autoris|elimin|borr|error|autoriz|vietat|cancell|apag|engano|verwijder|abusievelijk|usun
    |radera|slet""",
    re.IGNORECASE | re.VERBOSE,
)
_SOMEBODY = re.compile(
    r"\b(?:(?-i:I)|my|me|ich|mich|mir|meine?[nrms]?|j[e']|mon|mes|moi|yo|mis?|eu|meus?|minha|io|mi[oa]"
    r"|ik|mijn|jag|jeg|mój|moje|moja|mnie)\b",
    re.IGNORECASE,
)

_NEWSLETTER = re.compile(
    r"""[\W_]{0,5}(?:
        (?:To|Click\ (?:here\ )?to)\ unsubscribe | Unsubscribe | Manage\ (?:your\ )?(?:e-?mail\ )?preferences
        | You(?:\ are|'re|\ have)?\ rece?iv(?:ing|ed)\ this | View\ (?:this\ .{0,10})?in\ (?:your\ )?browser
        | (?:Um\ sich\ .{0,30})?abzumelden | Newsletter\ abbestellen | Abmelden | Sie\ erhalten\ diese
        | Se\ dés(?:abonner|inscrire) | Pour\ (?:vous|se)\ dés(?:abonner|inscrire) | Vous\ recevez\ ce
        | (?:Para\ )?dar(?:se|te)\ de\ baja | Cancelar\ (?:la\ )?(?:suscripción|inscrição)
        | Annulla\ l | Disiscriviti | Afmelden | Avregistrera | Wypisz\ się
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_LEADS_AWAY = re.compile(
    r"https?://|www\.|\||\b(?:here|because|hier|weil|ici|car|aquí|porque|qui|perché|aqui|omdat|här|tutaj)\b",
    re.IGNORECASE,
)
_PRINTING = re.compile(
    r"""[\W_]{0,5}(?:
        (?:Please\ )?(?:consider|think\ of)\ the\ environment\ before | Think\ before\ (?:you\ )?print
        | (?:Bitte\ )?(?:denken|prüfen)\ Sie\b.{0,60}\b(?:Umwelt|ausdrucken) | Pensez\ à\ l.environnement
        | Antes\ de\ imprimir | Prima\ di\ stampare | Denk\ aan\ het\ milieu
        | This\ e-?mail\ has\ been\ (?:checked|scanned)\ for\ virus | Diese\ E-?Mail\ wurde\ von\ Avast
    )""",
    re.IGNORECASE | re.VERBOSE,
)

_CLOSING = re.compile(
    r"""(?:
        (?:(?:with\ )?(?:kind|kindest|best|warm)\ )?regards | (?:all\ the\ )?best(?:\ wishes)? | sincerely
        | yours(?:\ (?:sincerely|faithfully|truly))? | (?:many\ )?thanks(?:\ again)? | thank\ you | cheers
        | mit\ (?:freundlichen|besten|lieben)\ grü(?:ß|ss)en | (?:viele|beste|liebe|freundliche)\ grü(?:ß|ss)e
        | mfg | lg | (?:bien\ )?cordialement | bien\ à\ vous | (?:meilleures|sincères)\ salutations
        | (?:un\ )?saludos?(?:\ cordial(?:es)?)? | atentamente | (?:cordiali|distinti)?\ ?saluti
        | atenciosamente | (?:com\ os\ melhores\ )?cumprimentos | met\ vriendelijke\ groet(?:en)?
        | groet(?:en)? | pozdrawiam | z\ poważaniem | (?:med\ )?vänliga?\ hälsning(?:ar)?
        | (?:med\ )?venlig\ hilsen | mvh
    )\ ?[,.!]?""",
    re.IGNORECASE | re.VERBOSE,
)
_NAME = re.compile(r"[^\W\d_][^\d@:/|?!]{1,50}")
_REACHED = re.compile(
    r"https?://\S{1,500}|www\.\S{1,500}|[\w.+-]{1,64}@[\w.-]{1,200}|\+?\(?\d[\d ()./-]{6,20}\d"
)
_CONTACT_WORDS = re.compile(
    r"\b(?:phone|mobile|mob|cell|office|direct|fax|tel|email|e-mail|mail|web|website|telefon|mobil|handy"
    r"|téléphone|portable|teléfono|móvil|telefono|cellulare|telefone|telefoon|mobiel)\b",
    re.IGNORECASE,
)
_MATTER = re.compile(
    r"order|ref\b|ref[.:]|reference|booking|account|invoice|ticket|case|customer|member|serial|tracking|number"
    r"|bestell|auftrag|kunde|rechnung|sendung|commande|facture|client|pedido|factura|ordine|fattura|klant"
    r"|zamówieni",
    re.IGNORECASE,
)
_PLAIN_WORD = re.compile(
    r"\b(?!(?:and|und|von|van|der|des|for|del|dos|les)\b)[^\W\d_A-ZÀ-ÞŁŚŻŹĆ][^\W\d_]{2,}"
)


def footer(bare: Sequence[str], end: int) -> int:
    """The line, of those before `end`, from which on there is only a footer; `end`, less the blank lines
    above it, where there is none. `bare` are the stripped lines of a mail."""
    last = _above_blanks(bare, end)
    for _ in range(_MOST_BLOCKS):
        if not last:
            break
        begins = min(find(bare, last) for find in _FINDERS)
        if begins == last:
            break
        last = _above_blanks(bare, begins)
    return last


def _above_blanks(bare: Sequence[str], end: int) -> int:
    while end and not bare[end - 1]:
        end -= 1
    return end


def _dashes(bare: Sequence[str], end: int) -> int:
    """A signature below the line that mail programs put above it (RFC 3676, 4.3)."""
    return next((at for at in range(max(0, end - _LONGEST_SIGNATURE - 1), end) if bare[at] == "--"), end)


def _telephone(bare: Sequence[str], end: int) -> int:
    return end - 1 if _SENT_FROM.fullmatch(bare[end - 1][:200]) else end


def _notice(bare: Sequence[str], end: int) -> int:
    """A disclaimer, the foot of a newsletter, or a word for the trees: from a line of the last block to its
    end."""
    top = end
    while top and bare[top - 1] and end - top < _LONGEST_BLOCK:
        top -= 1
    for at in range(top, end):
        if not any(begins.match(bare[at]) for begins in (_DISCLAIMER, _NEWSLETTER, _PRINTING)):
            continue
        block = " ".join(line[:_LONGEST_LINE] for line in bare[at:end])[:_LONGEST_NOTICE]
        if not _SOMEBODY.search(block) and "?" not in block and _is_notice(block):
            while at > top and not any(map(str.isalnum, bare[at - 1])):
                at -= 1
            return at
    return end


def _is_notice(block: str) -> bool:
    if _PRINTING.match(block):
        return True
    if _NEWSLETTER.match(block):
        return _LEADS_AWAY.search(block) is not None
    secret, reader = _SECRET.search(block), _READER.search(block)
    return bool((secret and reader) or ((secret or reader) and _CONSEQUENCE.search(block)))


def _contact(bare: Sequence[str], end: int) -> int:
    """Title, company, address and numbers below a closing formula and a name, which both stay."""
    lowest = max(0, end - _LONGEST_SIGNATURE - 2)
    closing = next((at for at in range(end - 1, lowest - 1, -1) if _CLOSING.fullmatch(bare[at][:60])), end)
    name = next((at for at in range(closing + 1, end) if bare[at]), end)
    if name + 1 >= end or not _is_name(bare[name]):
        return end
    block = [line for line in bare[name + 1 : end] if line]
    reached = any(_REACHED.search(line[:_LONGEST_LINE]) for line in block)
    return name + 1 if reached and all(map(_is_contact, block)) else end


def _is_name(line: str) -> bool:
    return bool(_NAME.fullmatch(line)) and (" " not in line or not _PLAIN_WORD.search(line))


def _is_contact(line: str) -> bool:
    """Whether there are only names, numbers, links and addresses in it: no sentence, and no order."""
    if len(line) > 120 or line.endswith(("?", "!")) or _MATTER.search(line):
        return False
    return not _PLAIN_WORD.search(_CONTACT_WORDS.sub(" ", _REACHED.sub(" ", line)))


_FINDERS: tuple[Callable[[Sequence[str], int], int], ...] = (_dashes, _telephone, _notice, _contact)
