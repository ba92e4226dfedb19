//! A process that reads an input: its beginning, what it says, its end.

use std::cell::{Cell, RefCell};
use std::io;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStderr, Command};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::lines::Lines;
use super::order::Order;

/// How long the last lines of a process are waited for that has ended.
const LINES_PATIENCE: Duration = Duration::from_millis(200);

/// The verb by which our own program becomes a child.
pub const VERB: &str = "confined-child";

/// A process. It is killed when this goes.
#[derive(Debug)]
pub struct Process {
    child: tokio::process::Child,
    input: usize,
    lines: Option<JoinHandle<()>>,
    /// When it has had its time.
    until: Option<Instant>,
    _place: Place,
}

/// One of the processes that there may be.
#[derive(Debug)]
struct Place(Rc<Cell<usize>>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// How a process has ended.
#[derive(Debug)]
pub struct Ended {
    /// What it read.
    pub input: usize,
    /// In words.
    pub how: String,
    /// Whether it did all that it was to do.
    pub is_success: bool,
}

impl Process {
    /// Begins one by this order, and counts it.
    ///
    /// # Errors
    ///
    /// It can't be begun.
    pub async fn begin(
        order: &Order,
        input: usize,
        count: &Rc<Cell<usize>>,
        lines: &Rc<RefCell<Lines>>,
    ) -> io::Result<Self> {
        // The program as it was begun, whatever stands at its path by now.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("shardcast").arg(VERB).env_clear().kill_on_drop(true);
        // What a terminal sends to the server is not for its children.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        count.set(count.get() + 1);
        let place = Place(Rc::clone(count));
        let text = serde_json::to_vec(order).map_err(io::Error::other)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&text).await?;
        }
        let said = child.stderr.take().map(|stderr| listen(stderr, Rc::clone(lines)));
        let lines = said.map(tokio::task::spawn_local);
        Ok(Self { child, input, lines, until: None, _place: place })
    }

    /// Its number, as long as it has not ended.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Kills it, if it runs so long.
    pub fn end_after(&mut self, patience: Duration) {
        self.until = Some(Instant::now() + patience);
    }

    /// Kills it; it has `ended` soon.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.start_kill();
    }

    async fn wait(&mut self) -> Ended {
        let status = match self.until {
            None => self.child.wait().await,
            Some(until) => match tokio::time::timeout_at(until, self.child.wait()).await {
                Ok(status) => status,
                Err(_) => {
                    self.kill();
                    self.child.wait().await
                }
            },
        };
        if let Some(lines) = self.lines.take() {
            // Somebody else may hold its end of the pipe.
            let _ = tokio::time::timeout(LINES_PATIENCE, lines).await;
        }
        let (input, is_success) = (self.input, status.as_ref().is_ok_and(|one| one.success()));
        let how = match status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        Ended { input, how, is_success }
    }
}

/// The end of a process, if there is one; else nothing ever.
pub async fn ended(process: &mut Option<Process>) -> Ended {
    match process {
        Some(process) => process.wait().await,
        None => std::future::pending().await,
    }
}

async fn listen(mut stderr: ChildStderr, lines: Rc<RefCell<Lines>>) {
    let mut buffer = [0; 4096];
    while let Ok(size @ 1..) = stderr.read(&mut buffer).await {
        lines.borrow_mut().take(&buffer[..size]);
    }
}
