//! Before every route of the port: who asks, and whether they may.
//!
//! The order is that of what it costs: the name by which the port was called, whether the request
//! is of a page of somebody else's, who asks, what they may, and whether a person has given the
//! password a short time ago. A route that `scope::ROUTES` does not have is answered to nobody.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::Next;
use serde_json::json;

use super::people::{self, Admin, ApiKey};
use super::scope::{self, Needs, Scope};
use super::{Office, api_keys, event, wire};
use crate::control::actor::{Actor, Peer};
use crate::control::admin::Shared;
use crate::control::problem::{problem, problem_with};
use crate::control::registry::Busy;
use crate::control::tokens::{busy, failed, nowhere};

/// What whoever is signed in brings along, for what concerns the own session.
#[derive(Clone)]
pub struct Person {
    /// Who.
    pub user: String,
    /// By which session.
    pub id: String,
}

/// Who asks.
struct Caller {
    actor: Actor,
    scopes: Vec<Scope>,
    /// The session, if it is one of a person.
    person: Option<(Person, Standing)>,
}

/// How a session stands.
struct Standing {
    is_fresh: bool,
    has_token: bool,
}

/// A refusal, as it is answered.
type Problem = Box<Response<Body>>;

fn refused(status: StatusCode, why: &str) -> Problem {
    Box::new(problem(status, why))
}

/// Lets a request through, or answers it.
pub async fn gate(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    match entered(&office, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(problem) => *problem,
    }
}

/// The address at the other end. What comes by the socket is not asked for it.
pub fn address(peer: Option<&Peer>) -> IpAddr {
    match peer {
        Some(Peer::Network(address)) => address.ip(),
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

async fn entered(office: &Arc<Office>, request: &mut Request) -> Result<(), Problem> {
    let address = address(request.extensions().get());
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let Some(needs) = scope::needs(request.method(), route) else {
        // Which methods there are axum says by itself, where there is no handler.
        return Err(match scope::ROUTES.iter().any(|(_, path, _)| *path == route) {
            true => refused(StatusCode::METHOD_NOT_ALLOWED, "another method is answered here"),
            false => refused(StatusCode::FORBIDDEN, "this is answered to nobody on the port"),
        });
    };
    called(office, request, address)?;
    if needs == Needs::Nothing {
        return Ok(());
    }
    let caller = caller(office, request.headers(), address).await?;
    allowed(&caller, needs, request, address)?;
    let extensions = request.extensions_mut();
    extensions.insert(caller.actor);
    if let Some((person, _)) = caller.person {
        extensions.insert(person);
    }
    Ok(())
}

/// Whether it was called by a name of its own, from where nobody reads along, and by no page of
/// somebody else's.
fn called(office: &Office, request: &Request, address: IpAddr) -> Result<(), Problem> {
    let headers = request.headers();
    if !wire::is_host_known(&office.rules, headers) {
        suspicious(office, "host-refused", address);
        let why = "Host: the admin port is not called so (write the name into admin.hosts)";
        return Err(refused(StatusCode::MISDIRECTED_REQUEST, why));
    }
    if wire::may_be_read(&office.rules, address) {
        let why = "nobody signs in from elsewhere without TLS: write admin.tls, or come by \
                   loopback (ssh -L)";
        return Err(refused(StatusCode::FORBIDDEN, why));
    }
    if is_unsafe(request.method()) && wire::is_foreign(headers) {
        suspicious(office, "origin-refused", address);
        return Err(refused(StatusCode::FORBIDDEN, "Origin: this comes of a page elsewhere"));
    }
    Ok(())
}

/// Tells of a request that is no operator's.
fn suspicious(office: &Office, what: &'static str, address: IpAddr) {
    let is_told = office.backoff().is_told(address, office.ticks());
    if is_told {
        event(what, "", address, "not of an operator");
    }
}

fn is_unsafe(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

async fn caller(
    office: &Arc<Office>,
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<Caller, Problem> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        return by_key(office, value, address).await;
    }
    let nobody = || Box::new(wire::unknown("sign in, or send a key of the API"));
    let id = wire::session_id(&office.rules, headers).ok_or_else(nobody)?.to_owned();
    let now = office.ticks();
    let session = office.signed_in().found(&id, now).cloned().ok_or_else(nobody)?;
    let user = session.user.clone();
    let found = office.registry.ask(move |store| people::one::<Admin>(store, &user)).await;
    let found = found.map_err(|Busy| Box::new(busy()))?.map_err(|why| Box::new(failed(&why)))?;
    let still = found.filter(|admin| admin.is.enabled && admin.is.stamp == session.stamp);
    let Some(admin) = still else {
        office.signed_in().end(&id);
        return Err(nobody());
    };
    let token = headers.get("x-csrf-token").map_or(&b""[..], HeaderValue::as_bytes);
    let standing = Standing { is_fresh: session.is_fresh(now), has_token: session.is_token(token) };
    let person = Person { user: admin.id.clone(), id };
    let scopes = admin.is.role.scopes().to_vec();
    Ok(Caller { actor: Actor::Operator(admin.id), scopes, person: Some((person, standing)) })
}

async fn by_key(
    office: &Arc<Office>,
    value: &HeaderValue,
    address: IpAddr,
) -> Result<Caller, Problem> {
    let shown = office.backoff().may_show_a_key(address, office.ticks());
    shown.map_err(|wait| Box::new(wire::wait(wait)))?;
    let unknown = |reason: &str, id: &str| {
        office.backoff().unknown_key(address, office.ticks());
        event("key-refused", id, address, reason);
        Box::new(wire::unknown("this is no key of the API that is good here"))
    };
    let Some((id, secret)) = api_keys::parsed(value) else { return Err(unknown("no key", "")) };
    let (wanted, secret) = (id.to_owned(), secret.to_owned());
    let found = office.registry.ask(move |store| people::one::<ApiKey>(store, &wanted)).await;
    let found = found.map_err(|Busy| Box::new(busy()))?.map_err(|why| Box::new(failed(&why)))?;
    let Some(key) = found else { return Err(unknown("unknown", id)) };
    api_keys::is_good(&key.is, &secret, address, crate::control::tokens::now())
        .map_err(|why| unknown(why, id))?;
    Ok(Caller { actor: Actor::Key(key.id), scopes: key.is.scopes, person: None })
}

/// Whether this caller may do that.
fn allowed(
    caller: &Caller,
    needs: Needs,
    request: &Request,
    address: IpAddr,
) -> Result<(), Problem> {
    if let Some((_, standing)) = &caller.person
        && is_unsafe(request.method())
        && !standing.has_token
    {
        event("csrf-refused", &caller.actor.to_string(), address, "no token of the session");
        let why = "X-CSRF-Token: it is missing, or not this session's";
        return Err(refused(StatusCode::FORBIDDEN, why));
    }
    if needs.is_personal() && caller.person.is_none() {
        return Err(refused(StatusCode::FORBIDDEN, "this is for people, not for keys of the API"));
    }
    if let Some(scope) = needs.scope(request.uri().path())
        && !scope.is_in(&caller.scopes)
    {
        event("scope-refused", &caller.actor.to_string(), address, scope.word());
        let why = format!("this takes the scope {}", scope.word());
        return Err(refused(StatusCode::FORBIDDEN, &why));
    }
    let is_stale = caller.person.as_ref().is_some_and(|(_, standing)| !standing.is_fresh);
    if needs.is_fresh() && is_stale {
        let why = "this takes the password again: POST /api/v1/step-up, and then try again";
        let besides = json!({ "step_up_required": true });
        return Err(Box::new(problem_with(StatusCode::FORBIDDEN, why, &besides)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::scope::Role;
    use super::*;

    /// What a request of somebody is answered; 200 if it goes on.
    #[track_caller]
    fn check(
        (role, standing): (Role, Option<(bool, bool)>),
        needs: Needs,
        method: Method,
        expected: &str,
    ) {
        let actor = Actor::Operator("olga".to_owned());
        let person = standing.map(|(is_fresh, has_token)| {
            let person = Person { user: "olga".to_owned(), id: String::new() };
            (person, Standing { is_fresh, has_token })
        });
        let caller = Caller { actor, scopes: role.scopes().to_vec(), person };
        let request = Request::builder().method(method).uri("/api/v1/plans").body(Body::empty());
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let answer = allowed(&caller, needs, &request.unwrap(), address);
        let answer = answer.map_or_else(
            |problem| {
                let body = axum::body::to_bytes(problem.into_body(), 4096);
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                String::from_utf8(runtime.block_on(body).unwrap().to_vec()).unwrap()
            },
            |()| "200".to_owned(),
        );
        assert!(answer.contains(expected), "{answer}");
    }

    #[test]
    fn what_is_dangerous_takes_a_password_of_the_last_five_minutes() {
        let rotate = Needs::Fresh(Scope::WriteKeys);
        let fresh = (Role::Owner, Some((true, true)));
        let stale = (Role::Owner, Some((false, true)));
        check(fresh, rotate, Method::POST, "200");
        check(stale, rotate, Method::POST, "\"step_up_required\":true");
        check(stale, Needs::FreshPerson, Method::POST, "\"step_up_required\":true");
        check(stale, Needs::Scope(Scope::Read), Method::GET, "200");
        check(stale, Needs::Write, Method::POST, "200");
        check(stale, Needs::Person, Method::POST, "200");
        // A key has no password; what it may is what its scopes say.
        check((Role::Owner, None), rotate, Method::POST, "200");
        check((Role::Owner, None), Needs::FreshPerson, Method::POST, "for people");
    }

    #[test]
    fn what_changes_something_takes_the_token_of_its_session_and_the_scope() {
        let with = (Role::Viewer, Some((true, true)));
        let without = (Role::Viewer, Some((true, false)));
        check(without, Needs::Scope(Scope::Read), Method::GET, "200");
        check(without, Needs::Person, Method::POST, "X-CSRF-Token");
        check(without, Needs::Scope(Scope::Read), Method::DELETE, "X-CSRF-Token");
        check(with, Needs::Person, Method::POST, "200");
        check(with, Needs::Write, Method::POST, "the scope content:write");
        check((Role::Viewer, None), Needs::Write, Method::POST, "the scope content:write");
        check((Role::Operator, None), Needs::Write, Method::POST, "200");
    }
}
