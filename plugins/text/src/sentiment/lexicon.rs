//! Words and what they weigh, sorted by code point. A stem stands for every word that begins with it.

use crate::words::Listed;

/// The words of one language.
pub(super) struct Lexicon {
    words: &'static [(&'static str, i8)],
    stems: &'static [(&'static str, i8)],
    negations: &'static [&'static str],
    amplifiers: &'static [&'static str],
    diminishers: &'static [&'static str],
}

pub(super) fn of(language: Listed) -> &'static Lexicon {
    match language {
        Listed::En => &EN,
        Listed::De => &DE,
        Listed::Fr => &FR,
        Listed::Es => &ES,
    }
}

impl Lexicon {
    /// What a word (in lower case) weighs, from -3 to 3: as it stands, else by its longest stem, else as an emoji.
    pub(super) fn weight(&self, word: &str) -> Option<f64> {
        let found = find(self.words, word).or_else(|| {
            let ends = word.char_indices().map(|(at, _)| at).chain([word.len()]).skip(2);
            ends.collect::<Vec<_>>().into_iter().rev().find_map(|end| find(self.stems, &word[..end]))
        });
        let found = found.or_else(|| word.chars().next().and_then(emoji));
        found.map(f64::from)
    }

    /// Whether it turns what follows into its opposite.
    pub(super) fn negates(&self, word: &str) -> bool {
        self.negations.binary_search(&word).is_ok()
    }

    /// Whether it makes the next word stronger.
    pub(super) fn amplifies(&self, word: &str) -> bool {
        self.amplifiers.binary_search(&word).is_ok()
    }

    /// Whether it makes the next word weaker.
    pub(super) fn diminishes(&self, word: &str) -> bool {
        self.diminishers.binary_search(&word).is_ok()
    }
}

fn find(list: &[(&str, i8)], word: &str) -> Option<i8> {
    list.binary_search_by_key(&word, |(other, _)| other).ok().map(|at| list[at].1)
}

/// What an emoji weighs.
pub(super) fn emoji(character: char) -> Option<i8> {
    match character {
        '😀' | '😃' | '😄' | '😁' | '😊' | '🙂' | '😍' | '🥰' | '👍' | '❤' | '💚' | '🎉' | '🙏' | '✅' => {
            Some(2)
        }
        '😞' | '😟' | '😢' | '😭' | '🙁' | '☹' | '😕' | '😒' => Some(-2),
        '😠' | '😡' | '🤬' | '👎' | '💩' | '😤' => Some(-3),
        _ => None,
    }
}

/// English.
#[rustfmt::skip]
static EN: Lexicon = Lexicon {
    words: &[
        ("amazing", 3), ("angry", -2), ("appalling", -3), ("atrocious", -3), ("awesome", 3), ("awful", -3),
        ("bad", -2), ("beautiful", 2), ("best", 3), ("better", 1), ("boring", -1), ("brilliant", 3), ("broke", -2),
        ("broken", -2), ("cheap", 1), ("clean", 1), ("cold", -1), ("comfortable", 2), ("complicated", -2),
        ("cool", 1), ("correct", 1), ("delicious", 2), ("delighted", 3), ("difficult", -1), ("dirty", -1),
        ("dreadful", -3), ("easy", 2), ("efficient", 2), ("excellent", 3), ("expensive", -1), ("fail", -2),
        ("failed", -2), ("failing", -2), ("fails", -2), ("failure", -2), ("fair", 1), ("fantastic", 3), ("fast", 2),
        ("fine", 1), ("fixed", 1), ("free", 1), ("fresh", 1), ("friendly", 2), ("fun", 2), ("furious", -3),
        ("glad", 2), ("good", 2), ("grateful", 2), ("great", 2), ("happy", 2), ("hard", -1), ("hate", -3),
        ("hated", -3), ("helpful", 2), ("horrible", -3), ("ignore", -2), ("ignored", -2), ("impossible", -2),
        ("improved", 1), ("kind", 1), ("late", -1), ("lawyer", -3), ("lie", -2), ("lied", -2), ("like", 2),
        ("liked", 2), ("likes", 2), ("lose", -1), ("lost", -1), ("love", 3), ("loved", 3), ("lovely", 2),
        ("loves", 3), ("lying", -2), ("mess", -2), ("miss", -1), ("missed", -1), ("missing", -1), ("never", -2),
        ("nice", 2), ("nightmare", -3), ("noisy", -1), ("ok", 1), ("okay", 1), ("outstanding", 3), ("pathetic", -3),
        ("perfect", 3), ("pleased", 2), ("polite", 2), ("poor", -2), ("poorly", -2), ("professional", 2),
        ("quick", 2), ("quickly", 2), ("refused", -2), ("reliable", 2), ("resolved", 1), ("ridiculous", -2),
        ("rude", -2), ("sad", -2), ("safe", 1), ("scam", -3), ("slow", -1), ("smooth", 2), ("smoothly", 2),
        ("solved", 1), ("sorry", -1), ("stolen", -3), ("stuck", -2), ("sue", -3), ("superb", 3), ("terrible", -3),
        ("thank", 1), ("thankful", 1), ("thanks", 1), ("theft", -3), ("thrilled", 3), ("tired", -1), ("ugly", -2),
        ("unclear", -1), ("unfortunately", -1), ("unfriendly", -2), ("unhappy", -2), ("unprofessional", -2),
        ("unreliable", -2), ("unsure", -1), ("unusable", -2), ("upset", -2), ("useful", 1), ("useless", -2),
        ("wait", -1), ("waited", -1), ("waiting", -1), ("welcome", 1), ("win", 2), ("winner", 2), ("won", 2),
        ("wonderful", 3), ("working", 1), ("works", 1), ("worse", -2), ("worst", -3), ("wrong", -1),
    ],
    stems: &[
        ("annoy", -2), ("appreciat", 2), ("cancel", -1), ("cheat", -2), ("complain", -1), ("complaint", -1),
        ("concern", -1), ("confus", -1), ("crash", -2), ("damage", -2), ("danger", -3), ("defect", -2), ("delay", -1),
        ("disappoint", -2), ("disaster", -3), ("disgrace", -3), ("disgust", -3), ("dislike", -2), ("doubt", -1),
        ("enjoy", 2), ("error", -1), ("fault", -1), ("fraud", -3), ("frustrat", -2), ("impress", 2), ("improve", 1),
        ("interest", 1), ("issue", -1), ("leak", -2), ("outrag", -3), ("overcharg", -2), ("problem", -1),
        ("recommend", 2), ("refund", -1), ("refuse", -2), ("return", -1), ("satisf", 2), ("shame", -3),
        ("success", 2), ("trouble", -2), ("unaccept", -2),
    ],
    negations: &[
        "cannot", "cant", "didnt", "doesnt", "dont", "hardly", "isnt", "neither", "never", "no", "nobody", "none",
        "nor", "not", "nothing", "t", "without", "wont",
    ],
    amplifiers: &[
        "absolutely", "completely", "extremely", "highly", "incredibly", "quite", "really", "so", "super", "too",
        "totally", "truly", "very",
    ],
    diminishers: &[
        "barely", "bit", "fairly", "little", "rather", "slightly", "somewhat",
    ],
};

/// German.
#[rustfmt::skip]
static DE: Lexicon = Lexicon {
    words: &[
        ("abgestürzt", -2), ("bedanke", 1), ("behoben", 1), ("besser", 1), ("bestens", 3), ("betrogen", -3),
        ("dank", 1), ("danke", 1), ("diebstahl", -3), ("empfohlen", 2), ("fehlen", -1), ("fehlt", -1), ("freue", 2),
        ("freuen", 2), ("freut", 2), ("funktioniert", 1), ("gebrochen", -2), ("gefallen", 2), ("gefällt", 2),
        ("geklappt", 1), ("gelogen", -2), ("gelöst", 1), ("gern", 2), ("gerne", 2), ("gescheitert", -2),
        ("gestohlen", -3), ("gewartet", -1), ("gut", 2), ("gute", 2), ("gutem", 2), ("guten", 2), ("guter", 2),
        ("gutes", 2), ("hass", -3), ("hasse", -3), ("klappt", 1), ("klasse", 3), ("laut", -1), ("leider", -1),
        ("liebe", 3), ("liebt", 3), ("lob", 2), ("lobe", 2), ("müde", -1), ("nervt", -2), ("nett", 1), ("nette", 1), ("netten", 1), ("netter", 1), ("nettes", 1), ("niemals", -2), ("ok", 1),
        ("okay", 1), ("prima", 2), ("ratlos", -1), ("rückgabe", -1), ("sauer", -2), ("spitze", 3), ("spät", -1),
        ("stürzt", -2), ("super", 3), ("verloren", -1), ("verpasst", -1), ("warte", -1), ("warten", -1),
        ("zumutung", -3), ("zurückgeben", -1),
    ],
    stems: &[
        ("abzocke", -3), ("angenehm", 2), ("anwalt", -3), ("ausgezeichnet", 3), ("beeindruck", 2), ("begeister", 3),
        ("bequem", 1), ("beschwer", -1), ("beschädig", -2), ("betrug", -3), ("betrüg", -3), ("chaos", -2),
        ("dankbar", 2), ("defekt", -2), ("dreck", -2), ("einfach", 1), ("empfehl", 2), ("empör", -3), ("entsetz", -3),
        ("enttäusch", -2), ("erfolgreich", 2), ("erstatt", -1), ("exzellent", 3), ("fair", 1), ("falsch", -1),
        ("fantastisch", 3), ("fehlend", -1), ("fehler", -1), ("frech", -2), ("frechheit", -3), ("freundlich", 2),
        ("frisch", 1), ("frust", -2), ("furchtbar", -3), ("gefährlich", -3), ("genial", 3), ("glücklich", 2),
        ("grauenhaft", -3), ("grauenvoll", -3), ("großartig", 3), ("günstig", 1), ("hervorragend", 3),
        ("hilfreich", 2), ("ignorier", -2), ("inakzeptabel", -3), ("interessant", 1), ("kalt", -1), ("kaputt", -2),
        ("katastroph", -3), ("kompetent", 2), ("kompliziert", -1), ("korrekt", 1), ("kündig", -1), ("langsam", -1),
        ("lecker", 2), ("lächerlich", -2), ("lüge", -2), ("mahn", -1), ("mangel", -1), ("mangelhaft", -2),
        ("mies", -2), ("nervig", -2), ("nutzlos", -2), ("nützlich", 1), ("perfekt", 3), ("problem", -1),
        ("problemlos", 2), ("professionell", 2), ("pünktlich", 1), ("reibungslos", 2), ("reklam", -1), ("sauber", 1),
        ("schande", -3), ("scheiter", -2), ("schlecht", -2), ("schlechteste", -3), ("schlimm", -2),
        ("schlimmste", -3), ("schmutzig", -2), ("schnell", 2), ("schrecklich", -3), ("schwierig", -1), ("schön", 2),
        ("sicher", 1), ("skandal", -3), ("storn", -1), ("sympathisch", 2), ("teuer", -1), ("teure", -1), ("toll", 3),
        ("traumhaft", 3), ("traurig", -2), ("umständlich", -1), ("unbrauchbar", -2), ("undicht", -2),
        ("unerträglich", -3), ("unfreundlich", -2), ("ungenügend", -2), ("unhöflich", -2), ("unklar", -1),
        ("unmöglich", -2), ("unprofessionell", -2), ("unverschämt", -3), ("unzufrieden", -2), ("unzuverlässig", -2),
        ("versag", -2), ("verspät", -1), ("verweiger", -2), ("verwirr", -1), ("verzöger", -1), ("verärgert", -2),
        ("vorbildlich", 2), ("widerlich", -3), ("wunderbar", 3), ("wütend", -2), ("zerbrochen", -2), ("zufrieden", 2),
        ("zuverlässig", 2), ("ärger", -2),
    ],
    negations: &[
        "kaum", "kein", "keine", "keinem", "keinen", "keiner", "keines", "nicht", "nichts", "nie", "niemals",
        "niemand", "ohne", "weder",
    ],
    amplifiers: &[
        "absolut", "besonders", "extrem", "ganz", "höchst", "sehr", "so", "total", "unglaublich", "völlig",
        "wirklich", "zu", "äußerst", "überaus",
    ],
    diminishers: &[
        "bisschen", "einigermaßen", "etwas", "halbwegs", "leicht", "ziemlich",
    ],
};

/// French.
#[rustfmt::skip]
static FR: Lexicon = Lexicon {
    words: &[
        ("adore", 3), ("aime", 2), ("attendu", -1), ("beau", 2), ("belle", 2), ("bien", 1), ("bon", 2), ("bonne", 2),
        ("bonnes", 2), ("bons", 2), ("cher", -1), ("chers", -1), ("colère", -2), ("fausse", -1), ("faux", -1), ("fonctionne", 1),
        ("jamais", -2), ("lent", -1), ("lente", -1), ("lentes", -1), ("lents", -1), ("malheureusement", -1), ("menti", -2),
        ("mentir", -2), ("merci", 1), ("mieux", 1), ("panne", -2), ("pannes", -2), ("rapidement", 2), ("ravi", 2), ("ravie", 2),
        ("ravies", 2), ("ravis", 2), ("sûr", 1),
    ],
    stems: &[
        ("abîmé", -2), ("affreu", -3), ("agréable", 2), ("aimable", 2), ("annul", -1), ("arnaque", -3),
        ("attend", -1), ("avocat", -3), ("bruyant", -1), ("cassé", -2), ("catastroph", -3), ("chaleureu", 2),
        ("chère", -1), ("confus", -1), ("content", 2), ("correct", 1), ("dangereu", -3),
        ("difficile", -1), ("décev", -2), ("défectu", -2), ("désagréable", -2), ("déteste", -3), ("déçu", -2),
        ("efficace", 2), ("endommag", -2), ("erreur", -1), ("escroc", -3), ("excellent", 3), ("exceptionnel", 3),
        ("facile", 2), ("fantastique", 3), ("fiable", 2), ("formidable", 3), ("fraude", -3), ("froid", -1),
        ("frustr", -2), ("furieu", -3), ("fâché", -2), ("gentil", 1), ("génial", 3), ("heureu", 2), ("honte", -3),
        ("honteu", -3), ("horrible", -3), ("ignor", -2), ("impoli", -2), ("impressionn", 2), ("inaccept", -3),
        ("inadmissible", -3), ("incompétent", -2), ("inquiet", -1), ("intéressant", 1), ("inutile", -2),
        ("inutilisable", -2), ("lamentable", -3), ("lenteur", -1), ("magnifique", 3), ("manque", -1),
        ("mauvais", -2), ("meilleur", 3), ("mensong", -2), ("merveilleu", 3), ("mécontent", -2),
        ("parfait", 3), ("perdu", -1), ("pire", -2), ("plainte", -1), ("problème", -1), ("professionnel", 2),
        ("propre", 1), ("rapide", 2), ("recommand", 2), ("rembours", -1), ("retard", -1), ("retour", -1),
        ("réclam", -1), ("résolu", 1), ("réussi", 2), ("sale", -2), ("satisf", 2), ("scandal", -3), ("simple", 1),
        ("superbe", 3), ("sympathique", 2), ("terrible", -3), ("triste", -2), ("utile", 2), ("volé", -3),
        ("échec", -2), ("échou", -2), ("énerv", -2),
    ],
    negations: &[
        "aucun", "aucune", "jamais", "n", "ne", "ni", "pas", "personne", "rien", "sans",
    ],
    amplifiers: &[
        "absolument", "complètement", "extrêmement", "si", "tellement", "totalement", "trop", "très", "vraiment",
    ],
    diminishers: &[
        "assez", "légèrement", "peu", "plutôt",
    ],
};

/// Spanish.
#[rustfmt::skip]
static ES: Lexicon = Lexicon {
    words: &[
        ("asco", -3), ("bien", 1), ("buen", 2), ("buena", 2), ("buenas", 2), ("bueno", 2), ("buenos", 2), ("cara", -1), ("caras", -1), ("caro", -1), ("caros", -1),
        ("desgraciadamente", -1), ("encanta", 3), ("esperando", -1), ("felices", 2), ("feliz", 2), ("funciona", 1), ("gracias", 1),
        ("gusta", 2), ("lamentablemente", -1), ("lenta", -1), ("lentas", -1), ("lento", -1), ("lentos", -1), ("mal", -2), ("mala", -2), ("malas", -2), ("malo", -2), ("malos", -2),
        ("mejor", 3), ("mejores", 3), ("robo", -3), ("rota", -2), ("rotas", -2), ("roto", -2), ("rotos", -2), ("rápidamente", 2), ("tarde", -1),
    ],
    stems: &[
        ("abogad", -3), ("agradable", 2), ("amable", 2), ("averiad", -2), ("barat", 1), ("bonit", 2), ("cancel", -1),
        ("catástrof", -3), ("confus", -1), ("content", 2), ("correct", 1), ("dañad", -2),
        ("decepcion", -2), ("defectuos", -2), ("desagradable", -2), ("descontent", -2), ("devol", -1),
        ("difícil", -1), ("eficient", 2), ("encantad", 3), ("enfadad", -2), ("enoj", -2), ("equivocad", -1),
        ("error", -1), ("escándal", -3), ("estafa", -3), ("estupend", 3), ("excelente", 3),
        ("falta", -1), ("fantástic", 3), ("fiable", 2), ("fracas", -2), ("fraude", -3), ("fresc", 1), ("frustr", -2),
        ("frí", -1), ("furios", -3), ("fácil", 2), ("genial", 3), ("grosero", -2), ("horrible", -3), ("ignor", -2),
        ("impresionad", 2), ("impresionant", 2), ("inaceptable", -3), ("incompetent", -2), ("increíble", 3), ("inservible", -2),
        ("interesante", 1), ("inútil", -2), ("lamentable", -3), ("lentitud", -1), ("limpi", 1), ("magnífic", 3),
        ("maravillos", 3), ("mentira", -2), ("molest", -2), ("odio", -3), ("peligros", -3), ("peor", -2),
        ("perdid", -1), ("perfect", 3), ("preocupad", -1), ("problema", -1), ("profesional", 2), ("pésim", -3),
        ("queja", -1), ("reclam", -1), ("recomend", 2), ("recomiend", 2), ("reembols", -1), ("resuelt", 1),
        ("retras", -1), ("robad", -3), ("ruid", -1), ("rápid", 2), ("satisfech", 2), ("segur", 1),
        ("sencill", 1), ("simpátic", 2), ("suci", -2), ("terrible", -3), ("triste", -2), ("vergonz", -3),
        ("vergüenza", -3), ("éxito", 2), ("útil", 2),
    ],
    negations: &[
        "jamás", "nada", "nadie", "ni", "ninguna", "ningún", "no", "nunca", "sin", "tampoco",
    ],
    amplifiers: &[
        "absolutamente", "completamente", "demasiado", "extremadamente", "muy", "realmente", "tan", "totalmente",
    ],
    diminishers: &[
        "algo", "bastante", "ligeramente", "poco",
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_in_lower_case() {
        for language in Listed::ALL {
            let lexicon = of(language);
            for list in [lexicon.words, lexicon.stems] {
                assert!(list.is_sorted_by_key(|(word, _)| *word), "{language}");
                assert!(list.iter().all(|(word, weight)| word.to_lowercase() == **word && *weight != 0));
            }
            for list in [lexicon.negations, lexicon.amplifiers, lexicon.diminishers] {
                assert!(list.is_sorted(), "{language}");
            }
        }
    }

    #[test]
    fn words_come_before_stems_and_long_stems_before_short() {
        assert_eq!(of(Listed::De).weight("schlechteste"), Some(-3.0));
        assert_eq!(of(Listed::De).weight("schlechten"), Some(-2.0));
        assert_eq!(of(Listed::En).weight("disappointed"), Some(-2.0));
        assert_eq!(of(Listed::En).weight("table"), None);
        assert_eq!(of(Listed::En).weight(""), None);
    }
}
