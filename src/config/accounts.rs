//! Limits of what subscribers sign in with, and of how they come from elsewhere.

use super::{HEAD_SIZE_MAX, OBJECT_ID_MAX};

/// App passwords of one subscriber. Beyond it another one is refused: 409.
pub const APP_PASSWORDS_MAX: usize = 16;

/// Longest app password, in bytes: it is an element of a path, beside a user name of the same
/// length. A longer one is refused: 400.
pub const APP_PASSWORD_SIZE_MAX: usize = 128;
const _: () = assert!(APP_PASSWORD_SIZE_MAX * 3 + OBJECT_ID_MAX * 3 < HEAD_SIZE_MAX, "escaped");

/// Longest name of an app password, in bytes. A longer one is refused: 400.
pub const APP_PASSWORD_NAME_MAX: usize = 64;

/// Characters of an app password that is generated: 31 letters and digits make 69 bits of 14.
pub const APP_PASSWORD_LENGTH: usize = 14;

/// Characters of which an app password is not weak for its length alone.
pub const APP_PASSWORD_SHORT: usize = 8;
const _: () = assert!(APP_PASSWORD_LENGTH >= 12 && APP_PASSWORD_LENGTH <= 16, "typed by remote");

/// Lines of an import that are taken at once: about 50 ms of the registry's thread, and one sync.
/// More in a request are refused: 413.
pub const IMPORT_LINES_MAX: usize = 500;

/// Objects of an export that are read, and sent, at once: 256 KiB or so.
pub const EXPORT_LINES: usize = 500;

/// Parts of an export that wait for whoever reads them. Beyond it reading waits.
pub const EXPORT_PARTS: usize = 4;
