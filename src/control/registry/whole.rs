//! Objects as one value, with their kinds: as copies and exports have them.

use serde_json::{Value, json};

use super::{Kind, Object, Revision};

impl Object {
    /// All of it as one value.
    #[must_use]
    pub fn told_whole(self) -> Value {
        json!({
            "kind": self.kind.word(),
            "id": self.id,
            "number": self.number,
            "revision": self.revision.0,
            "document": self.document,
        })
    }

    /// The object that was told so.
    #[must_use]
    pub fn of_whole(mut told: Value) -> Option<Self> {
        Some(Self {
            kind: Kind::of(told["kind"].as_str()?)?,
            id: told["id"].as_str()?.to_owned(),
            number: told["number"].as_u64().and_then(|number| u32::try_from(number).ok()),
            revision: Revision(told["revision"].as_u64()?),
            document: told["document"].take(),
        })
    }
}
