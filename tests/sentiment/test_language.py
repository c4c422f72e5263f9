"""Which language a text is in, and when the model had better be silent."""

from __future__ import annotations

import pytest

from sentiment.language import Language, identify, objection
from sentiment.text import clean

ENGLISH = frozenset({"en"})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("My parcel has still not arrived and nobody answers.", "en"),
        ("WHERE IS MY PARCEL, I HAVE BEEN WAITING FOR TWO WEEKS", "en"),
        ("Mein Paket ist immer noch nicht da und niemand antwortet.", "de"),
        ("Mon colis n'est toujours pas arrivé et personne ne répond.", "fr"),
        ("Mi paquete todavía no ha llegado y nadie contesta.", "es"),
        ("Il mio pacco non è ancora arrivato e nessuno risponde.", "it"),
        ("A minha encomenda ainda não chegou e ninguém responde.", "pt"),
        ("لم تصل شحنتي بعد ولا أحد يرد", "ar"),
        ("मेरा पार्सल अभी तक नहीं आया है", "hi"),
        ("荷物がまだ届きません", "ja"),
        ("mera parcel abhi tak nahi aaya, kab milega?", "hi"),
        ("refund kab tak milega bhai, please check karo", "hi"),
        ("Where is my KO shirt, and the yoga mat?", "en"),
        ("@jemand https://example.org/x Wo bleibt meine Bestellung denn nun?", "de"),
    ],
)
def test_names_the_language(text: str, code: str) -> None:
    found = identify(clean(text))
    assert found.code == code
    assert 0.5 <= found.confidence <= 1


@pytest.mark.parametrize(
    "text", ["", "   ", "😡😡😡", "12 345,- !!", "@jo https://example.org", "iVBORw0KGgo" * 40]
)
def test_abstains_where_nobody_can_tell(text: str) -> None:
    assert identify(clean(text)) == Language(None, 0.0, 0, {})


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (Language("en", 0.9, 9, {"en": 0.9}), None),
        (Language("de", 0.9, 9, {"de": 0.9}), "language de is not one the model was trained for"),
        (Language("ja", 0.99, 1, {"ja": 0.99}), "language ja is not one the model was trained for"),
        (Language("de", 0.6, 2, {"de": 0.6}), None),
        (Language("de", 0.55, 9, {"de": 0.55, "en": 0.4}), None),
        (Language(None, 0.3, 9, {"fi": 0.3, "it": 0.2}), "the language cannot be told"),
        (Language(None, 0.3, 2, {"fi": 0.3, "it": 0.2}), None),
        (Language(None, 0.0, 0, {}), None),
    ],
)
def test_when_a_model_of_english_objects(found: Language, reason: str | None) -> None:
    assert objection(found, ENGLISH) == reason


def test_hindi_in_latin_letters_is_no_english() -> None:
    found = identify(clean("paise wapas nahi mile aur app bhi nahi chal raha hai"))
    assert objection(found, ENGLISH) == "language hi is not one the model was trained for"


@pytest.mark.parametrize(
    "text", ["ok", "no!", "nah mate", "danke", "DMed", "OMG ffs", "ty x", "Sonos Play 1", "8pm"]
)
def test_few_words_get_the_benefit_of_the_doubt(text: str) -> None:
    assert objection(identify(clean(text)), ENGLISH) is None


@pytest.mark.parametrize("text", ["muchas gracias", "merci beaucoup", "alles kaputt", "ありがとう"])
def test_few_words_that_are_surely_foreign_do_not(text: str) -> None:
    assert objection(identify(clean(text)), ENGLISH)
