"""What the customer's page says, in the languages that it knows; English to who reads none of them."""

import re
from collections.abc import Mapping

LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch", "fr": "Français"}
_RANGE = re.compile(r"([a-zA-Z]{1,8})(?:-[a-zA-Z0-9-]+)?\s*(?:;\s*q=([01](?:\.\d{0,3})?))?")

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Your order",
        "order": "Order",
        "placed": "Placed on",
        "status": "Where it is",
        "article": "Article",
        "units": "Units",
        "parcels": "Parcels",
        "tracking": "Tracking number",
        "no_parcels": "Nothing has been sent yet.",
        "dispatched": "Sent on",
        "delivered_on": "Delivered on",
        "return": "Send something back",
        "return_intro": "Choose how many units you want to send back, and tell us why.",
        "reason": "Reason",
        "ask": "Ask for the return",
        "returns": "Your returns",
        "came_back": "of {due} units have arrived with us",
        "nothing_returnable": "There is nothing to send back at the moment.",
        "asked": "Your return is registered. Please send the goods back with its number:",
        "chosen_none": "Choose at least one unit to send back.",
        "refused": "This return could not be registered. Please look at the units again, or ask our support.",
        "later": "This cannot be done right now. Please try again in a few minutes.",
        "expired": "This link is no longer valid.",
        "unknown": "This link is not valid.",
        "new_link": "Please ask our support for a new one.",
        "changed_done": "Your change of address or delivery is done.",
        "changed_asked": "We are looking at your change of address or delivery.",
        "changed_too_late": "Your order was being packed already, so its address or delivery could not be"
        " changed any more. Please ask our support.",
        "deliver_by": "Expected by",
        "language": "Language",
    },
    "de": {
        "title": "Ihre Bestellung",
        "order": "Bestellung",
        "placed": "Bestellt am",
        "status": "Stand",
        "article": "Artikel",
        "units": "Stück",
        "parcels": "Pakete",
        "tracking": "Sendungsnummer",
        "no_parcels": "Es wurde noch nichts verschickt.",
        "dispatched": "Verschickt am",
        "delivered_on": "Zugestellt am",
        "return": "Etwas zurücksenden",
        "return_intro": "Wählen Sie, wie viele Stück Sie zurücksenden möchten, und nennen Sie uns den Grund.",
        "reason": "Grund",
        "ask": "Rücksendung anmelden",
        "returns": "Ihre Rücksendungen",
        "came_back": "von {due} Stück sind bei uns eingetroffen",
        "nothing_returnable": "Zurzeit gibt es nichts zurückzusenden.",
        "asked": "Ihre Rücksendung ist angemeldet. Bitte senden Sie die Ware mit dieser Nummer zurück:",
        "chosen_none": "Wählen Sie mindestens ein Stück aus.",
        "refused": "Die Rücksendung konnte nicht angemeldet werden. Bitte prüfen Sie die Stückzahlen oder"
        " fragen Sie unseren Kundendienst.",
        "later": "Das ist gerade nicht möglich. Bitte versuchen Sie es in einigen Minuten noch einmal.",
        "expired": "Dieser Link ist nicht mehr gültig.",
        "unknown": "Dieser Link ist nicht gültig.",
        "new_link": "Bitte fragen Sie unseren Kundendienst nach einem neuen.",
        "changed_done": "Ihre Änderung von Adresse oder Versand ist ausgeführt.",
        "changed_asked": "Ihre Änderung von Adresse oder Versand wird geprüft.",
        "changed_too_late": "Ihre Bestellung wurde bereits gepackt; Adresse oder Versand lassen sich nicht"
        " mehr ändern. Bitte fragen Sie unseren Kundendienst.",
        "deliver_by": "Voraussichtlich bis",
        "language": "Sprache",
    },
    "fr": {
        "title": "Votre commande",
        "order": "Commande",
        "placed": "Passée le",
        "status": "État",
        "article": "Article",
        "units": "Unités",
        "parcels": "Colis",
        "tracking": "Numéro de suivi",
        "no_parcels": "Rien n’a encore été expédié.",
        "dispatched": "Expédié le",
        "delivered_on": "Livré le",
        "return": "Renvoyer un article",
        "return_intro": "Choisissez le nombre d’unités à renvoyer et dites-nous pourquoi.",
        "reason": "Motif",
        "ask": "Demander le retour",
        "returns": "Vos retours",
        "came_back": "sur {due} unités nous sont parvenues",
        "nothing_returnable": "Il n’y a rien à renvoyer pour le moment.",
        "asked": "Votre retour est enregistré. Veuillez renvoyer la marchandise avec ce numéro :",
        "chosen_none": "Choisissez au moins une unité à renvoyer.",
        "refused": "Ce retour n’a pas pu être enregistré. Vérifiez les quantités ou contactez notre service"
        " client.",
        "later": "C’est impossible pour le moment. Veuillez réessayer dans quelques minutes.",
        "expired": "Ce lien n’est plus valable.",
        "unknown": "Ce lien n’est pas valable.",
        "new_link": "Demandez-en un nouveau à notre service client.",
        "changed_done": "Votre changement d’adresse ou de livraison est fait.",
        "changed_asked": "Votre changement d’adresse ou de livraison est à l’étude.",
        "changed_too_late": "Votre commande était déjà en préparation : l’adresse ou la livraison ne peut"
        " plus être changée. Contactez notre service client.",
        "deliver_by": "Livraison prévue d’ici le",
        "language": "Langue",
    },
}

STANDINGS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "received": "We have your order",
        "preparing": "It is being prepared",
        "on_its_way": "On its way",
        "delivered": "Delivered",
        "cancelled": "Cancelled",
        "ask": "Please ask our support",
    },
    "de": {
        "received": "Ihre Bestellung ist eingegangen",
        "preparing": "Wird vorbereitet",
        "on_its_way": "Unterwegs",
        "delivered": "Zugestellt",
        "cancelled": "Storniert",
        "ask": "Bitte fragen Sie unseren Kundendienst",
    },
    "fr": {
        "received": "Nous avons reçu votre commande",
        "preparing": "En préparation",
        "on_its_way": "En route",
        "delivered": "Livrée",
        "cancelled": "Annulée",
        "ask": "Veuillez contacter notre service client",
    },
}


def language(wished: str | None, accepted: str) -> str:
    """The language to speak: as chosen, else the best of Accept-Language (RFC 9110, 12.5.4) that is known."""
    if wished is not None and wished in LANGUAGES:
        return wished
    best, found = 0.0, "en"
    for part in accepted[:500].split(","):
        match = _RANGE.fullmatch(part.strip())
        weight = float(match[2] or 1) if match else 0.0
        if match and match[1].lower() in LANGUAGES and weight > best:
            best, found = weight, match[1].lower()
    return found
