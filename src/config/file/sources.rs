//! What a channel is made from: the tables and lists in `[[channel]]` that say it.

use toml::de::DeTable;

use super::Reading;
use crate::config::given::{Given, Wrong};
use crate::config::sources::{ASSETS_MAX, Encoder, Programme, SOURCES_MAX};
use crate::config::{Push, day, values};

impl Reading<'_> {
    /// Encoders in their order: `[[channel.source]]`.
    pub(super) fn encoders(&self, given: Given<'_>) -> Result<Vec<Encoder>, Wrong> {
        let mut encoders: Vec<Encoder> = Vec::new();
        for one in given.list()? {
            if encoders.len() == SOURCES_MAX {
                return Err(one.blame(format!("is one too many (at most {SOURCES_MAX})")));
            }
            let encoder = self.encoder(one)?;
            if encoders.iter().any(|earlier| earlier.name == encoder.name) {
                return Err(one.blame(format!("{:?} is named twice", encoder.name)));
            }
            encoders.push(encoder);
        }
        Ok(encoders)
    }

    /// Assets that follow each other: `playlist = ["films/a", { asset = "news", at = "20:15" }]`.
    pub(super) fn playlist(&self, given: Given<'_>) -> Result<Vec<Programme>, Wrong> {
        let assets = given.few(ASSETS_MAX, "name an asset as it stands behind /vod/")?;
        let mut last = None;
        let mut programmes = Vec::new();
        for one in assets {
            let programme = programme(one)?;
            if let (Some(last), Some(at)) = (last, programme.at)
                && at <= last
            {
                let last = day::time_text(last);
                let why = format!("stands behind {last} (write times in the order of a day)");
                return Err(one.blame(why));
            }
            last = programme.at.or(last);
            programmes.push(programme);
        }
        Ok(programmes)
    }

    fn encoder(&self, given: Given<'_>) -> Result<Encoder, Wrong> {
        let table: &DeTable<'_> = given.table().ok_or_else(|| given.not_a_table())?;
        let (mut name, mut user, mut password, mut folder) = (None, None, None, None);
        for (key, value) in table {
            let value = Given::Toml(value);
            match key.get_ref().as_ref() {
                "name" => {
                    let read = |name: &str| values::identifier(name).map(|()| name.to_owned());
                    name = Some(value.read(read)?);
                }
                "user" => user = Some(value.read(super::channel::user_name)?),
                "folder" => folder = Some(self.file(value)?),
                word if word == self.password_key() => password = Some(self.password(value)?),
                other => {
                    let known = self.password_word();
                    let known = format!("name, user, {known} and folder");
                    let why = format!("{other:?} is not known here (write {known})");
                    return Err(Wrong { why, span: Some(key.span()) });
                }
            }
        }
        let push = match (user, password) {
            (Some(user), Some(password)) => Some(Push { user, password }),
            (None, None) => None,
            _ => {
                let known = self.password_word();
                return Err(given.blame(format!("needs user and {known}, or neither")));
            }
        };
        let name = name.ok_or_else(|| given.blame("needs a name"))?;
        Ok(Encoder { name, push, folder })
    }
}

/// An asset, or an asset with the time at which it begins.
fn programme(given: Given<'_>) -> Result<Programme, Wrong> {
    let Some(table) = given.table() else {
        return Ok(Programme { asset: given.read(asset_path)?, at: None });
    };
    let (mut asset, mut at) = (None, None);
    for (key, value) in table {
        let value = Given::Toml(value);
        match key.get_ref().as_ref() {
            "asset" => asset = Some(value.read(asset_path)?),
            "at" => at = Some(value.read(day::time_of_day)?),
            other => {
                let why = format!("{other:?} is not known here (write asset and at)");
                return Err(Wrong { why, span: Some(key.span()) });
            }
        }
    }
    let asset = asset.ok_or_else(|| given.blame("needs an asset"))?;
    Ok(Programme { asset, at })
}

/// The path of an asset, as it stands behind `/vod/`.
fn asset_path(text: &str) -> Result<String, String> {
    values::asset_path(text).map(|()| text.to_owned())
}
