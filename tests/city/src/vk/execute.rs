//! `execute`: the list form, `return [API.wall.get({"owner_id": -1}), API.users.get({"user_ids": "1,2"})];`.
//!
//! The whole language is not spoken: whatever is not a list of calls with JSON arguments is an error of compilation.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    faults::{Kind, Place},
    methods::{self, ApiError, Arguments, ENVELOPE},
    network::Network,
    tokens::TokenKind,
};

/// Calls in one `execute`.
const MOST_CALLS: usize = 25;
/// Largest answer, in bytes.
const LARGEST_ANSWER: usize = 5 * 1024 * 1024;

/// One call of the code.
#[derive(Debug, PartialEq)]
struct Step {
    method: String,
    arguments: Map<String, Value>,
}

pub(super) fn run(
    network: &Arc<Network>,
    token: &str,
    kind: TokenKind,
    arguments: &Arguments,
) -> Result<Value, ApiError> {
    if kind == TokenKind::Service {
        let why = "Application authorization failed: method is unavailable with service token.";
        return Err(ApiError::new(28, why));
    }
    for (parameter, _) in arguments.pairs() {
        if !matches!(parameter, "code" | "access_token" | "v" | "lang" | "test_mode") {
            network.violate(format!("execute: parameter {parameter:?} is unknown"));
        }
    }
    let code = arguments
        .text("code")
        .ok_or_else(|| ApiError::parameter("code is undefined"))?;
    let Program { steps, is_list } = parse(code).map_err(|why| {
        network.violate(format!("execute: code the simulator does not understand: {why}"));
        ApiError::new(12, &format!("Unable to compile code: {why}"))
    })?;
    if steps.len() > MOST_CALLS {
        network.violate(format!("execute with {} calls", steps.len()));
        return Err(ApiError::new(
            13,
            "Runtime error occurred during code invocation: Too many API calls",
        ));
    }
    let mut answers = Vec::with_capacity(steps.len());
    let mut errors = Vec::new();
    for step in steps {
        let inner = inner_arguments(step.arguments);
        match one(network, token, kind, &step.method, &inner) {
            Ok(answer) => answers.push(answer),
            Err(error) => {
                answers.push(false.into());
                errors.push(json!({"method": step.method, "error_code": error.code, "error_msg": error.message}));
            }
        }
    }
    let response = if is_list {
        Value::Array(answers)
    } else {
        answers.pop().unwrap_or(Value::Null)
    };
    if response.to_string().len() > LARGEST_ANSWER {
        return Err(ApiError::new(
            13,
            "Runtime error occurred during code invocation: response size is too big",
        ));
    }
    let mut envelope = json!({"response": response});
    if !errors.is_empty() {
        envelope["execute_errors"] = errors.into();
    }
    Ok(json!({ENVELOPE: envelope}))
}

fn one(
    network: &Arc<Network>,
    token: &str,
    kind: TokenKind,
    method: &str,
    arguments: &Arguments,
) -> Result<Value, ApiError> {
    let place = Place {
        method,
        group: methods::group_of(network, arguments, Some(token)),
        token: Some(token),
        inner: true,
        events: false,
    };
    if let Some(fault) = network.take_fault(place) {
        let code = match fault {
            Kind::Api { code, .. } => code,
            // A part of an answer can't be cut off or slow.
            _ => 10,
        };
        methods::tell_to_wait(network, Some(token), method, code);
        return Err(ApiError::on_purpose(code));
    }
    methods::run(network, token, kind, method, arguments)
}

/// Values of the code as the method would get them from a form.
fn inner_arguments(fields: Map<String, Value>) -> Arguments {
    fn text(value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            Value::Bool(flag) => u8::from(*flag).to_string(),
            Value::Null => String::new(),
            Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
            other => other.to_string(),
        }
    }
    let fields: BTreeMap<String, String> = fields.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    Arguments::new(fields)
}

#[derive(Debug, PartialEq)]
struct Program {
    steps: Vec<Step>,
    /// `return [a, b];`, not `return a;`.
    is_list: bool,
}

fn parse(code: &str) -> Result<Program, String> {
    let mut rest = word(code.trim(), "return")?;
    let is_list = rest.starts_with('[');
    let mut steps = Vec::new();
    if is_list {
        rest = word(rest, "[")?;
        while !rest.starts_with(']') {
            let (step, after) = parse_call(rest)?;
            steps.push(step);
            rest = match after.strip_prefix(',') {
                Some(after) => after.trim_start(),
                None if after.starts_with(']') => after,
                None => return Err(format!("expected a comma or a bracket before {:?}", start(after))),
            };
        }
        rest = word(rest, "]")?;
    } else {
        let (step, after) = parse_call(rest)?;
        steps.push(step);
        rest = after;
    }
    rest = word(rest, ";")?;
    if rest.is_empty() {
        Ok(Program { steps, is_list })
    } else {
        Err(format!("unexpected {:?}", start(rest)))
    }
}

/// `API.section.method({...})`, and what follows.
fn parse_call(text: &str) -> Result<(Step, &str), String> {
    let rest = word(text, "API.")?;
    let Some((name, rest)) = rest.split_once('(') else {
        return Err("expected a parenthesis".into());
    };
    let is_name = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !name
        .split_once('.')
        .is_some_and(|(section, method)| is_name(section) && is_name(method))
    {
        return Err(format!("{:?} is no name of a method", start(name)));
    }
    let rest = rest.trim_start();
    let (arguments, rest) = if rest.starts_with(')') {
        (Map::new(), rest)
    } else {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Map<String, Value>>();
        let arguments = match values.next() {
            Some(Ok(arguments)) => arguments,
            _ => return Err(format!("the arguments of {name} are no JSON object")),
        };
        let length = values.byte_offset();
        (arguments, rest.get(length..).unwrap_or_default().trim_start())
    };
    let rest = word(rest, ")")?;
    let step = Step {
        method: name.to_owned(),
        arguments,
    };
    Ok((step, rest))
}

fn word<'a>(text: &'a str, expected: &str) -> Result<&'a str, String> {
    match text.strip_prefix(expected) {
        Some(rest) => Ok(rest.trim_start()),
        None => Err(format!("expected {expected:?} before {:?}", start(text))),
    }
}

fn start(text: &str) -> String {
    text.chars().take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_calls_are_understood() {
        let program = parse(r#"return [API.wall.get({"owner_id":-1,"count":2}), API.users.get() ];"#).expect("code");
        assert!(program.is_list);
        let methods: Vec<&str> = program.steps.iter().map(|step| step.method.as_str()).collect();
        assert_eq!(methods, ["wall.get", "users.get"]);
        assert_eq!(program.steps[0].arguments["count"], 2);
        let single = parse(r#"return API.users.get({"user_ids":"1, 2)"});"#).expect("code");
        assert!(!single.is_list);
        assert_eq!(single.steps[0].arguments["user_ids"], "1, 2)");
        assert_eq!(parse("return [];").expect("code").steps, []);
    }

    #[test]
    fn what_is_not_understood_does_not_compile() {
        for code in [
            "",
            "return 1;",
            "return [API.wall.get({owner_id: 1})];",
            "return [API.wall.get({})]",
            "var a = API.wall.get({}); return a;",
            "return [API.wall.get({}) API.wall.get({})];",
            "return [API.wall({})];",
            "return [API.wall.get({}]);",
        ] {
            assert!(parse(code).is_err(), "{code}");
        }
    }
}
