//! Errors of the method API.

use serde_json::{Map, Value, json};

use super::Arguments;

/// An error, as the envelope shows it.
#[derive(Debug)]
pub(in super::super) struct ApiError {
    pub code: i64,
    pub message: String,
    pub subcode: Option<i64>,
    request: Vec<Value>,
}

impl ApiError {
    pub fn new(code: i64, message: &str) -> Self {
        Self {
            code,
            message: message.to_owned(),
            subcode: None,
            request: Vec::new(),
        }
    }

    /// Error 100.
    pub fn parameter(why: &str) -> Self {
        Self::new(
            100,
            &format!("One of the parameters specified was missing or invalid: {why}"),
        )
    }

    /// An error a scenario asks for, with the words the platform uses for it.
    pub fn on_purpose(code: i64) -> Self {
        let message = match code {
            1 => "Unknown error occurred",
            5 => "User authorization failed: access_token has expired.",
            6 => "Too many requests per second",
            9 => "Flood control",
            10 => "Internal server error",
            14 => "Captcha needed",
            15 => "Access denied",
            17 => "Validation required: please open redirect_uri in browser",
            27 => "Group authorization failed: method is unavailable with group auth.",
            28 => "Application authorization failed: method is unavailable with service token.",
            29 => "Rate limit reached",
            _ => "Error",
        };
        Self::new(code, message)
    }

    /// Remembers the request: the platform repeats it, secrets and all.
    #[must_use]
    pub fn with_request(mut self, method: &str, arguments: &Arguments) -> Self {
        let pair = |(key, value): (&str, &str)| json!({"key": key, "value": value});
        self.request = [("method", method)]
            .into_iter()
            .chain(arguments.pairs())
            .map(pair)
            .collect();
        self
    }

    pub fn object(self) -> Value {
        let mut object = Map::new();
        object.insert("error_code".into(), self.code.into());
        if let Some(subcode) = self.subcode {
            object.insert("error_subcode".into(), subcode.into());
        }
        object.insert("error_msg".into(), self.message.into());
        match self.code {
            14 => {
                object.insert("captcha_sid".into(), "239633676097".into());
                object.insert(
                    "captcha_img".into(),
                    "https://api.vk.com/captcha.php?sid=239633676097".into(),
                );
                object.insert(
                    "redirect_uri".into(),
                    "https://id.vk.com/not_robot_captcha?domain=vk.com".into(),
                );
            }
            17 => {
                object.insert(
                    "redirect_uri".into(),
                    "https://m.vk.com/login?act=security_check".into(),
                );
            }
            _ => {}
        }
        if !self.request.is_empty() {
            object.insert("request_params".into(), self.request.into());
        }
        Value::Object(object)
    }
}
