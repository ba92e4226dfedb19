//! The same links shown to nginx and to us: whom it lets in, we exchange; whom it refuses, we do,
//! for the same reason.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use super::*;

struct Nginx(Child, SocketAddr);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// nginx over the films, with links in both of its ways: 403 where the hash is wrong, 410 where it
/// is too late, as its manual has it.
fn nginx(place: &Place) -> Nginx {
    let folder = place.path("nginx");
    std::fs::create_dir(&folder).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let films = place.path("films");
    let films = films.display();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let paths: String = paths.iter().map(|kind| format!("{kind}_temp_path {kind};\n")).collect();
    let text = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr crit;\nevents {{}}\n\
         http {{\naccess_log off;\n{paths}server {{\nlisten {address};\n\
         location /vod/ {{\nalias {films}/;\n\
         secure_link $arg_md5,$arg_expires;\n\
         secure_link_md5 \"$secure_link_expires$uri$remote_addr {SECRET}\";\n\
         if ($secure_link = \"\") {{ return 403; }}\nif ($secure_link = \"0\") {{ return 410; }}\n}}\n\
         location /tv/ {{\nsecure_link_secret {SECRET};\n\
         if ($secure_link = \"\") {{ return 403; }}\nreturn 200;\n}}\n}}\n}}\n"
    );
    std::fs::write(folder.join("nginx.conf"), text).unwrap();
    let mut nginx = Command::new("nginx");
    nginx.arg("-p").arg(&folder).arg("-c").arg(folder.join("nginx.conf"));
    let child = nginx.stdin(Stdio::null()).spawn().expect("nginx is installed");
    let nginx = Nginx(child, address);
    until("nginx listens", || TcpStream::connect(address).is_ok());
    nginx
}

fn status_of(nginx: &Nginx, target: &str) -> String {
    let answer = crate::running::get(nginx.1, target);
    answer[9..12].to_owned()
}

#[test]
fn links_are_good_and_bad_as_they_are_with_nginx() {
    let shop = Shop::new();
    let server = shop.start();
    let nginx = nginx(&shop.place);
    let (later, past) = (now() + 1000, now() - 1000);
    let hash = |expires: &str, path: &str| {
        let hash = Md5::digest(format!("{expires}{path}127.0.0.1 {SECRET}"));
        URL_SAFE_NO_PAD.encode(hash)
    };
    let good = hash(&later.to_string(), LIST);
    let last = if good.ends_with('A') { "Q" } else { "A" };
    let link = |expires: &str| format!("{LIST}?md5={}&expires={expires}", hash(expires, LIST));
    // The same hash, of which the bits that stand for nothing are not zero.
    let stray = format!("{}{}", &good[..21], char::from(good.as_bytes()[21] + 1));
    for (target, expected) in [
        (link(&later.to_string()), "200"),
        (format!("{}&a=b", link(&later.to_string())), "200"),
        (format!("{LIST}?expires={later}&md5={good}"), "200"),
        (format!("{LIST}?md5={good}==&expires={later}"), "200"),
        (format!("{LIST}?MD5={good}&Expires={later}"), "200"),
        (format!("{LIST}?md5={good}&expires={later}&md5=x"), "200"),
        (format!("/vod/%61/index.m3u8?md5={good}&expires={later}"), "200"),
        (link(&past.to_string()), "410"),
        (link("1"), "410"),
        (link("0"), "403"),
        (link(""), "403"),
        (link("-1"), "403"),
        (link("soon"), "403"),
        (link("99999999999999999999"), "403"),
        (format!("{LIST}?md5={good}&expires={}", later + 1), "403"),
        (format!("{LIST}?md5={good}&expires={past}"), "403"),
        (format!("{LIST}?md5={good}"), "403"),
        (format!("{LIST}?expires={later}"), "403"),
        (LIST.to_owned(), "403"),
        (format!("/vod/b/index.m3u8?md5={good}&expires={later}"), "403"),
        (format!("{LIST}?md5={}{last}&expires={later}", &good[..21]), "403"),
        (format!("{LIST}?md5={}&expires={later}", &good[..21]), "403"),
        (format!("{LIST}?md5={good}A&expires={later}"), "403"),
        (format!("{LIST}?md5={good}AA&expires={later}"), "403"),
        (format!("{LIST}?md5={good}AAA&expires={later}"), "403"),
        (format!("{LIST}?md5=&expires={later}"), "403"),
        (format!("{LIST}?md5=x&md5={good}&expires={later}"), "403"),
        (format!("{LIST}?md5={}&expires={later}", good.to_ascii_uppercase()), "403"),
    ] {
        assert_eq!(status_of(&nginx, &target), expected, "nginx: {target}");
        let ours = get(&server, &target, "").outcome();
        let same = match &*ours {
            "302" => "200",
            "403 token-expired" => "410",
            "403 token-unknown" | "403 token-missing" => "403",
            other => panic!("{target}: {other}"),
        };
        assert_eq!(same, expected, "{target}: {ours}");
    }
    // Here, and here only, we are stricter: there is one text for a hash.
    let target = format!("{LIST}?md5={stray}&expires={later}");
    assert_eq!(status_of(&nginx, &target), "200", "{target}");
    assert_eq!(get(&server, &target, "").outcome(), "403 token-unknown");
}

#[test]
fn links_with_the_hash_in_the_path_are_good_and_bad_as_they_are_with_nginx() {
    let shop = Shop::new();
    let server = shop.start();
    let nginx = nginx(&shop.place);
    let good = hexadecimal(&Md5::digest(format!("a/index.m3u8{SECRET}")));
    let escaped = hexadecimal(&Md5::digest(format!("%61/index.m3u8{SECRET}")));
    for (hash, link, expected) in [
        (&good[..], "a/index.m3u8", "200"),
        (&good.to_ascii_uppercase(), "a/index.m3u8", "200"),
        // What is hashed is the address as it is sent.
        (&good, "%61/index.m3u8", "403"),
        (&escaped, "%61/index.m3u8", "200"),
        (&good, "a/1.ts", "403"),
        (&good, "b/index.m3u8", "403"),
        (&good[1..], "a/index.m3u8", "403"),
        (&format!("{good}0"), "a/index.m3u8", "403"),
        (&format!("{}g", &good[1..]), "a/index.m3u8", "403"),
        (&"0".repeat(32), "a/index.m3u8", "403"),
    ] {
        // nginx has the other way of links at /vod/.
        let theirs = status_of(&nginx, &format!("/tv/{hash}/{link}"));
        assert_eq!(theirs, expected, "nginx: {hash} {link}");
        let ours = get(&server, &format!("/vod/{hash}/{link}"), "").outcome();
        let same = if ours == "302" { "200" } else { &ours[..3] };
        assert_eq!(same, expected, "{hash} {link}: {ours}");
    }
}
