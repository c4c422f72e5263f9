"""What the demo's colleagues answer, so that the queue moves while one looks."""

from __future__ import annotations

from random import Random

ANSWERS = {
    "en": (
        "Hi {first}, thank you for telling us. I have looked at your order and passed it on to our"
        " warehouse with a note; you will hear from me again by tomorrow noon at the latest.\n{me}",
        "Hello {first}, sorry for the trouble. I have put it right on our side; could you check whether it"
        " works for you now?\n{me}, Larkfell",
        "Hi {first}! Good question. I have just asked the people who make it, and will write to you as soon"
        " as they answer, today if I can.\n{me}",
        "Thank you for your patience, {first}. I have opened this with our workshop and will see it through"
        " myself.\n{me}",
    ),
    "de": (
        "Hallo {first}, danke für die Nachricht. Ich habe es mir angesehen und im Lager nachgefragt;"
        " spätestens morgen Mittag melde ich mich wieder.\n{me}",
        "Guten Tag {first}, das tut mir leid. Auf unserer Seite ist es jetzt behoben – klappt es nun auch bei"
        " Ihnen?\n{me}, Larkfell",
    ),
    "fr": (
        "Bonjour {first}, merci de nous avoir écrit. J'ai transmis votre demande à l'entrepôt et je reviens"
        " vers vous demain midi au plus tard.\n{me}",
        "Bonjour {first}, toutes mes excuses. C'est corrigé de notre côté : est-ce que cela fonctionne"
        " maintenant ?\n{me}, Larkfell",
    ),
    "es": (
        "Hola {first}, gracias por escribirnos. Ya lo he consultado con el almacén y mañana a mediodía, como"
        " tarde, te cuento.\n{me}",
        "Hola {first}, sentimos las molestias. Por nuestra parte ya está arreglado, ¿te funciona"
        " ahora?\n{me}, Larkfell",
    ),
}


def answer(language: str, customer: str, agent: str, rng: Random) -> str:
    """A colleague's answer in the customer's language, in English where we have none in it."""
    first = customer.lstrip("@").split()[0] if customer.split() else customer
    return rng.choice(ANSWERS.get(language, ANSWERS["en"])).format(first=first, me=agent.split()[0])
