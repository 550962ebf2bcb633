//! Words that say little, sorted by code point.

/// English.
#[rustfmt::skip]
pub(super) static EN: &[&str] = &[
    "a", "about", "above", "after", "again", "against", "all", "also", "am", "an", "and", "any", "are", "aren", "as",
    "at", "be", "because", "been", "before", "being", "below", "between", "both", "but", "by", "can", "cannot",
    "could", "couldn", "d", "dear", "did", "didn", "do", "does", "doesn", "doing", "don", "down", "during", "each",
    "else", "ever", "few", "for", "from", "further", "get", "had", "hadn", "has", "hasn", "have", "haven", "having",
    "he", "hello", "her", "here", "hers", "herself", "hi", "him", "himself", "his", "how", "i", "if", "in", "into",
    "is", "isn", "it", "its", "itself", "just", "ll", "m", "may", "me", "might", "more", "most", "must", "my",
    "myself", "no", "nor", "not", "now", "of", "off", "on", "once", "only", "or", "other", "ought", "our", "ours",
    "ourselves", "out", "over", "own", "please", "re", "s", "same", "she", "should", "shouldn", "since", "so", "some",
    "such", "t", "than", "thank", "thanks", "that", "the", "their", "theirs", "them", "themselves", "then", "there",
    "these", "they", "this", "those", "through", "to", "too", "under", "until", "up", "us", "ve", "very", "was",
    "wasn", "we", "were", "weren", "what", "when", "where", "which", "while", "who", "whom", "why", "will", "with",
    "won", "would", "wouldn", "yet", "you", "your", "yours", "yourself", "yourselves",
];

/// German.
#[rustfmt::skip]
pub(super) static DE: &[&str] = &[
    "ab", "aber", "alle", "allem", "allen", "aller", "alles", "als", "also", "am", "an", "ander", "andere", "anderem",
    "anderen", "anderer", "anderes", "auch", "auf", "aus", "bei", "beim", "bin", "bis", "bist", "bitte", "da",
    "dabei", "dadurch", "dafür", "dagegen", "daher", "damit", "danach", "danke", "dann", "daran", "darauf", "daraus",
    "darin", "darum", "das", "dass", "davon", "davor", "dazu", "dein", "deine", "deinem", "deinen", "deiner", "dem",
    "den", "denn", "der", "deren", "des", "deshalb", "dessen", "dich", "die", "dies", "diese", "diesem", "diesen",
    "dieser", "dieses", "dir", "doch", "dort", "du", "durch", "ein", "eine", "einem", "einen", "einer", "eines", "er",
    "erst", "es", "etwas", "euch", "euer", "eure", "für", "gegen", "gibt", "guten", "hab", "habe", "haben", "hallo",
    "hat", "hatte", "hatten", "hier", "hin", "hinter", "hätte", "hätten", "ich", "ihm", "ihn", "ihnen", "ihr", "ihre",
    "ihrem", "ihren", "ihrer", "im", "immer", "in", "ins", "ist", "ja", "jede", "jedem", "jeden", "jeder", "jedes",
    "jetzt", "kann", "kein", "keine", "keinem", "keinen", "keiner", "können", "könnte", "könnten", "man", "mehr",
    "mein", "meine", "meinem", "meinen", "meiner", "meines", "mich", "mir", "mit", "muss", "möchte", "müssen", "nach",
    "nicht", "nichts", "noch", "nun", "nur", "ob", "oder", "ohne", "schon", "sehr", "sein", "seine", "seinem",
    "seinen", "seiner", "seit", "sich", "sie", "sind", "so", "soll", "sollte", "sollten", "sonst", "tag", "um", "und",
    "uns", "unser", "unsere", "unserem", "unseren", "unserer", "unter", "viel", "vom", "von", "vor", "war", "waren",
    "warum", "was", "wegen", "weil", "weiter", "welche", "welcher", "welches", "wenn", "wer", "werde", "werden",
    "wie", "wieder", "will", "wir", "wird", "wirst", "wo", "wollen", "wurde", "wurden", "während", "würde", "würden",
    "zu", "zum", "zur", "zwar", "zwischen", "über",
];

/// French.
#[rustfmt::skip]
pub(super) static FR: &[&str] = &[
    "a", "afin", "ai", "ainsi", "alors", "après", "as", "au", "aucun", "aucune", "aussi", "autre", "autres", "aux",
    "avait", "avant", "avec", "avez", "avoir", "avons", "bien", "bonjour", "c", "ce", "ceci", "cela", "celle",
    "celui", "ces", "cet", "cette", "ceux", "chaque", "chez", "ci", "comme", "comment", "d", "dans", "de", "depuis",
    "des", "donc", "dont", "du", "déjà", "elle", "elles", "en", "encore", "entre", "es", "est", "et", "eu", "eux",
    "fait", "il", "ils", "j", "je", "jusqu", "l", "la", "le", "les", "leur", "leurs", "lors", "lui", "là", "m", "ma",
    "mais", "me", "merci", "mes", "moi", "moins", "mon", "même", "n", "ne", "nos", "notre", "nous", "on", "ont", "ou",
    "où", "par", "parce", "pas", "pendant", "peu", "peut", "plus", "pour", "pourquoi", "pouvez", "qu", "quand", "que",
    "quel", "quelle", "quelles", "quels", "qui", "quoi", "s", "sa", "sans", "se", "selon", "sera", "ses", "si",
    "soit", "son", "sont", "sous", "sur", "ta", "te", "tes", "toi", "ton", "tous", "tout", "toute", "toutes", "très",
    "tu", "un", "une", "vos", "votre", "vous", "y", "à", "ça", "étaient", "était", "été", "être",
];

/// Spanish.
#[rustfmt::skip]
pub(super) static ES: &[&str] = &[
    "a", "al", "algo", "algunas", "algunos", "ante", "antes", "aquí", "así", "aunque", "aún", "cada", "casi", "como",
    "con", "contra", "cual", "cuando", "cuál", "cuándo", "cómo", "de", "del", "desde", "donde", "dos", "durante",
    "dónde", "e", "el", "ella", "ellas", "ellos", "en", "entre", "era", "eran", "es", "esa", "esas", "ese", "eso",
    "esos", "esta", "estaba", "estado", "estamos", "estar", "estas", "este", "esto", "estos", "estoy", "está",
    "están", "fue", "fueron", "gracias", "ha", "haber", "había", "han", "has", "hasta", "hay", "he", "hemos", "hola",
    "la", "las", "le", "les", "lo", "los", "me", "mi", "mis", "mucho", "muchos", "muy", "más", "mí", "nada", "ni",
    "no", "nos", "nosotros", "nuestra", "nuestro", "o", "os", "otra", "otras", "otro", "otros", "para", "pero",
    "poco", "por", "porque", "porqué", "puede", "pueden", "pues", "que", "quien", "quién", "qué", "se", "sea", "ser",
    "si", "sido", "sin", "sobre", "solo", "son", "su", "sus", "sí", "también", "tan", "tanto", "te", "tengo", "tiene",
    "tienen", "toda", "todas", "todo", "todos", "tu", "tus", "un", "una", "uno", "unos", "usted", "ustedes", "y",
    "ya", "yo", "él", "ésta", "éste",
];
