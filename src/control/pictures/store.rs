//! Pictures on the disk: originals by the digest of their content, and small variants of them.
//!
//! `<state>/pictures/originals/ab/ID-WIDTHxHEIGHT.jpg` and `…/variants/ab/ID-WIDTH.jpg`, `ab` being
//! the first digits of the id. A name says all that is known of a file, so there is no list that
//! could disagree with them. Files are written beside, synced and renamed, and never changed.
//! Originals stay until somebody removes them; variants come and go.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use super::decode::{Form, Seen};
use crate::config::{
    PICTURE_ID_SIZE, PICTURE_SIZE_MAX, PICTURES_MAX, PICTURES_SIZE_MAX, VARIANTS_MAX,
    VARIANTS_SIZE_MAX, values,
};

/// A stored picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Original {
    /// What it is.
    pub seen: Seen,
    /// Its size, in bytes.
    pub size: u64,
}

#[derive(Clone, Copy, Debug)]
struct Variant {
    form: Form,
    size: u64,
    /// When somebody asked for it last, in Unix seconds.
    used: u64,
}

/// What is there.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    originals: BTreeMap<String, Original>,
    originals_size: u64,
    variants: HashMap<(String, u32), Variant>,
    variants_size: u64,
}

/// The id of a picture of these bytes.
#[must_use]
pub fn id_of(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes)[..PICTURE_ID_SIZE / 2])
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Store {
    /// What lies in this state folder.
    ///
    /// # Errors
    ///
    /// It can't be read or made.
    pub fn open(state: &Path) -> io::Result<Self> {
        let mut store = Self {
            folder: state.join("pictures"),
            originals: BTreeMap::new(),
            originals_size: 0,
            variants: HashMap::new(),
            variants_size: 0,
        };
        for path in files(&store.folder.join("originals"))? {
            let Some((id, seen)) = original_of(&path) else { continue };
            let size = fs::metadata(&path)?.len();
            store.originals_size += size;
            store.originals.insert(id, Original { seen, size });
        }
        for path in files(&store.folder.join("variants"))? {
            let Some((id, width, form)) = variant_of(&path) else { continue };
            let metadata = fs::metadata(&path)?;
            let used = metadata.modified().ok().map_or(0, seconds);
            let size = metadata.len();
            store.variants_size += size;
            store.variants.insert((id, width), Variant { form, size, used });
        }
        Ok(store)
    }

    /// One of them.
    #[must_use]
    pub fn original(&self, id: &str) -> Option<Original> {
        self.originals.get(id).copied()
    }

    /// Pictures behind an id, in the order of their ids, so many at most.
    #[must_use]
    pub fn listed(&self, after: &str, most: usize) -> Vec<(String, Original)> {
        let behind = (Bound::Excluded(after.to_owned()), Bound::Unbounded);
        self.originals.range(behind).take(most).map(|(id, of)| (id.clone(), *of)).collect()
    }

    /// Whether one more of this size fits.
    #[must_use]
    pub fn has_room(&self, size: usize) -> bool {
        self.originals.len() < PICTURES_MAX
            && self.originals_size + size as u64 <= PICTURES_SIZE_MAX
    }

    /// Where a picture is, or is to be.
    #[must_use]
    pub fn original_path(&self, id: &str, seen: Seen) -> PathBuf {
        let Seen { form, width, height } = seen;
        self.path("originals", id, &format!("{id}-{width}x{height}.{}", form.extension()))
    }

    /// Where a variant is to be.
    #[must_use]
    pub fn variant_path(&self, id: &str, width: u32, form: Form) -> PathBuf {
        self.path("variants", id, &format!("{id}-{width}.{}", form.extension()))
    }

    fn path(&self, kind: &str, id: &str, name: &str) -> PathBuf {
        self.folder.join(kind).join(id.get(..2).unwrap_or("00")).join(name)
    }

    /// A picture was put down.
    pub fn has_original(&mut self, id: &str, original: Original) {
        self.originals_size += original.size;
        if let Some(old) = self.originals.insert(id.to_owned(), original) {
            self.originals_size -= old.size;
        }
    }

    /// A variant was put down. Those that were used longest ago go until the others fit.
    pub fn has_variant(&mut self, id: &str, width: u32, form: Form, size: u64) {
        let variant = Variant { form, size, used: now() };
        self.variants_size += size;
        if let Some(old) = self.variants.insert((id.to_owned(), width), variant) {
            self.variants_size -= old.size;
        }
        self.make_room(VARIANTS_SIZE_MAX, VARIANTS_MAX);
    }

    fn make_room(&mut self, size_max: u64, most: usize) {
        if self.variants_size <= size_max && self.variants.len() <= most {
            return;
        }
        let mut oldest: Vec<_> =
            self.variants.iter().map(|(key, of)| (of.used, key.clone())).collect();
        oldest.sort_unstable();
        // An eighth more, so that it is not sorted again with the next one.
        let (size_max, most) = (size_max - size_max / 8, most - most / 8);
        for (_, (id, width)) in oldest {
            if self.variants_size <= size_max && self.variants.len() <= most {
                break;
            }
            self.forget(&id, width);
        }
    }

    /// A variant that is there, which is used now.
    #[must_use]
    pub fn variant(&mut self, id: &str, width: u32) -> Option<(PathBuf, Form)> {
        let variant = self.variants.get_mut(&(id.to_owned(), width))?;
        variant.used = now();
        let form = variant.form;
        let path = self.variant_path(id, width, form);
        if let Ok(file) = File::open(&path) {
            // For the next start. What can't be said is not missed.
            let _ = file.set_modified(SystemTime::now());
        }
        Some((path, form))
    }

    /// Takes a variant away.
    pub fn forget(&mut self, id: &str, width: u32) {
        if let Some(variant) = self.variants.remove(&(id.to_owned(), width)) {
            self.variants_size -= variant.size;
            // What stays is found at the next start.
            let _ = fs::remove_file(self.variant_path(id, width, variant.form));
        }
    }

    /// Takes a picture away, with its variants; gives their widths. None if it is not there.
    ///
    /// # Errors
    ///
    /// Its file can't be removed.
    pub fn remove(&mut self, id: &str) -> io::Result<Option<Vec<u32>>> {
        let Some(original) = self.originals.get(id).copied() else { return Ok(None) };
        let path = self.original_path(id, original.seen);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => sync_folder(&path)?,
        }
        self.originals.remove(id);
        self.originals_size -= original.size;
        let of_it = |key: &&(String, u32)| key.0 == id;
        let widths: Vec<u32> = self.variants.keys().filter(of_it).map(|key| key.1).collect();
        widths.iter().for_each(|width| self.forget(id, *width));
        Ok(Some(widths))
    }
}

/// Puts a file down: written beside, synced, renamed, the folder synced.
///
/// # Errors
///
/// The disk refuses; then there is no file.
pub fn put_down(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{:?}.tmp", std::thread::current().id()));
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let put = written.and_then(|()| fs::rename(&beside, path)).and_then(|()| sync_folder(path));
    if put.is_err() {
        let _ = fs::remove_file(&beside);
    }
    put
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
}

/// The bytes of a file of ours.
///
/// # Errors
///
/// It can't be read, or is larger than any that we put down.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // A variant of a clear picture may be larger than what it is of.
    let most = 4 * PICTURE_SIZE_MAX as u64;
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= most {
        true => Ok(bytes),
        false => Err(io::Error::other("it is larger than any that we put down")),
    }
}

/// Files of the folders in a folder. Those that were not finished are removed.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let mut files = Vec::new();
    for of in fs::read_dir(folder)? {
        let of = of?;
        if !of.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(of.path())? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "tmp") {
                let _ = fs::remove_file(&path);
            } else {
                files.push(path);
            }
        }
    }
    Ok(files)
}

/// `ID-WIDTHxHEIGHT.jpg`.
fn original_of(path: &Path) -> Option<(String, Seen)> {
    let (id, rest, form) = parts(path)?;
    let (width, height) = rest.split_once('x')?;
    let (width, height) = (width.parse().ok()?, height.parse().ok()?);
    Some((id.to_owned(), Seen { form, width, height }))
}

/// `ID-WIDTH.jpg`.
fn variant_of(path: &Path) -> Option<(String, u32, Form)> {
    let (id, rest, form) = parts(path)?;
    Some((id.to_owned(), rest.parse().ok()?, form))
}

fn parts(path: &Path) -> Option<(&str, &str, Form)> {
    let form = Form::of_extension(path.extension()?.to_str()?)?;
    let (id, rest) = path.file_stem()?.to_str()?.split_once('-')?;
    values::is_picture_id(id).then_some((id, rest, form))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn now() -> u64 {
    seconds(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Seen = Seen { form: Form::Png, width: 3, height: 4 };

    fn put(store: &mut Store, bytes: &[u8]) -> String {
        let id = id_of(bytes);
        put_down(&store.original_path(&id, SEEN), bytes).unwrap();
        store.has_original(&id, Original { seen: SEEN, size: bytes.len() as u64 });
        id
    }

    fn put_variant(store: &mut Store, id: &str, width: u32) -> PathBuf {
        let path = store.variant_path(id, width, Form::Jpeg);
        put_down(&path, b"small").unwrap();
        store.has_variant(id, width, Form::Jpeg, 5);
        path
    }

    #[test]
    fn what_was_put_down_is_found_again() {
        let state = tempfile::tempdir().unwrap();
        let mut store = Store::open(state.path()).unwrap();
        let (a, b) = (put(&mut store, b"a"), put(&mut store, b"b"));
        put_variant(&mut store, &a, 64);
        assert_eq!(id_of(b"a"), "ca978112ca1bbdcafac231b39a23dc4d");
        let unfinished = store.folder.join("originals/ca/.x.tmp");
        fs::write(&unfinished, "").unwrap();
        fs::write(store.folder.join("originals/ca/notes.txt"), "").unwrap();
        let mut again = Store::open(state.path()).unwrap();
        assert!(!unfinished.exists());
        let ids = |store: &Store, after: &str, most| -> Vec<String> {
            store.listed(after, most).into_iter().map(|(id, _)| id).collect()
        };
        let mut both = vec![a.clone(), b.clone()];
        both.sort();
        assert_eq!(ids(&again, "", 9), both);
        assert_eq!(ids(&again, &both[0], 9), both[1..]);
        assert_eq!(again.original(&a), Some(Original { seen: SEEN, size: 1 }));
        let (path, form) = again.variant(&a, 64).unwrap();
        assert_eq!((read(&path).unwrap(), form), (b"small".to_vec(), Form::Jpeg));
        assert!(again.variant(&a, 65).is_none());
        assert_eq!(again.remove(&a).unwrap(), Some(vec![64]));
        assert!(!path.exists() && again.remove(&a).unwrap().is_none());
        assert_eq!((again.originals_size, again.variants_size), (1, 0));
    }

    #[test]
    fn variants_that_nobody_used_for_longest_make_room() {
        let state = tempfile::tempdir().unwrap();
        let mut store = Store::open(state.path()).unwrap();
        let id = put(&mut store, b"a");
        let paths: Vec<_> = (1..=8).map(|width| put_variant(&mut store, &id, width)).collect();
        for (width, used) in [(3, 1), (5, 2)] {
            store.variants.get_mut(&(id.clone(), width)).unwrap().used = used;
        }
        store.make_room(39, 100);
        let there: Vec<_> = paths.iter().map(|path| path.exists()).collect();
        assert_eq!(there, [true, true, false, true, true, true, true, true]);
        store.make_room(100, 6);
        assert!(store.variants.len() <= 6 && !paths[4].exists());
        assert_eq!(store.variants_size, 5 * store.variants.len() as u64);
    }
}
