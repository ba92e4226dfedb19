//! Dumps as panels write them: the tables have the columns that published ones have, in their
//! order; all that stands in them is made up.
//!
//! XC_VM, which goes on with XUI.one's database, calls the table `lines`
//! (Vateron-Media/XC_VM, src/bin/install/database.sql); XtreamUI's and Xtream Codes' own is
//! `users`, beside `reg_users` for those who use the panel (their database.sql, exported by
//! phpMyAdmin).

use super::super::table::subscriber;
use super::*;

/// Columns of `lines`.
const LINES: &str = "id member_id username password last_ip exp_date admin_enabled enabled \
    admin_notes reseller_notes bouquet allowed_outputs max_connections is_restreamer is_trial \
    is_mag is_e2 is_stalker is_isplock allowed_ips allowed_ua created_at pair_id force_server_id \
    as_number isp_desc forced_country bypass_ua play_token last_expiration_video package_id \
    access_token contact last_activity last_activity_array updated";

/// Columns of `users`.
const USERS: &str = "id member_id username password exp_date admin_enabled enabled admin_notes \
    reseller_notes bouquet max_connections is_restreamer allowed_ips allowed_ua is_trial \
    created_at created_by pair_id is_mag is_e2 force_server_id is_isplock as_number isp_desc \
    forced_country is_stalker bypass_ua play_token";

/// What a dump has of subscribers, in JSON; and the number of their bouquets.
fn read(text: &str, table: &str) -> Vec<(serde_json::Value, usize)> {
    let mut dump = Dump::new(Box::new(io::Cursor::new(text.to_owned())), table);
    let mut read = Vec::new();
    while let Some((_, found)) = dump.next().expect("it is a dump") {
        if let Found::Row(row) = found {
            let row = subscriber(&row.expect("its columns are all there")).expect("it makes sense");
            read.push((row.object.into(), row.bouquets.len()));
        }
    }
    read
}

/// A table, with keys behind its columns as dumps have them.
fn made(table: &str, columns: &str) -> String {
    let column =
        |name: &str| format!("  `{name}` mediumtext COLLATE utf8_unicode_ci DEFAULT '1,)',\n");
    let columns: String = columns.split_whitespace().map(column).collect();
    format!(
        "DROP TABLE IF EXISTS `{table}`;\nCREATE TABLE `{table}` (\n{columns}  PRIMARY KEY (`id`),\n  \
         KEY `order_default` (`id`,`username`) USING BTREE\n) ENGINE=InnoDB AUTO_INCREMENT=7;\n"
    )
}

/// A row with these values, in the order of the columns; all others are NULL, or what stands there
/// of nothing.
fn row(columns: &str, values: &[(&str, &str)], nothing: &str) -> String {
    let value = |name: &str| {
        let value = values.iter().find(|(of, _)| *of == name).map(|(_, value)| *value);
        value.unwrap_or(nothing).to_owned()
    };
    format!("({})", columns.split_whitespace().map(value).collect::<Vec<_>>().join(","))
}

const ANNA: &[(&str, &str)] = &[
    ("id", "5"),
    ("username", "'Anna\\'s TV'"),
    ("password", "'p,\\\\)('"),
    ("exp_date", "1800000000"),
    ("admin_enabled", "1"),
    ("enabled", "1"),
    ("bouquet", "'[\\\"1\\\",\\\"12\\\"]'"),
    ("allowed_outputs", "'[1,2,3]'"),
    ("max_connections", "2"),
    ("is_trial", "0"),
    ("is_mag", "0"),
    ("is_e2", "0"),
    ("is_isplock", "0"),
    ("allowed_ips", "'[\\\"192.0.2.7\\\"]'"),
    ("allowed_ua", "'[\\\"VLC\\/3\\\"]'"),
    ("forced_country", "'DE'"),
    ("admin_notes", "'one\\r\\ntwo'"),
    ("updated", "'2026-11-01 10:00:00'"),
];

fn anna() -> serde_json::Value {
    serde_json::json!({
        "kind": "subscriber", "id": "Anna's TV", "external_id": "5",
        "passwords": [{ "password": "p,\\)(" }], "expires": 1_800_000_000, "sessions_max": 2,
        "trial": false, "networks": ["192.0.2.7"], "agents_allowed": ["VLC/3"], "country": "DE",
        "notes": "one\ntwo",
    })
}

/// One of whom a panel knows little: nothing where it may be, and empty texts where it may not.
const BERT: &[(&str, &str)] = &[
    ("id", "6"),
    ("username", "'bert'"),
    ("password", "'b'"),
    ("exp_date", "NULL"),
    ("bouquet", "'[]'"),
    ("admin_enabled", "0"),
];

fn bert() -> serde_json::Value {
    serde_json::json!({
        "kind": "subscriber", "id": "bert", "external_id": "6",
        "passwords": [{ "password": "b" }], "status": "blocked",
    })
}

#[test]
fn lines_are_read_as_mysqldump_writes_them() {
    let rows = [row(LINES, ANNA, "NULL"), row(LINES, BERT, "NULL")].join(",");
    let others = made("lines_live", "activity_id user_id") + &made("users", "id username password");
    let text = format!(
        "/*!50503 SET NAMES utf8mb4 */;\n{others}INSERT INTO `users` VALUES (1,'admin','x');\n\
         {}LOCK TABLES `lines` WRITE;\n/*!40000 ALTER TABLE `lines` DISABLE KEYS */;\n\
         INSERT INTO `lines` VALUES {rows};\nUNLOCK TABLES;\n",
        made("lines", LINES)
    );
    assert_eq!(read(&text, "lines"), [(anna(), 2), (bert(), 0)]);
}

#[test]
fn users_are_read_as_phpmyadmin_writes_them() {
    let names: Vec<_> = USERS.split_whitespace().map(|name| format!("`{name}`")).collect();
    let into = format!("INSERT INTO `users` ({}) VALUES", names.join(", "));
    let text = format!(
        "-- phpMyAdmin SQL Dump\n{}{into}\n{};\n{into}\n{},\n{};\n\
         INSERT INTO `reg_users` (`id`, `username`) VALUES\n(1, 'admin');\n\
         ALTER TABLE `users`\n  ADD PRIMARY KEY (`id`);\n",
        made("users", USERS),
        row(USERS, ANNA, "NULL"),
        // Columns that may not be NULL are empty.
        row(USERS, &[BERT, &[("max_connections", "1")]].concat(), "''"),
        row(USERS, BERT, "NULL"),
    );
    let mut one = bert();
    one["sessions_max"] = 1.into();
    assert_eq!(read(&text, "users"), [(anna(), 2), (one, 0), (bert(), 0)]);
}

#[test]
fn a_dump_whose_table_has_another_name_says_so() {
    let text = made("reg_users", "id username password") + &made("users", USERS);
    let mut dump = Dump::new(Box::new(io::Cursor::new(text.clone())), "lines");
    let why = dump.next().expect_err("there is no such table").to_string();
    assert_eq!(why, "it has no table \"lines\"; \"users\" is one of subscribers (--table)");
    assert_eq!(read(&text, "users"), []);
    assert_eq!(read(&made("lines", LINES), "lines"), [], "there are none");
}
