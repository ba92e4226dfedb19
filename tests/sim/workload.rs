//! What happens in the run of a seed: who comes, what is asked, what goes wrong.

use shardcast::messages::SourceId;

use crate::client::Manner;
use crate::content::{self, Place};
use crate::library::Action;
use crate::request::Request;
use crate::run::{Run, Setup};
use crate::world::{MS, Profile, World};

/// Runs a seed to its end.
pub fn run(seed: u64) {
    let mut world = World::new(seed, Profile::calm());
    let sizes = [0, 1, 2048, 4096, 32 * 1024, 32 * 1024 + 1, 100_000, 4 << 20];
    let names: Vec<String> = (0..sizes.len()).map(|number| format!("v/{number}.m4s")).collect();
    let planned: Vec<content::Planned<'_>> =
        names.iter().zip(sizes).map(|(name, size)| (name.as_str(), size, None)).collect();
    let pack = content::pack(SourceId(1), "films/a", &planned, Place::File);
    let pack = world.add_source(pack);
    world.plan(0, Action::List(pack));
    for number in 0..20 {
        let requests = (0..10)
            .map(|_| {
                let name = world.random.below(names.len() as u64) as usize;
                Request::get("films/a", &names[name])
            })
            .collect();
        world.add_client((5 + number) * MS, Manner::default(), requests);
    }
    let setup = Setup::new(seed);
    let mut run = Run::new(world, &setup);
    run.until_clients_end();
    run.finish();
}
