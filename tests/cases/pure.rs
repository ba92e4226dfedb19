//! The conversation without a socket: the steps of a request, called as the driver calls them.

use std::sync::Arc;

use shardcast::catalog::{Capacity, Catalog};
use shardcast::config::{Access, RESPONSE_HEAD_SIZE_MAX, TARGET_SIZE_MAX};
use shardcast::guard::Bans;
use shardcast::live::slate::Shown;
use shardcast::messages::{Change, Index, Listing, Opened, Payload, Single, SourceId, SourceKind};
use shardcast::pack::index::PackIndex;
use shardcast::request::body::Receiving;
use shardcast::request::head::{self, Common};
use shardcast::request::plan::{Connection, Content, Part, Plan};
use shardcast::request::{Step, View, parse, plan, steps};
use shardcast::units::{Class, ETag, Extent, Now, UnixTime, Variant, media_type};
use shardcast::viewer::foreign::carrier::Watched;
use shardcast::viewer::{Apps, Keys, Known, Rights};

use crate::fixture::{self, Library};
use crate::wire::Wire;

/// What a shard would know of the library.
pub fn catalog(library: &Library) -> Catalog {
    let mut catalog = Catalog::new(Capacity { sources: 100, heap_bytes: usize::MAX });
    let pack = std::fs::read(library.root().join("films/a.pack")).expect("it was packed");
    let index = Index::Pack(PackIndex::of_bytes(&pack).expect("a good pack"));
    let pack =
        Opened { source: SourceId(0), index, payload: Payload::Heap(pack.into()), beside: None };
    let mut listings = vec![present("films/a", SourceKind::Pack, pack)];
    for (number, (path, bytes)) in (1..).zip(fixture::plain()) {
        let size = bytes.len() as u64;
        let single = Single {
            media_type: media_type(path),
            class: Class::of(path),
            modified: UnixTime(fixture::MODIFIED),
            identity: Variant { extent: Extent { offset: 0, size }, etag: ETag::of(&bytes) },
            gzip: None,
            narrowed: Box::default(),
            rung: Default::default(),
        };
        let payload = Payload::Heap(bytes.into());
        let opened = Opened {
            source: SourceId(number),
            index: Index::Single(single),
            payload,
            beside: None,
        };
        listings.push(present(&format!("plain/{path}"), SourceKind::File, opened));
    }
    catalog.list(&listings, &mut Vec::new());
    catalog
}

fn present(path: &str, kind: SourceKind, opened: Opened) -> Listing {
    let source = opened.source;
    let opened = Some(Arc::new(opened));
    let change = Change::Present { source, kind, access: Access::Open, opened };
    Listing { path: path.into(), change }
}

/// One connection.
pub struct Pure<'c> {
    catalog: &'c Catalog,
    common: Common,
    received: Vec<u8>,
    receiving: Option<(Receiving, Connection)>,
    sent: Vec<u8>,
    closed: bool,
}

impl<'c> Pure<'c> {
    pub fn new(catalog: &'c Catalog) -> Self {
        Self {
            catalog,
            common: Common::new("*"),
            received: Vec::new(),
            receiving: None,
            sent: Vec::new(),
            closed: false,
        }
    }

    /// Answers what is complete.
    fn advance(&mut self) {
        while !self.closed {
            if self.receiving.is_some() {
                if !self.take_body() {
                    return;
                }
                continue;
            }
            let received = std::mem::take(&mut self.received);
            let (plan, size) = match parse::request(&received) {
                Ok(None) => {
                    self.received = received;
                    return;
                }
                Ok(Some(request)) => (self.planned(&request, received.len()), request.size),
                Err(refusal) => (Some(plan::unreadable(refusal)), received.len()),
            };
            self.received = received[size..].to_vec();
            if let Some(plan) = plan {
                self.respond(&plan);
            }
        }
    }

    /// What is to be sent; none = after the body.
    fn planned(&mut self, request: &parse::Request<'_>, received: usize) -> Option<Plan> {
        let (keys, rights, now) = (Keys::default(), Rights::default(), Now::default());
        let catalog = self.catalog;
        let (foreign, bans) = (&Watched::default(), &Bans::default());
        let (keys, rights, apps) = (&keys, &rights, &Apps::default());
        let slates = &Shown::default();
        let view = View { catalog, keys, rights, apps, foreign, bans, slates, peer: &|| None, now };
        match steps(request, &view, &mut Known::default(), &mut [0; TARGET_SIZE_MAX]) {
            Ok(Step::Respond(plan)) => Some(plan),
            Ok(Step::Wait(place, _)) => panic!("nothing is awaited here, but {place:?}"),
            Ok(Step::SignIn { .. }) => panic!("nobody signs in here"),
            Ok(Step::Ask { framing, .. }) => match Receiving::new(framing) {
                Ok(receiving) => {
                    if request.expects_continue && request.size == received {
                        self.sent.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                    }
                    let keep =
                        if request.keep_alive { Connection::KeepAlive } else { Connection::Close };
                    self.receiving = Some((receiving, keep));
                    None
                }
                Err(refusal) => Some(plan::refusal(request, refusal)),
            },
            Err(refusal) => Some(plan::refusal(request, refusal)),
        }
    }

    /// Takes the body; whether it is over, in one way or another.
    fn take_body(&mut self) -> bool {
        let Some((receiving, connection)) = &mut self.receiving else { return true };
        let connection = *connection;
        match receiving.take(&self.received) {
            Ok(progress) => {
                self.received.drain(..progress.used);
                if !progress.whole {
                    return false;
                }
                self.receiving = None;
                self.answer_of_control(connection);
            }
            Err(refusal) => {
                self.receiving = None;
                self.respond(&plan::unreadable(refusal));
            }
        }
        true
    }

    /// Control answers that there is nothing.
    fn answer_of_control(&mut self, connection: Connection) {
        let mut out = [0; RESPONSE_HEAD_SIZE_MAX];
        let date = head::date(UnixTime(fixture::MODIFIED));
        let size = head::write_answer(404, b"", 0, connection, &self.common, &date, &mut out);
        self.sent.extend_from_slice(&out[..size.expect("it is short")]);
        self.closed |= connection == Connection::Close;
    }

    fn respond(&mut self, plan: &Plan) {
        let object = match plan.content {
            Content::Object { key, .. } | Content::NotModified { key, .. } => {
                Some(self.catalog.entry(key))
            }
            _ => None,
        };
        let mut out = [0; RESPONSE_HEAD_SIZE_MAX];
        let date = head::date(UnixTime(fixture::MODIFIED));
        let written = head::write(plan, object.as_ref(), &self.common, &date, &mut out);
        self.sent.extend_from_slice(&out[..written.size]);
        if let Content::Object { key, variant, part, .. } = plan.content
            && plan.with_body
        {
            let Payload::Heap(payload) = &self.catalog.opened(key.source).payload else {
                panic!("everything is in memory here");
            };
            let start = usize::try_from(variant.extent.offset).expect("small");
            let size = usize::try_from(variant.extent.size).expect("small");
            let media_type = self.catalog.entry(key).media_type();
            self.sent.extend(body(&payload[start..start + size], &part, media_type));
        }
        self.closed |= plan.connection == Connection::Close;
    }
}

fn body(bytes: &[u8], part: &Part, media_type: &str) -> Vec<u8> {
    let slice = |first: u64, last: u64| &bytes[first as usize..=last as usize];
    match part {
        Part::Whole => bytes.to_vec(),
        Part::Range(range) => slice(range.first, range.last).to_vec(),
        Part::Ranges(ranges) => {
            let (mut body, mut out) = (Vec::new(), [0; RESPONSE_HEAD_SIZE_MAX]);
            for (index, range) in ranges.as_slice().iter().enumerate() {
                let size = bytes.len() as u64;
                let written = head::write_part(*range, size, media_type, index == 0, &mut out);
                body.extend_from_slice(&out[..written]);
                body.extend_from_slice(slice(range.first, range.last));
            }
            let written = head::write_end(&mut out);
            body.extend_from_slice(&out[..written]);
            body
        }
    }
}

impl Wire for Pure<'_> {
    fn send(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
        self.advance();
    }

    fn shut(&mut self) {
        self.closed = true;
    }

    fn more(&mut self) -> Vec<u8> {
        assert!(self.closed || !self.sent.is_empty(), "the server says nothing");
        std::mem::take(&mut self.sent)
    }
}
