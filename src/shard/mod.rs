//! STAND-IN, to be replaced by the real shards: threads that answer reports and serve nothing.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;

use crate::config::{Config, Limits};
use crate::messages::mail::{Outbox, queue};
use crate::messages::{AccessRecord, Ask, ShardReport, ToLibrary, Update};

/// One running shard.
#[derive(Debug)]
pub struct ShardHandle {
    /// Tells it something.
    pub outbox: Outbox,
    /// Ends when it is drained or stopped.
    pub thread: JoinHandle<()>,
}

/// Starts one shard for each element of `listeners`.
pub fn start(
    _config: &Config,
    listeners: Vec<Vec<TcpListener>>,
    _limits: Arc<Limits>,
    _to_library: SyncSender<ToLibrary>,
    _to_control: tokio::sync::mpsc::Sender<Ask>,
    _access: Option<SyncSender<AccessRecord>>,
) -> io::Result<Vec<ShardHandle>> {
    let bell = Arc::new(File::options().write(true).open("/dev/null")?);
    let mut handles = Vec::new();
    for (number, own) in (0..).zip(listeners) {
        let (outbox, inbox) = queue(Arc::clone(&bell));
        let thread =
            std::thread::Builder::new().name(format!("shard-{number}")).spawn(move || {
                for update in inbox {
                    match update {
                        Update::Report(reply) => {
                            let _ = reply.try_send(Box::new(empty(number)));
                        }
                        Update::Drain { .. } | Update::Stop => break,
                        _ => {}
                    }
                }
                drop(own);
            })?;
        handles.push(ShardHandle { outbox, thread });
    }
    Ok(handles)
}

fn empty(shard: u16) -> ShardReport {
    ShardReport {
        shard,
        requests: Vec::new(),
        refusals: Vec::new(),
        latency: Vec::new(),
        sent_bytes: 0,
        body_copied_bytes: 0,
        connections: 0,
        connections_total: 0,
        ring_enters: 0,
        ring_completions: 0,
        cold_reads: 0,
        parked: 0,
        backends: Vec::new(),
        cache_bytes: 0,
        access_dropped: 0,
        faults: 0,
    }
}
