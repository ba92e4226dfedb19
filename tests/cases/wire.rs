//! A strict reader of answers: what any client may rely on is checked in each of them.

use std::collections::VecDeque;

/// Where a conversation takes place: a socket, or the pure steps.
pub trait Wire {
    /// The client sends.
    fn send(&mut self, bytes: &[u8]);
    /// The client sends no more.
    fn shut(&mut self);
    /// More bytes of the server; empty = it closed.
    fn more(&mut self) -> Vec<u8>;
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What the server sends, read answer by answer.
pub struct Reader<'w> {
    pub wire: &'w mut dyn Wire,
    held: VecDeque<u8>,
    closed: bool,
}

impl<'w> Reader<'w> {
    pub fn new(wire: &'w mut dyn Wire) -> Self {
        Self { wire, held: VecDeque::new(), closed: false }
    }

    /// Whether the server closes without another byte.
    pub fn is_closed(&mut self) -> bool {
        self.held.is_empty() && !self.fill()
    }

    fn fill(&mut self) -> bool {
        if !self.closed {
            let bytes = self.wire.more();
            self.closed = bytes.is_empty();
            self.held.extend(bytes);
        }
        !self.closed
    }

    fn take(&mut self, size: usize) -> Result<Vec<u8>, String> {
        while self.held.len() < size {
            if !self.fill() {
                return Err(format!("closed {} bytes early", size - self.held.len()));
            }
        }
        Ok(self.held.drain(..size).collect())
    }

    fn head(&mut self) -> Result<String, String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.take(1)?);
        }
        String::from_utf8(head).map_err(|_| "a head that is not text".to_owned())
    }

    /// The next answer that is not 100, unless it is awaited.
    pub fn answer(&mut self, awaited: u16, head_only: bool) -> Result<Answer, String> {
        loop {
            let head = self.head()?;
            let (status, fields) = taken_apart(&head)?;
            if status == 100 {
                if awaited == 100 {
                    return Ok(Answer { status, fields, body: Vec::new() });
                }
                continue;
            }
            check_date(&head)?;
            let mut answer = Answer { status, fields, body: Vec::new() };
            let size = body_size(&answer)?;
            if !head_only {
                answer.body = self.take(size)?;
            }
            return Ok(answer);
        }
    }
}

type Fields = Vec<(String, String)>;

fn taken_apart(head: &str) -> Result<(u16, Fields), String> {
    let mut lines = head.trim_end_matches("\r\n").split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split_once(' '));
    let status = status.and_then(|(status, _)| status.parse().ok());
    let status = status.ok_or_else(|| format!("not a status line: {first}"))?;
    let mut fields = Fields::new();
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or_else(|| format!("no field: {line}"))?;
        let name = name.to_ascii_lowercase();
        if fields.iter().any(|(known, _)| *known == name) {
            return Err(format!("{name} stands twice"));
        }
        fields.push((name, value.to_owned()));
    }
    Ok((status, fields))
}

/// Date comes first and has one form.
fn check_date(head: &str) -> Result<(), String> {
    let line = head.split("\r\n").nth(1).unwrap_or_default();
    let date = line.strip_prefix("Date: ").filter(|date| date.len() == 29);
    match date.map(httpdate::parse_http_date) {
        Some(Ok(_)) => Ok(()),
        _ => Err(format!("no date behind the status line, but {line}")),
    }
}

/// The size that is stated, or that follows from the status; nothing here is chunked.
fn body_size(answer: &Answer) -> Result<usize, String> {
    let stated = answer.field("content-length");
    if matches!(answer.status, 204 | 304) {
        return match stated.or(answer.field("transfer-encoding")) {
            None => Ok(0),
            Some(_) => Err(format!("{} says how long its body is", answer.status)),
        };
    }
    stated.and_then(|size| size.parse().ok()).ok_or_else(|| "no size is stated".to_owned())
}
