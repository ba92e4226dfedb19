//! What was exchanged is revoked by what the token of somebody else says, and by its device.

use serde_json::Value;

use super::*;

/// What becomes of who shows a token, and of who goes on with one of ours.
struct Tv {
    shown: String,
    own: String,
}

impl Tv {
    fn new(shop: &Shop, server: &Running, device: &str) -> Self {
        let shown = member(shop, "Anna", device);
        let own = get(server, &shown, "").location().to_owned();
        Self { shown, own }
    }

    fn outcomes(&self, server: &Running) -> [String; 2] {
        [&self.shown, &self.own].map(|path| get(server, path, "").outcome())
    }
}

#[test]
fn a_session_of_a_token_of_others_is_revoked_and_not_exchanged_again() {
    let shop = Shop::new();
    let server = with_anna(&shop);
    let done = |arguments: &[&str]| done(&shop.config, arguments);
    done(&["plan", "set", "gold", "--sessions", "0"]);
    let (tv, phone) = (Tv::new(&shop, &server, "tv-1"), Tv::new(&shop, &server, "phone"));
    let (good, bad) = (["302", "200"], ["403 token-revoked", "403 token-revoked"]);
    until("she is known", || tv.outcomes(&server) == good);
    done(&["token", "revoke", "--section", "members", "tv-1"]);
    until("it is revoked", || tv.outcomes(&server) == bad);
    assert_eq!(phone.outcomes(&server), good, "another device");
    // A new token for the same session, too; and it is held for as long as that is good.
    let late = now() + 40 * 86_400;
    let claims = format!(r#"{{"exp":{late},"sub":"Anna","device":"tv-1"}}"#);
    let again = format!("{LIST}?member={}", shop.jwt("hs", &claims));
    assert_eq!(get(&server, &again, "").outcome(), "403 token-revoked");
    let revoked: Value = serde_json::from_str(&done(&["token", "revoked", "--json"])).unwrap();
    assert_eq!(revoked["until"], late);

    // By the token that it was exchanged for.
    let (token, _) = token_of(&phone.own);
    done(&["token", "revoke", token]);
    until("it is revoked", || phone.outcomes(&server) == bad);
    let device = revoked["id"].as_str().unwrap();
    done(&["token", "lift", device]);
    until("it is taken back", || tv.outcomes(&server) == good);
    assert_eq!(phone.outcomes(&server), bad);
    let said = crate::running::verb(&shop.config, &["token", "revoke", "--section", "x", "y"]);
    assert!(said.err.contains("section: no [[token]] has this name"), "{}", said.err);
}
