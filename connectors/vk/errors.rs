//! What VK's error codes mean for the host. Codes and classes: the official list of errors and observed behaviour.
//!
//! A code this version does not know is temporary trouble: growing pauses do no harm, a stopped channel does.

use std::time::Duration;

use priem_sdk::ConnectorError;

use super::api::ApiError;

/// What a code asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Short pauses that grow.
    Retry,
    /// Too many calls in this second.
    TooFast,
    /// Minutes to hours of silence with this token.
    LongPause,
    /// A human must solve a captcha; every further call makes it worse.
    Captcha,
    /// The token is no longer good.
    Credentials,
    /// The token lacks a right, or the call can't work as it is set up.
    Rights,
    /// This object can't be read; the others can.
    Object,
    /// The batch was too large or took too long.
    Batch,
}

/// Class of an error.
pub(super) fn class(error: &ApiError) -> Class {
    // Access denied and invalid requests may carry a subcode that says "try again"; its number is not published.
    match error.code {
        8 | 15 if error.message.to_ascii_lowercase().contains("try again") => Class::Retry,
        1 | 10 | 32 | 36 | 43 => Class::Retry,
        6 => Class::TooFast,
        9 | 29 | 601 | 1105 => Class::LongPause,
        14 | 3300 => Class::Captcha,
        4 | 5 | 16 | 17 | 24 | 25 | 28 | 37 | 41 | 42 | 1114 | 1116 | 1117 | 3609 | 3610 => Class::Credentials,
        3 | 7 | 8 | 15 | 20 | 21 | 23 | 27 | 33 | 34 | 35 | 38 | 39 | 40 | 100 | 101 | 113 | 125 | 203 | 1051
        | 2000 => Class::Rights,
        18 | 19 | 30 | 104 | 183 | 200 | 201 | 204 | 210 | 211 | 212 | 801 | 917 | 927 | 936 | 1401 => Class::Object,
        12 | 13 => Class::Batch,
        _ => Class::Retry,
    }
}

/// Whether a sub-call that read one object failed for that object only. Access denied (7, 15, 203) and a bad
/// parameter (100) mean the object there, not the token.
pub(super) fn concerns_object_only(error: &ApiError) -> bool {
    matches!(class(error), Class::Object) || (matches!(error.code, 7 | 15 | 100 | 203) && class(error) == Class::Rights)
}

/// The decision for the host, when the pause does not depend on earlier trouble.
pub(super) fn decide(error: &ApiError, whose: &str) -> ConnectorError {
    let said = format!("VK answered {}: {}", error.code, bounded(&error.message));
    match class(error) {
        Class::Retry | Class::Batch => ConnectorError::transient(format_args!("{whose}: {said}")),
        Class::TooFast => ConnectorError::RateLimited {
            retry_after: Duration::from_secs(1),
        },
        Class::LongPause => ConnectorError::RateLimited {
            retry_after: Duration::from_secs(60),
        },
        Class::Captcha => ConnectorError::Misconfigured {
            hint: format!(
                "{whose}: VK wants a captcha, which a daemon can't solve ({said}); call less often, or use a service key"
            ),
        },
        Class::Credentials => ConnectorError::AuthRejected {
            hint: format!("{whose}: {said}; {}", cure_of_credentials(error.code)),
        },
        Class::Rights | Class::Object => ConnectorError::Misconfigured {
            hint: format!("{whose}: {said}; {}", cure_of_rights(error.code)),
        },
    }
}

fn cure_of_credentials(code: i64) -> &'static str {
    match code {
        5 => "the token was revoked or is wrong: make a new key in the community's settings, «Работа с API»",
        17 | 24 | 25 | 41 | 42 => "VK wants a person to confirm: log in as the token's owner and make a new token",
        28 => "this method does not take a service key: give a token of the kind the documentation names",
        _ => "make a new token",
    }
}

fn cure_of_rights(code: i64) -> &'static str {
    match code {
        15 => "the right is missing: give the key «управление сообществом» (and «сообщения сообщества»)",
        7 => "the token lacks a right: make a new key with the rights the documentation names",
        27 => {
            "a community's key can't read this: walls and comments need a service key or a user's token in `catch_up`"
        }
        100 | 113 | 125 | 203 => "check the community's id and whether the token belongs to it",
        1051 => "tokens of VK ID can't call this method: use a community's or a service key",
        2000 => "the community has ten callback servers already: remove one",
        _ => "check the token's rights and the settings of the community",
    }
}

/// VK's words, as they may stand in a log.
pub(super) fn bounded(message: &str) -> String {
    message.chars().filter(|c| !c.is_control()).take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i64) -> ApiError {
        ApiError {
            code,
            subcode: None,
            message: "said".into(),
        }
    }

    #[test]
    fn codes_become_decisions() {
        for (code, kind) in [
            (1, "transient"),
            (5, "auth_rejected"),
            (6, "rate_limited"),
            (9, "rate_limited"),
            (10, "transient"),
            (14, "misconfigured"),
            (15, "misconfigured"),
            (17, "auth_rejected"),
            (27, "misconfigured"),
            (28, "auth_rejected"),
            (29, "rate_limited"),
            (100, "misconfigured"),
            (1051, "misconfigured"),
            (1117, "auth_rejected"),
            (987_654, "transient"),
        ] {
            assert_eq!(decide(&error(code), "token of 9").kind(), kind, "{code}");
        }
    }

    #[test]
    fn access_denied_for_now_is_no_matter_of_rights() {
        let mut denied = error(15);
        denied.message = "Access denied: try again later".into();
        assert_eq!(class(&denied), Class::Retry);
        assert!(
            !concerns_object_only(&denied) && concerns_object_only(&error(15)) && concerns_object_only(&error(212))
        );
        assert!(!concerns_object_only(&error(5)) && !concerns_object_only(&error(27)));
    }
}
