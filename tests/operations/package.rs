//! `package` with real ffmpeg on a clip that ffmpeg makes: what is left behind, whatever happens.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::running::{PATIENCE, Place, Running, program, run, serve};

/// A clip of a test picture and two tones.
fn clip(path: &Path, size: &str, seconds: u32) {
    let mut ffmpeg = Command::new("ffmpeg");
    let picture = format!("testsrc2=rate=25:size={size}");
    ffmpeg.args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", &picture]);
    ffmpeg.args(["-f", "lavfi", "-i", "sine=440", "-f", "lavfi", "-i", "sine=880"]);
    ffmpeg.args(["-t", &seconds.to_string(), "-map", "0", "-map", "1", "-map", "2"]);
    ffmpeg.args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]);
    ffmpeg.args(["-metadata:s:a:0", "language=deu"]);
    let mut url = std::ffi::OsString::from("file:");
    url.push(path);
    let status = ffmpeg.args(["-f", "mp4"]).arg(url).status().expect("ffmpeg is installed");
    assert!(status.success());
}

fn package(inputs: &[&Path], output: &Path) -> Command {
    let mut command = program();
    command.arg("package").args(["--preset", "ultrafast", "-o"]).arg(output);
    command.arg("--").args(inputs);
    command
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .map(|entries| entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

/// The segment lengths of a media playlist.
fn lengths(playlist: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(playlist).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("#EXTINF:")).map(str::to_owned).collect()
}

#[test]
fn a_film_becomes_a_ladder_that_plays_from_the_server() {
    let place = Place::new();
    let input = place.path("film.mp4");
    clip(&input, "640x360", 5);
    let target = place.path("library/film");
    let said = run(&mut package(&[&input], &target));
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(said.out, format!("{}\n", target.display()));
    let master = std::fs::read_to_string(target.join("master.m3u8")).unwrap();
    let variants: Vec<_> = master.lines().filter(|l| l.starts_with("#EXT-X-STREAM-INF")).collect();
    assert_eq!(variants.len(), 2, "{master}");
    for (variant, size) in variants.iter().zip(["640x360", "416x234"]) {
        for part in [
            &format!("RESOLUTION={size}"),
            "BANDWIDTH=",
            "AVERAGE-BANDWIDTH=",
            "CODECS=\"avc1.",
            "mp4a.40.2\"",
            "FRAME-RATE=25.000",
            "AUDIO=\"audio\"",
        ] {
            assert!(variant.contains(part), "{part}: {variant}");
        }
    }
    assert_eq!(master.matches("TYPE=AUDIO").count(), 2);
    assert!(master.contains("LANGUAGE=\"deu\""), "{master}");
    let of_large = lengths(&target.join("media_0.m3u8"));
    assert_eq!(of_large, ["2.000000,", "2.000000,", "1.000000,"]);
    assert_eq!(of_large, lengths(&target.join("media_1.m3u8")), "renditions are aligned");
    let init = std::fs::read(target.join("init-0.mp4")).unwrap();
    assert!(init[..40].windows(4).any(|brand| brand == b"cmfc"), "the files are CMAF");
    assert!(!master.contains("PROGRAM-DATE-TIME"));

    let server = Running::start(&mut serve(&place.config("")));
    for name in ["master.m3u8", "manifest.mpd"] {
        let url = format!("http://{}/vod/library/film/{name}", server.public);
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "warning", "-nostdin", "-xerror", "-i", &url, "-map", "0"]);
        let said = run(ffmpeg.args(["-f", "null", "-"]));
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{name}");
        let mut ffprobe = Command::new("ffprobe");
        ffprobe.args(["-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0"]);
        let said = run(ffprobe.arg(&url));
        let count = |kind: &str| said.out.lines().filter(|line| line.contains(kind)).count();
        assert!(count("video") >= 2 && count("audio") >= 2, "{name}: {}", said.out);
    }
}

/// Width, height and shape of every picture that ffprobe finds.
fn pictures(manifest: &Path) -> Vec<String> {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-select_streams", "v", "-of", "csv=p=0"]);
    ffprobe.args(["-show_entries", "stream=width,height,display_aspect_ratio"]).arg(manifest);
    let said = run(&mut ffprobe);
    assert_eq!(said.code, 0, "{}", said.err);
    // It lists them twice: of the one program, and by themselves.
    let mut found: Vec<String> = Vec::new();
    for line in said.out.lines().filter(|line| !line.is_empty()) {
        if !found.iter().any(|known| known == line) {
            found.push(line.to_owned());
        }
    }
    found
}

#[test]
fn all_renditions_have_the_shape_of_the_film() {
    let place = Place::new();
    // 480 lines of a wide picture want 853⅓ dots.
    let (wide, old) = (place.path("wide.mp4"), place.path("old.mp4"));
    clip(&wide, "1280x720", 1);
    // A television's picture: the dots are wider than high.
    clip(&old, "720x576,setsar=64/45", 1);
    let all = ["1280,720,16:9", "854,480,16:9", "640,360,16:9", "416,234,16:9"];
    let from_old = ["1024,576,16:9", "640,360,16:9", "416,234,16:9"];
    for (film, expected) in [(&wide, &all[..]), (&old, &from_old[..])] {
        let target = film.with_extension("packaged");
        let said = run(&mut package(&[film], &target));
        assert_eq!(said.code, 0, "{}", said.err);
        assert_eq!(pictures(&target.join("manifest.mpd")), expected);
    }
}

#[test]
fn several_films_get_folders_of_their_own_whatever_their_names() {
    let place = Place::new();
    let odd = ["-i.mp4", "concat:a|b.mp4", "50% $Number$ 'q'.mp4"].map(|name| place.path(name));
    clip(&odd[0], "128x96", 1);
    for other in &odd[1..] {
        std::fs::copy(&odd[0], other).unwrap();
    }
    let out = place.path("50% $RepresentationID$");
    let inputs: Vec<&Path> = odd.iter().map(PathBuf::as_path).collect();
    let said = run(&mut package(&inputs, &out));
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(names(&out), ["-i", "50% $Number$ 'q'", "concat:a|b"]);
    for folder in names(&out) {
        let files = names(&out.join(folder));
        assert!(files.contains(&"master.m3u8".to_owned()), "{files:?}");
        assert!(files.contains(&"seg-0-00001.m4s".to_owned()), "{files:?}");
    }
    // A name that begins with a dash is also taken from the folder one is in.
    let mut relative = package(&[Path::new("-i.mp4")], Path::new("again"));
    let said = run(relative.current_dir(place.path("")));
    assert_eq!(said.code, 0, "{}", said.err);
}

#[test]
fn nothing_is_left_of_what_failed() {
    let place = Place::new();
    let (good, bad, torn) = (place.path("good.mp4"), place.path("bad.mp4"), place.path("torn.mp4"));
    clip(&good, "128x96", 1);
    std::fs::write(&bad, "this is no film").unwrap();
    let bytes = std::fs::read(&good).unwrap();
    std::fs::write(&torn, &bytes[..bytes.len() / 2]).unwrap();
    let before = names(&place.path(""));
    for (input, why) in [
        (&bad, "ffprobe can't read it"),
        (&torn, "ffprobe can't read it"),
        (&place.path("gone.mp4"), "No such file"),
    ] {
        let said = run(&mut package(&[input], &place.path("out")));
        assert_eq!(said.code, 1, "{}", said.err);
        let last = said.err.lines().last().unwrap();
        let begin = format!("shardcast: package {}: {why}", input.display());
        assert!(last.starts_with(&begin), "{}", said.err);
        assert_eq!(names(&place.path("")), before);
    }
    // An input that goes bad in the middle: ffmpeg fails, and its last words are shown.
    let fake = place.path("fake");
    std::fs::create_dir(&fake).unwrap();
    let script = "#!/bin/sh\nfor i in 1 2 3 4 5 6 7 8 9; do echo \"line $i\" >&2; done\n\
                  : > half.m4s\nexit 7\n";
    std::fs::write(fake.join("ffmpeg"), script).unwrap();
    let mut chmod = Command::new("chmod");
    assert!(chmod.arg("+x").arg(fake.join("ffmpeg")).status().unwrap().success());
    let path = format!("{}:{}", fake.display(), std::env::var("PATH").unwrap());
    let before = names(&place.path(""));
    let said = run(package(&[&good], &place.path("out")).env("PATH", path));
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("ffmpeg: line 9\n") && !said.err.contains("line 1\n"),
        "{}",
        said.err
    );
    assert!(said.err.ends_with("ffmpeg failed with code 7\n"), "{}", said.err);
    assert_eq!(names(&place.path("")), before);
}

#[test]
fn a_missing_ffmpeg_is_named_with_its_package() {
    let place = Place::new();
    let input = place.path("film.mp4");
    std::fs::write(&input, "x").unwrap();
    let said = run(package(&[&input], &place.path("out")).env("PATH", place.path("nowhere")));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("ffprobe can't be started"), "{}", said.err);
    assert!(said.err.ends_with("(apt-get install ffmpeg)\n"), "{}", said.err);
}

#[test]
fn a_target_that_is_taken_stays_as_it_is() {
    let place = Place::new();
    let input = place.path("film.mp4");
    clip(&input, "128x96", 1);
    let said = run(&mut package(&[&input], &place.path("library")));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("it exists and is not empty"), "{}", said.err);
    assert_eq!(names(&place.path("library")), ["a.m3u8", "a.ts"]);
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let place = Place::new();
    let input = place.path("film.mp4");
    clip(&input, "640x360", 4);
    let before = names(&place.path(""));
    // Slow enough to be caught in the middle, wherever this runs.
    let mut command = program();
    command.args(["package", "--preset", "veryslow", "-o"]).arg(place.path("out")).arg(&input);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let began = std::time::Instant::now();
    while names(&place.path("")) == before {
        assert!(began.elapsed() < PATIENCE, "the hidden folder never came");
        std::thread::yield_now();
    }
    let mut kill = Command::new("kill");
    assert!(kill.arg("-INT").arg(child.id().to_string()).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.ends_with(": interrupted\n"), "{said}");
    assert_eq!(names(&place.path("")), before);
}
