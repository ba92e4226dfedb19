//! MPD patches: two manifests of one channel in; out, what turns the older one into the newer one
//! (ISO/IEC 23009-1, 5.15; RFC 5261).
//!
//! It reads what `dash` writes, and nothing else. Selectors are those that players understand:
//! absolute, by `@id` where an element has one, else by its place among those of its name. An
//! element without children is replaced as a whole, also where one attribute would do: Shaka Player
//! knows no `add` of an attribute.
//!
//! Not all that could be told is. Shaka Player passes over a new Representation of a Period that it
//! knows, and later stumbles over changes in it; dash.js stumbles when it is to replace an element
//! of which a parent has but one, such as `FailoverContent`. So where these change, there is no
//! patch.

use std::fmt::Write as _;

use super::put;

/// What players keep alone, and not in a list.
const ALONE: &str = "FailoverContent";

/// What of that which has an `@id` may come and go.
const FREE: &str = "Period";

/// Entries that leave the front of a list and are found so. More would be found by replacing them.
const GONE_MAX: usize = 8;

/// Elements within each other: a `pssh` lies in the sixth one.
const DEPTH_MAX: usize = 12;

/// A patch that fits no manifest. Players that get it for theirs load the manifest again.
///
/// ISO/IEC 23009-1 leaves what becomes of a patch that is too old to the server's status code, and
/// the DASH-IF's server says 410. But dash.js 5 tries three times again, and then never asks for a
/// manifest any more, whatever the code is. It does so at once for a patch whose
/// `@originalPublishTime` is not its manifest's, and Shaka Player does so at its next update.
pub const NONE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
<Patch xmlns=\"urn:mpeg:dash:schema:mpd-patch:2020\" mpdId=\"none\" \
originalPublishTime=\"1970-01-01T00:00:00Z\" publishTime=\"1970-01-01T00:00:01Z\">\n \
<replace sel=\"/MPD/@publishTime\">1970-01-01T00:00:01Z</replace>\n</Patch>\n";

/// The patch; none if the two are not of one presentation, or players could not follow it.
#[must_use]
pub fn patch(old: &str, new: &str) -> Option<String> {
    let (old, new) = (read(old)?, read(new)?);
    let id = new.attribute("id").filter(|id| old.attribute("id") == Some(id))?;
    let (from, to) = (old.attribute("publishTime")?, new.attribute("publishTime")?);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Patch xmlns=\"urn:mpeg:dash:schema:mpd-patch:2020\" mpdId=\"{id}\" \
         originalPublishTime=\"{from}\" publishTime=\"{to}\">\n"
    );
    write_changes(&mut text, "/MPD", &old, &new)?;
    text.push_str("</Patch>\n");
    Some(text)
}

/// An element of a manifest. Values are as they stand there, escapes included.
#[derive(Debug)]
struct Element<'t> {
    name: &'t str,
    attributes: Vec<(&'t str, &'t str)>,
    children: Vec<Element<'t>>,
    /// From its first byte through its last.
    whole: &'t str,
}

impl<'t> Element<'t> {
    fn attribute(&self, name: &str) -> Option<&'t str> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// By what it is the same one in two manifests, if it says so, and can be said in a selector.
    fn key(&self) -> Option<&'t str> {
        let can_be_said = |id: &&str| !id.contains(['\'', '"', '[', ']', '/', '=']);
        self.attribute("id").filter(can_be_said)
    }

    /// What lies in it that players keep alone.
    fn alone(&self) -> Option<&'t str> {
        self.children.iter().find(|child| child.name == ALONE).map(|child| child.whole)
    }

    /// Whether changes in it are told one by one.
    fn is_opened(&self) -> bool {
        // A prefix would have to be declared where it is used in a selector.
        !self.children.is_empty() && !self.children.iter().any(|child| child.name.contains(':'))
    }
}

/// The root element.
fn read(text: &str) -> Option<Element<'_>> {
    let (_, text) = text.split_once("?>")?;
    let (root, rest) = element(text.trim_start(), 0)?;
    (root.name == "MPD" && rest.trim().is_empty()).then_some(root)
}

/// The element with which a text begins, and what follows it.
fn element(text: &str, depth: usize) -> Option<(Element<'_>, &str)> {
    if depth > DEPTH_MAX {
        return None;
    }
    let mut rest = text.strip_prefix('<')?;
    let name;
    (name, rest) = rest.split_at(rest.find([' ', '/', '>'])?);
    let mut attributes = Vec::new();
    while let Some(attribute) = rest.strip_prefix(' ') {
        let (key, value) = attribute.split_once("=\"")?;
        let (value, behind) = value.split_once('"')?;
        attributes.push((key, value));
        rest = behind;
    }
    let mut children = Vec::new();
    rest = match rest.strip_prefix("/>") {
        Some(rest) => rest,
        None => {
            rest = rest.strip_prefix('>')?;
            loop {
                rest = &rest[rest.find('<')?..];
                if let Some(end) = rest.strip_prefix("</") {
                    break end.strip_prefix(name)?.strip_prefix('>')?;
                }
                let child;
                (child, rest) = element(rest, depth + 1)?;
                children.push(child);
            }
        }
    };
    let whole = &text[..text.len() - rest.len()];
    Some((Element { name, attributes, children, whole }, rest))
}

/// What turns one element into the other, which has the same place: this path.
fn write_changes(
    text: &mut String,
    path: &str,
    old: &Element<'_>,
    new: &Element<'_>,
) -> Option<()> {
    if old.whole == new.whole {
        return Some(());
    }
    if old.alone() != new.alone() {
        return None;
    }
    for (name, _) in &old.attributes {
        if new.attribute(name).is_none() {
            put(text, format_args!(" <remove sel=\"{path}/@{name}\"/>\n"));
        }
    }
    for (name, value) in &new.attributes {
        let was = old.attribute(name);
        if was == Some(*value) {
            continue;
        }
        // In an attribute this may stand, in a text not everywhere.
        let value = value.replace('>', "&gt;");
        if was.is_some() {
            put(text, format_args!(" <replace sel=\"{path}/@{name}\">{value}</replace>\n"));
        } else {
            put(text, format_args!(" <add sel=\"{path}\" type=\"@{name}\">{value}</add>\n"));
        }
    }
    let mut here = Here { path, children: old.children.iter().collect() };
    here.remove_keyed(text, &new.children)?;
    let mut names: Vec<_> = new.children.iter().map(|child| child.name).collect();
    names.extend(old.children.iter().map(|child| child.name));
    names.sort_unstable();
    names.dedup();
    for name in names {
        here.write_list(text, name, new)?;
    }
    for child in &new.children {
        let was = here.children.iter().find(|was| child.key().is_some() && is_same(was, child));
        if let Some(was) = was {
            write_changes(text, &here.selector(child, &new.children), was, child)?;
        }
    }
    here.write_added(text, new)
}

/// Whether both are the same one, which has a key.
fn is_same(one: &Element<'_>, other: &Element<'_>) -> bool {
    one.name == other.name && one.key() == other.key()
}

/// The children of an element, as they are by now.
struct Here<'p, 'o, 't> {
    path: &'p str,
    children: Vec<&'o Element<'t>>,
}

impl<'o, 't> Here<'_, 'o, 't> {
    /// How one of these is selected.
    fn selector(&self, one: &Element<'_>, among: &[Element<'_>]) -> String {
        if let Some(key) = one.key() {
            return format!("{}/{}[@id='{key}']", self.path, one.name);
        }
        let mut alike = among.iter().filter(|other| other.name == one.name);
        let at = alike.position(|other| std::ptr::eq(other.whole, one.whole));
        self.numbered(one, at.unwrap_or(0))
    }

    fn numbered(&self, one: &Element<'_>, at: usize) -> String {
        // Of what has children there is one.
        if one.is_opened() {
            return format!("{}/{}", self.path, one.name);
        }
        format!("{}/{}[{}]", self.path, one.name, at + 1)
    }

    /// Takes away those that have a key, and are not there any more. None if they are more than
    /// Periods, or the others have another order.
    fn remove_keyed(&mut self, text: &mut String, new: &[Element<'_>]) -> Option<()> {
        let stays = |was: &&Element<'_>| new.iter().any(|child| is_same(was, child));
        let keyed = |child: &&Element<'_>| child.key().is_some();
        for gone in self.children.iter().copied().filter(keyed).filter(|was| !stays(was)) {
            if gone.name != FREE {
                return None;
            }
            let selector = self.selector(gone, &[]);
            put(text, format_args!(" <remove sel=\"{selector}\"/>\n"));
        }
        self.children.retain(|was| !keyed(was) || stays(was));
        let stayed = self.children.iter().copied().filter(keyed);
        let was_there = |child: &&Element<'_>| self.children.iter().any(|was| is_same(was, child));
        let mut remain = new.iter().filter(keyed).filter(was_there);
        let in_order = stayed.clone().all(|was| remain.next().is_some_and(|one| is_same(was, one)));
        (in_order && remain.next().is_none()).then_some(())
    }

    /// Those of one name that have no key: what is gone from their front is taken away, and what is
    /// left replaced where it differs. What is more than before is added later.
    fn write_list(&mut self, text: &mut String, name: &str, new: &Element<'_>) -> Option<()> {
        let is = |child: &&Element<'_>| child.name == name && child.key().is_none();
        let mut old: Vec<&'o Element<'t>> = self.children.iter().copied().filter(is).collect();
        let new: Vec<_> = new.children.iter().filter(is).collect();
        if let ([was], [is]) = (&old[..], &new[..])
            && was.is_opened()
            && is.is_opened()
        {
            let path = format!("{}/{name}", self.path);
            return write_changes(text, &path, was, is);
        }
        let alike = |gone: usize| {
            let pairs = old[gone..].iter().zip(&new);
            pairs.filter(|(was, is)| was.whole == is.whole).count()
        };
        let most = old.len().min(GONE_MAX);
        let gone = (0..=most).max_by_key(|gone| (alike(*gone), usize::MAX - gone)).unwrap_or(0);
        for was in old.drain(..gone) {
            let selector = self.numbered(was, 0);
            put(text, format_args!(" <remove sel=\"{selector}\"/>\n"));
        }
        while old.len() > new.len()
            && let Some(was) = old.pop()
        {
            let selector = self.numbered(was, old.len());
            put(text, format_args!(" <remove sel=\"{selector}\"/>\n"));
        }
        for (at, (was, is)) in old.iter().zip(&new).enumerate() {
            if was.whole != is.whole {
                let selector = self.numbered(was, at);
                put(text, format_args!(" <replace sel=\"{selector}\">{}</replace>\n", is.whole));
            }
        }
        let left = old.len();
        let mut seen = 0;
        self.children.retain(|child| {
            seen += usize::from(is(child));
            !is(child) || seen <= left
        });
        Some(())
    }

    /// Adds what was not there, those that follow each other together. None if that is more than
    /// Periods and what has no key.
    fn write_added(&self, text: &mut String, new: &Element<'_>) -> Option<()> {
        let mut left: Vec<_> = self.children.iter().map(|was| (was.name, was.key())).collect();
        let mut before = None;
        let mut adds = false;
        for child in &new.children {
            let was = left.iter().position(|was| *was == (child.name, child.key()));
            if let Some(was) = was {
                left.remove(was);
                if std::mem::take(&mut adds) {
                    text.push_str("</add>\n");
                }
            } else {
                if child.key().is_some() && child.name != FREE {
                    return None;
                }
                if !std::mem::replace(&mut adds, true) {
                    self.begin_add(text, before, new);
                }
                text.push_str(child.whole);
            }
            before = Some(child);
        }
        if adds {
            text.push_str("</add>\n");
        }
        Some(())
    }

    fn begin_add(&self, text: &mut String, before: Option<&Element<'_>>, new: &Element<'_>) {
        let written = match before {
            Some(before) => {
                let selector = self.selector(before, &new.children);
                write!(text, " <add sel=\"{selector}\" pos=\"after\">")
            }
            None => write!(text, " <add sel=\"{}\" pos=\"prepend\">", self.path),
        };
        written.expect("a string takes everything");
    }
}

#[cfg(test)]
pub mod applier;
#[cfg(test)]
mod tests;
