//! The readers of /proc, on samples of its text.

use super::*;

const STAT: &str = "\
cpu  100 20 300 4000 50 6 70 8 0 0
cpu0 60 10 200 2000 30 6 70 5 0 0
cpu1 40 10 100 2000 20 0 0 3 0 0
intr 12345 0 0
ctxt 99
";

#[test]
fn busy_time_is_all_but_idle_and_steal() {
    assert_eq!(ticks(STAT, "cpu"), Some(Ticks { busy: 496, idle: 4050, steal: 8 }));
    assert_eq!(ticks(STAT, "cpu1"), Some(Ticks { busy: 150, idle: 2020, steal: 3 }));
    assert_eq!(ticks(STAT, "cpu2"), None);
    assert_eq!(ticks("cpu 1 2 3", "cpu"), None);
}

#[test]
fn steal_is_a_share_of_all_time() {
    let before = Ticks { busy: 10, idle: 10, steal: 1 };
    let after = Ticks { busy: 70, idle: 40, steal: 11 };
    let passed = after.since(before);
    assert_eq!(passed, Ticks { busy: 60, idle: 30, steal: 10 });
    assert_eq!(passed.steal_share(), 0.1);
    assert_eq!(Ticks::default().steal_share(), 0.0);
}

#[test]
fn schedstat_begins_with_nanoseconds() {
    assert_eq!(run_time("118887 80630 2\n"), Some(Duration::from_nanos(118_887)));
    assert_eq!(run_time(""), None);
}

#[test]
fn a_name_with_brackets_does_not_shift_the_fields() {
    let stat = "42 (a) b) c) S 7 42 42 0 -1 4194560 1 2 3 4 150 50 9 9 20 0 1 0 100 0 0";
    assert_eq!(stat_ticks(stat), Some(200));
    assert_eq!(parent(stat), Some(7));
    assert_eq!(stat_ticks("42 (a) S 7"), None);
}

#[test]
fn sizes_are_named_and_in_kilobytes() {
    let text = "Name:\tx\nVmRSSx:\t1 kB\nVmRSS:\t    1234 kB\nThreads:\t2\n";
    assert_eq!(kilobytes(text, "VmRSS"), Some(1234 * 1024));
    assert_eq!(kilobytes(text, "Threads"), None);
    assert_eq!(kilobytes(text, "VmSwap"), None);
}

#[test]
fn tcp_memory_is_the_last_number_of_its_line() {
    let text = "sockets: used 5\nTCP: inuse 3 orphan 0 tw 1 alloc 4 mem 17\nUDP: inuse 0 mem 2\n";
    assert_eq!(tcp_pages(text), Some(17));
    assert_eq!(tcp_pages("UDP: inuse 0 mem 2\n"), None);
}

#[test]
fn the_real_files_can_be_read() {
    let pid = std::process::id();
    assert!(machine_ticks().expect("/proc/stat").busy > 0);
    let times = thread_times(&[pid]).expect("our own tasks");
    assert!(times.since(&ThreadTimes::default()) > Duration::ZERO);
    assert!(resident(&[pid]).expect("our own status") > 0);
    assert!(memory(&[pid]).expect("meminfo").kernel > 0);
    assert!(with_descendants(&[pid]).expect("/proc").contains(&pid));
    assert!(machine().expect("the machine's facts").cpus >= 1);
}

#[test]
fn a_thread_that_ends_takes_only_its_own_time() {
    let times = |list: &[(u32, u64)]| {
        let all = list.iter().map(|(thread, ms)| ((1, *thread), Duration::from_millis(*ms)));
        ThreadTimes(all.collect())
    };
    let before = times(&[(1, 100), (2, 5_000)]);
    let after = times(&[(1, 130), (3, 7)]);
    assert_eq!(after.since(&before), Duration::from_millis(37));
}
