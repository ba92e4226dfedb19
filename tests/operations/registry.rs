//! What operators make, by the command line and by the API: written, changed, refused, followed.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use super::running::{PATIENCE, Place, Running, done, get, serve, verb};

/// Why a verb that must not work did not.
#[track_caller]
fn refused(config: &Path, arguments: &[&str]) -> String {
    let said = verb(config, arguments);
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{arguments:?}");
    said.err.trim_end().rsplit_once("admin.sock: ").map(|(_, why)| why.to_owned()).unwrap()
}

/// An answer of the API.
struct Answer {
    status: u16,
    head: String,
    body: Value,
}

/// One request on the socket.
fn ask(place: &Place, method: &str, path: &str, lines: &str, body: &str) -> Answer {
    let mut socket = UnixStream::connect(place.path("state/admin.sock")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: \
         application/json\r\n{lines}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // Of a body that is too large not all is taken, and the answer comes before the reset.
    let _ = socket.write_all(request.as_bytes());
    let mut answer = String::new();
    let _ = socket.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: serde_json::from_str(body).unwrap_or_default() }
}

#[test]
fn what_is_sold_and_to_whom_is_kept_over_kill_9() {
    let place = Place::new();
    let config = place.config("");
    let server = Running::start(&mut serve(&config));
    let add = |arguments: &[&str]| done(&config, arguments);
    add(&["category", "add", "drama", "--sorts", "film", "--name", "Drama"]);
    add(&["category", "add", "news", "--sorts", "live", "--name", "News", "--number", "70"]);
    add(&["bouquet", "add", "basic", "--name", "Basic", "--content", "tv/news"]);
    add(&["plan", "add", "gold", "--name", "Gold", "--bouquet", "basic", "--sessions", "2"]);
    let said = add(&[
        "subscriber",
        "add",
        "Anna@example.org",
        "--plan",
        "gold",
        "--expires",
        "2027-01-15",
    ]);
    assert!(said.starts_with("Anna@example.org\n"), "{said}");
    assert!(said.contains("  expires             2027-01-15T00:00:00Z\n"), "{said}");
    server.signal("KILL");
    server.ended();
    let _server = Running::start(&mut serve(&config));
    assert_eq!(
        add(&["category", "ls"]),
        "CATEGORY  NUMBER  SORTS  ORDER  NAME\ndrama     1       film   0      Drama\n\
         news      70      live   0      News\n"
    );
    assert_eq!(
        add(&["subscriber", "ls"]),
        "SUBSCRIBER        NUMBER  PLAN  STATUS  EXPIRES               TAGS\n\
         Anna@example.org  1       gold  active  2027-01-15T00:00:00Z  -\n"
    );
    let plan: Value = serde_json::from_str(&add(&["plan", "show", "gold", "--json"])).unwrap();
    assert_eq!((&plan["sessions_max"], &plan["bouquets"]), (&json!(2), &json!(["basic"])));
    let set = &["plan", "set", "gold", "--sessions", "3", "--unset", "bouquets", "--json"];
    let plan: Value = serde_json::from_str(&add(set)).unwrap();
    assert_eq!(
        (&plan["sessions_max"], &plan["bouquets"], &plan["name"]),
        (&json!(3), &json!([]), &json!("Gold"))
    );
    add(&["subscriber", "rm", "Anna@example.org"]);
    assert_eq!(add(&["subscriber", "ls", "--json"]), "");
}

#[test]
fn what_makes_no_sense_is_refused_with_its_reason() {
    let place = Place::new();
    let config = place.config("");
    let _server = Running::start(&mut serve(&config));
    let refused = |arguments: &[&str]| refused(&config, arguments);
    assert_eq!(
        refused(&["plan", "add", "gold", "--name", "Gold", "--bouquet", "basic"]),
        "status 409: it speaks of the bouquet \"basic\", which is not there"
    );
    done(&config, &["bouquet", "add", "basic", "--name", "Basic"]);
    done(&config, &["plan", "add", "gold", "--name", "Gold", "--bouquet", "basic"]);
    for (arguments, why) in [
        (
            &["bouquet", "rm", "basic"][..],
            "status 409: the plan \"gold\" speaks of it; change that first",
        ),
        (&["bouquet", "add", "basic", "--name", "x"], "status 409: it is there, with revision 2"),
        (&["plan", "add", "silver"], "status 400: missing field `name`"),
        (&["plan", "show", "silver"], "status 404: no plan has this id"),
        (&["plan", "set", "silver", "--name", "x"], "status 404: no plan has this id"),
        (&["plan", "rm", "silver"], "status 404: no plan has this id"),
        (
            &["bouquet", "set", "basic", "--content", "news"],
            "status 400: content[0]: \"news\" is no content (write \"tv/news\" or \
             \"vod/films/a\")",
        ),
        (
            &["plan", "add", "Gold", "--name", "x"],
            "status 400: id: \"Gold\" is no id (a-z, 0-9, \"-\", \"_\", \".\", up to 128)",
        ),
        (
            &["plan", "add", "x", "--name", "x", "--number", "3"],
            "status 409: number: it is, or was, another one's, or is not from 1 to 2147483647",
        ),
    ] {
        assert_eq!(refused(arguments), why, "{arguments:?}");
    }
    let said = verb(&config, &["plan", "set", "gold"]);
    assert_eq!(
        (said.code, said.err.as_str()),
        (1, "shardcast: set gold: nothing is to be changed\n")
    );
}

#[test]
fn nobody_undoes_what_somebody_else_did_meanwhile() {
    let place = Place::new();
    let _server = Running::start(&mut serve(&place.config("")));
    let made = ask(&place, "POST", "/api/v1/plans", "", r#"{"id":"gold","name":"Gold"}"#);
    assert_eq!(made.status, 201);
    let revision = made.body["revision"].as_u64().unwrap();
    assert!(
        made.head.to_lowercase().contains(&format!("\r\netag: \"{revision}\"")),
        "{}",
        made.head
    );
    let put = |lines: &str, body: &str| ask(&place, "PUT", "/api/v1/plans/gold", lines, body);
    let first = put(&format!("If-Match: \"{revision}\"\r\n"), r#"{"name":"Golden"}"#);
    assert_eq!((first.status, &first.body["name"]), (200, &json!("Golden")));
    let stale = format!("If-Match: \"0\", \"{revision}\"\r\n");
    assert_eq!(put(&stale, r#"{"name":"Gold"}"#).status, 412);
    assert_eq!(put("If-Match: W/\"1\"\r\n", r#"{"name":"Gold"}"#).status, 412);
    assert_eq!(put("If-Match: gold\r\n", r#"{"name":"Gold"}"#).status, 400);
    // What was read is sent back with a change: its revision is in it.
    let mut read = ask(&place, "GET", "/api/v1/plans/gold", "", "").body;
    read["name"] = json!("Au");
    assert_eq!(put("", &read.to_string()).status, 200);
    assert_eq!(put("", &read.to_string()).status, 409, "its revision is an older one now");
    assert_eq!(put("If-Match: *\r\n", r#"{"name":"Au"}"#).status, 200);
    assert_eq!(put("", r#"{"id":"other","name":"Au"}"#).status, 400);
    let removed = ask(&place, "DELETE", "/api/v1/plans/gold", &stale, "");
    assert_eq!(removed.status, 412);
    assert_eq!(ask(&place, "DELETE", "/api/v1/plans/gold", "", "").status, 204);
    assert_eq!(put("If-Match: *\r\n", r#"{"name":"Au"}"#).status, 412);
    assert_eq!(put("", r#"{"name":"Au"}"#).status, 200, "without a condition it is made");
}

#[test]
fn a_list_has_pages() {
    let place = Place::new();
    let config = place.config("");
    let _server = Running::start(&mut serve(&config));
    for index in 0..5 {
        let body = format!(r#"{{"id":"b{index}","name":"B"}}"#);
        assert_eq!(ask(&place, "POST", "/api/v1/bouquets", "", &body).status, 201);
    }
    let page = |query: &str| {
        let answer = ask(&place, "GET", &format!("/api/v1/bouquets?{query}"), "", "");
        let ids = answer.body["bouquets"].as_array().unwrap().iter();
        let ids: Vec<_> = ids.map(|of| of["id"].as_str().unwrap().to_owned()).collect();
        (ids.join(" "), answer.body["next"].as_str().map(str::to_owned))
    };
    assert_eq!(page("limit=2"), ("b0 b1".to_owned(), Some("b1".to_owned())));
    assert_eq!(page("limit=2&after=b1"), ("b2 b3".to_owned(), Some("b3".to_owned())));
    assert_eq!(page("limit=2&after=b3"), ("b4".to_owned(), None));
    assert_eq!(page("limit=5"), ("b0 b1 b2 b3 b4".to_owned(), None));
    assert_eq!(ask(&place, "GET", "/api/v1/bouquets?limit=x", "", "").status, 400);
    assert_eq!(done(&config, &["bouquet", "ls"]).lines().count(), 6);
}

#[test]
fn changes_are_followed_as_they_come() {
    let place = Place::new();
    let config = place.config("");
    let _server = Running::start(&mut serve(&config));
    let changes = |query: &str| ask(&place, "GET", &format!("/api/v1/changes?{query}"), "", "");
    let first = changes("since=0");
    assert_eq!((first.status, &first.body["changes"]), (200, &json!([])), "keys are not told");
    let next = first.body["next"].as_u64().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| changes(&format!("since={next}&wait=25")));
        done(&config, &["bouquet", "add", "basic", "--name", "Basic"]);
        let told = waiting.join().unwrap().body;
        assert_eq!(told["changes"][0]["kind"], "bouquet");
        assert_eq!(told["changes"][0]["document"], json!({ "name": "Basic", "content": [] }));
        assert_eq!(told["next"], told["changes"][0]["revision"]);
    });
    done(&config, &["bouquet", "rm", "basic"]);
    let told = changes(&format!("since={next}")).body;
    assert_eq!(told["changes"].as_array().unwrap().len(), 1, "an object is told of once");
    assert_eq!(told["changes"][0]["document"], Value::Null);
    assert_eq!(changes("since=1000").status, 410);
    assert_eq!(changes("since=x").status, 400);
}

#[test]
fn the_port_shows_none_of_it() {
    let place = Place::new();
    let server = Running::start(&mut serve(&place.config("")));
    for path in ["plans", "plans/gold", "subscribers", "changes", "changes?since=0"] {
        let answer = get(server.admin, &format!("/api/v1/{path}"));
        // The name by which it was called is looked at first.
        assert!(answer.starts_with("HTTP/1.1 421 "), "{path}: {answer}");
    }
    assert!(get(server.admin, "/api/v2/plans").starts_with("HTTP/1.1 404 "));
    assert_eq!(ask(&place, "GET", "/api/v1/planets", "", "").status, 404);
    assert_eq!(ask(&place, "DELETE", "/api/v1/plans", "", "").status, 405);
    let ready = ask(&place, "GET", "/readyz", "", "");
    assert!(ready.status == 200 && ready.head.contains("text/plain"), "{}", ready.head);
    let large = format!("{{\"id\":\"{}\"}}", "x".repeat(17 << 20));
    for (method, path, body, status) in [
        ("GET", "/api/v1/plans?limit=x", "", 400),
        ("GET", "/api/v1/plans/%ff", "", 400),
        ("POST", "/api/v1/plans", "[]", 400),
        ("POST", "/api/v1/plans", large.as_str(), 413),
    ] {
        let answer = ask(&place, method, path, "", body);
        assert_eq!((answer.status, &answer.body["status"]), (status, &json!(status)), "{path}");
        assert!(answer.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{path}");
    }
}
