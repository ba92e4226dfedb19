//! The files that both servers have: every size that matters, every kind of name.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::random::Random;

/// Path below the asset → bytes.
pub type Content = BTreeMap<String, Vec<u8>>;

/// Sizes around what servers treat differently: nothing, a page, a buffer, a small body, a chunk.
const FILES: &[(&str, usize)] = &[
    ("master.m3u8", 700),
    ("360p/index.m3u8", 2_000),
    ("manifest.mpd", 3_000),
    ("empty.ts", 0),
    ("one.ts", 1),
    ("two.m4s", 2),
    ("page-less.ts", 4_095),
    ("page.ts", 4_096),
    ("page-more.ts", 4_097),
    ("init.mp4", 900),
    ("small-less.m4s", 32_767),
    ("small.m4s", 32_768),
    ("small-more.m4s", 32_769),
    ("360p/segment-1.ts", 200_000),
    ("film.mp4", 1_300_013),
    ("words.vtt", 1_500),
    ("thumbnail.jpg", 5_000),
    ("without-extension", 1_234),
    ("with space.ts", 3_210),
    ("plus+and&more=1.ts", 2_345),
    ("per%41cent.ts", 1_111),
    ("großes Bild/ü.mp4", 2_222),
    ("a/b/c/d/e/deep.m4s", 3_333),
];

/// Writes the files below `folder`, with dates of their own, and gives what was written.
pub fn write(folder: &Path) -> Content {
    let mut random = Random::new(1);
    let mut content = Content::new();
    for (index, (name, size)) in FILES.iter().enumerate() {
        let mut bytes = vec![0; *size];
        bytes.fill_with(|| random.below(256) as u8);
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
        fs::write(&path, &bytes).expect("a sample file");
        let modified =
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + 7_777 * index as u64);
        let file = File::options().write(true).open(&path).expect("the file just written");
        file.set_modified(modified).expect("a date");
        content.insert((*name).to_owned(), bytes);
    }
    readable(folder);
    content
}

/// nginx may run as somebody else: scratch folders are private by default.
pub fn readable(folder: &Path) {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("our own folder");
}
