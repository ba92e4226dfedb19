//! What an account says of itself, in the types that apps expect.

use serde::Serialize;
use serde_json::{Value, json};

use crate::control::subscription::Subscription;
use crate::middleware::base::{Base, Bases};
use crate::units::{UnixTime, civil};

/// What is told of an account.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// Its user name, as it was sent.
    pub user: &'a str,
    /// Its password, as it was sent.
    pub password: &'a str,
    /// What was paid for.
    pub subscription: &'a Subscription,
    /// At how many places it is being watched.
    pub active: usize,
}

#[derive(Serialize)]
struct User<'a> {
    username: &'a str,
    password: &'a str,
    message: String,
    auth: u8,
    status: &'static str,
    exp_date: Option<String>,
    is_trial: &'static str,
    active_cons: String,
    created_at: String,
    max_connections: String,
    allowed_output_formats: [&'static str; 2],
}

/// `user_info` and `server_info`.
pub fn pair(account: &Account<'_>, (base, bases): (&str, &Bases), now: UnixTime) -> Value {
    json!({ "user_info": user(account, now), "server_info": server(base, bases, now) })
}

/// The same without braces, for what goes on behind it.
pub fn pair_open(account: &Account<'_>, base: (&str, &Bases), now: UnixTime) -> String {
    let pair = pair(account, base, now).to_string();
    pair.trim_start_matches('{').trim_end_matches('}').to_owned() + "}"
}

fn user<'a>(account: &Account<'a>, now: UnixTime) -> User<'a> {
    let of = account.subscription;
    let is_over = of.expires.is_some_and(|expires| expires <= now.0);
    let (status, message) = if of.is_blocked {
        ("Banned", "This account is blocked.".to_owned())
    } else if let Some(expires) = of.expires.filter(|_| is_over) {
        let (year, month, day) = civil(expires / 86_400);
        let when = format!("{year:04}-{month:02}-{day:02}");
        ("Expired", format!("What was paid for ended on {when}."))
    } else if of.plan.is_none() {
        ("Active", "Nothing is booked for this account.".to_owned())
    } else {
        ("Active", String::new())
    };
    User {
        username: account.user,
        password: account.password,
        message,
        auth: 1,
        status,
        exp_date: of.expires.map(|expires| expires.to_string()),
        is_trial: if of.is_trial { "1" } else { "0" },
        active_cons: account.active.to_string(),
        created_at: of.created.to_string(),
        max_connections: of.sessions_max.to_string(),
        allowed_output_formats: ["m3u8", "ts"],
    }
}

fn server(base: &str, bases: &Bases, now: UnixTime) -> Value {
    let of = Base::of(base);
    let (http, https) = bases.ports(base);
    let text = |port: Option<u16>| port.map(|port| port.to_string()).unwrap_or_default();
    let time = now.iso().replace('T', " ").replace('Z', "");
    json!({
        "url": of.host,
        // Some apps put it behind the name whatever the scheme is.
        "port": text(http.or(https)),
        "https_port": text(https),
        "server_protocol": of.scheme,
        "rtmp_port": "",
        "timezone": "UTC",
        "timestamp_now": now.0,
        "time_now": time,
        "process": true,
    })
}
