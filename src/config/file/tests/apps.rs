//! Cases of `[apps]`.

use super::Case;

pub const KEYS: &[Case] = &[
    (
        "apps",
        "refuse",
        "\"401\"",
        "\"404\"",
        "\"404\" is not known here (write \"auth-0\", \"401\" or \"403\")",
    ),
    (
        "apps",
        "memory",
        "\"1GiB\"",
        "\"much\"",
        "\"much\" is not a size (write \"16KiB\" or \"256MiB\")",
    ),
];
