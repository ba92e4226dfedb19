//! What slates say: our own sentences, and an operator's.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cli::Failure;
use crate::config::slates::{SlateReason, language_tag};

/// Longest sentence, in characters: what can be read from a sofa.
const SIZE_MAX: usize = 300;

/// Our own: what is so, and what to do. Nothing about who did what, or why: a screen is seen by
/// more people than the one whom it concerns.
const OURS: [(&str, [&str; 4]); 8] = [
    (
        "en",
        [
            "This subscription is already playing on as many devices as it allows.\nStop one of \
             them, then try again.",
            "Your access has expired.\nReload your channel list, or contact your provider.",
            "This subscription can't be used at the moment.\nPlease contact your provider.",
            "This channel is off air at the moment.\nPlease try again later.",
        ],
    ),
    (
        "de",
        [
            "Dieses Abonnement läuft schon auf so vielen Geräten, wie es erlaubt.\nBeenden Sie \
             eines davon und versuchen Sie es noch einmal.",
            "Ihr Zugang ist abgelaufen.\nLaden Sie Ihre Senderliste neu, oder wenden Sie sich an \
             Ihren Anbieter.",
            "Dieses Abonnement kann zurzeit nicht genutzt werden.\nBitte wenden Sie sich an Ihren \
             Anbieter.",
            "Dieser Sender sendet zurzeit nicht.\nBitte versuchen Sie es später noch einmal.",
        ],
    ),
    (
        "es",
        [
            "Esta suscripción ya se está usando en el número máximo de dispositivos.\nDetenga uno \
             de ellos e inténtelo de nuevo.",
            "Su acceso ha caducado.\nVuelva a cargar su lista de canales o póngase en contacto con \
             su proveedor.",
            "Esta suscripción no se puede usar en este momento.\nPóngase en contacto con su \
             proveedor.",
            "Este canal no está emitiendo en este momento.\nInténtelo de nuevo más tarde.",
        ],
    ),
    (
        "fr",
        [
            "Cet abonnement est déjà utilisé sur le nombre maximal d’appareils.\nArrêtez la \
             lecture sur l’un d’eux, puis réessayez.",
            "Votre accès a expiré.\nRechargez votre liste de chaînes ou contactez votre \
             fournisseur.",
            "Cet abonnement n’est pas utilisable pour le moment.\nVeuillez contacter votre \
             fournisseur.",
            "Cette chaîne n’émet pas pour le moment.\nVeuillez réessayer plus tard.",
        ],
    ),
    (
        "it",
        [
            "Questo abbonamento è già in uso sul numero massimo di dispositivi.\nInterrompa la \
             riproduzione su uno di essi e riprovi.",
            "Il suo accesso è scaduto.\nRicarichi la lista dei canali o contatti il suo fornitore.",
            "Questo abbonamento al momento non è utilizzabile.\nContatti il suo fornitore.",
            "Questo canale al momento non trasmette.\nRiprovi più tardi.",
        ],
    ),
    (
        "nl",
        [
            "Dit abonnement wordt al op het maximale aantal apparaten gebruikt.\nStop op een ervan \
             en probeer het opnieuw.",
            "Uw toegang is verlopen.\nLaad uw zenderlijst opnieuw of neem contact op met uw \
             aanbieder.",
            "Dit abonnement kan op dit moment niet worden gebruikt.\nNeem contact op met uw \
             aanbieder.",
            "Deze zender zendt op dit moment niet uit.\nProbeer het later opnieuw.",
        ],
    ),
    (
        "pt",
        [
            "Esta subscrição já está a ser utilizada no número máximo de dispositivos.\nPare um \
             deles e tente novamente.",
            "O seu acesso expirou.\nRecarregue a sua lista de canais ou contacte o seu fornecedor.",
            "Esta subscrição não pode ser utilizada neste momento.\nContacte o seu fornecedor.",
            "Este canal não está a transmitir neste momento.\nTente novamente mais tarde.",
        ],
    ),
    (
        "ar",
        [
            "هذا الاشتراك مستخدم حاليًا على أقصى عدد مسموح به من الأجهزة.\nأوقف التشغيل على أحدها ثم \
             حاول مرة أخرى.",
            "انتهت صلاحية وصولك.\nأعد تحميل قائمة القنوات أو اتصل بمزوّد الخدمة.",
            "لا يمكن استخدام هذا الاشتراك في الوقت الحالي.\nيُرجى الاتصال بمزوّد الخدمة.",
            "هذه القناة لا تبث حاليًا.\nيُرجى المحاولة لاحقًا.",
        ],
    ),
];

/// Sentences by language, in lower case, and reason.
pub struct Sentences(BTreeMap<(String, SlateReason), String>);

impl Sentences {
    /// Ours, and in place of them those of this file.
    pub fn read(file: Option<&Path>) -> Result<Self, Failure> {
        let mut all = BTreeMap::new();
        for (language, sentences) in OURS {
            for (reason, sentence) in SlateReason::ALL.into_iter().zip(sentences) {
                all.insert((language.to_owned(), reason), sentence.to_owned());
            }
        }
        let mut all = Self(all);
        if let Some(path) = file {
            let what = || path.display().to_string();
            let text =
                std::fs::read_to_string(path).map_err(|error| Failure::new(what(), error))?;
            all.take(&text).map_err(|why| Failure::new(what(), why))?;
        }
        Ok(all)
    }

    fn take(&mut self, text: &str) -> Result<(), String> {
        let tables: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(0, |span| text[..span.start].lines().count().max(1));
            format!("line {line}: {}", error.message())
        })?;
        for (language, table) in tables {
            let tag = language_tag(&language)?;
            let sentences = table.as_table().ok_or(format!("{tag}: is no table of sentences"))?;
            for (word, sentence) in sentences {
                let of = format!("{tag}.{word}");
                let reason = SlateReason::from_word(word).map_err(|why| format!("{of}: {why}"))?;
                let sentence = sentence.as_str().ok_or(format!("{of}: is no text"))?.trim();
                fits(sentence).map_err(|why| format!("{of}: {why}"))?;
                self.0.insert((tag.to_ascii_lowercase(), reason), sentence.to_owned());
            }
        }
        Ok(())
    }

    /// The sentence in a language, or else in the one that is left without its last subtags.
    pub fn find(&self, language: &str, reason: SlateReason) -> Option<&str> {
        let mut rest = &*language.to_ascii_lowercase();
        loop {
            if let Some(sentence) = self.0.get(&(rest.to_owned(), reason)) {
                return Some(sentence);
            }
            rest = &rest[..rest.rfind('-')?];
        }
    }
}

/// Whether a sentence can be drawn as it is. Braces and backslashes are commands there.
fn fits(sentence: &str) -> Result<(), String> {
    let is_bad =
        |letter: char| matches!(letter, '{' | '}' | '\\') || letter.is_control() && letter != '\n';
    if sentence.is_empty() {
        return Err("is empty".to_owned());
    }
    if sentence.chars().count() > SIZE_MAX {
        return Err(format!("has more than {SIZE_MAX} letters"));
    }
    match sentence.chars().find(|letter| is_bad(*letter)) {
        Some(letter) => Err(format!("has {letter:?} in it, which can't be drawn")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_ours_can_be_drawn() {
        for (language, sentences) in OURS {
            assert_eq!(language_tag(language).as_deref(), Ok(language));
            for sentence in sentences {
                assert_eq!(fits(sentence), Ok(()), "{sentence}");
            }
        }
    }

    /// What becomes of a file: a sentence in this language, or what is wrong with it.
    #[track_caller]
    fn check(text: &str, language: &str, expected: &str) {
        let mut sentences = Sentences::read(None).unwrap();
        let found = match sentences.take(text) {
            Ok(()) => sentences.find(language, SlateReason::Blocked).unwrap_or("none").to_owned(),
            Err(why) => why,
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn sentences_of_an_operator_come_before_ours() {
        let ours = "Dieses Abonnement kann zurzeit nicht genutzt werden.\nBitte wenden Sie sich \
                    an Ihren Anbieter.";
        check("", "de-CH", ours);
        check("[de]\nblocked = \"Bitte anrufen.\"\n", "de-CH", "Bitte anrufen.");
        check("[de-CH]\nblocked = \"Bitte telefonieren.\"\n", "DE-ch", "Bitte telefonieren.");
        check("[de-CH]\nblocked = \"Bitte telefonieren.\"\n", "de", ours);
        check("", "tlh", "none");
        check(
            "[en]\nblocked = \"{\\\\b1}x\"\n",
            "en",
            "en.blocked: has '{' in it, which can't be drawn",
        );
        check("[en]\nblocked = 7\n", "en", "en.blocked: is no text");
        check("[en]\nblocked = \" \"\n", "en", "en.blocked: is empty");
        check("blocked = \"x\"\n", "en", "blocked: is no table of sentences");
        let unknown = "en.lost: \"lost\" is none (write \"limit\", \"expired\", \"blocked\" or \
                       \"off-air\")";
        check("[en]\nlost = \"x\"\n", "en", unknown);
    }
}
