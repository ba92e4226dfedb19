//! Where addresses are: MMDB files in, which operators bring; a country and a network's operator
//! out.
//!
//! Files are read into memory, whole. A mapping would cost the process its life (SIGBUS) when
//! somebody writes a new file over the old one, as scripts do. What is damaged in a file is an
//! address of which nothing is known.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;

use maxminddb::{PathElement, Reader};
use serde::Deserialize;

use crate::config::{self, MMDB_SIZE_MAX, ORGANISATION_SIZE_MAX};
use crate::viewer::leases::Over;
use crate::viewer::rights::Country;

/// What files say, until they are read again.
#[derive(Default)]
pub struct Geo {
    country: Option<Reader<Vec<u8>>>,
    asn: Option<Reader<Vec<u8>>>,
    allows_unknown: bool,
}

/// Where an address is, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// In which country.
    pub country: Option<Country>,
    /// In whose network: its number (RFC 1930).
    pub asn: Option<u32>,
    /// Who operates that.
    pub organisation: Option<String>,
}

impl fmt::Display for Place {
    /// For people: `NL, AS64496 Example Networks`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.country.as_ref().map_or("no country that is known", Country::text))?;
        if let Some(asn) = self.asn {
            write!(f, ", AS{asn}")?;
        }
        self.organisation.as_ref().map_or(Ok(()), |name| write!(f, " {name}"))
    }
}

/// A file that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The key that names it.
    pub key: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl Geo {
    /// Reads the files that the config names.
    ///
    /// # Errors
    ///
    /// Which one is wrong, and why.
    pub fn open(config: &config::Geo) -> Result<Self, Wrong> {
        let open = |path: &Option<_>, key| {
            let wrong = |why| Wrong { key, why };
            path.as_deref().map(read).transpose().map_err(wrong)
        };
        Ok(Self {
            country: open(&config.country, "geo.country")?,
            asn: open(&config.asn, "geo.asn")?,
            allows_unknown: config.allows_unknown,
        })
    }

    /// What one file says of both, for those who have no file.
    ///
    /// # Errors
    ///
    /// It is no such file.
    #[cfg(any(test, fuzzing))]
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, maxminddb::MaxMindDbError> {
        let country = Some(Reader::from_source(bytes.to_vec())?);
        let asn = Some(Reader::from_source(bytes.to_vec())?);
        Ok(Self { country, asn, allows_unknown: false })
    }

    /// Whether it is known where countries are.
    #[must_use]
    pub fn knows_countries(&self) -> bool {
        self.country.is_some()
    }

    /// In which country an address is.
    #[must_use]
    pub fn country(&self, address: IpAddr) -> Option<Country> {
        let found = self.country.as_ref()?.lookup(address.to_canonical()).ok()?;
        let at = |path: &[PathElement<'_>]| found.decode_path::<&str>(path).ok().flatten();
        // MaxMind and DB-IP write the first, others the second.
        let code = at(&[PathElement::Key("country"), PathElement::Key("iso_code")])
            .or_else(|| at(&[PathElement::Key("country_code")]))?;
        Country::of_text(code)
    }

    /// Where an address is.
    #[must_use]
    pub fn place(&self, address: IpAddr) -> Place {
        let country = self.country(address);
        let found = self.asn.as_ref().and_then(|asn| asn.lookup(address.to_canonical()).ok());
        let Operator { asn, organisation } =
            found.and_then(|found| found.decode().ok().flatten()).unwrap_or_default();
        let cut = |text: &str| text.chars().take(ORGANISATION_SIZE_MAX).collect();
        Place { country, asn, organisation: organisation.map(cut) }
    }

    /// Whether somebody who may watch in this country only may do so at this address.
    ///
    /// # Errors
    ///
    /// `Abroad`, `Somewhere`.
    pub fn hold(&self, only: Country, address: Option<IpAddr>) -> Result<(), Over> {
        if !self.knows_countries() {
            return Ok(());
        }
        match address.and_then(|address| self.country(address)) {
            Some(country) if country == only => Ok(()),
            Some(_) => Err(Over::Abroad),
            None if self.allows_unknown => Ok(()),
            None => Err(Over::Somewhere),
        }
    }
}

/// What a file says of a network's operator.
#[derive(Default, Deserialize)]
struct Operator<'f> {
    #[serde(rename = "autonomous_system_number")]
    asn: Option<u32>,
    #[serde(rename = "autonomous_system_organization")]
    organisation: Option<&'f str>,
}

fn read(path: &Path) -> Result<Reader<Vec<u8>>, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let mut file = File::open(path).map_err(|error| wrong(&error))?;
    let metadata = file.metadata().map_err(|error| wrong(&error))?;
    if !metadata.is_file() {
        return Err(wrong(&"is not a file"));
    }
    let mut bytes =
        Vec::with_capacity(usize::try_from(metadata.len().min(MMDB_SIZE_MAX)).unwrap_or(0));
    let read = (&mut file).take(MMDB_SIZE_MAX + 1).read_to_end(&mut bytes);
    let size = read.map_err(|error| wrong(&error))?;
    if size as u64 > MMDB_SIZE_MAX {
        return Err(wrong(&"is larger than any such file"));
    }
    Reader::from_source(bytes).map_err(|error| wrong(&format_args!("is no MMDB file: {error}")))
}

#[cfg(test)]
mod tests;
