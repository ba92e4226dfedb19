//! The command line: one verb a file, one error a line, one way out.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub mod failure;
pub mod terminal;
pub mod sources;
pub mod serve;
pub mod check_config;
pub mod print_config;
pub mod doctor;
pub mod pack;
pub mod package;
pub mod demo;
pub mod admin_api;
mod admin_tls;
pub mod admin;
pub mod audit;
pub mod backup;
pub mod ban;
pub mod channel;
pub mod event;
pub mod export;
pub mod guide;
pub mod import;
pub mod key;
pub mod objects;
pub mod picture;
pub mod session;
pub mod slates;
pub mod token;
pub mod confined_child;
pub mod completions;
pub mod man;

pub use failure::Failure;

/// Serves packaged HLS and DASH from memory-mapped packs, one io_uring shard a core.
#[derive(Debug, Parser)]
#[command(name = "shardcast", version = crate::ops::version::LONG, max_term_width = 100)]
#[command(propagate_version = false, arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What shardcast can do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the server
    Serve(serve::ServeArgs),
    /// Run a server with sample content to look at
    Demo(demo::DemoArgs),
    /// Make, list, verify and extract segment packs
    Pack(pack::PackArgs),
    /// Encode films into a ladder of renditions with HLS and DASH manifests, by ffmpeg
    Package(package::PackageArgs),
    /// Make what viewers see who are refused: a sentence in place of a dead screen
    Slates(slates::SlatesArgs),
    /// Live programmes: which there are, and how each of them is
    Channel(channel::ChannelArgs),
    /// What channels, films and series are sorted by
    Category(objects::ObjectArgs<objects::CategoryFields>),
    /// What is said of films and all else in the libraries
    Asset(objects::ObjectArgs<objects::AssetFields>),
    /// Episodes that belong together
    Series(objects::ObjectArgs<objects::SeriesFields>),
    /// What a series consists of
    Episode(objects::ObjectArgs<objects::EpisodeFields>),
    /// Posters, backdrops and logos that the server stores
    Picture(picture::PictureArgs),
    /// Channels and assets that are sold together
    Bouquet(objects::ObjectArgs<objects::BouquetFields>),
    /// What subscribers pay for
    Plan(objects::ObjectArgs<objects::PlanFields>),
    /// Whoever watches
    Subscriber(objects::subscriber::SubscriberArgs),
    /// Make tokens for viewers: addresses that are good for a time
    Token(token::TokenArgs),
    /// List who watches what, and end it
    Session(session::SessionArgs),
    /// See what was wrong with credentials, networks and shared tokens
    Event(event::EventArgs),
    /// Keep networks out
    Ban(ban::BanArgs),
    /// Where guides are read, which channel of them is which of ours, and what is on
    Guide(guide::GuideArgs),
    /// List and change the keys that sign tokens
    Key(key::KeyArgs),
    /// Who administers the server over the network, and the keys of programs that do
    Admin(admin::AdminArgs),
    /// Take subscribers, titles and lists of channels from a file, a line at a time
    Import(import::ImportArgs),
    /// Write all plans and subscribers into a file that import takes
    Export(export::ExportArgs),
    /// List who did what to the registry, and verify that list
    Audit(audit::AuditArgs),
    /// Copy the registry into a file, also while the server runs
    Backup(backup::BackupArgs),
    /// Make the registry what a copy says: plans and subscribers are what they were then
    Restore(backup::RestoreArgs),
    /// Say everything that is wrong with a config file
    CheckConfig(check_config::CheckConfigArgs),
    /// Print the effective config, with the place that each value comes from
    PrintConfig(print_config::PrintConfigArgs),
    /// Look at this machine: what was found, what it costs, the command that mends it
    Doctor(doctor::DoctorArgs),
    /// Print the completions of a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual
    Man(man::ManArgs),
    /// Become what the server says, in bounds: the server begins ffmpeg so
    #[command(hide = true)]
    ConfinedChild,
}

/// Reads the arguments, runs the verb, prints what failed.
#[must_use]
pub fn main() -> ExitCode {
    // clap prints usage errors and leaves with 2 by itself.
    let arguments = Arguments::parse();
    match run(&arguments.verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(1)
        }
    }
}

fn run(verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::Serve(args) => serve::run(args),
        Verb::Demo(args) => demo::run(args),
        Verb::Pack(args) => pack::run(args),
        Verb::Package(args) => package::run(args),
        Verb::Slates(args) => slates::run(args),
        Verb::Channel(args) => channel::run(args),
        Verb::Category(args) => objects::run(args),
        Verb::Asset(args) => objects::run(args),
        Verb::Series(args) => objects::run(args),
        Verb::Episode(args) => objects::run(args),
        Verb::Picture(args) => picture::run(args),
        Verb::Bouquet(args) => objects::run(args),
        Verb::Plan(args) => objects::run(args),
        Verb::Subscriber(args) => objects::subscriber::run(args),
        Verb::Token(args) => token::run(args),
        Verb::Session(args) => session::run(args),
        Verb::Event(args) => event::run(args),
        Verb::Ban(args) => ban::run(args),
        Verb::Guide(args) => guide::run(args),
        Verb::Key(args) => key::run(args),
        Verb::Admin(args) => admin::run(args),
        Verb::Import(args) => import::run(args),
        Verb::Export(args) => export::run(args),
        Verb::Audit(args) => audit::run(args),
        Verb::Backup(args) => backup::run(args),
        Verb::Restore(args) => backup::run_restore(args),
        Verb::CheckConfig(args) => check_config::run(args),
        Verb::PrintConfig(args) => print_config::run(args),
        Verb::Doctor(args) => doctor::run(args),
        Verb::Completions(args) => completions::run(args),
        Verb::Man(args) => man::run(args),
        Verb::ConfinedChild => confined_child::run(),
    }
}

/// The whole command line as clap knows it, for completions and the manual.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
