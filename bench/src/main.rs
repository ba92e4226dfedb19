//! `shardcast-bench`: load tests for HTTP servers that deliver video.
//!
//! `cli` reads the arguments of one verb and prints its report; `load` makes load from one core;
//! `feed` sends live media; `servers` starts what is measured; `workload` makes the files; `proc`
//! and `stats` turn counts into figures; `sys` holds all unsafe code. It shares no code with the
//! server it measures.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the run is invalid (the generator was the
//! limit, or the hypervisor took too much time away).

mod awake;
mod cli;
mod feed;
mod load;
mod proc;
mod report;
mod rounds;
mod runtimes;
mod servers;
mod stats;
mod sys;
mod watch;
mod workload;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Load tests for HTTP servers that deliver video
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Saturate(cli::saturate::Saturate),
    Compare(Box<cli::compare::Compare>),
    Runtimes(cli::runtimes::Runtimes),
    Idle(cli::idle::Idle),
    Storm(cli::storm::Storm),
    Feed(Box<cli::feed::Feed>),
    Parked(Box<cli::parked::Parked>),
    Onecopy(Box<cli::onecopy::Onecopy>),
    Publish(Box<cli::publish::Publish>),
    Watch(cli::watch::WatchArguments),
    Netns(cli::netns::Netns),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.verb {
        Verb::Saturate(saturate) => cli::saturate::run(saturate),
        Verb::Compare(compare) => cli::compare::run(compare),
        Verb::Runtimes(runtimes) => cli::runtimes::run(runtimes),
        Verb::Idle(idle) => cli::idle::run(idle),
        Verb::Storm(storm) => cli::storm::run(storm),
        Verb::Feed(feed) => cli::feed::run(feed),
        Verb::Parked(parked) => cli::parked::run(parked),
        Verb::Onecopy(onecopy) => cli::onecopy::run(onecopy),
        Verb::Publish(publish) => cli::publish::run(publish),
        Verb::Watch(watch) => cli::watch::run(watch),
        Verb::Netns(netns) => cli::netns::run(netns),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("shardcast-bench: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
