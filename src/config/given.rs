//! A value as it was given, by a TOML file or as the text of a variable or a flag; and its reading.
//!
//! Both forms are read by the same functions, so that a key has one meaning wherever it is set.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value that nobody has looked at yet.
#[derive(Clone, Copy)]
pub enum Given<'a> {
    /// The text of a variable or of a flag. A list is separated by commas.
    Text(&'a str),
    /// A value of the file.
    Toml(&'a Spanned<DeValue<'a>>),
}

/// Why a value can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// A sentence for the operator.
    pub why: String,
    /// Where in the file, if it is more exact than the value's own place.
    pub span: Option<Range<usize>>,
}

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Self { why, span: None }
    }
}

impl<'a> Given<'a> {
    /// Blames this value.
    fn wrong(&self, why: String) -> Wrong {
        match self {
            Self::Text(_) => Wrong { why, span: None },
            Self::Toml(value) => Wrong { why, span: Some(value.span()) },
        }
    }

    /// The text, and what `read` makes of it.
    pub fn read<T>(&self, read: impl FnOnce(&str) -> Result<T, String>) -> Result<T, Wrong> {
        let text = match self {
            Self::Text(text) => text,
            Self::Toml(value) => match value.get_ref() {
                DeValue::String(text) => text.as_ref(),
                other => return Err(self.wrong(format!("is {}, not a string", kind(other)))),
            },
        };
        read(text).map_err(|why| self.wrong(why))
    }

    /// The text, where a plain TOML number is welcome too: a size in bytes, a zero.
    pub fn read_number_or_text<T>(
        &self,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Wrong> {
        if let Self::Toml(value) = self
            && let DeValue::Integer(number) = value.get_ref()
        {
            return read(&number.to_string()).map_err(|why| self.wrong(why));
        }
        self.read(read)
    }

    /// A whole number up to `max`.
    pub fn count(&self, max: usize) -> Result<usize, Wrong> {
        let text: Cow<'_, str> = match self {
            Self::Text(text) => Cow::Borrowed(text.trim()),
            Self::Toml(value) => match value.get_ref() {
                DeValue::Integer(number) if number.radix() == 10 => Cow::Borrowed(number.as_str()),
                DeValue::Integer(number) => Cow::Owned(number.to_string()),
                other => return Err(self.wrong(format!("is {}, not a whole number", kind(other)))),
            },
        };
        let number = text.parse::<u64>().ok().and_then(|number| usize::try_from(number).ok());
        match number {
            Some(number) if number <= max => Ok(number),
            _ => Err(self.wrong(format!("{text} is not a whole number from 0 to {max}"))),
        }
    }

    /// The elements of a list. Text is split at commas; empty text is an empty list.
    pub fn list(&self) -> Result<Vec<Given<'a>>, Wrong> {
        match self {
            Self::Text(text) => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(Given::Text)
                .collect()),
            Self::Toml(value) => match value.get_ref() {
                DeValue::Array(array) => Ok(array.iter().map(Given::Toml).collect()),
                other => Err(self.wrong(format!("is {}, not a list in [ ]", kind(other)))),
            },
        }
    }

    /// The elements of a list with one at least and so many at most; `without` says what to do
    /// instead of an empty one.
    pub fn few(&self, most: usize, without: &str) -> Result<Vec<Given<'a>>, Wrong> {
        let elements = self.list()?;
        if elements.is_empty() {
            return Err(self.blame(format!("is empty ({without})")));
        }
        match elements.get(most) {
            Some(beyond) => Err(beyond.blame(format!("is one too many (at most {most})"))),
            None => Ok(elements),
        }
    }

    /// The table that this is, if it is one.
    #[must_use]
    pub fn table(&self) -> Option<&'a DeTable<'a>> {
        match self {
            Self::Text(_) => None,
            Self::Toml(value) => value.get_ref().as_table(),
        }
    }

    /// Blames this value for not being a table.
    #[must_use]
    pub fn not_a_table(&self) -> Wrong {
        match self {
            Self::Text(text) => self.wrong(format!("{text:?} is not a table")),
            Self::Toml(value) => {
                self.wrong(format!("is {}, not a table in {{ }}", kind(value.get_ref())))
            }
        }
    }

    /// Blames this value with a sentence of the caller's.
    #[must_use]
    pub fn blame(&self, why: impl Into<String>) -> Wrong {
        self.wrong(why.into())
    }
}

/// What people call a TOML value.
pub fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
