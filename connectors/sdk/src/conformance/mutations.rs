//! Hostile inputs, derived from samples with a fixed seed.

use fastrand::Rng;
use serde_json::{Value, json};

/// Seed of every random choice.
const SEED: u64 = 0x7072_6965_6d00_0001;
/// Random truncations and random bit flips for one sample.
const RANDOM_CUTS: usize = 24;
const RANDOM_FLIPS: usize = 120;
/// Most JSON leaves that are changed one by one.
const MOST_LEAVES: usize = 60;
/// How deep the deep ones are.
const DEPTH: usize = 100_000;
/// How large the huge ones are, bytes.
const HUGE: usize = 4 * 1024 * 1024;

/// One hostile input.
pub(super) struct Mutation {
    /// Name for the report.
    pub name: String,
    pub body: Vec<u8>,
}

/// Inputs that have nothing to do with any source.
pub(super) fn garbage() -> Vec<Mutation> {
    let mut rng = Rng::with_seed(SEED);
    let mut all: Vec<Mutation> = [
        ("empty", b"".to_vec()),
        ("space", b" \r\n\t ".to_vec()),
        ("brace", b"{".to_vec()),
        ("null", b"null".to_vec()),
        ("true", b"true".to_vec()),
        ("number", b"-1e999".to_vec()),
        ("string", br#""\ud800""#.to_vec()),
        ("list", b"[]".to_vec()),
        ("object", b"{}".to_vec()),
        ("not utf-8", vec![0xff; 100]),
        ("nul bytes", vec![0; 100]),
        ("byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("html", b"<html><body>502 Bad Gateway</body></html>".to_vec()),
        ("deep lists", vec![b'['; DEPTH]),
        ("deep objects", b"{\"a\":".repeat(DEPTH)),
        ("deep closed lists", [vec![b'['; DEPTH], vec![b']'; DEPTH]].concat()),
        ("huge", vec![b'x'; HUGE]),
        (
            "huge string",
            [b"\"".to_vec(), vec![b'x'; HUGE], b"\"".to_vec()].concat(),
        ),
    ]
    .map(|(name, body)| Mutation {
        name: name.into(),
        body,
    })
    .into();
    for number in 0..16 {
        let body = (0..rng.usize(1..600)).map(|_| rng.u8(..)).collect();
        all.push(Mutation {
            name: format!("noise {number}"),
            body,
        });
    }
    all
}

/// Damage to a sample, as bytes and, when it is JSON, leaf by leaf.
pub(super) fn of(sample: &[u8]) -> Vec<Mutation> {
    let mut rng = Rng::with_seed(SEED ^ sample.len() as u64);
    let mut all = Vec::new();
    let mut add = |name: String, body: Vec<u8>| all.push(Mutation { name, body });
    if !sample.is_empty() {
        for _ in 0..RANDOM_CUTS {
            let at = rng.usize(..sample.len());
            add(format!("cut at {at}"), sample[..at].to_vec());
        }
        for _ in 0..RANDOM_FLIPS {
            let (at, bit) = (rng.usize(..sample.len()), rng.u8(..8));
            let mut body = sample.to_vec();
            body[at] ^= 1 << bit;
            add(format!("bit {bit} of byte {at} flipped"), body);
        }
        add("twice in a row".into(), [sample, sample].concat());
    }
    if let Ok(root) = serde_json::from_slice::<Value>(sample) {
        let pointers = pointers(&root);
        let step = pointers.len().div_ceil(MOST_LEAVES).max(1);
        for pointer in pointers.iter().step_by(step) {
            for (name, body) in changed(&root, pointer) {
                add(format!("{name} at {pointer:?}"), body);
            }
        }
        let mut deep = serde_json::to_vec(&root).unwrap_or_default();
        if deep.first() == Some(&b'{') {
            let nested = [
                &b"{\"priem_unknown\":"[..],
                &vec![b'['; DEPTH],
                &vec![b']'; DEPTH],
                b",",
            ]
            .concat();
            deep.splice(..1, nested);
            add("deep unknown key".into(), deep);
        }
    }
    all
}

/// The sample with values and keys this version can't know: all that identifies it stays.
pub(super) fn unknown_additions(sample: &[u8]) -> Vec<Mutation> {
    let Ok(root) = serde_json::from_slice::<Value>(sample) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for pointer in pointers(&root).iter().take(MOST_LEAVES) {
        let mut changed = root.clone();
        let Some(object) = changed.pointer_mut(pointer).and_then(Value::as_object_mut) else {
            continue;
        };
        object.insert(
            "priem_unknown_key".into(),
            json!({"kind": "priem_unknown_kind", "list": [1, null, {}]}),
        );
        all.push(Mutation {
            name: format!("unknown key in {pointer:?}"),
            body: changed.to_string().into_bytes(),
        });
    }
    all
}

/// The same JSON with the keys of every object in reverse order.
pub(super) fn reordered(sample: &[u8]) -> Option<Vec<u8>> {
    fn reverse(value: &Value) -> Value {
        match value {
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .rev()
                    .map(|(key, field)| (key.clone(), reverse(field)))
                    .collect(),
            ),
            Value::Array(list) => Value::Array(list.iter().map(reverse).collect()),
            other => other.clone(),
        }
    }
    let root = serde_json::from_slice::<Value>(sample).ok()?;
    Some(reverse(&root).to_string().into_bytes())
}

/// JSON pointers of every value, the root (an empty pointer) first.
pub fn pointers(root: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, out: &mut Vec<String>) {
        out.push(at.to_owned());
        let mut child = |key: &str, field: &Value| {
            walk(
                field,
                &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                out,
            );
        };
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, field)| child(key, field)),
            Value::Array(list) => list
                .iter()
                .enumerate()
                .for_each(|(index, field)| child(&index.to_string(), field)),
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(root, "", &mut out);
    out
}

/// The document with one value replaced by what does not belong there, and without it.
fn changed(root: &Value, pointer: &str) -> Vec<(&'static str, Vec<u8>)> {
    let replacements = [
        ("null", Value::Null),
        ("empty string", json!("")),
        ("unknown word", json!("priem_unknown_kind")),
        ("odd words", json!("\u{0}\u{202e}👩‍👩‍👧\u{301}")),
        ("largest number", json!(u64::MAX)),
        ("least number", json!(i64::MIN)),
        ("fraction", json!(1e308)),
        ("list", json!([])),
        ("object", json!({})),
    ];
    let mut all: Vec<(&'static str, Vec<u8>)> = replacements
        .into_iter()
        .filter_map(|(name, replacement)| {
            let mut document = root.clone();
            *document.pointer_mut(pointer)? = replacement;
            Some((name, document.to_string().into_bytes()))
        })
        .collect();
    let mut document = root.clone();
    let removed = pointer.rsplit_once('/').and_then(|(parent, key)| {
        let fields = document.pointer_mut(parent)?.as_object_mut()?;
        fields.shift_remove(&key.replace("~1", "/").replace("~0", "~"))
    });
    if removed.is_some() {
        all.push(("nothing", document.to_string().into_bytes()));
    }
    all
}
