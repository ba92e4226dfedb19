//! Texts by which something is remembered over a restart: a first line that says what they are,
//! lines of words, and a last line, without which they are not whole. Pure.

/// The last line.
pub const LAST: &str = "end";

/// Gives `take` the words of each line between the first, which must be this one, and the last.
/// None if the text is not one of these, is not whole, or has a line that is not understood.
pub fn read<'t>(
    text: &'t str,
    first: &str,
    mut take: impl FnMut(&[&'t str]) -> Option<()>,
) -> Option<()> {
    let mut lines = text.lines();
    if lines.next()? != first {
        return None;
    }
    loop {
        let words: Vec<_> = lines.next()?.split(' ').collect();
        if words == [LAST] {
            return Some(());
        }
        take(&words)?;
    }
}
