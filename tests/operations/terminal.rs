//! What verbs show on a terminal, and what they don't where there is none.

use std::process::{Command, Stdio};
use std::time::Instant;

use super::running::{PATIENCE, Place, Running, Said, done, program, run, serve};

/// A command line for the shell.
fn line(command: &Command) -> String {
    // None of them has a quote in it.
    let word = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().expect("a plain word"));
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(word)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The same command on a terminal of its own, which `script` makes.
fn on_terminal(command: &Command) -> Command {
    let mut script = Command::new("script");
    // It passes on the exit code (-e) and writes no file but the one that swallows all.
    script.args(["-qec", &line(command), "/dev/null"]).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script.env("TERM", "xterm");
    script
}

fn shown(command: &Command) -> Said {
    let said = run(&mut on_terminal(command));
    assert!(!said.out.contains("script: "), "{}", said.out);
    said
}

fn clip(place: &Place) -> std::path::PathBuf {
    let film = place.path("film.mp4");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25"]);
    ffmpeg.args(["-f", "lavfi", "-i", "sine=440", "-t", "6", "-c:v", "libx264"]);
    ffmpeg.args(["-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]).arg(&film);
    assert!(ffmpeg.status().expect("ffmpeg is installed").success());
    film
}

#[test]
fn package_shows_its_progress_on_a_terminal_only() {
    let place = Place::new();
    let film = clip(&place);
    let package = |out: &str| {
        let mut command = program();
        command.args(["package", "--preset", "ultrafast", "-o"]).arg(place.path(out)).arg(&film);
        command
    };
    let said = shown(&package("seen"));
    assert_eq!(said.code, 0, "{}", said.out);
    let percents: Vec<u32> = said
        .out
        .split(" % ")
        .filter_map(|part| part.rsplit([' ', '\r', '\n']).next()?.parse().ok())
        .collect();
    assert!(percents.len() >= 2 && percents.is_sorted(), "{percents:?}: {:?}", said.out);
    assert!(percents.iter().any(|percent| (1..=100).contains(percent)), "{percents:?}");
    assert!(said.out.contains("film.mp4"), "{:?}", said.out);
    // Nothing of it stays on the screen: what is printed last is the folder that was made.
    let last = format!("{}\r\n", place.path("seen").display());
    assert!(said.out.ends_with(&last), "{:?}", said.out);

    let said = run(&mut package("unseen"));
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert_eq!(said.out, format!("{}\n", place.path("unseen").display()));
}

#[test]
fn pack_shows_its_progress_on_a_terminal_only() {
    let place = Place::new();
    let pack = |out: &str| {
        let mut command = program();
        command.arg("pack").arg(place.path("library")).arg("-o").arg(place.path(out));
        command
    };
    let said = shown(&pack("seen.pack"));
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(said.out.contains("\x1b["), "a bar moves the cursor: {:?}", said.out);
    let said = run(&mut pack("unseen.pack"));
    assert_eq!(said.code, 0, "{}", said.err);
    let of_a_bar = |text: &str| text.contains('\x1b') || text.contains('\r');
    assert!(!of_a_bar(&said.err) && !of_a_bar(&said.out), "{:?}{:?}", said.out, said.err);
}

#[test]
fn import_shows_its_progress_on_a_terminal_only() {
    let place = Place::new();
    let config = place.config("");
    let _server = Running::start(&mut serve(&config));
    done(&config, &["plan", "add", "gold", "--name", "Gold"]);
    let import = |first: u32| {
        let file = place.path(&format!("{first}.csv"));
        let line = |number| format!("user{number},secret-of-{number}\n");
        let lines: String = (first..first + 2_000).map(line).collect();
        std::fs::write(&file, format!("username,password\n{lines}")).unwrap();
        let mut command = program();
        command.arg("import").arg(file).args(["--plan", "gold", "--config"]).arg(&config);
        command
    };
    let said = shown(&import(0));
    assert_eq!(said.code, 0, "{}", said.out);
    let told = said.out.split(['\r', '\n']).filter(|line| line.contains(" left")).count();
    assert!(told >= 2 && said.out.contains("KiB"), "{:?}", said.out);
    assert!(said.out.contains("2000 added"), "{:?}", said.out);
    let said = run(&mut import(10_000));
    assert_eq!(said.code, 0, "{}", said.err);
    let of_a_bar = |text: &str| text.contains('\x1b') || text.contains('\r');
    assert!(!of_a_bar(&said.err) && !of_a_bar(&said.out), "{:?}{:?}", said.out, said.err);
}

/// The log of a server until it is ready, on a terminal or not.
fn log_until_ready(mut command: Command, from_stderr: bool) -> String {
    use std::io::{BufRead as _, BufReader};
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines: Box<dyn std::io::Read> = if from_stderr {
        Box::new(child.stderr.take().unwrap())
    } else {
        Box::new(child.stdout.take().unwrap())
    };
    let began = Instant::now();
    let mut text = String::new();
    let mut lines = BufReader::new(lines);
    while !text.contains("ready") {
        assert!(lines.read_line(&mut text).unwrap() > 0, "it ended: {text}");
        assert!(began.elapsed() < PATIENCE, "{text}");
    }
    // A terminal that hangs up ends what runs on it, and `script` ends with it.
    let mut kill = Command::new("kill");
    assert!(kill.arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
    child.wait().unwrap();
    text
}

#[test]
fn logs_for_people_have_colours_on_a_terminal_only() {
    let place = Place::new();
    let mut serve = program();
    serve.args(["serve", "--log-format", "text", "--listen", "127.0.0.1:0", "--admin", "off"]);
    serve.arg("--state").arg(place.path("state")).arg(place.path("library"));
    serve.env_remove("NO_COLOR");
    let plain = |mut command: Command| {
        command.env("NO_COLOR", "1");
        command
    };
    let coloured = log_until_ready(on_terminal(&serve), false);
    assert!(coloured.contains("\x1b["), "{coloured:?}");
    let unwanted = log_until_ready(plain(on_terminal(&serve)), false);
    assert!(!unwanted.contains('\x1b'), "{unwanted:?}");
    let piped = log_until_ready(serve, true);
    assert!(!piped.contains('\x1b'), "{piped:?}");
}

#[test]
fn usage_errors_have_colours_on_a_terminal_only() {
    let mut wrong = program();
    wrong.arg("nonsense").env_remove("NO_COLOR");
    let said = shown(&wrong);
    assert_eq!(said.code, 2);
    assert!(said.out.contains("\x1b["), "{:?}", said.out);
    let said = run(&mut wrong);
    assert!(!said.err.contains('\x1b'), "{:?}", said.err);
}
