"""What was written now is told from what was quoted, in the words of real mail programs."""

from __future__ import annotations

import time
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.conversations.quoting import is_reply, own_words, split_quoted, topic

OUTLOOK = "From: Ann <ann@x.example>\nSent: Monday, 3 November 2025 10:11\nTo: Shop\nSubject: Parcel\n\nold"


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(
            "On Mon, Nov 3, 2025 at 10:11 AM Ann <ann@x.example> wrote:\n> old\n> > older", id="gmail"
        ),
        pytest.param("On Mon, 3 Nov 2025, 10:11 Ann Example,\n<ann@x.example> wrote:\n\n> old", id="wrapped"),
        pytest.param(
            "On 3 Nov 2025, at 10:11, Ann <a@x.example> wrote:\n\nold words, no marks", id="unmarked"
        ),
        pytest.param("Am 03.11.2025 um 10:11 schrieb Ann Beispiel:\n> alt", id="german"),
        pytest.param(
            "Am Mo., 3. Nov. 2025 um 10:11 Uhr schrieb Ann <\na@x.example>:\n> alt", id="german, wrapped"
        ),
        pytest.param(
            "Ann Beispiel <a@x.example> schrieb am Mo., 3. Nov. 2025, 10:11:\n> alt", id="german, web"
        ),
        pytest.param("Le lun. 3 nov. 2025 à 10:11, Ann <a@x.example> a écrit :\n> vieux", id="french"),
        pytest.param("El lun, 3 nov 2025 a las 10:11, Ann (<a@x.example>) escribió:\n> viejo", id="spanish"),
        pytest.param("Il giorno lun 3 nov 2025 alle ore 10:11 Ann ha scritto:\n> vecchio", id="italian"),
        pytest.param("Op ma 3 nov 2025 om 10:11 schreef Ann <a@x.example>:\n> oud", id="dutch"),
        pytest.param("W dniu 3.11.2025 o 10:11, Ann pisze:\n> stare", id="polish"),
        pytest.param("Em seg., 3 de nov. de 2025 às 10:11, Ann escreveu:\n> velho", id="portuguese"),
        pytest.param("Den mån 3 nov. 2025 kl 10:11 skrev Ann <a@x.example>:\n> gammalt", id="swedish"),
        pytest.param(OUTLOOK, id="outlook"),
        pytest.param("________________________________\n" + OUTLOOK, id="outlook, below a line"),
        pytest.param("*From:* Ann\n*Date:* 3 Nov\n*Subject:* Parcel\n\nold", id="outlook, bold"),
        pytest.param("Von: Ann\nGesendet: Montag\nAn: Laden\nBetreff: Paket\n\nalt", id="outlook, german"),
        pytest.param("De : Ann\nEnvoyé : lundi\nÀ : Boutique\nObjet : Colis\n\nvieux", id="outlook, french"),
        pytest.param(
            "De: Ann\nEnviado: lunes\nPara: Tienda\nAsunto: Paquete\n\nviejo", id="outlook, spanish"
        ),
        pytest.param("-----Original Message-----\nanything at all", id="original message"),
        pytest.param("-------- Ursprüngliche Nachricht --------\nirgendetwas", id="original, german"),
        pytest.param("---------- Forwarded message ---------\nanything", id="forwarded"),
        pytest.param("> old\n>\n> > older", id="marks only"),
        pytest.param("-- \nAnn Example\n+49 1", id="signature"),
        pytest.param("--\nAnn\n\nOn 3 Nov 2025, Bo wrote:\n> old", id="signature above the history"),
        pytest.param("Sent from my iPhone", id="telephone"),
        pytest.param("Von meinem iPhone gesendet\n\n> Am 3. schrieb Ann:\n> alt", id="telephone, german"),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_history_is_parted_from_what_was_written(history: str, ending: str) -> None:
    said = "Hello, \n\n  where is it?\nThanks,\nBo"
    text = f"{said}\n\n{history}".replace("\n", ending)
    parts = split_quoted(text)
    assert parts.said == said.replace("\n", ending)
    assert parts.quoted == history.replace("\n", ending).strip("\r\n")
    assert own_words(text).split() == said.split()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("Where is it?", id="one line"),
        pytest.param("Missing:\n- shoes\n- a hat\nPlease send them.", id="a list"),
        pytest.param("Hello\nThanks, but it is broken.\nI want my money back.", id="thanks, but"),
        pytest.param("Regards, I suppose, are in order.\nIt works.", id="regards"),
        pytest.param("On Monday 3 November I wrote:\nnothing, since nobody answers", id="nothing above"),
        pytest.param("On the whole it works. My brother wrote: it is fine", id="on and wrote in a line"),
        pytest.param("Am Montag kam das Paket, sie schrieb: danke", id="am und schrieb"),
        pytest.param("De: colour\nPara: whom", id="two words with colons"),
        pytest.param("From: Berlin\nI travelled to Rome.\nTo: nowhere", id="one header"),
        pytest.param("a ---- b ---- c\n----\nd", id="dashes"),
        pytest.param("Sent from my heart, this is a long and honest complaint.\nIt broke.", id="sent from"),
        pytest.param("--\n" + "line\n" * 30, id="a long way below dashes"),
        pytest.param("> only\n> history", id="nothing but marks"),
        pytest.param("On 3 Nov 2025, Ann wrote:\n> old", id="nothing but history"),
    ],
)
def test_where_nothing_is_quoted_all_is_said(text: str) -> None:
    assert split_quoted(text).said == text
    assert split_quoted(text).quoted == ""


@pytest.mark.parametrize(
    ("text", "own"),
    [
        pytest.param(
            "On 3 Nov 2025, Shop wrote:\n> Where do you live?\n\nIn Rome.", "In Rome.", id="below the history"
        ),
        pytest.param(
            "Hi,\n\n> Where do you live?\nIn Rome.\n> Which colour?\nRed.\n",
            "Hi,\n\nIn Rome.\nRed.",
            id="between the lines",
        ),
        pytest.param("> all\n> quoted", "> all\n> quoted", id="nothing of one's own"),
        pytest.param("1 > 0, is it not?", "1 > 0, is it not?", id="a comparison"),
    ],
)
def test_a_model_reads_the_customers_own_words(text: str, own: str) -> None:
    assert own_words(text) == own


@given(st.text(alphabet="On wrote:>-_\n 3Am schrieb\rFrom:To", max_size=300))
def test_nothing_is_lost_and_nothing_invented(text: str) -> None:
    parts = split_quoted(text)
    assert "".join((parts.said + parts.quoted).split()) == "".join(text.split())
    assert parts.said.strip() or not text.strip()
    assert set(own_words(text).split()) <= set(text.split())


PIECES = [
    "On ",
    "On 3 wrote",
    "Am 3 ",
    "schrieb am ",
    "Le 3 a écrit ",
    "El ",
    "> ",
    ">",
    "-",
    "_",
    "--\n",
    "\n",
]
PIECES += [
    "From:",
    "From: a\n",
    "From: a\nTo: b\n",
    "-\n",
    " ",
    "\t",
    "a",
    "On 3\n",
    "> On 3\n",
    "Sent from ",
    "Re: ",
]


def test_a_megabyte_of_anything_takes_no_time() -> None:
    began = time.process_time()
    for piece, end in product(PIECES, ["", "\nwrote:\n> x"]):
        text = (piece * (1_000_000 // len(piece))) + end
        split_quoted(text)
        own_words(text[:50_000])
        topic(text)
        is_reply(text)
    # The fastest parser that there is takes minutes for one of them.
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    ("subject", "about", "reply"),
    [
        ("Parcel", "parcel", False),
        ("Re: Parcel", "parcel", True),
        ("RE: AW: Fwd:  Parcel ", "parcel", True),
        ("Re[2]: Parcel", "parcel", True),
        ("Re (2) Parcel", "re (2) parcel", False),
        ("WG: TR: RV: SV: VS: Parcel", "parcel", True),
        ("Regarding: Parcel", "regarding: parcel", False),
        ("Re:", "", True),
        ("re" + " " * 100_000 + "x", "re", False),
        (None, "", False),
    ],
)
def test_the_topic_of_a_subject(subject: str | None, about: str, reply: bool) -> None:
    assert topic(subject) == about
    assert is_reply(subject or "") == reply
