//! Verbs that say something and end.

use super::running::{Place, program, run};

#[test]
fn usage_errors_are_two_and_failures_are_one() {
    for (arguments, code, begin) in [
        (&["nonsense"][..], 2, "error: "),
        (&["serve", "--nonsense"], 2, "error: "),
        (&["check-config", "/nonexistent.toml"], 1, "/nonexistent.toml: can't be read"),
        (&["serve", "--shards", "x", "."], 1, "shardcast: --shards: server.shards: x is not"),
        (&["serve", "--config", "/nonexistent.toml"], 1, "shardcast: config: /nonexistent.toml"),
        (&["serve", "/nonexistent"], 1, "shardcast: serve /nonexistent: No such file or directory"),
    ] {
        let said = run(program().args(arguments));
        assert_eq!(said.code, code, "{arguments:?}: {}", said.err);
        assert!(said.err.starts_with(begin), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn the_version_names_the_commit() {
    let said = run(program().arg("--version"));
    assert_eq!(said.code, 0);
    assert!(said.out.starts_with("shardcast 0."), "{}", said.out);
    assert!(said.out.contains('('), "{}", said.out);
}

#[test]
fn check_config_says_everything_with_its_line() {
    let place = Place::new();
    let good = place.config("");
    let said = run(program().arg("check-config").arg(&good));
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let bad = place.config("[limits]\nhead_timeout = \"10x\"\n[[library]]\npath = \"gone\"\n[x]\n");
    let said = run(program().arg("check-config").arg(&bad));
    let file = bad.display();
    assert_eq!(said.code, 1);
    let lines: Vec<_> = said.err.lines().collect();
    assert_eq!(
        lines[0],
        format!(
            "{file}:10: limits.head_timeout: \"10x\" is not a duration (write \"10s\" or \"500ms\")"
        )
    );
    assert_eq!(lines[1], format!("{file}:13: x: is not a known section"));
    assert!(lines[2].starts_with(&format!("{file}:11: library.path: ")), "{}", said.err);
    assert_eq!(lines[3], format!("shardcast: {file}: 2 errors (see the lines above)"));
}

#[test]
fn print_config_can_be_used_as_a_config() {
    let place = Place::new();
    let config = place.config("");
    let printed = run(program().arg("print-config").arg("--config").arg(&config));
    assert_eq!(printed.code, 0, "{}", printed.err);
    assert!(printed.out.contains(&format!("shards = 1  # {}:4", config.display())));
    let copy = place.path("copy.toml");
    std::fs::write(&copy, &printed.out).unwrap();
    let again = run(program().arg("check-config").arg(&copy));
    assert_eq!(again.code, 0, "{}", again.err);
    let json = run(program().args(["print-config", "--json", "--config"]).arg(&config));
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["settings"]["server.shards"]["value"], 1);
}

#[test]
fn a_variable_beats_the_file_and_is_named() {
    let place = Place::new();
    let config = place.config("");
    let mut command = program();
    command.arg("print-config").arg("--config").arg(&config).env("SHARDCAST_SERVER_SHARDS", "2");
    let said = run(&mut command);
    assert!(said.out.contains("shards = 2  # SHARDCAST_SERVER_SHARDS\n"), "{}", said.out);
    let said = run(command.env("SHARDCAST_SERVER_SHARDS", "two"));
    assert_eq!(said.code, 1);
    assert!(said.err.starts_with("shardcast: SHARDCAST_SERVER_SHARDS: server.shards: two is not"));
}

#[test]
fn completions_and_manual_know_every_verb() {
    for shell in ["bash", "zsh", "fish"] {
        let said = run(program().args(["completions", shell]));
        assert_eq!(said.code, 0);
        for verb in ["serve", "check-config", "package", "doctor"] {
            assert!(said.out.contains(verb), "{shell}: {verb}");
        }
    }
    let place = Place::new();
    let said = run(program().args(["man", "--dir"]).arg(place.path("man")));
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(place.path("man/shardcast-check-config.1").exists());
    assert!(run(program().arg("man")).out.contains(".TH"));
}

/// A file of the repository.
fn repository(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_config_that_we_ship_is_good_and_says_the_defaults() {
    let shipped = repository("dist/shardcast.toml");
    let said = run(program().arg("check-config").arg(&shipped));
    assert_eq!(said.code, 0, "{}", said.err);
    // With every comment that holds a key taken in, it must still be good, and change nothing.
    let place = Place::new();
    let text = std::fs::read_to_string(&shipped).unwrap();
    let taken_in: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|letter: char| letter.is_ascii_lowercase()) => rest,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let full = place.path("full.toml");
    std::fs::write(&full, taken_in).unwrap();
    let values = |file: &std::path::Path| {
        let said = run(program().args(["print-config", "--json", "--config"]).arg(file));
        assert_eq!(said.code, 0, "{}", said.err);
        let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let keys = json["settings"].as_object().unwrap().clone();
        let values = keys.into_iter().map(|(key, of)| (key, of["value"].clone()));
        values.collect::<std::collections::BTreeMap<_, _>>()
    };
    let (plain, full) = (values(&shipped), values(&full));
    assert_eq!(plain, full);
    // Every key that this version uses has its line.
    for key in full.keys() {
        let name = key.split('.').next_back().unwrap();
        assert!(text.lines().any(|line| line.trim_start_matches('#').starts_with(name)), "{key}");
    }
}

#[test]
fn a_stdout_or_stderr_that_fails_is_no_crash() {
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let place = Place::new();
    let config = place.config("");
    for arguments in [
        &["print-config", "--config", config.to_str().unwrap()][..],
        &["doctor", "--config", config.to_str().unwrap()],
        &["check-config", config.to_str().unwrap()],
        &["man"],
        &["completions", "bash"],
    ] {
        let said = run_with(arguments, Some(full()), None);
        assert_eq!(said.code, 1, "{arguments:?}: {}", said.err);
        assert!(said.err.starts_with("shardcast: write to stdout: "), "{}", said.err);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let said = run_with(arguments, Some(std::os::fd::OwnedFd::from(writer).into()), None);
        assert_eq!(said.code, 0, "{arguments:?}: {}", said.err);
    }
    let said = run_with(&["check-config", "/nonexistent"], None, Some(full()));
    assert_eq!(said.code, 1);
}

fn run_with(
    arguments: &[&str],
    out: Option<std::fs::File>,
    err: Option<std::fs::File>,
) -> super::running::Said {
    let mut command = program();
    command.args(arguments).stderr(std::process::Stdio::piped());
    if let Some(out) = out {
        command.stdout(out);
    }
    if let Some(err) = err {
        command.stderr(err);
    }
    let child = command.spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    super::running::Said {
        out: String::new(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}
