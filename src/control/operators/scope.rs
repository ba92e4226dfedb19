//! What an operator may do: roles of people, scopes of roles and keys, and what each route takes.
//!
//! One table says which route takes which scope. What is not in it is answered to nobody, and a
//! test walks the router to find such a route.

use axum::http::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One thing that may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum Scope {
    /// See how channels are.
    #[serde(rename = "channels:read")]
    ReadChannels,
    /// See everything but administrators and keys of the API.
    #[serde(rename = "read")]
    Read,
    /// Change subscribers.
    #[serde(rename = "subscribers:write")]
    WriteSubscribers,
    /// Change categories, bouquets and plans, and whatever else is sold.
    #[serde(rename = "content:write")]
    WriteContent,
    /// End sessions of viewers, and revoke their tokens.
    #[serde(rename = "sessions:write")]
    WriteSessions,
    /// Make tokens for viewers.
    #[serde(rename = "tokens:mint")]
    MintTokens,
    /// Change the keys that sign tokens.
    #[serde(rename = "keys:write")]
    WriteKeys,
    /// Change administrators and keys of the API, and restore copies.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 8] = [
        Self::ReadChannels,
        Self::Read,
        Self::WriteSubscribers,
        Self::WriteContent,
        Self::WriteSessions,
        Self::MintTokens,
        Self::WriteKeys,
        Self::Admin,
    ];

    /// Whether these scopes are enough for this one.
    #[must_use]
    pub fn is_in(self, scopes: &[Self]) -> bool {
        scopes.contains(&self) || self == Self::ReadChannels && scopes.contains(&Self::Read)
    }

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ReadChannels => "channels:read",
            Self::Read => "read",
            Self::WriteSubscribers => "subscribers:write",
            Self::WriteContent => "content:write",
            Self::WriteSessions => "sessions:write",
            Self::MintTokens => "tokens:mint",
            Self::WriteKeys => "keys:write",
            Self::Admin => "admin",
        }
    }
}

/// What somebody is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Owner,
    /// Everything but administrators, keys of the API and restoring.
    Operator,
    /// Help for subscribers.
    Support,
    /// Looking.
    Viewer,
    /// How channels are, for whoever runs the encoders.
    Ingest,
}

impl Role {
    /// What it may.
    #[must_use]
    pub const fn scopes(self) -> &'static [Scope] {
        match self {
            Self::Owner => &Scope::ALL,
            Self::Operator => &[
                Scope::ReadChannels,
                Scope::Read,
                Scope::WriteSubscribers,
                Scope::WriteContent,
                Scope::WriteSessions,
                Scope::MintTokens,
                Scope::WriteKeys,
            ],
            Self::Support => &[
                Scope::ReadChannels,
                Scope::Read,
                Scope::WriteSubscribers,
                Scope::WriteSessions,
                Scope::MintTokens,
            ],
            Self::Viewer => &[Scope::ReadChannels, Scope::Read],
            Self::Ingest => &[Scope::ReadChannels],
        }
    }
}

/// What a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it is how one signs in.
    Nothing,
    /// That a person is signed in.
    Person,
    /// The same, with a password that was given a short time ago.
    FreshPerson,
    /// A scope.
    Scope(Scope),
    /// A scope, and of a person the password a short time ago.
    Fresh(Scope),
    /// The scope of what is written: subscribers', sessions', or everything else's.
    Write,
}

impl Needs {
    /// The scope for a request of this path; none if a signed-in person is enough.
    #[must_use]
    pub fn scope(self, path: &str) -> Option<Scope> {
        match self {
            Self::Nothing | Self::Person | Self::FreshPerson => None,
            Self::Scope(scope) | Self::Fresh(scope) => Some(scope),
            Self::Write => {
                let kind = path.strip_prefix("/api/v1/").and_then(|rest| rest.split('/').next());
                Some(match kind {
                    Some("subscribers") => Scope::WriteSubscribers,
                    Some("revocations") => Scope::WriteSessions,
                    _ => Scope::WriteContent,
                })
            }
        }
    }

    /// Whether a person has to have given the password a short time ago.
    #[must_use]
    pub const fn is_fresh(self) -> bool {
        matches!(self, Self::FreshPerson | Self::Fresh(_))
    }

    /// Whether a key of the API is no way to it.
    #[must_use]
    pub const fn is_personal(self) -> bool {
        matches!(self, Self::Person | Self::FreshPerson)
    }
}

/// Every route of the port that is not open to all, and what it takes. `HEAD` is as `GET`.
pub const ROUTES: &[(&str, &str, Needs)] = &[
    ("POST", "/api/v1/login", Needs::Nothing),
    ("POST", "/api/v1/setup", Needs::Nothing),
    ("POST", "/api/v1/logout", Needs::Person),
    ("GET", "/api/v1/session", Needs::Person),
    ("POST", "/api/v1/step-up", Needs::Person),
    ("POST", "/api/v1/session/password", Needs::FreshPerson),
    ("POST", "/api/v1/session/factor", Needs::FreshPerson),
    ("POST", "/api/v1/session/factor/confirm", Needs::FreshPerson),
    ("POST", "/api/v1/session/recovery-codes", Needs::FreshPerson),
    ("GET", "/api/v1/admins", Needs::Scope(Scope::Admin)),
    ("POST", "/api/v1/admins", Needs::Fresh(Scope::Admin)),
    ("GET", "/api/v1/admins/{id}", Needs::Scope(Scope::Admin)),
    ("PATCH", "/api/v1/admins/{id}", Needs::Fresh(Scope::Admin)),
    ("DELETE", "/api/v1/admins/{id}", Needs::Fresh(Scope::Admin)),
    ("POST", "/api/v1/admins/{id}/password", Needs::Fresh(Scope::Admin)),
    ("DELETE", "/api/v1/admins/{id}/factor", Needs::Fresh(Scope::Admin)),
    ("GET", "/api/v1/api-keys", Needs::Scope(Scope::Admin)),
    ("POST", "/api/v1/api-keys", Needs::Fresh(Scope::Admin)),
    ("DELETE", "/api/v1/api-keys/{id}", Needs::Fresh(Scope::Admin)),
    ("POST", "/api/v1/restore", Needs::Fresh(Scope::Admin)),
    ("GET", "/api/v1/keys", Needs::Scope(Scope::Read)),
    ("POST", "/api/v1/keys/rotate", Needs::Fresh(Scope::WriteKeys)),
    ("GET", "/api/v1/channels", Needs::Scope(Scope::ReadChannels)),
    ("GET", "/api/v1/channels/{id}", Needs::Scope(Scope::ReadChannels)),
    ("POST", "/api/v1/channels", Needs::Write),
    ("PUT", "/api/v1/channels/{id}", Needs::Write),
    ("PATCH", "/api/v1/channels/{id}", Needs::Write),
    ("DELETE", "/api/v1/channels/{id}", Needs::Write),
    ("GET", "/api/v1/changes", Needs::Scope(Scope::Read)),
    ("GET", "/api/v1/sessions", Needs::Scope(Scope::Read)),
    ("GET", "/api/v1/sessions/sharing", Needs::Scope(Scope::Read)),
    ("DELETE", "/api/v1/sessions/{id}", Needs::Scope(Scope::WriteSessions)),
    ("POST", "/api/v1/tokens", Needs::Scope(Scope::MintTokens)),
    ("POST", "/api/v1/tokens/revoke", Needs::Scope(Scope::WriteSessions)),
    ("DELETE", "/api/v1/tokens/{session}", Needs::Scope(Scope::WriteSessions)),
    ("GET", "/api/v1/subscribers/{id}/explain", Needs::Scope(Scope::Read)),
    ("GET", "/api/v1/subscribers/{id}/app-passwords", Needs::Scope(Scope::WriteSubscribers)),
    ("POST", "/api/v1/subscribers/{id}/app-passwords", Needs::Scope(Scope::WriteSubscribers)),
    (
        "DELETE",
        "/api/v1/subscribers/{id}/app-passwords/{name}",
        Needs::Scope(Scope::WriteSubscribers),
    ),
    ("GET", "/api/v1/subscribers/{id}/portal-password", Needs::Scope(Scope::WriteSubscribers)),
    ("PUT", "/api/v1/subscribers/{id}/portal-password", Needs::Scope(Scope::WriteSubscribers)),
    ("DELETE", "/api/v1/subscribers/{id}/portal-password", Needs::Scope(Scope::WriteSubscribers)),
    ("POST", "/api/v1/portal-passwords/check", Needs::Scope(Scope::WriteSubscribers)),
    ("POST", "/api/v1/app-passwords/check", Needs::Scope(Scope::WriteSubscribers)),
    ("GET", "/api/v1/audit", Needs::Scope(Scope::Read)),
    ("POST", "/api/v1/import", Needs::Fresh(Scope::Admin)),
    ("GET", "/api/v1/export", Needs::Fresh(Scope::Admin)),
    ("GET", "/api/v1/guide/sources", Needs::Scope(Scope::Read)),
    ("GET", "/api/v1/guide/sources/{id}", Needs::Scope(Scope::Read)),
    ("POST", "/api/v1/guide/sources/{id}/refresh", Needs::Scope(Scope::WriteContent)),
    ("GET", "/api/v1/guide/channels", Needs::Scope(Scope::Read)),
    ("GET", "/api/v1/guide/channels/{id}", Needs::Scope(Scope::Read)),
    ("GET", "/api/v1/guide/programmes", Needs::Scope(Scope::Read)),
    ("GET", "/api/v1/{kind}", Needs::Scope(Scope::Read)),
    ("POST", "/api/v1/{kind}", Needs::Write),
    ("GET", "/api/v1/{kind}/{id}", Needs::Scope(Scope::Read)),
    ("PUT", "/api/v1/{kind}/{id}", Needs::Write),
    ("PATCH", "/api/v1/{kind}/{id}", Needs::Write),
    ("DELETE", "/api/v1/{kind}/{id}", Needs::Write),
];

/// What a route takes; none if the table has no line for it.
#[must_use]
pub fn needs(method: &Method, route: &str) -> Option<Needs> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let line = ROUTES.iter().find(|(of, path, _)| *of == method && *path == route);
    line.map(|(.., needs)| *needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_do_what_it_is_there_for() {
        let may = |role: Role| Scope::ALL.map(|scope| scope.is_in(role.scopes()));
        for (role, expected) in [
            (Role::Owner, [true, true, true, true, true, true, true, true]),
            (Role::Operator, [true, true, true, true, true, true, true, false]),
            (Role::Support, [true, true, true, false, true, true, false, false]),
            (Role::Viewer, [true, true, false, false, false, false, false, false]),
            (Role::Ingest, [true, false, false, false, false, false, false, false]),
        ] {
            assert_eq!(may(role), expected, "{role:?}");
        }
        assert!(Scope::ReadChannels.is_in(&[Scope::Read]), "who may see all may see channels");
        assert!(!Scope::Read.is_in(&[Scope::Admin]), "nothing else follows from another one");
    }

    #[test]
    fn a_scope_has_one_word_everywhere() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.word());
        }
    }

    #[test]
    fn what_is_written_says_which_scope_it_takes() {
        let scope = |path| Needs::Write.scope(path).unwrap();
        assert_eq!(scope("/api/v1/subscribers"), Scope::WriteSubscribers);
        assert_eq!(scope("/api/v1/subscribers/anna"), Scope::WriteSubscribers);
        assert_eq!(scope("/api/v1/plans/subscribers"), Scope::WriteContent);
        assert_eq!(scope("/api/v1/revocations/0000000000000001"), Scope::WriteSessions);
        assert_eq!(scope("/api/v1/subscriberss"), Scope::WriteContent);
        assert_eq!(needs(&Method::HEAD, "/api/v1/keys"), Some(Needs::Scope(Scope::Read)));
        assert_eq!(needs(&Method::GET, "/api/v1/other"), None);
    }

    #[test]
    fn what_is_dangerous_takes_the_password_again() {
        let fresh = ROUTES.iter().filter(|(.., needs)| needs.is_fresh());
        let fresh: Vec<_> = fresh.map(|(_, path, _)| *path).collect();
        for route in ["restore", "keys/rotate", "admins", "admins/{id}", "api-keys"] {
            assert!(fresh.contains(&format!("/api/v1/{route}").as_str()), "{route}");
        }
    }
}
