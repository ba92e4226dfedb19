//! Whether ffmpeg can read for those channels that want it: the program, and what confines it.

use super::Finding;
use crate::config::Config;
use crate::sys::confine;

/// A finding or two, if a channel of this config has inputs.
pub fn findings(config: &Config) -> Vec<Finding> {
    let reads = config.channels.iter().filter(|channel| !channel.sources.inputs.list.is_empty());
    let count = reads.count();
    if count == 0 {
        return Vec::new();
    }
    let costs = format!("inputs are not read, of {count} channels");
    let program = match confine::program("ffmpeg") {
        Some(path) => Finding::good("ffmpeg", path.display().to_string()),
        None => Finding::good("ffmpeg", "not in the PATH")
            .costs(costs.clone(), "apt-get install ffmpeg"),
    };
    let confined = match confine::is_possible() {
        Ok(()) => Finding::good("landlock", "ffmpeg can be confined"),
        Err(why) => Finding::good("landlock", why)
            .costs(costs, "boot a kernel from 5.13 on with lsm=landlock,… in its command line"),
    };
    vec![program, confined]
}
