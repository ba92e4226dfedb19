//! Pictures: sent, fetched, shown small on the public port, and refused where they are none.

use std::io::{BufRead as _, BufReader, Cursor, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use image::{ImageBuffer, ImageFormat, Rgb};
use serde_json::Value;

use super::running::{PATIENCE, Place, Running, done, serve, until, verb};

/// A picture of one colour, as a file.
fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let pixels = ImageBuffer::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 90]));
    let mut file = Cursor::new(Vec::new());
    image::DynamicImage::from(pixels).write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// Status line and headers, and the body.
fn asked(address: SocketAddr, path: &str, lines: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: tv\r\n{lines}Connection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let body = answer.split_off(at);
    (String::from_utf8(answer).unwrap(), body)
}

fn line<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let of = |line: &'h str| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    };
    head.lines().find_map(of)
}

fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

/// The server needs no token for pictures, though everything else takes one.
fn started(more: &str) -> (Place, PathBuf, Running) {
    let place = Place::new();
    let config = place.config(more);
    let text = std::fs::read_to_string(&config).unwrap();
    let text =
        text.replace("access = \"open\"", "access = \"token\"").replace("shards = 1", "shards = 2");
    std::fs::write(&config, text).unwrap();
    let server = Running::start(&mut serve(&config));
    (place, config, server)
}

fn add(config: &Path, file: &Path) -> Value {
    let told = done(config, &["picture", "add", file.to_str().unwrap(), "--json"]);
    serde_json::from_str(&told).unwrap()
}

#[test]
fn a_picture_is_stored_once_and_shown_in_every_width() {
    let (place, config, server) = started("");
    let file = place.path("poster.png");
    std::fs::write(&file, picture(600, 900, ImageFormat::Png)).unwrap();
    let added = add(&config, &file);
    assert_eq!((&added["width"], &added["height"]), (&600.into(), &900.into()));
    assert_eq!(add(&config, &file), added);
    let id = added["id"].as_str().unwrap().to_owned();
    let mut etag = String::new();
    for (width, expected) in [(64, (64, 96)), (384, (384, 576)), (1920, (600, 900))] {
        let path = format!("/img/{id}-{width}.jpg");
        let mut first = None;
        // The first answer is control's, and those after it a shard's: they say the same.
        for _ in 0..6 {
            let (head, body) = asked(server.public, &path, "");
            assert_eq!(status(&head), "200", "{head}");
            assert_eq!(line(&head, "Content-Type"), Some("image/jpeg"));
            let kept = "public, max-age=31536000, immutable";
            assert_eq!(line(&head, "Cache-Control"), Some(kept));
            assert_eq!(line(&head, "Access-Control-Allow-Origin"), Some("*"));
            let shown = image::load_from_memory_with_format(&body, ImageFormat::Jpeg).unwrap();
            assert_eq!((shown.width(), shown.height()), expected);
            etag = line(&head, "ETag").unwrap().to_owned();
            assert_eq!(
                *first.get_or_insert_with(|| (body.clone(), etag.clone())),
                (body, etag.clone())
            );
        }
    }
    let path = format!("/img/{id}-1920.jpg");
    let again = format!("If-None-Match: {etag}\r\n");
    // As soon as the shard that is asked knows it.
    until("it is unchanged", || status(&asked(server.public, &path, &again).0) == "304");
    until("a part is sent", || {
        let (head, body) = asked(server.public, &path, "Range: bytes=0-9\r\n");
        (status(&head), body.len()) == ("206", 10)
    });
    for wrong in [
        format!("/img/{id}-65.jpg"),
        format!("/img/{id}-64.png"),
        format!("/img/{}-64.jpg", "0".repeat(32)),
        "/img/news-320.jpg".to_owned(),
        "/img/".to_owned(),
    ] {
        assert_eq!(status(&asked(server.public, &wrong, "").0), "404", "{wrong}");
    }
    let metrics = server.admin_get("/metrics");
    let counted = "shardcast_requests_total{class=\"other\",status=\"200\"}";
    assert!(metrics.contains(counted), "{metrics}");
    server.signal("KILL");
    server.ended();
    let server = Running::start(&mut serve(&config));
    assert_eq!(status(&asked(server.public, &format!("/img/{id}-64.jpg"), "").0), "200");
    done(&config, &["asset", "add", "a", "--name", "A", "--poster", &format!("img:{id}")]);
    let said = verb(&config, &["picture", "rm", &id]);
    assert!(said.code == 1 && said.err.contains("the asset \"a\" names it"), "{}", said.err);
    done(&config, &["asset", "set", "a", "--unset", "details.poster"]);
    done(&config, &["picture", "rm", &id]);
    until("it is gone", || status(&asked(server.public, &path, "").0) == "404");
    until("its variants are", || {
        status(&asked(server.public, &format!("/img/{id}-64.jpg"), "").0) == "404"
    });
    assert_eq!(done(&config, &["picture", "ls", "--json"]), "");
    let audit = done(&config, &["audit", "ls"]);
    assert_eq!(audit.matches(&id).count(), 2, "{audit}");
}

#[test]
fn what_is_no_picture_is_refused() {
    let (place, config, _server) = started("");
    let file = place.path("file");
    let mut bomb = picture(1, 1, ImageFormat::Png);
    bomb[16..24].copy_from_slice(&[0, 0, 0x20, 0, 0, 0, 0x20, 0]);
    let crc = crc32fast::hash(&bomb[12..29]).to_be_bytes();
    bomb[29..33].copy_from_slice(&crc);
    let jpeg = picture(200, 200, ImageFormat::Jpeg);
    let mut large = jpeg.clone();
    large.resize(8 * 1024 * 1024 + 1, 0);
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>";
    for (bytes, why) in [
        (&svg[..], "status 400: it is no JPEG, PNG, WebP or GIF"),
        (&bomb, "status 400: it has 8192 x 8192 pixels"),
        (&jpeg[..jpeg.len() / 4], "status 400: it can't be decoded"),
        (&large, "status 413: it has more than 8388608 bytes"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let said = verb(&config, &["picture", "add", file.to_str().unwrap()]);
        assert!(said.code == 1 && said.err.contains(why), "{why}: {}", said.err);
    }
    let answer = place.socket_ask("POST", "/api/v1/pictures", "{}");
    assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
    let left = std::fs::read_dir(place.path("state/pictures/originals")).unwrap();
    assert_eq!(left.count(), 0);
}

/// A server of others: what it says at each path, and what it was asked.
struct Others {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Others {
    fn start(answer: impl Fn(&str, &str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let (seen, answer) = (Arc::clone(&heads), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(&stream);
                    let mut head = String::new();
                    while reader.read_line(&mut head).is_ok_and(|size| size > 2) {}
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    let said = answer(&path, &head);
                    seen.lock().unwrap().push(head);
                    let _ = (&stream).write_all(&said);
                });
            }
        });
        Self { address, heads }
    }

    fn asked(&self, path: &str) -> usize {
        let start = format!("GET {path} ");
        self.heads.lock().unwrap().iter().filter(|head| head.starts_with(&start)).count()
    }
}

/// Where `/img/` leads for the picture of an address.
fn of_address(address: &str) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(address.as_bytes());
    let id: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("/img/{id}-64.jpg")
}

#[test]
fn pictures_are_fetched_from_where_documents_say_and_from_no_internal_address() {
    let others = Others::start(|path, _| {
        let whole = |bytes: &[u8]| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nETag: \"1\"\r\nContent-Length: {}\r\n\r\n",
                bytes.len()
            );
            [head.as_bytes(), bytes].concat()
        };
        match path {
            "/poster.png" => whole(&picture(100, 150, ImageFormat::Png)),
            "/logo.png" => whole(&picture(90, 90, ImageFormat::Png)),
            "/away" => b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:9/\r\n\r\n".to_vec(),
            _ => whole(b"<svg/>"),
        }
    });
    let (place, config, server) = started("[fetch]\nallow = [\"127.0.0.1\"]\n");
    let at = |path: &str| format!("http://{}{path}", others.address);
    let (poster, logo) = (at("/poster.png"), at("/logo.png"));
    let backdrops = [at("/away"), at("/other"), "http://127.0.0.3:9/x".to_owned()];
    let [away, other, inside] = &backdrops;
    let more = ["--backdrop", away, "--backdrop", other, "--backdrop", inside];
    done(
        &config,
        &[&["asset", "add", "a", "--name", "A", "--poster", &poster][..], &more].concat(),
    );
    done(&config, &["channel", "add", "n", "--logo", &logo]);
    let led = |server: &Running, address: &str| {
        let (head, _) = asked(server.public, &of_address(address), "");
        line(&head, "Location").map(str::to_owned)
    };
    for address in [&poster, &logo] {
        until("it is fetched", || led(&server, address).is_some_and(|to| to.starts_with("/img/")));
        let (head, body) = asked(server.public, &led(&server, address).unwrap(), "");
        assert_eq!(status(&head), "200");
        assert_eq!(image::load_from_memory(&body).unwrap().width(), 64);
    }
    for (address, why) in [
        (away, "127.0.0.2 is an internal address"),
        (other, "it is no JPEG, PNG, WebP or GIF"),
        (inside, "127.0.0.3 is an internal address"),
    ] {
        // Whoever watches may fetch it; we do not.
        assert_eq!(led(&server, address).as_ref(), Some(address), "{why}");
    }
    let mut whys: Vec<String> = Vec::new();
    while whys.len() < 3 {
        whys.push(server.says("a picture can't be fetched")["why"].as_str().unwrap().to_owned());
    }
    for why in ["127.0.0.2 is an internal", "127.0.0.3 is an internal", "it is no JPEG"] {
        assert!(whys.iter().any(|said| said.starts_with(why)), "{whys:?}");
    }
    assert_eq!(others.asked("/poster.png"), 1);
    // A start asks nobody again for what it knows.
    until("it is remembered", || {
        let kept = std::fs::read_to_string(place.path("state/pictures/addresses.json"));
        kept.is_ok_and(|kept| kept.matches("\"picture\"").count() == 2)
    });
    server.signal("KILL");
    server.ended();
    let server = Running::start(&mut serve(&config));
    assert!(led(&server, &poster).unwrap().starts_with("/img/"));
    done(&config, &["asset", "set", "a", "--poster", &at("/logo.png?again")]);
    until("what is new is fetched", || others.asked("/logo.png?again") == 1);
    assert_eq!((others.asked("/poster.png"), others.asked("/logo.png")), (1, 1));
    assert_eq!(status(&asked(server.public, &of_address("http://a.example/"), "").0), "404");
}

#[test]
fn a_folder_becomes_a_catalogue_that_follows_it_and_keeps_its_numbers() {
    let place = Place::new();
    let config = place.config("[[library]]\npath = \"vod\"\n");
    let put = |path: &str, bytes: &[u8]| {
        let path = place.path("vod").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    put("Matrix (1999)/master.m3u8", b"#EXTM3U\n");
    put("Matrix (1999)/poster.png", &picture(100, 150, ImageFormat::Png));
    put("Matrix (1999)/details.json", br#"{ "name": "The Matrix", "age": 16 }"#);
    put("Lost/Lost S01E02 Two.mkv", b"2");
    let server = Running::start(&mut serve(&config));
    let said = done(&config, &["import", "folder", "--dry-run"]);
    assert!(
        said.ends_with(
            "nothing was written; 5 added, 0 changed, 0 unchanged, 0 missing, 0 refused\n"
        ),
        "{said}"
    );
    assert_eq!(done(&config, &["asset", "ls", "--json"]), "");
    let said = done(&config, &["import", "folder"]);
    assert!(said.contains("added   episode  lost-s01e02"), "{said}");
    let show = |kind: &str, id: &str| -> Value {
        serde_json::from_str(&done(&config, &[kind, "show", id, "--json"])).unwrap()
    };
    let film = show("asset", "Matrix (1999)");
    assert_eq!((&film["name"], &film["details"]["age"]), (&"The Matrix".into(), &16.into()));
    assert_eq!(film["details"]["year"], 1999);
    let poster = film["details"]["poster"].as_str().unwrap().strip_prefix("img:").unwrap();
    let (head, body) = asked(server.public, &format!("/img/{poster}-64.jpg"), "");
    assert_eq!(status(&head), "200");
    assert_eq!(image::load_from_memory(&body).unwrap().width(), 64);
    let episode = show("episode", "lost-s01e02");
    assert_eq!(
        (&episode["name"], &episode["asset"]),
        (&"Two".into(), &"Lost/Lost S01E02 Two.mkv".into())
    );
    done(&config, &["asset", "set", "Matrix (1999)", "--name", "Mine"]);
    std::fs::rename(place.path("vod/Lost"), place.path("vod/Gone")).unwrap();
    std::fs::remove_dir_all(place.path("vod/Matrix (1999)")).unwrap();
    let path = place.path("vod");
    let json = ["import", "folder", path.to_str().unwrap(), "--json"];
    let report: Value = serde_json::from_str(&done(&config, &json)).unwrap();
    // The episode is where it is now, and its old asset and the film are gone.
    assert_eq!((&report["missing"], &report["added"]), (&2.into(), &1.into()), "{report}");
    assert_eq!(show("episode", "lost-s01e02")["number"], episode["number"]);
    assert_eq!(show("asset", "Matrix (1999)")["missing"], true);
    put("Matrix (1999)/master.m3u8", b"#EXTM3U\n");
    done(&config, &["import", "folder"]);
    let again = show("asset", "Matrix (1999)");
    assert_eq!((&again["number"], &again["name"]), (&film["number"], &"Mine".into()));
    assert_eq!(again["missing"], Value::Null);
    let said = verb(&config, &["import", "folder", "/etc"]);
    assert!(
        said.code == 1 && said.err.contains("/etc is in no library of the config"),
        "{}",
        said.err
    );
    let before = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, before.replace("[[library]]\npath = \"vod\"\n", "")).unwrap();
    server.signal("HUP");
    server.says("the config was read again");
    let said = done(&config, &["import", "folder"]);
    assert!(said.contains("missing  asset    Matrix (1999)"), "{said}");
}

#[test]
fn a_server_catalogues_its_libraries_by_itself() {
    let place = Place::new();
    let config = place.config("[catalogue]\nevery = \"1s\"\n");
    let _server = Running::start(&mut serve(&config));
    let number = |id: &str| {
        let said = verb(&config, &["asset", "show", id, "--json"]);
        let shown: Option<Value> = serde_json::from_str(&said.out).ok();
        shown.and_then(|shown| shown["number"].as_u64())
    };
    until("what is there has a number", || number("library").is_some());
    let film = place.path("library/extra.pack");
    std::fs::write(film, "pack").unwrap();
    until("and what comes gets one", || number("library/extra").is_some());
    assert_ne!(number("library"), number("library/extra"));
}
