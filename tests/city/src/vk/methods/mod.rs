//! The method API: which methods there are, who may call them with what, and the order of the checks.

mod boards;
mod callbacks;
mod error;
mod groups;
mod media;
mod messages;
mod table;
mod users;
mod walls;

use std::{collections::BTreeMap, sync::Arc};

pub(super) use error::ApiError;
use serde_json::Value;
pub use table::MethodFacts;
use table::{METHODS, Method};

use super::{
    events::{VERSION, parse_version},
    execute,
    network::{Network, SharedCommunity},
    tokens::TokenKind,
};

/// Marks the answer of `execute`, which brings its own envelope.
pub(super) const ENVELOPE: &str = "\u{0}envelope";

/// Simulated seconds for which a method must be left alone after 9 (flood), 14 (captcha) or 29 (limit reached).
const LEAVE_ALONE_SECONDS: f64 = 30.0;
/// Parameters every method takes.
const COMMON: &[&str] = &["access_token", "v", "lang", "test_mode"];

/// Every method the simulator knows, for comparison with the official schema.
pub fn methods() -> Vec<MethodFacts> {
    METHODS.iter().map(Method::facts).collect()
}

/// Arguments of a call, as text: that is how they travel.
#[derive(Debug, Clone)]
pub(super) struct Arguments(BTreeMap<String, String>);

impl Arguments {
    pub fn new(fields: BTreeMap<String, String>) -> Self {
        Self(fields)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A number; error 100 for what is none.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let parse = |text: &str| {
            text.trim()
                .parse()
                .map_err(|_| ApiError::parameter(&format!("{name} is not integer")))
        };
        self.text(name).map(parse).transpose()
    }

    pub fn required(&self, name: &str) -> Result<i64, ApiError> {
        let missing = || ApiError::parameter(&format!("{name} is undefined"));
        self.integer(name)?.ok_or_else(missing)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text == "1" || text == "true")
    }

    /// A comma-joined list.
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.text(name)
            .map(|text| text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect())
            .unwrap_or_default()
    }

    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// One call that has passed the checks.
pub(super) struct Call<'a> {
    pub network: &'a Arc<Network>,
    pub method: &'a str,
    pub kind: TokenKind,
    pub arguments: &'a Arguments,
}

impl Call<'_> {
    /// A count, clamped as the platform clamps it: asking for more is written down.
    pub fn count(&self, usual: usize, most: usize) -> Result<usize, ApiError> {
        let asked = self.arguments.integer("count")?.unwrap_or(usual as i64);
        if asked > most as i64 {
            self.violate(&format!("count {asked} is above {most}"));
        }
        if asked < 0 {
            return Err(ApiError::parameter("count should be positive"));
        }
        Ok(usize::try_from(asked).unwrap_or(0).min(most))
    }

    /// An offset from the start.
    pub fn offset(&self) -> Result<usize, ApiError> {
        let offset = self.arguments.integer("offset")?.unwrap_or(0);
        usize::try_from(offset).map_err(|_| ApiError::parameter("offset should be positive"))
    }

    pub fn violate(&self, what: &str) {
        self.network.violate(format!("{}: {what}", self.method));
    }

    /// The community a method of management is about: the token's own.
    pub fn managed_group(&self) -> Result<SharedCommunity, ApiError> {
        let group = self.arguments.required("group_id")?;
        if let TokenKind::Community(own) = self.kind
            && own != group
        {
            self.violate("group_id is not the community of the token");
            return Err(ApiError::new(15, "Access denied"));
        }
        self.group(group)
    }

    pub fn group(&self, group: i64) -> Result<SharedCommunity, ApiError> {
        if group < 0 {
            self.violate("group_id is negative");
            return Err(ApiError::parameter("group_id should be positive"));
        }
        self.network
            .community(group)
            .ok_or_else(|| ApiError::new(203, "Access to the group is denied"))
    }

    /// The community that owns something.
    pub fn owner(&self) -> Result<SharedCommunity, ApiError> {
        let owner = self.arguments.required("owner_id")?;
        if owner >= 0 {
            return Err(ApiError::new(15, "Access denied"));
        }
        self.network
            .community(-owner)
            .ok_or_else(|| ApiError::new(15, "Access denied"))
    }

    /// Adds the people and communities among `authors` to an answer when `extended` asks for them.
    pub fn extend(&self, answer: &mut Value, authors: Vec<i64>) {
        if self.arguments.flag("extended") {
            answer["profiles"] = self.network.profiles(authors.iter().copied()).into();
            answer["groups"] = self.network.group_list(authors).into();
        }
    }
}

/// A call from outside: version, token and pace are checked, then the call itself.
pub(super) fn call(network: &Arc<Network>, method: &str, arguments: &Arguments) -> Result<Value, ApiError> {
    check_version(network, method, arguments)?;
    let Some(token) = arguments.text("access_token") else {
        network.violate(format!("{method}: no token"));
        return Err(ApiError::new(5, "User authorization failed: no access_token passed."));
    };
    let kind = count_request(network, token)?;
    let outcome = if method == "execute" {
        execute::run(network, token, kind, arguments)
    } else {
        run(network, token, kind, method, arguments)
    };
    // Only now everything is counted.
    network.touch();
    outcome
}

fn check_version(network: &Network, method: &str, arguments: &Arguments) -> Result<(), ApiError> {
    let Some(version) = arguments.text("v") else {
        network.violate(format!("{method}: no version"));
        return Err(ApiError::new(8, "Invalid request: v (version) is required"));
    };
    if parse_version(version) < parse_version(VERSION) {
        network.violate(format!("{method}: version {version}"));
    }
    Ok(())
}

fn count_request(network: &Network, token: &str) -> Result<TokenKind, ApiError> {
    let mut tokens = network.tokens.lock();
    let Some(state) = tokens.get_mut(token) else {
        return Err(ApiError::new(5, "User authorization failed: invalid access_token (4)."));
    };
    let in_time = state.count();
    let (kind, refused_with) = (state.kind, state.refused_with);
    drop(tokens);
    if !in_time {
        network.violate(format!("too many requests a second with a {} token", kind.name()));
        return Err(ApiError::new(6, "Too many requests per second"));
    }
    match refused_with {
        Some(code) => Err(ApiError::on_purpose(code)),
        None => Ok(kind),
    }
}

/// One method, called alone or inside `execute`.
pub(super) fn run(
    network: &Arc<Network>,
    token: &str,
    kind: TokenKind,
    name: &str,
    arguments: &Arguments,
) -> Result<Value, ApiError> {
    let Some(method) = METHODS.iter().find(|method| method.name == name) else {
        network.violate(format!("{name}: no business of one who listens"));
        return Err(ApiError::new(3, "Unknown method passed"));
    };
    count_call(network, token, name)?;
    if !method.kinds.contains(&kind.name()) {
        return Err(match kind {
            TokenKind::Community(_) => {
                ApiError::new(27, "Group authorization failed: method is unavailable with group auth.")
            }
            TokenKind::Service => ApiError::new(
                28,
                "Application authorization failed: method is unavailable with service token.",
            ),
            TokenKind::User(_) => ApiError::new(15, "Access denied"),
        });
    }
    if let (TokenKind::Community(_), Some(right)) = (kind, method.right) {
        let tokens = network.tokens.lock();
        if !tokens.get(token).is_some_and(|token| token.rights.contains(right)) {
            return Err(ApiError::new(15, "Access denied: no access to call this method"));
        }
    }
    let call = Call {
        network,
        method: name,
        kind,
        arguments,
    };
    for (parameter, _) in arguments.pairs() {
        if !method.knows(parameter) && !COMMON.contains(&parameter) {
            call.violate(&format!("parameter {parameter:?} is unknown"));
        }
    }
    for parameter in method.required {
        if arguments.text(parameter).is_none() {
            call.violate(&format!("{parameter} is missing"));
            return Err(ApiError::parameter(&format!("{parameter} is undefined")));
        }
    }
    (method.run)(&call)
}

/// Counts a call of a method and looks whether the platform has told to leave it alone.
fn count_call(network: &Network, token: &str, method: &str) -> Result<(), ApiError> {
    let now = network.now();
    let mut tokens = network.tokens.lock();
    let Some(state) = tokens.get_mut(token) else {
        return Ok(());
    };
    let calls = state.calls.entry(method.to_owned()).or_default();
    *calls += 1;
    let calls = *calls;
    let is_too_soon = state.told_to_wait.get(method).is_some_and(|until| now < *until);
    drop(tokens);
    if is_too_soon {
        network.violate(format!("{method}: called again soon after it was told to wait"));
    }
    let limit = network.daily_limits.lock().get(method).copied();
    if limit.is_some_and(|limit| calls > limit) {
        tell_to_wait(network, Some(token), method, 29);
        return Err(ApiError::new(29, "Rate limit reached"));
    }
    Ok(())
}

/// After a flood, a captcha or a reached limit the method must rest.
pub(super) fn tell_to_wait(network: &Network, token: Option<&str>, method: &str, code: i64) {
    if !matches!(code, 9 | 14 | 29) {
        return;
    }
    let until = network.now() + LEAVE_ALONE_SECONDS;
    let mut tokens = network.tokens.lock();
    if let Some(state) = token.and_then(|token| tokens.get_mut(token)) {
        state.told_to_wait.insert(method.to_owned(), until);
    }
}

/// The community a call is about, as far as its arguments or its token say.
pub(super) fn group_of(network: &Network, arguments: &Arguments, token: Option<&str>) -> Option<i64> {
    let number = |name| arguments.integer(name).ok().flatten();
    number("group_id")
        .or_else(|| number("owner_id").map(i64::abs))
        .or_else(|| match network.tokens.lock().get(token?)?.kind {
            TokenKind::Community(group) => Some(group),
            _ => None,
        })
}
