//! The reference of all settings as Markdown, from the same types that read them.

use std::fmt::Write;

use priem_sdk::ConnectorType;
use serde_json::Value;

use super::Settings;

const HEAD: &str = "# Settings: every key\n\n\
<!-- Generated from the code: `PRIEM_UPDATE=1 cargo test -p priem --test generated` rewrites it. -->\n\n\
One YAML file; any value can come from the environment instead: `PRIEM__AMQP__URL`, `PRIEM__JOURNAL__RAW_DAYS`. \
Unknown keys are refused. Relative paths start from the folder of the file. A commented start is in \
[priem.yaml](priem.yaml), the JSON Schema in [schemas/config.schema.json](schemas/config.schema.json).\n";

const MANIFEST_HEAD: &str = "# Manifests: every key\n\n\
<!-- Generated from the code: `PRIEM_UPDATE=1 cargo test -p priem --test generated` rewrites it. -->\n\n\
A channel in one YAML file; the guide is [docs/manifest.md](../../docs/manifest.md), the JSON Schema \
[manifest.schema.json](../schemas/manifest.schema.json). Unknown keys are refused. What depends on a `kind` stands in \
tables of its own below.\n";

/// The whole reference.
pub fn markdown(connectors: &[ConnectorType]) -> String {
    let mut out = String::from(HEAD);
    let schema = schemars::schema_for!(Settings).to_value();
    let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
    table(&mut out, &schema, &schema, &defaults);
    for kind in connectors {
        let _ = write!(
            out,
            "\n## Connector `{}`: {}\n\n{}\n\n",
            kind.name, kind.title, kind.summary
        );
        let _ = writeln!(out, "```yaml\n{}\n```", kind.example.trim_end());
        let schema = (kind.schema)().to_value();
        table(&mut out, &schema, &schema, &Value::Null);
    }
    out
}

/// The reference of manifests.
pub fn manifests() -> String {
    let mut out = String::from(MANIFEST_HEAD);
    let schema = priem_connectors::manifest::model::json_schema();
    table(&mut out, &schema, &schema, &Value::Null);
    choices(&mut out, &schema);
    out
}

/// Keys that depend on a `kind`: a table for each kind.
fn choices(out: &mut String, schema: &Value) {
    for (place, name) in [("poll.auth", "AuthSettings"), ("poll.paging", "PagingSettings")] {
        for choice in schema["$defs"][name]["oneOf"].as_array().into_iter().flatten() {
            let Some(kind) = choice["properties"]["kind"]["const"].as_str() else {
                continue;
            };
            let mut choice = choice.clone();
            if let Some(properties) = choice["properties"].as_object_mut() {
                properties.remove("kind");
            }
            let title = choice["description"].as_str().unwrap_or_default();
            let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = write!(out, "\n## `{place}: {{ kind: {kind} }}`\n\n{title}\n");
            if choice["properties"].as_object().is_some_and(|keys| !keys.is_empty()) {
                table(out, schema, &choice, &Value::Null);
            }
        }
    }
}

fn table(out: &mut String, root: &Value, node: &Value, defaults: &Value) {
    out.push_str("\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    rows(out, root, node, defaults, "");
}

fn rows(out: &mut String, root: &Value, node: &Value, defaults: &Value, prefix: &str) {
    let node = resolve(root, node);
    let required: Vec<&str> = node["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, property) in node["properties"].as_object().into_iter().flatten() {
        let key = format!("{prefix}{name}");
        let target = resolve(root, property);
        let default = default_of(property, &defaults[name.as_str()], required.contains(&name.as_str()));
        let text = property["description"]
            .as_str()
            .or(target["description"].as_str())
            .unwrap_or_default();
        let meaning = text
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace('|', "\\|");
        let _ = writeln!(out, "| `{key}` | {} | {default} | {meaning} |", kind(root, property));
        if target["properties"].is_object() {
            rows(out, root, target, &defaults[name.as_str()], &format!("{key}."));
        }
        if target["items"].is_object() {
            rows(out, root, &target["items"], &Value::Null, &format!("{key}[]."));
        }
    }
}

/// Follows a reference, an optional's only alternative, or a lone `allOf`.
fn resolve<'a>(root: &'a Value, node: &'a Value) -> &'a Value {
    if let Some(pointer) = node["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        return root.pointer(pointer).map_or(node, |target| resolve(root, target));
    }
    let alternatives = node["anyOf"].as_array().or(node["allOf"].as_array());
    let mut present = alternatives
        .into_iter()
        .flatten()
        .filter(|alternative| alternative["type"] != "null");
    match (present.next(), present.next()) {
        (Some(only), None) => resolve(root, only),
        _ => node,
    }
}

fn kind(root: &Value, property: &Value) -> String {
    let target = resolve(root, property);
    if let Some(values) = enumeration(target) {
        return values;
    }
    match &target["type"] {
        Value::String(kind) if kind == "array" => format!("list of {}", kind_of_items(root, target)),
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .filter(|kind| *kind != "null")
            .collect::<Vec<_>>()
            .join(" or "),
        _ if target["oneOf"].is_array() || target["anyOf"].is_array() => alternatives(root, target),
        _ => "any".into(),
    }
}

fn kind_of_items(root: &Value, list: &Value) -> String {
    if list["items"].is_object() {
        kind(root, &list["items"])
    } else {
        "any".into()
    }
}

/// `{ credential: … }`, `{ file: … }` for tagged alternatives; the kinds otherwise.
fn alternatives(root: &Value, node: &Value) -> String {
    let list = node["oneOf"].as_array().or(node["anyOf"].as_array());
    let shown = list.into_iter().flatten().map(|alternative| {
        let target = resolve(root, alternative);
        match target["properties"]
            .as_object()
            .and_then(|properties| properties.iter().next())
        {
            Some((tag, value)) => format!("`{{ {tag}: {} }}`", value["const"].as_str().unwrap_or("…")),
            None => kind(root, alternative),
        }
    });
    shown.collect::<Vec<_>>().join(" or ")
}

fn enumeration(node: &Value) -> Option<String> {
    let plain = node["enum"]
        .as_array()
        .map(|values| values.iter().filter_map(Value::as_str).collect::<Vec<_>>());
    let described = node["oneOf"]
        .as_array()
        .map(|list| list.iter().filter_map(|one| one["const"].as_str()).collect());
    let values = plain.or(described).filter(|values: &Vec<&str>| !values.is_empty())?;
    Some(
        values
            .iter()
            .map(|value| format!("`{value}`"))
            .collect::<Vec<_>>()
            .join(", "),
    )
}

fn default_of(property: &Value, given: &Value, required: bool) -> String {
    let value = if given.is_null() { &property["default"] } else { given };
    match value {
        _ if required => "required".into(),
        Value::Null => "—".into(),
        Value::Object(fields) if fields.is_empty() => "—".into(),
        Value::Object(_) => "see below".into(),
        Value::Array(list) if list.is_empty() => "none".into(),
        other => format!("`{other}`"),
    }
}
