//! Files in, objects out.

use super::*;

fn read(format: Format, text: &str, plan: Option<&str>) -> Vec<String> {
    let file = Box::new(io::Cursor::new(text.to_owned()));
    let wishes = Wishes { table: "lines", plan, prefix: "" };
    let mut source = Source::new(format, file, &wishes).unwrap();
    let mut all = Vec::new();
    while let Some(entry) = source.next().unwrap() {
        let object = entry.object.map(|object| Value::Object(object).to_string());
        all.push(format!("{} {} {}", entry.line, entry.name, object.unwrap_or_else(|why| why)));
    }
    all
}

#[test]
fn plans_are_made_of_the_bouquets_of_lines_once() {
    let dump = "INSERT INTO bouquets (id, bouquet_name) VALUES (1,'Sport'),(2,'Kino');\n\
                INSERT INTO lines (username, bouquet) VALUES ('anna','[2,1]'),('bert','[1,2]'),\n\
                ('cleo','[9]'),('dora','[]');\n";
    assert_eq!(
        read(Format::Xtream, dump, None),
        [
            r#"2 xtream-1 {"existing":"keep","id":"xtream-1","kind":"bouquet","name":"Sport"}"#,
            r#"2 xtream-2 {"existing":"keep","id":"xtream-2","kind":"bouquet","name":"Kino"}"#,
            r#"2 xtream-1-2 {"bouquets":["xtream-1","xtream-2"],"existing":"keep","id":"xtream-1-2","kind":"plan","name":"Sport, Kino"}"#,
            r#"2 anna {"id":"anna","kind":"subscriber","plan":"xtream-1-2"}"#,
            r#"2 bert {"id":"bert","kind":"subscriber","plan":"xtream-1-2"}"#,
            r#"3 xtream-9 {"existing":"keep","id":"xtream-9","kind":"bouquet","name":"Bouquet 9"}"#,
            r#"3 xtream-9 {"bouquets":["xtream-9"],"existing":"keep","id":"xtream-9","kind":"plan","name":"Bouquet 9"}"#,
            r#"3 cleo {"id":"cleo","kind":"subscriber","plan":"xtream-9"}"#,
            r#"3 dora {"id":"dora","kind":"subscriber"}"#,
        ]
    );
    let all = read(Format::Xtream, dump, Some("gold"));
    assert_eq!(all.len(), 4, "a plan that was given is that of all");
    assert_eq!(all[0], r#"2 anna {"id":"anna","kind":"subscriber","plan":"gold"}"#);
}

#[test]
fn objects_of_json_are_ours_or_rows() {
    let text = r#"{"kind":"plan","id":"gold","name":"Gold"}
{"id":"anna","notes":"x"}
{"username":"bert","exp_date":null,"max_connections":3,"is_trial":true}
{"kind":"end","objects":3}
{"username":7}
{"username":"cleo","exp_date":"soon"}"#;
    assert_eq!(
        read(Format::Json, text, Some("gold")),
        [
            r#"1 gold {"id":"gold","kind":"plan","name":"Gold"}"#,
            r#"2 anna {"id":"anna","kind":"subscriber","notes":"x","plan":"gold"}"#,
            r#"3 bert {"id":"bert","kind":"subscriber","plan":"gold","sessions_max":3,"trial":true}"#,
            r#"5 7 {"id":"7","kind":"subscriber","plan":"gold"}"#,
            r#"6 - exp_date: "soon" is no moment (Unix seconds, 2027-01-31, or 2027-01-31 20:00:00 in UTC)"#,
        ]
    );
}

#[test]
fn rows_of_a_table_are_subscribers() {
    let text = "username,password,plan\nanna,kx7mq2pt,gold\n,x,\n";
    assert_eq!(
        read(Format::Csv, text, Some("silver")),
        [
            r#"2 anna {"id":"anna","kind":"subscriber","passwords":[{"password":"kx7mq2pt"}],"plan":"gold"}"#,
            "3 - username: it is missing",
        ]
    );
}
