//! What an account's owner has paid for, as its apps are told.

use serde::Deserialize;

use super::registry::{Busy, Kind, Registry, Store, StoreError};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// The plan's id; none = nothing was paid for.
    pub plan: Option<String>,
    /// It ends at this second; none = never.
    pub expires: Option<u64>,
    /// An operator has shut it out.
    pub is_blocked: bool,
    /// Nothing was paid yet.
    pub is_trial: bool,
    /// At how many places at once it may be watched; 0 = as many as one likes.
    pub sessions_max: u32,
    /// When the password was given that was used, in seconds since 1970.
    pub created: u64,
}

impl Subscription {
    /// Whether anything may be watched at this second.
    #[must_use]
    pub fn holds(&self, now: u64) -> bool {
        !self.is_blocked && self.expires.is_none_or(|expires| expires > now)
    }
}

#[derive(Deserialize)]
struct Of {
    plan: Option<String>,
    expires: Option<u64>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    trial: bool,
    sessions_max: Option<u32>,
}

/// That of a subscriber who signed in with this one of its passwords; none if it is gone.
///
/// # Errors
///
/// The registry failed, or too many want something of it.
pub async fn of(
    registry: &Registry,
    user: &str,
    which: u8,
) -> Result<Option<Subscription>, StoreError> {
    let user = user.to_owned();
    let asked = registry.ask(move |store| read(store, &user, which));
    asked.await.unwrap_or_else(|Busy| Err(StoreError("its thread is busy".to_owned())))
}

fn read(store: &dyn Store, user: &str, which: u8) -> Result<Option<Subscription>, StoreError> {
    let Some(subscriber) = store.object(Kind::Subscriber, user)? else { return Ok(None) };
    let Ok(of) = Of::deserialize(&subscriber.document) else { return Ok(None) };
    let passwords = store.object(Kind::AppPasswords, user)?;
    let created = passwords.and_then(|passwords| {
        passwords.document["passwords"][usize::from(which)]["created"].as_u64()
    });
    let plan = match &of.plan {
        Some(plan) => store.object(Kind::Plan, plan)?,
        None => None,
    };
    let of_plan = || plan.as_ref()?.document["sessions_max"].as_u64();
    let of_plan = of_plan().and_then(|max| u32::try_from(max).ok()).unwrap_or(0);
    Ok(Some(Subscription {
        plan: of.plan,
        expires: of.expires,
        is_blocked: of.status == "blocked",
        is_trial: of.trial,
        sessions_max: of.sessions_max.unwrap_or(of_plan),
        created: created.unwrap_or(0),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::control::audit::Act;
    use crate::control::registry::{Expected, Write};
    use crate::units::UnixTime;

    #[test]
    fn a_subscriber_has_what_it_says_and_else_what_its_plan_does() {
        let state = tempfile::tempdir().unwrap();
        let registry = Registry::open(state.path()).unwrap();
        let write = |kind, id: &str, document: Value| Write {
            kind,
            id: id.to_owned(),
            expected: Expected::Anything,
            document: Some(document),
            number: None,
            references: Vec::new(),
        };
        let writes = [
            write(Kind::Plan, "gold", json!({ "sessions_max": 3 })),
            write(
                Kind::Subscriber,
                "anna",
                json!({ "plan": "gold", "expires": 10, "trial": true }),
            ),
            write(Kind::Subscriber, "ben", json!({ "status": "blocked", "sessions_max": 2 })),
            write(Kind::AppPasswords, "anna", json!({ "passwords": [{}, { "created": 7 }] })),
        ];
        let read = registry.ask_now(move |store| {
            store.commit(&Act::server(UnixTime(1)), &writes).unwrap();
            ["anna", "ben", "nobody"].map(|user| read(store, user, 1).unwrap())
        });
        let [anna, ben, nobody] = read.unwrap();
        let anna = anna.unwrap();
        assert_eq!((anna.plan.as_deref(), anna.sessions_max, anna.created), (Some("gold"), 3, 7));
        assert!(anna.is_trial && anna.holds(9) && !anna.holds(10));
        let ben = ben.unwrap();
        assert_eq!((ben.plan, ben.sessions_max, ben.created), (None, 2, 0));
        assert!(ben.is_blocked);
        assert_eq!(nobody, None);
    }
}
