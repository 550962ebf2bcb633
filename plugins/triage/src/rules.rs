//! The rules: words in English, German, French and Spanish. A star stands for any ending.

/// Words that mean one thing.
pub(crate) struct Rule {
    /// What they mean.
    pub(crate) name: &'static str,
    /// The words, in lower case.
    pub(crate) stems: &'static [&'static str],
}

/// What makes a message urgent, and one for a person.
#[rustfmt::skip]
pub(crate) static URGENT: &[Rule] = &[
    Rule { name: "legal steps", stems: &[
        "lawyer*", "attorney*", "lawsuit*", "sue", "anwalt*", "anwält*", "gerichtlich*", "klage", "verklage*",
        "avocat*", "tribunal*", "abogad*", "demanda", "demandar*",
    ] },
    Rule { name: "fraud", stems: &[
        "fraud*", "scam*", "betrug*", "betrüg*", "abzocke*", "arnaque*", "escroc*", "estafa*",
    ] },
    Rule { name: "danger", stems: &[
        "danger*", "injur*", "fire", "smoke", "burn*", "shock", "hospital", "gefährlich*", "gefahr", "verletz*", "brennt",
        "gebrannt", "rauch*", "stromschlag", "krankenhaus", "blessé*", "incendie", "fumée", "peligro*", "herid*", "incendio",
    ] },
    Rule { name: "a deadline", stems: &[
        "urgent*", "asap", "immediately", "dringend*", "sofort*", "umgehend*", "unverzüglich*", "immédiatement",
        "inmediatamente",
    ] },
];

/// What a message is about; earlier ones win ties.
#[rustfmt::skip]
pub(crate) static CATEGORIES: &[Rule] = &[
    Rule { name: "refund", stems: &[
        "refund*", "reimburse*", "erstatt*", "rückerstatt*", "rückzahl*", "rembours*", "reembols*", "devolución",
    ] },
    Rule { name: "damage", stems: &[
        "broken", "damage*", "defect*", "crack*", "scratch*", "kaputt*", "defekt*", "beschädig*", "zerbrochen*", "zerkratzt*",
        "cassé*", "endommag*", "défectu*", "rota", "roto", "dañad*",
    ] },
    Rule { name: "delivery", stems: &[
        "deliver*", "parcel*", "package*", "shipping", "shipment*", "courier*", "tracking", "arriv*", "liefer*", "paket*",
        "versand*", "sendung*", "zustell*", "angekommen", "livraison*", "colis", "expédi*", "entrega*", "paquete*", "envío*",
    ] },
    Rule { name: "billing", stems: &[
        "invoice*", "bill", "bills", "billing", "charge*", "payment*", "paid", "rechnung*", "zahlung*", "bezahl*", "abgebucht",
        "abbuchung*", "mahnung*", "facture*", "paiement*", "prélev*", "factura*", "pago*", "cobr*",
    ] },
    Rule { name: "account", stems: &[
        "account*", "login*", "password*", "konto*", "anmeld*", "passwort*", "kennwort*", "compte*", "connexion",
        "cuenta*", "contraseña*",
    ] },
    Rule { name: "cancellation", stems: &[
        "cancel*", "unsubscribe*", "terminat*", "kündig*", "storn*", "widerruf*", "abbestell*", "annul*", "résili*",
        "anular*",
    ] },
];

/// The words of a text in lower case.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|other: char| !other.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}
