//! Dumps in, rows out.

use proptest::prelude::*;

use super::*;

fn all(text: &[u8]) -> Vec<String> {
    // A small buffer, so that everything lies across its ends.
    let file = io::BufReader::with_capacity(5, io::Cursor::new(text.to_vec()));
    let mut dump = Dump::new(Box::new(file), "lines");
    let mut all = Vec::new();
    loop {
        match dump.next() {
            Ok(Some((line, Found::Row(Ok(row))))) => all.push(format!("{line} {row:?}")),
            Ok(Some((line, Found::Row(Err(why))))) => all.push(format!("{line} wrong: {why}")),
            Ok(Some((_, Found::Bouquet(number, name)))) => {
                all.push(format!("bouquet {number} {name}"));
            }
            Ok(None) => return all,
            Err(error) => {
                all.push(format!("stopped: {error}"));
                return all;
            }
        }
    }
}

const DUMP: &str = r#"-- MariaDB dump 10.19; it's only a test
/*!40101 SET NAMES utf8mb4 */;
DROP TABLE IF EXISTS `bouquets`;
CREATE TABLE `bouquets` (
  `id` int(11) NOT NULL AUTO_INCREMENT, -- it's the number
  `bouquet_name` mediumtext DEFAULT 'a,b)',
  `bouquet_channels` enum('x','y;') /* why, not */,
  PRIMARY KEY (`id`),
  KEY `a` (`id`,`bouquet_name`)
) ENGINE=InnoDB COMMENT='; (';
INSERT INTO `bouquets` VALUES (1,'Sport','[1,2]'),(2,'Kino; und mehr',NULL);
INSERT INTO `users` VALUES (1,'admin; INSERT INTO `lines`');
CREATE TABLE IF NOT EXISTS `panel`.`lines` (`id` int, `username` varchar(255), `password` text);
INSERT INTO `lines` VALUES
(1,'anna','it\'s ''q'' \\ \"x\" \n'),
(2,'bert',NULL);
INSERT IGNORE INTO lines (`password`, username) VALUES (_binary 'p', "cleo") ON DUPLICATE KEY UPDATE a=1;
"#;

#[test]
fn rows_are_read_and_the_rest_is_passed_over() {
    let expected = [
        "bouquet 1 Sport",
        "bouquet 2 Kino; und mehr",
        r#"15 {"id": "1", "password": "it's 'q' \\ \"x\" \n", "username": "anna"}"#,
        r#"16 {"id": "2", "username": "bert"}"#,
        r#"17 {"password": "p", "username": "cleo"}"#,
    ];
    assert_eq!(all(DUMP.as_bytes()), expected);
    assert_eq!(all(DUMP.replace('\n', "\r\n").as_bytes()).len(), expected.len());
}

#[test]
fn a_row_that_makes_no_sense_is_no_reason_for_the_others() {
    let text = "INSERT INTO lines (username, password) VALUES ('a'),('b','c','d'),('e','f');";
    assert_eq!(
        all(text.as_bytes()),
        [
            "1 wrong: it has 1 values, and there are 2 columns",
            "1 wrong: it has 3 values, and there are 2 columns",
            r#"1 {"password": "f", "username": "e"}"#,
        ]
    );
    let text = b"INSERT INTO lines (username, x) VALUES ('\xe4', '\xe4'),('b','\xe4');";
    assert_eq!(all(text), ["1 wrong: username: it is not in UTF-8", r#"1 {"username": "b"}"#]);
}

#[test]
fn what_is_no_dump_is_said_with_its_line() {
    for (text, expected) in [
        ("INSERT INTO lines VALUES (1)", "stopped: line 1: the dump does not say what the columns"),
        ("INSERT INTO lines (id) SET a=1;", "stopped: line 1: VALUES is missing"),
        ("INSERT INTO lines (id) VALUES 7;", "stopped: line 1: a row is to begin here"),
        ("INSERT INTO lines (id)\nVALUES (7 8);", "stopped: line 2: a row is to go on or end here"),
        ("INSERT INTO lines (id) VALUES (,);", "stopped: line 1: a value is missing"),
        ("INSERT INTO lines (id) VALUES ('7", "stopped: line 1: the file ends within a statement"),
        ("INSERT INTO lines (;) VALUES ('7')", "stopped: line 1: these are no names of columns"),
        ("/* a", "stopped: line 1: the file ends within a statement"),
    ] {
        let said = all(text.as_bytes());
        assert!(said.last().unwrap().starts_with(expected), "{text}: {said:?}");
    }
    assert_eq!(all(b""), Vec::<String>::new());
    assert_eq!(all(b"SELECT 1"), Vec::<String>::new());
}

#[test]
fn a_dump_that_was_cut_never_gives_half_a_row() {
    let whole = all(DUMP.as_bytes());
    for size in 0..DUMP.len() {
        let mut said = all(&DUMP.as_bytes()[..size]);
        if said.last().is_some_and(|last| last.starts_with("stopped")) {
            said.pop();
        }
        assert_eq!(said, whole[..said.len()], "{size}");
    }
}

proptest! {
    #[test]
    fn any_value_comes_back_as_it_was(values in prop::collection::vec(".{0,20}", 1..4)) {
        let escaped = |value: &String| {
            let escaped = value.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n");
            format!("(1,'{escaped}')")
        };
        let rows: Vec<_> = values.iter().map(escaped).collect();
        let text = format!("INSERT INTO `lines` (`x`,`username`) VALUES {};", rows.join(","));
        let read = all(text.as_bytes());
        let expected: Vec<_> =
            values.iter().map(|value| format!("1 {:?}", Row::from([("username".to_owned(), value.clone())]))).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn whatever_stands_in_it_is_read_to_its_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = [b"INSERT INTO lines (username) VALUES ('a'),(".as_slice(), &bytes].concat();
        drop(all(&text));
        drop(all(&bytes));
    }
}
