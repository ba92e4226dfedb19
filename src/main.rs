//! The binary: arguments to one verb.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shardcast::cli;

/// An IPTV server
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Segment packs: write, list, verify, extract
    Pack(cli::pack::PackArgs),
}

fn main() -> ExitCode {
    let Verb::Pack(args) = Arguments::parse().verb;
    match cli::pack::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
