//! What an error of the platform means for the host. Errors come under HTTP 200 as well as under 4xx, as
//! `{"error_code":…,"error_msg":…}`; the code decides.

use std::time::Duration;

use priem_sdk::{ConnectorError, http::HttpResponse};
use serde::Deserialize;

use super::api::Text;

/// Pause after a limit that names none: floods and quotas of OK last for minutes.
const LONG_PAUSE: Duration = Duration::from_secs(300);

/// A call did not succeed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A decision for the host.
    Decision(ConnectorError),
    /// Only the object asked for can't be had (gone, private): the caller goes on without it.
    Skip {
        /// `error_code`.
        code: i64,
        /// The platform's words, cleaned.
        words: String,
    },
}

impl Trouble {
    /// What the host hears of an object that the settings themselves name.
    pub fn decision(self, whom: &str) -> ConnectorError {
        match self {
            Self::Decision(error) => error,
            Self::Skip { code, words } => ConnectorError::Misconfigured {
                hint: format!("{whom}: OK says {code} {words:?}: it does not exist or is not shown to this account"),
            },
        }
    }
}

impl From<ConnectorError> for Trouble {
    fn from(error: ConnectorError) -> Self {
        Self::Decision(error)
    }
}

/// The error object.
#[derive(Debug, Deserialize)]
pub(super) struct ErrorBody {
    error_code: Text,
    #[serde(default)]
    error_msg: Text,
    #[serde(default)]
    error_field: Text,
}

impl ErrorBody {
    /// The error in an answer, if it is one. Lists and `null` are no errors.
    pub fn of(body: &[u8]) -> Option<(i64, String)> {
        let error: Self = priem_sdk::json::from_slice(body).ok()?;
        let code = error.error_code.number()?;
        let mut words = error.error_msg.into_text().unwrap_or_default();
        if let Some(field) = error.error_field.text() {
            words.push_str(&format!(" (field {field})"));
        }
        Some((code, words))
    }
}

/// Decides about an error object. `whom` names the token, `words` are cleaned already.
pub(super) fn decide(code: i64, words: String, whom: &str, response: &HttpResponse) -> Trouble {
    let said = format!("{whom}: OK says {code} {words:?}");
    let rejected = |cure: &str| ConnectorError::AuthRejected {
        hint: format!("{said}: {cure}"),
    };
    let wrong = |cure: &str| ConnectorError::Misconfigured {
        hint: format!("{said}: {cure}"),
    };
    Trouble::Decision(match code {
        7 | 24 | 106 | 140 | 141 | 300 | 454..=458 | 511 | 700 | 705 => return Trouble::Skip { code, words },
        8 | 11 | 26 => ConnectorError::RateLimited {
            retry_after: response.retry_after.unwrap_or(LONG_PAUSE),
        },
        101 => rejected("the application's public key is wrong"),
        102 => rejected("the token has expired: get a new one"),
        103 => rejected("the token is not valid any more (revoked, or the password was changed): get a new one"),
        104 => rejected("the signature is wrong: look at the application's secret key and the session secret"),
        210 => rejected("the application is disabled: write to the support of the OK API"),
        401..=403 | 453 => rejected("this token does not log in: get a new one"),
        9 => wrong("the address of this server is blocked: write to the support of the OK API"),
        10 | 200 => wrong("a right is missing: the application needs VALUABLE_ACCESS and GROUP_CONTENT"),
        50 => wrong("the account of the token is not an administrator of the group"),
        3 | 451 => wrong("the method can't be called with this token"),
        4 | 100 | 105 | 110 | 120 | 160 | 220 | 1200 | 2001 => {
            wrong("the call does not fit: check the ids of the groups")
        }
        // Known ones (1, 2, 12, 30, 31, 9999) and codes nobody has listed.
        _ => ConnectorError::transient(said),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn kind(code: i64) -> &'static str {
        let response = HttpResponse {
            status: 200,
            retry_after: None,
            headers: http::HeaderMap::new(),
            body: Bytes::new(),
            took: std::time::Duration::ZERO,
        };
        match decide(code, "WORDS".into(), "group 1", &response) {
            Trouble::Decision(error) => error.kind(),
            Trouble::Skip { .. } => "skip",
        }
    }

    #[test]
    fn codes_become_decisions() {
        for (codes, expected) in [
            (&[1, 2, 12, 30, 31, 9999, 77_777][..], "transient"),
            (&[8, 11, 26], "rate_limited"),
            (&[101, 102, 103, 104, 210, 401, 402, 403, 453], "auth_rejected"),
            (&[3, 4, 9, 10, 50, 100, 160, 200, 220, 451, 2001], "misconfigured"),
            (&[7, 24, 106, 141, 300, 454, 455, 456, 457, 458, 511, 700, 705], "skip"),
        ] {
            for code in codes {
                assert_eq!(kind(*code), expected, "{code}");
            }
        }
    }

    /// The list belongs to others and is no part of this repository; `PRIEM_CHANNEL_SCHEMAS` names its folder.
    #[test]
    fn every_listed_code_is_decided_as_its_class_says() {
        let Some(folder) = std::env::var_os("PRIEM_CHANNEL_SCHEMAS") else {
            eprintln!("PRIEM_CHANNEL_SCHEMAS is not set: the decisions about errors of OK are NOT compared");
            return;
        };
        let path = std::path::PathBuf::from(folder).join("ok/error-codes.json");
        let list: serde_json::Value = serde_json::from_slice(&std::fs::read(path).expect("the list")).expect("JSON");
        let errors = list["errors"].as_array().expect("a list of errors");
        assert!(errors.len() > 20);
        for error in errors {
            let (code, class) = (error["code"].as_i64().expect("a code"), error["class"].as_str());
            let decided = kind(code);
            let agrees = match class.expect("a class") {
                "retry" => decided == "transient",
                "retry-long" => decided == "rate_limited",
                "skip" => decided == "skip",
                "auth" => decided == "auth_rejected",
                // Nobody but a human can help; which key to look at, our hint says.
                "fatal" => ["misconfigured", "auth_rejected"].contains(&decided),
                other => panic!("{code}: a class nobody knows: {other}"),
            };
            assert!(agrees, "{code} is decided as {decided}, listed as {class:?}");
        }
    }

    #[test]
    fn an_error_is_found_under_any_status_and_only_in_an_error_object() {
        let found = ErrorBody::of(br#"{"error_code":"102","error_msg":"PARAM_SESSION_EXPIRED","error_data":null}"#);
        assert_eq!(found, Some((102, "PARAM_SESSION_EXPIRED".into())));
        for other in [
            &b"null"[..],
            b"[]",
            b"{}",
            b"[{\"uid\":\"1\"}]",
            b"{\"error_code\":null}",
            b"",
        ] {
            assert_eq!(ErrorBody::of(other), None);
        }
    }
}
