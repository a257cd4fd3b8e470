//! What a fuzzer begins with: samples out of the project's own code, for every target of `fuzz/`.
//!
//! `PRIEM_FUZZ_SEEDS=FOLDER cargo test -p priem-tables -p priem-connectors seeds_of_the_fuzzer` writes them to
//! `FOLDER/TARGET/`, as `scripts/fuzz.sh` does.

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Read as _},
    path::{Path, PathBuf},
};

use priem_city::exports::{sample_voice, write_collection};
use priem_connectors::CONNECTORS;

use crate::targets::{PART, TARGETS};

const XML: [&str; 5] = [
    "<a x='1'><b>t</b><b/><![CDATA[<c>]]>&amp;&#1071;</a>",
    "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"x\"><s:Body><A xsi:nil=\"true\"/></s:Body></s:Envelope>",
    "a=1&b=%D0%AF&b=+",
    "a;b\n1;\"2\n3\"\n",
    r#"{"a":[1,null,{"b":1e3}],"c":"\u042f"}"#,
];
const JQ: [&str; 10] = [
    ".a[]|{b:.c,d:(.e//\"f\")}\n{\"a\":[{\"c\":1}]}",
    "[.[]|test(\"я+\")]\n[\"я\"]",
    "def f($x): .+$x; [limit(3;repeat(1))]|map(f(2))|add\n1",
    "reduce .[] as $i (0;.+$i)\n[1,2]",
    "try error(\"x\") catch .|tojson|fromjson\nnull",
    "to_entries|map(select(.value>1))|from_entries\n{\"a\":2}",
    ".[1:]|split(\",\")|join(\"-\")|ascii_downcase\n\"A,B\"",
    "[foreach range(5) as $i (0;.+$i;[$i,.])]|group_by(.[0])|sort_by(.[1])\nnull",
    "strptime(\"%Y-%m-%d\")|mktime|todate\n\"2026-01-05\"",
    ".a as [$x,{$y}]|if $x==$y then empty else $x,$y end|@base64,@uri\n{\"a\":[1,{\"y\":2}]}",
];
const HTML: [&str; 3] = [
    "<p>а<br>b &amp; &#1071;</p><ul><li>1<li>2</ul><table><tr><td>x<td>y</table>",
    "<style>p{}</style><a href=\"https://a.example/?b=1&c\">c</a><blockquote>d</blockquote><!-- e -->",
    "[id1|Имя] *club2 (текст) @all [https://vk.com/x|y]",
];

/// Samples by target.
fn seeds(scratch: &Path) -> BTreeMap<&'static str, Vec<Vec<u8>>> {
    let mut all: BTreeMap<&str, Vec<Vec<u8>>> = BTreeMap::new();
    for (target, texts) in [("xml", &XML[..]), ("jq", &JQ), ("html", &HTML)] {
        all.insert(target, texts.iter().map(|text| text.as_bytes().to_vec()).collect());
    }
    write_collection(scratch, 1, 3, &mut sample_voice).expect("exports");
    for path in files_of(scratch) {
        let is_text = path.extension().is_some_and(|extension| extension == "csv");
        let bytes = fs::read(&path).expect("an export");
        all.entry(if is_text { "csv" } else { "workbook" })
            .or_default()
            .push(bytes);
    }
    for name in ["telegram", "vk", "ok", "max"] {
        let kind = CONNECTORS.iter().find(|kind| kind.name == name);
        let subject = (kind.expect("a platform").conformance)();
        let hooks = subject.hooks.iter().map(|hook| &hook.body);
        let bodies = hooks.chain(subject.items.iter().map(|sample| &sample.item.body));
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join(name).join("fixtures");
        let fixtures = files_of(&fixtures)
            .into_iter()
            .map(|path| fs::read(path).expect("a fixture"));
        all.insert(name, bodies.map(|body| body.to_vec()).chain(fixtures).collect());
    }
    all
}

/// A container as the input of the target `parts`; nothing when it is none.
fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).ok()?;
    let mut all = Vec::new();
    for place in 0..archive.len() {
        let mut part = archive.by_index(place).ok()?;
        let name = part.name().ok()?.into_owned();
        all.extend([PART, name.as_bytes(), b"\n"].concat());
        part.read_to_end(&mut all).ok()?;
    }
    Some(all)
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

#[test]
fn seeds_of_the_fuzzer() {
    let scratch = tempfile::tempdir().expect("a folder");
    let mut all = seeds(scratch.path());
    let folder = std::env::var_os("PRIEM_FUZZ_SEEDS").map(PathBuf::from);
    // Workbooks of other kinds, written there by the tests of the tables.
    let others = files_of(&folder.clone().unwrap_or_default().join("workbook"));
    let mut workbooks = all["workbook"].clone();
    workbooks.extend(others.iter().filter_map(|path| fs::read(path).ok()));
    all.insert("parts", workbooks.iter().filter_map(|book| unpacked(book)).collect());
    for (name, target) in TARGETS {
        let seeds = &all[name];
        let fruitful = seeds.iter().filter(|seed| target(seed) > 0).count();
        // Damage and what carries no words are samples, too.
        assert!(
            2 * fruitful > seeds.len(),
            "{name}: {fruitful} of {} samples are understood",
            seeds.len()
        );
        let Some(folder) = folder.as_ref().map(|folder| folder.join(name)) else {
            continue;
        };
        fs::create_dir_all(&folder).expect("a folder");
        for seed in seeds {
            let hash = blake3::hash(seed).to_hex();
            fs::write(folder.join(&hash[..16]), seed).expect("written");
        }
    }
}
