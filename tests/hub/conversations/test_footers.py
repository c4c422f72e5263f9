"""What stands below a customer's words is cut, and never a word of theirs."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.conversations.quoting import own_words, split_quoted

SAID = "Hello,\n\nmy parcel is lost. Where is it?"


@pytest.mark.parametrize(
    "footer",
    [
        pytest.param(
            "This e-mail and any attachments are confidential and intended solely for the addressee.\n"
            "If you are not the intended recipient, delete it.",
            id="disclaimer",
        ),
        pytest.param(
            "CONFIDENTIALITY NOTICE: The contents of this message are privileged.\nDo not disclose.",
            id="notice",
        ),
        pytest.param(
            "***\nThis message is confidential. Received in error: delete it.",
            id="below stars",
        ),
        pytest.param(
            "This email is confidential and may be privileged. Unauthorised disclosure is prohibited.\n\n"
            "Any views or opinions are those of the sender and not of the recipient's company.\n\n"
            "Please consider the environment before printing this email.",
            id="three blocks",
        ),
        pytest.param(
            "Diese E-Mail enthält vertrauliche Informationen. Wenn Sie nicht der richtige Adressat sind,\n"
            "vernichten Sie sie.",
            id="german",
        ),
        pytest.param(
            "Ce message est confidentiel et réservé à ses destinataires. En cas d'erreur, supprimez-le.",
            id="french",
        ),
        pytest.param(
            "Este mensaje es confidencial y va dirigido a su destinatario. Si no lo es, elimínelo.",
            id="spanish",
        ),
        pytest.param(
            "Questo messaggio contiene informazioni riservate ai destinatari. Ne è vietato l'uso.",
            id="italian",
        ),
        pytest.param("Esta mensagem é confidencial e destina-se ao destinatário. Apague-a.", id="portuguese"),
        pytest.param(
            "Dit e-mailbericht is vertrouwelijk en bestemd voor de ontvanger. Verwijder het.", id="dutch"
        ),
        pytest.param("Niniejsza wiadomość jest poufna i przeznaczona dla adresata.", id="polish"),
        pytest.param(
            "Detta meddelande är konfidentiellt och avsett för mottagaren. Radera det.", id="swedish"
        ),
        pytest.param("To unsubscribe, click here: https://x.example/u", id="unsubscribe"),
        pytest.param("Unsubscribe | Manage preferences | View in browser", id="unsubscribe, in a row"),
        pytest.param(
            "You are receiving this email because you signed up at x.example.\nUnsubscribe here.",
            id="newsletter",
        ),
        pytest.param("Um sich vom Newsletter abzumelden, klicken Sie hier.", id="newsletter, german"),
        pytest.param("Pour vous désabonner, cliquez ici.", id="newsletter, french"),
        pytest.param("Sent from my Galaxy", id="telephone"),
        pytest.param("Sent via Fairphone Mail\n\nVirus-free. www.avast.com", id="telephone and scanner"),
        pytest.param("Envoyé à partir de Outlook pour Android", id="telephone, french"),
        pytest.param("Diese Nachricht wurde von meinem Android-Gerät gesendet", id="telephone, german"),
        pytest.param("Think before you print.", id="trees"),
        pytest.param(
            "-- \nJane Doe\nAcme Ltd\n\nThis email is confidential, for the recipient alone.", id="all of it"
        ),
    ],
)
@pytest.mark.parametrize("history", ["", "\n\nOn 3 Nov 2025, Shop wrote:\n> old"])
def test_a_footer_is_cut(footer: str, history: str) -> None:
    parts = split_quoted(f"{SAID}\n\n{footer}{history}\n")
    assert parts.said == SAID
    assert parts.quoted == f"{footer}{history}"
    assert own_words(f"{SAID}\n\n{footer}{history}").split() == SAID.split()


@pytest.mark.parametrize(
    ("closing", "details"),
    [
        ("Kind regards,\nJane Doe", "Head of Purchasing\nAcme Ltd\nTel: +44 20 7946 0018"),
        ("Best\n\nJane", "T 020 7946 0018 | jane@acme.example"),
        ("Thanks,\nJane Doe", "12 Mill Lane\nLeeds LS1 4AB\nwww.acme.example"),
        ("Mit freundlichen Grüßen\nJan Beispiel", "Musterstraße 5\n10115 Berlin\nTelefon 030 1234567"),
        ("Cordialement,\nJeanne Dupont", "Directrice\nTéléphone : 01 23 45 67 89"),
        ("Saludos\nJuana", "juana@acme.example"),
    ],
)
def test_details_below_a_name_are_cut_and_the_name_stays(closing: str, details: str) -> None:
    parts = split_quoted(f"{SAID}\n\n{closing}\n{details}\n")
    assert parts.said == f"{SAID}\n\n{closing}"
    assert parts.quoted == details


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param("Thanks,\nJane", id="a name"),
        pytest.param("Thanks,\nJane\nplease hurry, call 020 7946 0018", id="a plea"),
        pytest.param("Regards,\nJane\nOrder 20794600181", id="an order"),
        pytest.param("Regards,\nJane\nMy Account Number: 2079 4600 18", id="an account"),
        pytest.param("Regards,\nJane\nP.S. the box was wet, see https://x.example", id="a postscript"),
        pytest.param("Regards,\nJane\nCall Me Today 020 7946 0018!", id="a call"),
        pytest.param("Jane Doe\n020 7946 0018", id="no closing"),
        pytest.param("Thanks\n020 7946 0018 is my number", id="a number below thanks"),
        pytest.param("Best,\nbut not good enough.\nwww.acme.example", id="no name"),
        pytest.param(
            "This message is confidential: I gave it to the recipient and I want it deleted.", id="it says I"
        ),
        pytest.param("This email was sent twice, by an error of yours.", id="an error"),
        pytest.param("Disclaimer: not a fan of your delivery.", id="a joke"),
        pytest.param("If you received this, please answer.", id="received"),
        pytest.param("Unsubscribe", id="a wish"),
        pytest.param("To unsubscribe I clicked the link here, and nothing happened", id="a story"),
        pytest.param("Unsubscribe me, here is the address: www.x.example", id="a demand"),
        pytest.param("Why does it say: unsubscribe here?", id="a question"),
        pytest.param("Sent from Leeds, and still not here", id="sent from a town"),
        pytest.param("Love, J.", id="love"),
        pytest.param("The views from the room were poor.", id="views"),
        pytest.param(
            "This email and any attachments are confidential, for the recipient.\n\nAnd where is my refund?",
            id="words below a disclaimer",
        ),
    ],
)
def test_in_doubt_it_is_the_customers(ending: str) -> None:
    text = f"{SAID}\n\n{ending}"
    assert split_quoted(text).said == text


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("See: [cid:image001.png@01D9A1.77]\nIt is broken [image: photo.jpg]", "See:\nIt is broken"),
        ("[Bild: Logo] Hallo", "Hallo"),
        ("![image](cid:7) and [my words] stay", "(cid:7) and [my words] stay"),
        (
            "---------- Forwarded message ---------\nFrom: Shop\nDate: 3 Nov\nSubject: Parcel\n\nOn its way",
            "On its way",
        ),
        ("From: Shop\nSent: Monday\nTo: Ann\nSubject: Parcel\n\nOn its way", "On its way"),
        ("Sent from my iPhone", "Sent from my iPhone"),
    ],
)
def test_a_model_reads_no_marks(text: str, own: str) -> None:
    assert own_words(text) == own


@given(
    st.lists(
        st.sampled_from(
            (
                *("", "--", "Regards,", "Jane Doe", "Tel: 020 7946 0018", "Unsubscribe here", "> old"),
                *("Sent from my iPhone", "This email is confidential, for the recipient."),
                "I want my money back",
            )
        ),
        max_size=12,
    )
)
def test_what_is_cut_is_kept_and_words_of_ones_own_stay(lines: list[str]) -> None:
    parts = split_quoted("\n".join(lines))
    assert [*parts.said.split(), *parts.quoted.split()] == " ".join(lines).split()
    if "--" not in lines:
        assert parts.said.count("money") == lines.count("I want my money back")


@pytest.mark.parametrize(
    "line",
    [
        "--",
        "Regards,\nJane\n020 7946 0018",
        "This email is confidential",
        "This email is confidential, for the recipient.\n",
        "Unsubscribe here",
        "Think before you print",
        "Sent from my iPhone",
        "Sent from " + "x" * 500,
        "[cid:",
        "[image: " + "x" * 299,
        "020 7946 " * 100,
        "a.b@" * 300,
        "+(" * 300,
        "This email " * 5_000,
        "Confidential: " + "recipient " * 10_000,
    ],
)
def test_a_megabyte_of_any_of_it_takes_no_time(line: str) -> None:
    began = time.process_time()
    text = f"{line}\n" * (1_000_000 // (len(line) + 1) + 1)
    split_quoted(text)
    own_words(text[:50_000])
    split_quoted("\n".join(text.splitlines()[:4_900]))
    assert time.process_time() - began < 3
