//! Requests with places for values: `{page}`, `{since}`, `{id}` …
//!
//! Names are checked when the manifest is read, so that a misspelt one is an error with its key and not a strange
//! request. Values are encoded for the place they stand in.

use std::fmt::Write as _;

use priem_sdk::{ConfigError, ConnectorError, HttpRequest};
use serde_json::Value;

use super::config::{BodySettings, RequestSettings};

/// Values for the names of a template; a name without one makes its query parameter disappear.
#[derive(Debug, Clone, Default)]
pub struct Values(Vec<(&'static str, Value)>);

impl Values {
    /// With one more value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<String> {
        Some(match self.get(name)? {
            Value::String(text) => text.clone(),
            Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(","),
            other => other.to_string(),
        })
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How values are written where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Plain,
    Path,
    Xml,
}

/// A text with places for values.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

impl Template {
    /// Braces around anything but a lower-case word are text.
    fn parse(text: &str, known: &[&str], key: &str) -> Result<Self, ConfigError> {
        let mut parts = Vec::new();
        let mut rest = text;
        let mut plain = String::new();
        while let Some(open) = rest.find('{') {
            plain.push_str(&rest[..open]);
            let after = &rest[open + 1..];
            let name = after.split_once('}').map(|(name, _)| name).filter(|name| is_word(name));
            let Some(name) = name else {
                plain.push('{');
                rest = after;
                continue;
            };
            if !known.contains(&name) {
                return Err(ConfigError::new(
                    key,
                    format!(
                        "`{{{name}}}` is not known here; known: {}",
                        known
                            .iter()
                            .map(|name| format!("{{{name}}}"))
                            .collect::<Vec<_>>()
                            .join(", ")
                    ),
                ));
            }
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Name(name.to_owned()));
            rest = &after[name.len() + 1..];
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    fn uses(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|part| matches!(part, Part::Name(used) if used == name))
    }

    /// `None` when a value is missing.
    fn render(&self, values: &Values, encoding: Encoding) -> Option<String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Name(name) => out.push_str(&encode(&values.text(name)?, encoding)),
            }
        }
        Some(out)
    }

    /// The only thing in it, when that is a value.
    fn lone_value<'v>(&self, values: &'v Values) -> Option<&'v Value> {
        let mut parts = self.0.iter().filter(|part| **part != Part::Text(String::new()));
        match (parts.next(), parts.next()) {
            (Some(Part::Name(name)), None) => values.get(name),
            _ => None,
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn encode(text: &str, encoding: Encoding) -> String {
    match encoding {
        Encoding::Plain => text.to_owned(),
        // URL parsers take even encoded dots for a step up: such an id names nothing, and must not name something else.
        Encoding::Path if text == "." || text == ".." => text.replace('.', "%252E"),
        Encoding::Path => {
            let mut out = String::with_capacity(text.len());
            for byte in text.bytes() {
                if byte.is_ascii_alphanumeric() || b"-_~.".contains(&byte) {
                    out.push(char::from(byte));
                } else {
                    // Writing to a String can't fail.
                    let _ = write!(out, "%{byte:02X}");
                }
            }
            out
        }
        Encoding::Xml => text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;"),
    }
}

/// A request, checked and ready for values.
#[derive(Debug, Clone)]
pub struct RequestTemplate {
    method: String,
    path: Template,
    query: Vec<(String, Template)>,
    headers: Vec<(String, Template)>,
    body: Option<Body>,
}

#[derive(Debug, Clone)]
enum Body {
    Json(Value, Vec<(String, Template)>),
    Form(Vec<(String, Template)>),
    Text {
        content_type: String,
        text: Template,
        is_xml: bool,
    },
}

impl RequestTemplate {
    /// Checks a request; `known` are the names that have values here, `key` its dotted key.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key and the cure.
    pub fn new(settings: &RequestSettings, known: &[&str], key: &str) -> Result<Self, ConfigError> {
        let method = settings.method.to_ascii_uppercase();
        if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
            return Err(ConfigError::new(
                format!("{key}.method"),
                "write GET, POST, PUT, PATCH or DELETE",
            ));
        }
        if !settings.path.starts_with('/') || settings.path.contains(['?', '#']) {
            return Err(ConfigError::new(
                format!("{key}.path"),
                "write a path below base_url that begins with /; parameters belong into `query`",
            ));
        }
        for name in settings.headers.keys() {
            if ["authorization", "cookie", "host"].contains(&name.to_ascii_lowercase().as_str()) {
                return Err(ConfigError::new(
                    format!("{key}.headers.{name}"),
                    "credentials are named in `auth`, not written here",
                ));
            }
        }
        let map = |map: &std::collections::BTreeMap<String, String>, part: &str| {
            map.iter()
                .map(|(name, text)| {
                    Ok((
                        name.clone(),
                        Template::parse(text, known, &format!("{key}.{part}.{name}"))?,
                    ))
                })
                .collect::<Result<Vec<_>, ConfigError>>()
        };
        let body = match &settings.body {
            None => None,
            Some(BodySettings::Json(value)) => {
                let mut templates = Vec::new();
                collect(value, known, &format!("{key}.body.json"), &mut templates)?;
                Some(Body::Json(value.clone(), templates))
            }
            Some(BodySettings::Form(fields)) => Some(Body::Form(map(fields, "body.form")?)),
            Some(BodySettings::Text { content_type, text }) => Some(Body::Text {
                is_xml: content_type.contains("xml"),
                content_type: content_type.clone(),
                text: Template::parse(text, known, &format!("{key}.body.text.text"))?,
            }),
        };
        Ok(Self {
            method,
            path: Template::parse(&settings.path, known, &format!("{key}.path"))?,
            query: map(&settings.query, "query")?,
            headers: map(&settings.headers, "headers")?,
            body,
        })
    }

    /// Whether the request itself uses a value.
    pub fn uses(&self, name: &str) -> bool {
        let in_body = match &self.body {
            None => false,
            Some(Body::Json(_, templates)) => templates.iter().any(|(_, template)| template.uses(name)),
            Some(Body::Form(fields)) => fields.iter().any(|(_, template)| template.uses(name)),
            Some(Body::Text { text, .. }) => text.uses(name),
        };
        let lists = self.query.iter().chain(&self.headers);
        in_body || self.path.uses(name) || lists.into_iter().any(|(_, template)| template.uses(name))
    }

    /// Whether sending it twice is the same as sending it once, as far as HTTP says.
    pub fn is_read(&self) -> bool {
        self.method == "GET"
    }

    /// The address at `base_url` without its query; `None` when a value is missing.
    pub fn address(&self, base_url: &str, values: &Values) -> Option<String> {
        let path = self.path.render(values, Encoding::Path)?;
        Some(format!("{}{path}", base_url.trim_end_matches('/')))
    }

    /// The request to `base_url`, with `further` query parameters.
    ///
    /// # Errors
    /// [`ConnectorError::Misconfigured`] when path, header or body need a value that is not there.
    pub fn request(
        &self,
        base_url: &str,
        values: &Values,
        further: &[(&str, String)],
    ) -> Result<HttpRequest, ConnectorError> {
        let missing = || ConnectorError::Misconfigured {
            hint: "a value in the path, a header or the body of a request is not known yet: for {since} set \
                   incremental.start"
                .into(),
        };
        let address = self.address(base_url, values).ok_or_else(missing)?;
        let mut request = HttpRequest::with_method(&self.method, address);
        for (name, template) in &self.query {
            if let Some(value) = template.render(values, Encoding::Plain) {
                request = request.query([(name.as_str(), value.as_str())]);
            }
        }
        for (name, value) in further {
            request = request.query([(*name, value.as_str())]);
        }
        request = match &self.body {
            None => request,
            Some(Body::Json(value, templates)) => request.json(&filled(value, templates, values).ok_or_else(missing)?),
            Some(Body::Form(fields)) => {
                let fields: Option<Vec<(&str, String)>> = fields
                    .iter()
                    .map(|(name, template)| Some((name.as_str(), template.render(values, Encoding::Plain)?)))
                    .collect();
                let fields = fields.ok_or_else(missing)?;
                request.form(fields.iter().map(|(name, value)| (*name, value.as_str())))
            }
            Some(Body::Text {
                content_type,
                text,
                is_xml,
            }) => {
                let encoding = if *is_xml { Encoding::Xml } else { Encoding::Plain };
                let text = text.render(values, encoding).ok_or_else(missing)?;
                request.body("text/plain", text).header("content-type", content_type)
            }
        };
        for (name, template) in &self.headers {
            let value = template.render(values, Encoding::Plain).ok_or_else(missing)?;
            request = request.header(name, &value);
        }
        Ok(request)
    }

    /// A GET of an address the source named, with the headers of this request that need no missing value.
    pub fn follow(&self, address: &str, values: &Values) -> HttpRequest {
        let mut request = HttpRequest::get(address);
        for (name, template) in &self.headers {
            if let Some(value) = template.render(values, Encoding::Plain) {
                request = request.header(name, &value);
            }
        }
        request
    }
}

/// All texts of a JSON value, each with its template.
fn collect(
    value: &Value,
    known: &[&str],
    key: &str,
    templates: &mut Vec<(String, Template)>,
) -> Result<(), ConfigError> {
    match value {
        Value::String(text) => templates.push((text.clone(), Template::parse(text, known, key)?)),
        Value::Array(list) => {
            for one in list {
                collect(one, known, key, templates)?;
            }
        }
        Value::Object(map) => {
            for (name, one) in map {
                collect(one, known, &format!("{key}.{name}"), templates)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn filled(value: &Value, templates: &[(String, Template)], values: &Values) -> Option<Value> {
    Some(match value {
        Value::String(text) => {
            let (_, template) = templates.iter().find(|(known, _)| known == text)?;
            match template.lone_value(values) {
                Some(value) => value.clone(),
                None => template.render(values, Encoding::Plain)?.into(),
            }
        }
        Value::Array(list) => list
            .iter()
            .map(|one| filled(one, templates, values))
            .collect::<Option<_>>()?,
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(name, one)| Some((name.clone(), filled(one, templates, values)?)))
                .collect::<Option<_>>()?,
        ),
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_encoded_for_their_place() {
        let parse = |text| Template::parse(text, &["id", "ids"], "x").expect("a template");
        let values = Values::default().with("id", "../7 &<").with("ids", json!(["a", 7]));
        let path = parse("/a/{id}/b");
        assert_eq!(
            path.render(&values, Encoding::Path).as_deref(),
            Some("/a/..%2F7%20%26%3C/b")
        );
        assert_eq!(
            parse("<i>{id}</i>").render(&values, Encoding::Xml).as_deref(),
            Some("<i>../7 &amp;&lt;</i>")
        );
        assert_eq!(parse("{ids}").lone_value(&values), Some(&json!(["a", 7])));
        assert_eq!(
            parse("{ids}!").render(&values, Encoding::Plain).as_deref(),
            Some("a,7!")
        );
        assert_eq!(
            parse("{\"a\": 1} {Id}").render(&values, Encoding::Plain).as_deref(),
            Some("{\"a\": 1} {Id}")
        );
        assert_eq!(parse("{id}").render(&Values::default(), Encoding::Plain), None);
        let step_up = Values::default().with("id", "..");
        assert_eq!(
            path.render(&step_up, Encoding::Path).as_deref(),
            Some("/a/%252E%252E/b")
        );
    }

    #[test]
    fn mistakes_name_key_and_cure() {
        let settings = |value: Value| serde_json::from_value::<RequestSettings>(value).expect("fits");
        for (request, key, part) in [
            (json!({"path": "/x/{pgae}"}), "request.path", "known: {page}"),
            (json!({"path": "x"}), "request.path", "begins with /"),
            (json!({"path": "/x?a=1"}), "request.path", "`query`"),
            (json!({"path": "/x", "method": "STEAL"}), "request.method", "GET"),
            (
                json!({"path": "/x", "headers": {"Authorization": "x"}}),
                "request.headers.Authorization",
                "`auth`",
            ),
            (
                json!({"path": "/x", "body": {"json": {"a": ["{b}"]}}}),
                "request.body.json.a",
                "{page}",
            ),
        ] {
            let error = RequestTemplate::new(&settings(request), &["page"], "request").expect_err(key);
            assert_eq!(error.key, key);
            assert!(error.problem.contains(part), "{error}");
        }
    }

    #[test]
    fn a_json_body_keeps_numbers_and_lists() {
        let settings = json!({"path": "/x", "method": "post", "body": {"json": {"n": "{page}", "of": ["p{page}", 1]}}});
        let settings = serde_json::from_value(settings).expect("fits");
        let template = RequestTemplate::new(&settings, &["page"], "request").expect("a request");
        assert!(template.uses("page") && !template.uses("size"));
        let Some(Body::Json(value, templates)) = &template.body else {
            panic!("JSON")
        };
        let values = Values::default().with("page", 3);
        assert_eq!(
            filled(value, templates, &values),
            Some(json!({"n": 3, "of": ["p3", 1]}))
        );
    }
}
