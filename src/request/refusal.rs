//! Why a client does not get what it asked for: one small value a reason, without text of its own.

/// A refusal. Each has one status, is counted under its reason, and never allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Not HTTP/1.1 as we read it. 400 and close.
    Malformed,
    /// The head is longer than `HEAD_SIZE_MAX`, or has too many lines. 431 and close.
    HeadTooLarge,
    /// The target is longer than `TARGET_SIZE_MAX`. 414 and close.
    TargetTooLong,
    /// A version of HTTP that we do not speak. 505 and close.
    UnknownVersion,
    /// A transfer coding that we do not know. 501 and close.
    UnknownCoding,
    /// A method that we do not serve here. 405 with Allow, and close.
    MethodNotAllowed,
    /// A body where none belongs, or one that is too large. 413 and close.
    BodyTooLarge,
    /// An expectation other than 100-continue. 417 and close.
    UnknownExpectation,
    /// The head did not come in time. 408 and close.
    HeadTimeout,
    /// A delivery directive that is none, or asks for what is too far ahead. 400.
    Directive,
    /// There is no such object. 404.
    NotFound,
    /// It takes a token, and there is none. 403.
    TokenMissing,
    /// The token is not one of ours. 403.
    TokenUnknown,
    /// The token was good once. 403.
    TokenExpired,
    /// The token is good in another network. 403.
    TokenElsewhere,
    /// An operator has revoked the token. 403.
    TokenRevoked,
    /// The token will be good later. 403.
    TokenEarly,
    /// The token is signed, and lacks what we need, or says what we can't keep. 403.
    TokenUnfit,
    /// The token is good, but not for this. 403.
    NotEntitled,
    /// The rendition takes more than the viewer's plan or token lets one take. 403.
    Bitrate,
    /// It lies further back than the viewer's plan goes. 403.
    CatchUp,
    /// The token's subscriber is not there any more. 403.
    SubscriberUnknown,
    /// An operator has shut out the subscriber. 403.
    SubscriberBlocked,
    /// What the subscriber has paid for has ended. 403.
    SubscriberExpired,
    /// The subscriber may watch in other networks. 403.
    SubscriberElsewhere,
    /// The subscriber may not watch with this player. 403.
    AgentDenied,
    /// The subscriber may watch in one country, and this is another one. 403.
    CountryDenied,
    /// The subscriber may watch in one country, and nobody knows where this is. 403.
    CountryUnknown,
    /// The operator's back end says that this session may not begin. 403.
    HookRefused,
    /// The operator's back end does not say whether this session may begin. 503 with Retry-After.
    HookFailed,
    /// The subscriber watches at as many places as it may. 403.
    SessionLimit,
    /// An operator has ended the session. 403.
    SessionKicked,
    /// The machine sends as much as it may, and this session would be new. 503 with Retry-After.
    EgressFull,
    /// Nothing has come of the channel for as long as its window is. Said where there is a slate
    /// that says so to viewers; else they are told of what there is. 404.
    OffAir,
    /// The object is there, but its pack or file is damaged. 503.
    Damaged,
    /// Too many wrong things came from there, and this is of nobody that we know. 403.
    Banned,
    /// As many connections come from there as one address may have. 429 with Retry-After.
    TooMany,
    /// No such user, or another password. 403.
    PasswordWrong,
    /// Too many different wrong passwords were said of this account from there. 403.
    LockedOut,
    /// No memory, descriptor or place in a queue is left. 503 with Retry-After.
    Busy,
    /// Nobody answered in time. 503 with Retry-After.
    TimedOut,
}

impl Refusal {
    /// Every refusal, for counters.
    pub const ALL: [Self; 41] = [
        Self::Malformed,
        Self::HeadTooLarge,
        Self::TargetTooLong,
        Self::UnknownVersion,
        Self::UnknownCoding,
        Self::MethodNotAllowed,
        Self::BodyTooLarge,
        Self::UnknownExpectation,
        Self::HeadTimeout,
        Self::Directive,
        Self::NotFound,
        Self::TokenMissing,
        Self::TokenUnknown,
        Self::TokenExpired,
        Self::TokenElsewhere,
        Self::TokenRevoked,
        Self::TokenEarly,
        Self::TokenUnfit,
        Self::NotEntitled,
        Self::Bitrate,
        Self::CatchUp,
        Self::SubscriberUnknown,
        Self::SubscriberBlocked,
        Self::SubscriberExpired,
        Self::SubscriberElsewhere,
        Self::AgentDenied,
        Self::CountryDenied,
        Self::CountryUnknown,
        Self::HookRefused,
        Self::HookFailed,
        Self::SessionLimit,
        Self::SessionKicked,
        Self::EgressFull,
        Self::OffAir,
        Self::Banned,
        Self::TooMany,
        Self::PasswordWrong,
        Self::LockedOut,
        Self::Damaged,
        Self::Busy,
        Self::TimedOut,
    ];

    /// The status code.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed | Self::Directive => 400,
            Self::TokenMissing
            | Self::TokenUnknown
            | Self::TokenExpired
            | Self::TokenElsewhere
            | Self::TokenRevoked
            | Self::TokenEarly
            | Self::TokenUnfit
            | Self::NotEntitled
            | Self::Bitrate
            | Self::CatchUp
            | Self::SubscriberUnknown
            | Self::SubscriberBlocked
            | Self::SubscriberExpired
            | Self::SubscriberElsewhere
            | Self::AgentDenied
            | Self::CountryDenied
            | Self::CountryUnknown
            | Self::HookRefused
            | Self::SessionLimit
            | Self::SessionKicked
            | Self::PasswordWrong
            | Self::LockedOut
            | Self::Banned => 403,
            Self::NotFound | Self::OffAir => 404,
            Self::MethodNotAllowed => 405,
            Self::HeadTimeout => 408,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::UnknownExpectation => 417,
            Self::TooMany => 429,
            Self::HeadTooLarge => 431,
            Self::UnknownCoding => 501,
            Self::EgressFull | Self::HookFailed | Self::Damaged | Self::Busy | Self::TimedOut => {
                503
            }
            Self::UnknownVersion => 505,
        }
    }

    /// Whether the connection ends with it: always where we cannot be sure where the next request
    /// would begin.
    #[must_use]
    pub const fn closes(self) -> bool {
        // Whoever may not have something was understood.
        self.status() != 403
            && !matches!(
                self,
                Self::Directive
                    | Self::NotFound
                    | Self::OffAir
                    | Self::EgressFull
                    | Self::HookFailed
                    | Self::TooMany
                    | Self::Damaged
                    | Self::Busy
                    | Self::TimedOut
            )
    }

    /// The value of `X-Shardcast-Reason` and of the metrics label.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::HeadTooLarge => "head-too-large",
            Self::TargetTooLong => "target-too-long",
            Self::UnknownVersion => "unknown-version",
            Self::UnknownCoding => "unknown-coding",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::BodyTooLarge => "body-too-large",
            Self::UnknownExpectation => "unknown-expectation",
            Self::HeadTimeout => "head-timeout",
            Self::Directive => "directive",
            Self::NotFound => "not-found",
            Self::TokenMissing => "token-missing",
            Self::TokenUnknown => "token-unknown",
            Self::TokenExpired => "token-expired",
            Self::TokenElsewhere => "token-elsewhere",
            Self::TokenRevoked => "token-revoked",
            Self::TokenEarly => "token-early",
            Self::TokenUnfit => "token-unfit",
            Self::NotEntitled => "not-entitled",
            Self::Bitrate => "bitrate",
            Self::CatchUp => "catch-up",
            Self::SubscriberUnknown => "subscriber-unknown",
            Self::SubscriberBlocked => "subscriber-blocked",
            Self::SubscriberExpired => "subscriber-expired",
            Self::SubscriberElsewhere => "subscriber-elsewhere",
            Self::AgentDenied => "agent-denied",
            Self::CountryDenied => "country-denied",
            Self::CountryUnknown => "country-unknown",
            Self::HookRefused => "hook-refused",
            Self::HookFailed => "hook-failed",
            Self::SessionLimit => "session-limit",
            Self::SessionKicked => "session-kicked",
            Self::EgressFull => "egress-full",
            Self::OffAir => "off-air",
            Self::Banned => "banned",
            Self::TooMany => "too-many-connections",
            Self::PasswordWrong => "password-wrong",
            Self::LockedOut => "locked-out",
            Self::Damaged => "damaged",
            Self::Busy => "busy",
            Self::TimedOut => "timed-out",
        }
    }
}
