//! One request, from the bytes of its head to the plan of its response.
//!
//! ```text
//! bytes → parse → route → authorise → locate → terms → lease → plan → (the driver's operations)
//!                       or sign_in
//! ```
//!
//! Every step is a pure function in a file of its own name; each gives a value that the next one
//! needs. A `Refusal` becomes a `Plan` too, so success and failure leave through one door. Nothing
//! here allocates, and nothing knows a clock, a file or a socket.

pub mod parse;
pub mod route;
pub mod start;
pub mod authorise;
pub mod sign_in;
pub mod opening;
pub mod locate;
pub mod terms;
pub mod lease;
pub mod stranger;
pub mod plan;
pub mod refusal;
pub mod slate;
pub mod exchange;

pub mod body;
pub mod conditions;
pub mod head;
pub mod range;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(any(test, fuzzing))]
pub mod fuzz;

use std::net::IpAddr;

use crate::catalog::Catalog;
use crate::config::{Access, TARGET_SIZE_MAX};
use crate::guard::Bans;
use crate::live::slate::Shown;
use crate::live::slate::text::Reader;
use crate::units::Now;
use crate::viewer::foreign::carrier::Watched;
use crate::viewer::sign_ins::Said;
use crate::viewer::{Apps, Keys, Known, Permit, Rights, Terms};

use self::lease::Leased;
use self::locate::Located;
use self::plan::Plan;
use self::refusal::Refusal;
use self::route::Target;
use self::sign_in::{Signed, SignedIn};
use self::start::{Form, Start};

/// What the steps look at besides the request: all of it is the shard's own.
#[derive(Clone, Copy)]
pub struct View<'v> {
    /// What this shard knows of objects.
    pub catalog: &'v Catalog,
    /// What tokens are signed with.
    pub keys: &'v Keys,
    /// What subscribers may have.
    pub rights: &'v Rights,
    /// What apps sign in with, and start.
    pub apps: &'v Apps,
    /// Where tokens of others are carried.
    pub foreign: &'v Watched,
    /// Who is banned.
    pub bans: &'v Bans,
    /// What refused viewers see.
    pub slates: &'v Shown,
    /// Where the request comes from. Few need to know, and it takes a system call.
    pub peer: &'v dyn Fn() -> Option<IpAddr>,
    /// How long and to whom answers may be sent.
    pub now: Now,
}

/// What is to be done about a request.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Send this.
    Respond(Plan),
    /// Nothing can be said yet: wait here, by this right.
    Wait(locate::Place, Permit),
    /// Only control can say.
    Ask {
        /// How the request's body comes.
        framing: parse::BodyFraming,
        /// Who may have what is asked for.
        access: Access,
        /// On what terms this viewer may.
        terms: Terms,
    },
    /// Only control can say whether somebody is let in who says this.
    SignIn {
        /// How the request's body comes.
        framing: parse::BodyFraming,
        /// What is said.
        said: Said,
    },
}

/// Answers one request. Every line is a step, every step has a file of its own name. `known`
/// spares the work of verifying a token again, and says which sessions may go on.
///
/// # Errors
///
/// A `Refusal`, which `plan::refusal` turns into a response.
pub fn steps(
    request: &parse::Request<'_>,
    view: &View<'_>,
    known: &mut Known,
    scratch: &mut [u8; TARGET_SIZE_MAX],
) -> Result<Step, Refusal> {
    let met = |refusal| stranger::refused(refusal, view);
    let target = route::target(request, scratch).map_err(met)?;
    if let Target::Start(start) = &target {
        return started(start, &target, request, view, known);
    }
    let grant = authorise::grant(&target, request.agent, view, &mut known.recent).map_err(met)?;
    if let Some(index) = slate::that_goes_on(&target, view) {
        return Ok(Step::Respond(plan::slate(request, index, Reader::Opened)));
    }
    slate::on_air(&target, &grant, view, &mut known.recent)?;
    let located = locate::located(&target, &grant, view.catalog)?;
    let needs = terms::met(&target, &located, &grant, view, &mut known.recent)?;
    let permit = match lease::leased(&target, &located, (&grant, request.agent), view, known)? {
        Leased::Goes(permit) => permit.needing(needs),
        Leased::NotYet(place, permit) => return Ok(Step::Wait(place, permit.needing(needs))),
    };
    let plan = match located {
        Located::Object(object) => plan::response(request, &object),
        Located::Growing(growing) => plan::growing(request, &growing),
        Located::Fixed(fixed) => plan::fixed(request, fixed, view.now),
        Located::Moved(name) => plan::moved(request, name),
        Located::NotYet(place) => return Ok(Step::Wait(place, permit)),
        Located::Ask(access) => {
            stranger::may_ask(&target, view)?;
            return Ok(Step::Ask { framing: request.body, access, terms: grant.terms() });
        }
        Located::Beyond => return Err(Refusal::Bitrate),
    };
    let segment = lease::segment(&target, &located, &grant, view).filter(|_| plan.is_whole());
    let played = terms::played(&located);
    Ok(Step::Respond(Plan { permit, segment, played, ..plan }))
}

/// Answers one request by which an app starts something: as with a token, of what its number
/// stands for, in place wherever that is one object.
fn started(
    start: &Start<'_>,
    asked: &Target<'_>,
    request: &parse::Request<'_>,
    view: &View<'_>,
    known: &mut Known,
) -> Result<Step, Refusal> {
    let ask = |said| {
        stranger::may_ask(asked, view)?;
        Ok(Step::SignIn { framing: request.body, said })
    };
    let signed = match sign_in::signed_in(start, request.agent, view, known)? {
        SignedIn::In(signed) => signed,
        SignedIn::Ask(said) => return ask(said),
    };
    let Signed { target, grant, begun, said, .. } = signed;
    slate::on_air(&target, &grant, view, &mut known.recent)?;
    let Some(located) = in_place(&signed, view)? else {
        return Ok(Step::Respond(plan::start(request, begun, None)));
    };
    let needs = terms::met(&target, &located, &grant, view, &mut known.recent)?;
    let with = (&grant, request.agent);
    if known.leases.asks_logins()
        && !known.sign_ins.is_let_in(&said, view.now.ticks)
        && !lease::goes_on(&target, &located, with, view, known)
    {
        return ask(said);
    }
    let permit = match lease::leased(&target, &located, with, view, known)? {
        Leased::Goes(permit) => permit.needing(needs),
        Leased::NotYet(place, permit) => return Ok(Step::Wait(place, permit.needing(needs))),
    };
    let plan = match located {
        Located::Object(object) if begun.form == Form::Playlist && start.is_live() => {
            plan::start(request, begun, Some((object.key, object.entry.identity)))
        }
        Located::Object(object) => plan::response(request, &object),
        Located::Growing(growing) => plan::growing(request, &growing),
        Located::NotYet(place) => return Ok(Step::Wait(place, permit)),
        Located::Beyond => return Err(Refusal::Bitrate),
        Located::Ask(_) | Located::Moved(_) | Located::Fixed(_) => {
            plan::start(request, begun, None)
        }
    };
    Ok(Step::Respond(Plan { permit, ..plan }))
}

/// What an app starts, where it can be sent in place; none = it is redirected to what is a path of
/// its own: a playlist of a film, and what control writes.
fn in_place<'v>(signed: &Signed<'v>, view: &View<'v>) -> Result<Option<Located<'v>>, Refusal> {
    let Signed { target, grant, begun, played, .. } = signed;
    let located = |target: &Target<'_>| locate::located(target, grant, view.catalog);
    let Target::Vod { .. } = target else {
        return located(target).map(|found| match found {
            Located::Ask(_) | Located::Moved(_) => None,
            found => Some(found),
        });
    };
    let has_playlist = || {
        let path = played.master().strip_prefix("/vod/").unwrap_or_default();
        located(&Target::Vod { path, token: None }).is_ok()
    };
    if begun.form == Form::Playlist && has_playlist() {
        return Ok(None);
    }
    match located(target) {
        Err(Refusal::NotFound) if has_playlist() => Ok(None),
        found => found.map(Some),
    }
}
