//! Who is asked besides, and where addresses are: opened on the thread that reads the config, and
//! followed by the control thread.

use std::sync::Arc;

use tokio::sync::watch;

use super::geo::Geo;
use super::hook::client::Endpoint;
use super::post::Post;
use super::sessions::Desk;
use crate::config;
use crate::messages::Update;

/// What the config names, opened.
#[derive(Clone, Default)]
pub struct Outside {
    endpoint: Option<Arc<Endpoint>>,
    geo: Arc<Geo>,
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outside")
    }
}

impl Outside {
    /// Opens what the config names: secrets, certificates, MMDB files.
    ///
    /// # Errors
    ///
    /// For each file that is wrong the key that names it, and why.
    pub fn open(config: &config::Outside) -> Result<Self, Vec<(&'static str, String)>> {
        let endpoint = Endpoint::open(&config.hook).map(|found| found.map(Arc::new));
        let geo = Geo::open(&config.geo).map(Arc::new);
        match (endpoint, geo) {
            (Ok(endpoint), Ok(geo)) => Ok(Self { endpoint, geo }),
            (endpoint, geo) => {
                let of_geo = geo.err().map(|wrong| (wrong.key, wrong.why));
                Err(endpoint.err().into_iter().chain(of_geo).collect())
            }
        }
    }

    /// From now on this is what holds.
    pub(super) fn hold(&self, desk: &Desk, post: &Post) {
        desk.outside.take(Arc::clone(&self.geo));
        if desk.outside.hook.take(self.endpoint.clone()) {
            let asking = desk.outside.hook.asking();
            post.tell(|| Update::Asking(asking));
        }
    }
}

/// Takes what is opened anew, until the end.
pub(super) async fn follow(mut others: watch::Receiver<Outside>, desk: Arc<Desk>, post: Arc<Post>) {
    while others.changed().await.is_ok() {
        let newest = others.borrow_and_update().clone();
        newest.hold(&desk, &post);
    }
}
