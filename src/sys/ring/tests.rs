//! What the real kernel does with a ring of ours in cases that no client can bring about.

use std::io::Write;
use std::os::unix::net::UnixStream;

use io_uring::types::OpenHow;

use super::*;
use crate::config::RECEIVE_BUFFERS;
use crate::sys::rlimit;

/// Hands one operation to the kernel, and says what came of it.
fn outcome(ring: &mut Ring, entry: squeue::Entry) -> i32 {
    ring.queue(&entry.user_data(name(Kind::Cancel, 0, 0)));
    ring.call(1, enter::GETEVENTS, None).unwrap();
    let entry = ring.ring.completion().next().expect("it was waited for");
    assert_eq!(names::parts(entry.user_data()).0, Kind::Cancel, "the bell was not rung");
    ring.in_flight -= 1;
    entry.result()
}

#[test]
fn what_no_shard_needs_is_refused_by_its_ring() {
    let mut ring = Ring::new(Vec::new(), calls::bell().unwrap(), Features::ALL).unwrap();
    let fd = Fd(libc::STDOUT_FILENO);
    let (path, how) = (c"/etc/passwd", OpenHow::new());
    let root = Fd(libc::AT_FDCWD);
    for (what, entry) in [
        ("nop", opcode::Nop::new().build()),
        ("openat", opcode::OpenAt::new(root, path.as_ptr()).build()),
        ("openat2", opcode::OpenAt2::new(root, path.as_ptr(), &raw const how).build()),
        ("socket", opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0).build()),
        ("write", opcode::Write::new(fd, path.as_ptr().cast(), 1).build()),
        ("close", opcode::Close::new(fd).build()),
        ("splice", opcode::Splice::new(fd, -1, fd, -1, 1).build()),
        ("unlink", opcode::UnlinkAt::new(root, path.as_ptr()).build()),
        // What is allowed, in a way that is not.
        ("linked", opcode::PollAdd::new(fd, 0).build().flags(squeue::Flags::IO_LINK)),
    ] {
        assert_eq!(outcome(&mut ring, entry), -libc::EACCES, "{what}");
    }
    // What is allowed is done: there is nothing of this name to cancel.
    let cancel = opcode::AsyncCancel::new(name(Kind::Send, 1, 1)).build();
    assert_eq!(outcome(&mut ring, cancel), -libc::ENOENT);
    let registered = ring.ring.submitter().register_files(&[libc::STDOUT_FILENO]);
    assert_eq!(registered.unwrap_err().raw_os_error(), Some(libc::EACCES), "registrations");
}

#[test]
fn completions_and_bytes_that_found_no_room_are_not_lost() {
    // More than there are receive buffers.
    const CLIENTS: u32 = 400;
    const { assert!(CLIENTS as usize > RECEIVE_BUFFERS) };
    rlimit::raise_nofile().unwrap();
    let bell = calls::bell().unwrap();
    let mut ring = Ring::sized(Vec::new(), bell, Features::ALL, (4, 8)).unwrap();
    let overflows = ring.overflows();
    let (mut clients, sockets): (Vec<_>, Vec<_>) = (0..CLIENTS)
        .map(|_| {
            let (client, socket) = UnixStream::pair().unwrap();
            (client, OwnedFd::from(socket))
        })
        .unzip();
    for (owner, socket) in (0..).zip(&sockets) {
        ring.receive(socket, owner);
    }
    ring.enter(Some(0)).unwrap();
    // All at once, while nobody reaps.
    for (number, client) in (0..CLIENTS).zip(&mut clients) {
        client.write_all(&number.to_le_bytes()).unwrap();
    }
    let mut received = vec![0; CLIENTS as usize];
    let mut without_buffer = 0;
    while received.contains(&0) {
        // As in a turn that has something else to do: the kernel does all that it can.
        ring.enter(Some(0)).unwrap();
        while let Some(completion) = ring.completion() {
            let Completion::Received { owner, result, more } = completion else {
                panic!("{completion:?}")
            };
            match result {
                Ok(Some(bytes)) => {
                    assert_eq!(ring.received(&bytes), owner.to_le_bytes());
                    ring.give_back(bytes);
                    received[owner as usize] += 1;
                }
                Err(Errno::NOBUFS) => without_buffer += 1,
                other => panic!("{other:?}"),
            }
            if !more {
                ring.receive(&sockets[owner as usize], owner);
            }
        }
    }
    assert!(received.iter().all(|&count| count == 1), "each exactly once");
    assert!(overflows.get() > 0, "the queue never overflowed");
    assert!(without_buffer > 0, "there was always a buffer");
}

#[test]
fn what_a_hanging_disk_may_still_write_to_outlives_the_ring() {
    let bell = calls::bell().unwrap();
    let mut ring = Ring::new(Vec::new(), bell, Features::ALL).unwrap();
    // A read that neither ends nor can be cancelled, as of a server of files that is gone.
    ring.in_flight += 1;
    let first = ring.buffers.bytes(0, 1).as_ptr();
    drop(ring);
    let memory = std::fs::read_to_string("/proc/self/maps").unwrap();
    let holds = |line: &str| {
        let (from, to) = line.split(' ').next()?.split_once('-')?;
        let bound = |hex| usize::from_str_radix(hex, 16).ok();
        Some((bound(from)?..bound(to)?).contains(&first.addr()))
    };
    assert!(memory.lines().any(|line| holds(line) == Some(true)), "it was unmapped");
}
