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
    /// Run a server with sample content to look at
    Demo(cli::demo::DemoArgs),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Pack(args) => cli::pack::run(args),
        Verb::Demo(args) => cli::demo::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
