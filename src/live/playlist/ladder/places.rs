//! Which files belong to which rendition, as a packaged asset says: by its multivariant playlist,
//! or by its manifest.
//!
//! A rendition that has a folder of its own is known by that. Of one that has not, its playlist
//! names the files; a manifest names them only if each rendition is one file. What nothing here
//! names is nobody's, and no cap holds for it.

use std::collections::{HashMap, HashSet};

use super::dash::Said;
use super::{dash, hls};
use crate::config::RENDITION_FILES_MAX;
use crate::live::attribute::attribute;
use crate::units::{Class, Rung};

/// Places of a rendition, as seen from the text's folder, and what it takes. A place is a file, or
/// a folder with all that is in it.
pub type Places = Vec<(String, Rung)>;

/// Where the renditions lie of which caps hold, and the lowest. `read` gives the text at a place.
#[must_use]
pub fn places(class: Class, text: &str, read: &mut dyn FnMut(&str) -> Option<String>) -> Places {
    match class {
        Class::Playlist => of_playlist(text, read),
        Class::Manifest => of_manifest(text),
        _ => Vec::new(),
    }
}

fn of_playlist(text: &str, read: &mut dyn FnMut(&str) -> Option<String>) -> Places {
    // Two variants may have one playlist, with other sounds.
    let mut pictures: Vec<(String, u32)> = Vec::new();
    for (uri, kbps) in hls::pictures(text) {
        let Some(path) = within("", uri) else { continue };
        match pictures.iter_mut().find(|(known, _)| *known == path) {
            Some((_, least)) => *least = kbps.min(*least),
            None => pictures.push((path, kbps)),
        }
    }
    let others = text.lines().filter_map(|line| line.strip_prefix("#EXT-X-MEDIA:"));
    let others = others.filter_map(|said| within("", &attribute(said, "URI")?)).collect::<Vec<_>>();
    let all = pictures.iter().map(|(path, _)| path).chain(&others);
    let folders = folders(all.map(String::as_str));
    let rungs = rungs(&pictures);
    let mut places = Vec::new();
    for ((path, _), rung) in pictures.iter().zip(rungs) {
        let folder = folder(path);
        if !folder.is_empty() && folders.get(folder) == Some(&1) {
            places.push((folder.to_owned(), rung));
            continue;
        }
        let files = read(path).map(|text| files(&text, folder)).unwrap_or_default();
        places.extend(files.into_iter().map(|file| (file, rung)));
        places.push((path.clone(), rung));
    }
    places
}

/// The files that a media playlist names.
fn files(text: &str, folder: &str) -> Vec<String> {
    let mut files: Vec<String> = Vec::new();
    for line in text.lines() {
        let uri = match line.strip_prefix("#EXT-X-MAP:") {
            Some(said) => attribute(said, "URI"),
            None if line.starts_with('#') || line.is_empty() => None,
            None => Some(line.to_owned()),
        };
        let path = uri.and_then(|uri| within(folder, &uri));
        // Ranges of one file are one file.
        let is_new = |path: &String| files.last() != Some(path);
        if let Some(path) = path.filter(is_new) {
            files.push(path);
        }
        if files.len() > RENDITION_FILES_MAX {
            return Vec::new();
        }
    }
    files
}

fn of_manifest(text: &str) -> Places {
    let said = dash::said(text);
    let path = |said: &Said<'_>| -> Option<(String, bool)> {
        let base = format!("{}{}", said.set_base, said.base);
        let template = said.template.replace("$RepresentationID$", said.id);
        // Up to where segments differ.
        let fixed = template.split('$').next().unwrap_or_default();
        let joined = within("", &format!("{base}{fixed}"))?;
        let is_file = template.is_empty() && !base.ends_with('/');
        Some(if is_file { (joined, false) } else { (folder(&joined).to_owned(), true) })
    };
    let mut known = HashSet::new();
    let found = said.iter().map(|one| (one.id, one.kbps, path(one)));
    // One of several periods is the same in each of them.
    let found: Vec<_> = found.filter(|(id, _, path)| known.insert((*id, path.clone()))).collect();
    let found: Vec<_> = found.into_iter().map(|(_, kbps, path)| (kbps, path)).collect();
    let folders = folders_of(found.iter().filter_map(|(_, path)| path.as_ref()));
    let mut pictures: Vec<(String, u32)> = Vec::new();
    for (kbps, path) in &found {
        let (Some(kbps), Some((path, is_folder))) = (kbps, path) else { continue };
        if path.is_empty() || *is_folder && folders.get(&path[..]) != Some(&1) {
            continue;
        }
        match pictures.iter_mut().find(|(known, _)| known == path) {
            Some((_, least)) => *least = (*kbps).min(*least),
            None => pictures.push((path.clone(), *kbps)),
        }
    }
    // The lowest of all is everybody's, also if nobody knows where it lies.
    let lowest = found.iter().filter_map(|(kbps, _)| *kbps).min().unwrap_or(0);
    let rung = |kbps: u32| Rung { kbps, is_capped: kbps > lowest };
    pictures.into_iter().map(|(path, kbps)| (path, rung(kbps))).collect()
}

fn rungs(pictures: &[(String, u32)]) -> Vec<Rung> {
    let lowest = pictures.iter().map(|(_, kbps)| *kbps).min().unwrap_or(0);
    pictures.iter().map(|(_, kbps)| Rung { kbps: *kbps, is_capped: *kbps > lowest }).collect()
}

/// How many have each folder.
fn folders<'p>(paths: impl Iterator<Item = &'p str>) -> HashMap<&'p str, usize> {
    let mut counts = HashMap::new();
    paths.for_each(|path| *counts.entry(folder(path)).or_insert(0) += 1);
    counts
}

/// The same of places of which it is known whether they are one.
fn folders_of<'p>(places: impl Iterator<Item = &'p (String, bool)>) -> HashMap<&'p str, usize> {
    let mut counts = HashMap::new();
    for (path, is_folder) in places {
        let folder = if *is_folder { path.as_str() } else { folder(path) };
        *counts.entry(folder).or_insert(0) += 1;
    }
    counts
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Where a relative reference leads from a folder, if that is within the asset (RFC 3986, 5.2).
fn within(folder: &str, uri: &str) -> Option<String> {
    let uri = uri.trim().split(['?', '#']).next().unwrap_or_default();
    if uri.is_empty() || uri.starts_with('/') || uri.contains(':') || uri.contains('\\') {
        return None;
    }
    let uri = decoded(uri)?;
    let mut elements: Vec<&str> = folder.split('/').filter(|element| !element.is_empty()).collect();
    for element in uri.split('/') {
        match element {
            "." => {}
            ".." => drop(elements.pop()?),
            element => elements.push(element),
        }
    }
    Some(elements.join("/"))
}

/// Without escapes, as paths are looked up.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}
