//! The first half of a child's life: our own program, which gives up what it must not have and then
//! becomes ffmpeg.
//!
//! A small process of one thread does this, not the server between `fork` and `exec`: there only
//! a handful of calls is allowed, and forking a server costs every shard page faults.

use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::order::Order;
use crate::sys::{confine, priority};

/// Longest order, in bytes.
const ORDER_SIZE_MAX: u64 = 64 * 1024;

/// Reads an order from the standard input, and becomes what it says. It returns only if that can't
/// be, with the reason.
#[must_use]
pub fn run() -> String {
    let mut text = String::new();
    if let Err(error) = io::stdin().take(ORDER_SIZE_MAX).read_to_string(&mut text) {
        return format!("no order: {error}");
    }
    let order: Order = match serde_json::from_str(&text) {
        Ok(order) => order,
        Err(error) => return format!("no order: {error}"),
    };
    match begin(&order) {
        Ok(never) => match never {},
        Err(why) => why,
    }
}

fn begin(order: &Order) -> Result<std::convert::Infallible, String> {
    confine::end_with(order.parent).map_err(|error| format!("not begun: {error}"))?;
    priority::give_way(order.nice);
    let input = input(&order.input).map_err(|error| format!("its input: {error}"))?;
    confine::confine(&order.bounds).map_err(|why| format!("not begun: {why}"))?;
    let program = &order.bounds.program;
    let error = Command::new(program)
        .args(&order.arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", "/usr/bin:/bin")
        .stdin(input)
        .exec();
    Err(format!("{} can't be started: {error}", program.display()))
}

/// A pipe that holds this: it fits, so nobody has to go on writing.
fn input(text: &str) -> io::Result<Stdio> {
    let (reader, mut writer) = io::pipe()?;
    assert!(text.len() < 4096, "a pipe takes a page at once");
    writer.write_all(text.as_bytes())?;
    Ok(reader.into())
}
