//! What happens in the run of a seed: who comes, what is asked, what goes wrong.
//!
//! One seed in four is calm: nothing fails there, and every request must be answered in full.

use std::sync::Arc;

use shardcast::config::{Backend, Limits};
use shardcast::guard::Networks;
use shardcast::messages::{GrowingId, SourceId};
use shardcast::units::{Extent, KIB, MIB};

use crate::client::Manner;
use crate::content::{self, Place, Planned};
use crate::library::Action;
use crate::random::Random;
use crate::request::{Asked, Request};
use crate::run::{Run, Setup};
use crate::world::{MS, Profile, SECOND, World};

/// Runs a seed to its end.
pub fn run(seed: u64) {
    let mut random = Random::new(seed);
    let calm = seed.is_multiple_of(4);
    let profile = profile(&mut random, calm);
    let setup = setup(&mut random, seed, calm);
    let mut world = World::new(random.next(), profile);
    if !calm {
        world.library.failing = random.pick(&[0, 0, 100, 500]);
        world.library.silent = random.pick(&[0, 0, 100]);
    }
    world.library.latency = random.pick(&[0, MS, if calm { 50 * MS } else { 3 * SECOND }]);
    if setup.waits_to_accept {
        world.plan(random.below(1_000), Action::Accept);
    }
    let mut plan = Plan { random, calm, paths: Vec::new(), growing: Vec::new(), next_id: 1 };
    plan.sources(&mut world);
    plan.growing(&mut world);
    plan.trouble(&mut world);
    plan.clients(&mut world);
    let mut run = Run::new(world, &setup);
    run.until_clients_end();
    run.finish();
}

fn profile(random: &mut Random, calm: bool) -> Profile {
    let mut often = |most: u64| if random.chance(500) { 0 } else { random.below(most + 1) };
    let mut profile = Profile {
        short: often(400),
        spurious: often(200),
        cold: often(1000),
        evicted: often(300),
        copied: often(1000),
        lost: often(200),
        ..Profile::calm()
    };
    profile.calm = calm;
    profile.buffers = random.pick(&[1, 2, 8, 64, 256]);
    profile.latency = random.pick(&[0, MS, 20 * MS]);
    if calm {
        profile.evicted = 0;
    } else {
        profile.fail = random.pick(&[0, 0, 1, 5, 30]);
        profile.exhausted = random.pick(&[0, 0, 50]);
        profile.jumps = random.pick(&[0, 1]);
        profile.latency = random.pick(&[0, MS, 200 * MS]);
    }
    profile
}

fn setup(random: &mut Random, seed: u64, calm: bool) -> Setup {
    let mut setup = Setup::new(seed);
    setup.backend = random.pick(&[Backend::Sendfile, Backend::SendZeroCopy]);
    setup.sources_max = random.pick(&[8, 1000]);
    setup.connections_max = random.pick(&[2, 1000]);
    setup.limits.cache_memory = random.pick(&[0, 100 * KIB, 256 * MIB]);
    setup.limits.folder_memory = random.pick(&[10 * KIB, 256 * MIB]);
    setup.waits_to_accept = random.chance(300);
    if !calm {
        setup.queue = random.pick(&[1, 64]);
    }
    // In some runs all clients are proxies that may say more, and say nothing.
    if random.chance(150) {
        let all = ["127.0.0.0/8".parse().expect("a network")];
        setup.door.trusted = Arc::new(Networks::of(all));
    }
    setup
}

/// A path that can be asked for, and what is below it.
#[derive(Clone, Debug)]
struct Asset {
    path: String,
    inside: Vec<String>,
    versions: Vec<SourceId>,
    gzip: bool,
}

/// The plan of a run.
struct Plan {
    random: Random,
    calm: bool,
    paths: Vec<Asset>,
    growing: Vec<String>,
    next_id: u64,
}

const SMALL: [u64; 9] = [0, 1, 100, 2048, 4095, 4096, 30_000, 32 * 1024, 32 * 1024 + 1];
const LARGE: [u64; 6] = [40_000, 65_536, 524_288, 524_289, 1_500_000, 5_000_000];

impl Plan {
    fn id(&mut self) -> SourceId {
        self.next_id += 1;
        SourceId(self.next_id)
    }

    fn size(&mut self) -> u64 {
        if self.random.chance(600) { self.random.pick(&SMALL) } else { self.random.pick(&LARGE) }
    }

    fn place(&mut self) -> Place {
        self.random.pick(&[Place::File, Place::Mapped])
    }

    fn sources(&mut self, world: &mut World) {
        for number in 0..self.random.between(1, 12) {
            let path = format!("films/{number}");
            let inside: Vec<String> = (0..self.random.between(1, 6)).map(name_of).collect();
            let mut versions = Vec::new();
            let count = if self.random.chance(200) { 2 } else { 1 };
            for version in 0..count {
                let source = self.pack(&path, &inside);
                let id = world.add_source(source);
                let at = if version == 0 { self.random.pick(&[0, 0, 50]) } else { self.when() };
                world.plan(at, Action::List(id));
                versions.push(id);
            }
            if self.random.chance(100) {
                let at = self.when();
                world.plan(at, Action::Remove(path.clone()));
            }
            self.paths.push(Asset { path, inside, versions, gzip: true });
        }
        for number in 0..self.random.below(6) {
            self.folder_file(number, world);
        }
    }

    fn pack(&mut self, path: &str, inside: &[String]) -> content::SourceModel {
        let (id, place) = (self.id(), self.place());
        let mut planned: Vec<Planned<'_>> = Vec::new();
        for name in inside {
            let size = self.size();
            let gzip = name.ends_with("m3u8").then(|| size / 3 + 20);
            planned.push((name, size, gzip));
        }
        content::pack(id, path, &planned, place)
    }

    /// A file that is written again and again.
    fn folder_file(&mut self, number: u64, world: &mut World) {
        let large = self.random.chance(300);
        let path = format!("live/{number}.{}", if large { "mp4" } else { "m3u8" });
        let mut versions = Vec::new();
        for version in 0..self.random.between(1, 4) {
            let (id, size) = (self.id(), self.random.between(1, 60_000));
            let source = if large {
                let place = self.place();
                content::file(id, &path, size * 50, None, place)
            } else {
                content::file(id, &path, size, Some(size / 2 + 1), Place::Heap)
            };
            world.add_source(source);
            versions.push(id);
            let at = if version == 0 { 0 } else { self.when() };
            if version > 0 && !self.calm && self.random.chance(300) {
                world.plan(at, Action::Tear(path.clone()));
            }
            let list = if large { Action::List(id) } else { Action::ListOpen(id) };
            world.plan(at, list);
        }
        self.paths.push(Asset { path, inside: vec![String::new()], versions, gzip: !large });
    }

    /// Some moment of the run, in milliseconds.
    fn when(&mut self) -> u64 {
        let end = self.random.pick(&[100, 2_000, 20_000]);
        self.random.below(end)
    }

    fn growing(&mut self, world: &mut World) {
        for number in 0..self.random.below(4) {
            let path = format!("/tv/news/v/{number}.m4s");
            let id = GrowingId(number);
            let mut at = self.when();
            if self.random.chance(500) {
                let before = if self.calm { 4_000 } else { 15_000 };
                let begun = at + self.random.below(before);
                world.plan(at, Action::Expect(path.clone()));
                at = begun;
            }
            world.plan(at, Action::Begin(id, path.clone()));
            for _ in 0..self.random.below(12) {
                at += self.random.below(1_000);
                let piece = self.id();
                let size = self.size();
                let place = if size < 100_000 { Place::Heap } else { Place::File };
                let source = content::piece(piece, size, place);
                world.add_source(source);
                world.plan(at, Action::Append(id, piece));
            }
            at += self.random.below(1_000);
            let aborts = !self.calm && self.random.chance(300);
            world.plan(at, if aborts { Action::Abort(id) } else { Action::End(id) });
            self.growing.push(path);
        }
    }

    fn trouble(&mut self, world: &mut World) {
        for _ in 0..self.random.below(4) {
            let at = self.when();
            world.plan(at, Action::Evict);
        }
        if self.random.chance(200) {
            let limits = Limits { cache_memory: 50 * KIB, ..Limits::default() };
            let at = self.when();
            world.plan(at, Action::Limits(limits));
        }
        if self.calm {
            return;
        }
        for asset in self.paths.clone() {
            let source = self.random.pick(&asset.versions);
            let at = self.when();
            let size = world.sources[&source].size;
            match self.random.below(20) {
                0 => world.plan(at, Action::Cut(source, self.random.below(size + 1))),
                1 => world.plan(at, Action::Break(source)),
                _ => {}
            }
        }
        if world.profile.jumps > 0 {
            for _ in 0..3 {
                let (at, seconds) = (self.when(), self.random.pick(&[-86_400, 86_400, -1, 3]));
                world.plan(at, Action::Jump(seconds));
            }
        }
        let at = self.when();
        match self.random.below(10) {
            0 => world.plan(at, Action::Drain(self.random.pick(&[0, 500, 5_000, 30_000]))),
            1 => world.plan(at, Action::Stop),
            _ => {}
        }
    }

    fn clients(&mut self, world: &mut World) {
        for _ in 0..self.random.between(1, 25) {
            let manner = self.manner();
            let count = self.random.between(1, 12);
            let slow = manner.write_gap > 0;
            let script = (0..count).map(|_| self.request(slow)).collect();
            let at = self.when();
            world.add_client(at * MS, manner, script);
        }
    }

    fn manner(&mut self) -> Manner {
        let random = &mut self.random;
        let mut manner = Manner {
            pipeline: random.pick(&[1, 1, 2, 20]),
            capacity: random.pick(&[4 * KIB, 64 * KIB, 256 * KIB, 4 * MIB]) as u64,
            half_closes: random.chance(200),
            stays: random.chance(100),
            pause: random.pick(&[0, 0, 0, 20 * MS, 6 * SECOND]),
            ..Manner::default()
        };
        if random.chance(300) {
            // At least 64 KiB a second, as good clients do.
            manner.read_size = random.pick(&[16 * KIB, 128 * KIB, MIB]) as u64;
            let size = manner.read_size.min(manner.capacity);
            manner.read_gap = random.below(size * SECOND / (64 * KIB as u64));
        }
        if random.chance(200) {
            manner.write_size = random.between(1, 30);
            manner.write_gap = manner.write_size * random.below(10) * MS;
        }
        if !self.calm {
            match random.below(12) {
                0 => manner.resets_after = Some(random.pick(&[0, 1, 100, 5_000, 300_000])),
                1 => {
                    // Too slow a reader.
                    (manner.read_size, manner.read_gap) = (8 * KIB as u64, SECOND);
                    manner.may_be_cut = true;
                }
                2 => {
                    // Too slow a writer.
                    (manner.write_size, manner.write_gap) = (1, 500 * MS);
                    manner.may_be_cut = true;
                }
                3 => manner.leaves_after = Some(random.below(5) * random.below(SECOND)),
                4 => (manner.pause, manner.may_be_cut) = (74 * SECOND, true),
                _ => {}
            }
        }
        manner
    }

    fn request(&mut self, slow: bool) -> Request {
        let asset = self.paths[self.random.below(self.paths.len() as u64) as usize].clone();
        let inside = asset.inside[self.random.below(asset.inside.len() as u64) as usize].clone();
        let mut request = Request::get(&asset.path, &inside);
        match self.random.below(100) {
            0..50 => {}
            50..55 => request.head_only = true,
            55..65 => request.gzip = asset.gzip,
            65..75 => request.ranges = self.ranges(),
            75..80 => {
                let object = asset.inside.iter().position(|name| *name == inside).unwrap();
                let source = self.random.pick(&asset.versions);
                request.known = Some((source, object, false));
            }
            80..82 => request.http10 = true,
            82..84 => request.closes = true,
            84..90 if !self.growing.is_empty() => {
                let growing = self.random.below(self.growing.len() as u64) as usize;
                request = Request::growing(&self.growing[growing]);
                request.http10 = self.random.chance(200);
                request.head_only = self.random.chance(100);
            }
            90..94 => request = self.question(slow),
            94 => request = Request::get("nowhere", "at-all.ts"),
            95 => request = Request::fixed("GET /healthz HTTP/1.1\r\nHost: tv\r\n\r\n", 200),
            96 => request = Request::fixed("OPTIONS * HTTP/1.1\r\nHost: tv\r\n\r\n", 204),
            97 => request = Request::fixed("GET /vod/a HTTP/1.1\r\n\r\n", 400),
            98 => request = Request::fixed("BREW / HTTP/1.1\r\nHost: tv\r\n\r\n", 405),
            _ => {}
        }
        request
    }

    fn ranges(&mut self) -> Vec<Asked> {
        let count = self.random.pick(&[1, 1, 1, 2, 4]);
        let mut ranges = Vec::new();
        for number in 0..count {
            let first = number * 50_000 + self.random.below(40_000);
            ranges.push(match self.random.below(10) {
                0 => Asked::Last(self.random.below(60_000)),
                1 => Asked::From(first),
                _ => Asked::Between(first, first + self.random.below(9_000)),
            });
        }
        ranges
    }

    fn question(&mut self, slow: bool) -> Request {
        let SourceId(number) = self.id();
        let late = [Some(0), Some(100), Some(2_000), Some(12_000), None];
        let ms = if self.calm { self.random.pick(&late[..3]) } else { self.random.pick(&late) };
        let size = self.random.pick(&[0, 10, 5_000, 300_000]);
        let sizes = [0, 0, 1, 300, 20_000];
        let body_size = self.random.pick(if slow { &sizes[..4] } else { &sizes });
        let body = content::bytes_of(SourceId(number), Extent { offset: 7, size: body_size });
        Request::ask(number, size, ms, body, self.random.chance(500))
    }
}

fn name_of(number: u64) -> String {
    match number {
        0 => "master.m3u8".to_owned(),
        1 => "v/init.mp4".to_owned(),
        number => format!("v/{number}.m4s"),
    }
}
