//! `man`: the manual, one page a verb.

use std::io;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man;

use super::Failure;
use super::terminal::say;

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write shardcast.1, shardcast-serve.1 … into this folder instead of printing all of them
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints or writes all pages.
pub fn run(args: &ManArgs) -> Result<(), Failure> {
    let pages = pages().map_err(|error| Failure::new("man", error))?;
    let Some(dir) = &args.dir else {
        let all: Vec<u8> = pages.into_iter().flat_map(|(_, page)| page).collect();
        return say(&String::from_utf8_lossy(&all));
    };
    let failed =
        |path: &std::path::Path, error| Failure::new(format!("write {}", path.display()), error);
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    for (name, page) in pages {
        let path = dir.join(name);
        std::fs::write(&path, page).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// Every page with the name of its file.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = super::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    page(&command, "shardcast".to_owned(), &mut pages)?;
    Ok(pages)
}

fn page(command: &Command, name: String, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let mut text = Vec::new();
    Man::new(command.clone()).title(name.to_uppercase()).render(&mut text)?;
    pages.push((format!("{name}.1"), text));
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        page(verb, format!("{name}-{}", verb.get_name()), pages)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_verb_has_a_page() {
        let pages = super::pages().unwrap();
        for name in ["shardcast.1", "shardcast-serve.1", "shardcast-doctor.1"] {
            let (_, page) = pages.iter().find(|(page, _)| page == name).unwrap();
            assert!(String::from_utf8_lossy(page).contains(".SH"), "{name}");
        }
    }
}
