//! The parameters of a query, or of a form: pairs, decoded once (WHATWG URL, 5.1).

/// Parameters that are read of one query; what stands behind them is not looked at.
const PARAMETERS_MAX: usize = 32;

/// Names and values, in their order.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what follows `?`.
    #[must_use]
    pub fn read(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).take(PARAMETERS_MAX);
        Self(pairs.filter_map(pair).collect())
    }

    /// The first value with this name that is not blank.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let named = self.0.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.trim()).find(|value| !value.is_empty())
    }
}

/// A name and its value; none of what is no text.
fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    decoded(name).zip(decoded(value))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escape = if let (b'%', [high, low, ..]) = (first, after) {
            hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low)
        } else {
            None
        };
        let byte = escape.unwrap_or(if *first == b'+' { b' ' } else { *first });
        bytes.push(byte);
        rest = if escape.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
