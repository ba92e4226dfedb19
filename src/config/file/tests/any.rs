//! Whatever stands in a file, reading it ends.

use super::read;
use crate::config::settings::SETTINGS;

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\[\\]\\{\\}a-z=\"\\n\\., 0-9é]{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn no_value_makes_a_setting_panic(index in 0..SETTINGS.len(), value: String) {
        let (section, key) = SETTINGS[index].key.split_once('.').unwrap();
        let quoted = toml::Value::String(value);
        let _ = read(&format!("[{section}]\n{key} = {quoted}\n"));
        let _ = read(&format!("[{section}]\n{key} = [{quoted}, {{ address = {quoted} }}]\n"));
    }
}
