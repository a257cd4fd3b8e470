//! The command line as a stranger meets it: help, exit codes, errors with their cure, JSON that parses.

use std::process::Output;

use priem_city::telegram::Sent;
use serde_json::Value;

use crate::support::{
    self, Installation,
    flow::{self, HOOK_TOKEN},
    json, priem, text, until,
};

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs `priem check` on a settings file of this text: exit code and what was said.
fn checked(settings: &str) -> (i32, String) {
    let installation = Installation::new(settings);
    let output = installation.priem(&["check"]);
    (code(&output), said(&output))
}

/// Names of the subcommands a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_explains_itself() {
    let top = text(&priem(&["--help"]));
    assert!(
        top.contains("Exit codes: 0 done, 1 a finding") && top.contains("First steps:"),
        "{top}"
    );
    let mut waiting: Vec<Vec<String>> = subcommands(&top).into_iter().map(|name| vec![name]).collect();
    assert!(waiting.len() >= 9, "{waiting:?}");
    while let Some(path) = waiting.pop() {
        let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let output = priem(&arguments);
        let help = text(&output);
        assert_eq!(code(&output), 0, "{path:?}");
        assert!(help.contains("Usage: priem"), "{path:?}: {help}");
        let about = help.lines().next().unwrap_or_default();
        assert!(about.chars().count() >= 15, "{path:?} says what it does: {about:?}");
        // Examples and wrapped words name options, too; here they begin.
        let begins = |line: &&str| line.starts_with("      --");
        let options = help.lines().take_while(|line| !line.eq_ignore_ascii_case("EXAMPLES:"));
        for option in options.filter(begins) {
            let alone = option
                .trim()
                .split_once("  ")
                .is_none_or(|(_, words)| words.trim().is_empty());
            let next = help
                .lines()
                .skip_while(|line| *line != option)
                .nth(1)
                .unwrap_or_default();
            assert!(
                !alone || next.starts_with("          "),
                "{path:?}: `{}` is not explained",
                option.trim()
            );
        }
        waiting.extend(
            subcommands(&help)
                .into_iter()
                .map(|name| [path.clone(), vec![name]].concat()),
        );
    }
}

#[test]
fn commands_that_find_something_name_their_exit_codes_and_an_example() {
    for command in ["check", "why", "quarantine", "journal", "rules"] {
        let help = text(&priem(&[command, "--help"])).to_lowercase();
        assert!(
            help.contains("examples:") && help.contains("exit codes: 0"),
            "{command}: {help}"
        );
    }
    assert!(text(&priem(&["files", "probe", "--help"])).contains("Exit code 0"));
}

#[test]
fn exit_codes_tell_the_kinds_of_failure_apart() {
    assert_eq!(code(&priem(&["--version"])), 0);
    for usage in [
        &["no-such-command"][..],
        &["run", "--no-such-flag"],
        &["why"],
        &["quarantine", "retry"],
    ] {
        let output = priem(usage);
        assert_eq!((code(&output), output.stdout.len()), (2, 0), "{usage:?}");
    }
    assert_eq!(code(&priem(&["connectors", "schema", "nobody"])), 2);

    let missing = priem(&["check", "--config", "/nowhere/priem.yaml"]);
    assert_eq!(code(&missing), 3);
    assert!(said(&missing).contains("/nowhere/priem.yaml"), "{}", said(&missing));

    let fresh = Installation::new(&flow::settings(None).replace("connectors:\n", ""));
    let stats = fresh.priem(&["journal", "stats"]);
    assert_eq!(code(&stats), 3);
    assert!(said(&stats).contains("journal.dir") && said(&stats).contains(&fresh.journal().display().to_string()));
    assert_eq!(code(&fresh.priem(&["check"])), 0, "{}", said(&fresh.priem(&["check"])));
    // Nobody listens there: a finding of the check.
    let away = "version: 1\namqp: { url: \"amqp://guest:secret-of-the-broker@127.0.0.1:9/%2f\" }\n";
    let away = Installation::new(away);
    let output = away.priem(&["check", "--json"]);
    assert_eq!(code(&output), 1, "{}", said(&output));
    assert!(!text(&output).contains("secret-of-the-broker") && !said(&output).contains("secret-of-the-broker"));
    assert!(json(&output).is_array());
}

#[test]
fn a_check_without_network_still_finds_what_needs_none() {
    for (settings, said_of) in [
        ("version: 1\namqp: { url: \"amqp://[bad\" }\n", "amqp.url"),
        (
            "version: 1\namqp: { url: \"amqps://h\", tls: { ca_file: gone.pem } }\n",
            "gone.pem",
        ),
        ("version: 1\nlog: { level: \"a=b=c\" }\n", "log.level"),
    ] {
        let installation = Installation::new(settings);
        let output = installation.priem(&["check", "--offline"]);
        let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), said(&output));
        assert!(matches!(code(&output), 1 | 2) && all.contains(said_of), "{all}");
        assert!(!installation.journal().exists());
    }
    let output = Installation::new("version: 1\n").priem(&["check", "nosuch"]);
    assert_eq!(code(&output), 2, "{}", said(&output));
}

#[test]
fn mistakes_in_settings_are_named_with_place_and_cure() {
    let (exit, said) = checked("version: 1\njournal:\n  raw_dais: 7\n");
    assert_eq!(exit, 2);
    assert!(
        said.contains("priem.yaml:3") && said.contains("raw_dais") && said.contains("did you mean `raw_days`"),
        "{said}"
    );

    let (exit, said) = checked("version: 1\nconnectors:\n  bot:\n    type: telegramm\n");
    assert_eq!(exit, 2);
    assert!(
        said.contains("priem.yaml:4") && said.contains("telegramm") && said.contains("known types: telegram"),
        "{said}"
    );

    let (exit, said) = checked("version: 1\nconnectors:\n  bot:\n    type: telegram\n    tokn: { env: X }\n");
    assert_eq!(exit, 2);
    assert!(said.contains("tokn") && said.contains("did you mean `token`"), "{said}");

    let (exit, said) =
        checked("version: 1\nconnectors:\n  bot:\n    type: telegram\n    token: { file: /nowhere/token }\n");
    assert_eq!(exit, 2);
    assert!(
        said.contains("priem.yaml:5") && said.contains("connectors.bot.token") && said.contains("/nowhere/token"),
        "{said}"
    );

    let (exit, said) = checked("version: 7\n");
    assert_eq!(exit, 2);
    assert!(said.contains("version 7 is not known"), "{said}");

    let (exit, said) = checked("version: 1\njournal: [\n");
    assert_eq!(exit, 2);
    assert!(said.contains("priem.yaml:"), "{said}");
}

#[test]
fn listeners_that_cannot_work_are_found_before_the_start() {
    let hook = "version: 1\nname: hook\ntitle: Приём\nchannel: portal\nkind: portal\nregime: portal_message\nwebhook:\n  \
                path: hook-path-0123456789abcdef0123456789\n  items: .\nid: .id\nmessage: '{body: {text: .text}}'\nfixtures:\n  \
                - { name: one, record: { id: 1, text: Яма }, ids: [ \"1\" ], expect: [ { body: { text: Яма } } ] }\n";
    let deaf = Installation::new(
        "version: 1\njournal: { dir: j }\nndjson: { path: o }\nconnectors:\n  hook: { type: manifest, manifest: hook.yaml }\n",
    );
    support::write(&deaf.folder.path().join("hook.yaml"), hook);
    for command in [&["check", "--offline"][..], &["run"]] {
        let output = deaf.priem(command);
        assert_eq!(code(&output), 2, "{}", said(&output));
        assert!(
            said(&output).contains("priem.yaml:5: connectors.hook: is called by its platform, and nobody listens: add"),
            "{}",
            said(&output)
        );
    }
    assert!(!deaf.journal().exists(), "nothing was started");

    let naked = Installation::new(
        "version: 1\njournal: { dir: j }\nndjson: { path: o }\nhttp: { webhooks: { listen: \"127.0.0.1:1\", tls: { certificate: \
         nope.pem, key: nope.pem } } }\n",
    );
    let output = naked.priem(&["check", "--offline"]);
    let printed = text(&output);
    assert_eq!(code(&output), 1, "{printed}");
    assert!(
        printed.contains("FAILED   webhooks.tls: webhooks.tls.certificate") && printed.contains("nope.pem"),
        "{printed}"
    );
}

#[test]
fn what_is_printed_for_programs_parses() {
    let listed = json(&priem(&["connectors", "list", "--json"]));
    let kinds: Vec<&str> = listed
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|kind| kind["type"].as_str())
        .collect();
    assert!(kinds.contains(&"telegram") && kinds.contains(&"files"), "{kinds:?}");
    let table = text(&priem(&["connectors", "list"]));
    for kind in kinds {
        assert!(table.contains(kind), "{table}");
        assert!(json(&priem(&["connectors", "schema", kind]))["properties"].is_object());
        let example = text(&priem(&["connectors", "schema", kind, "--example"]));
        assert!(example.contains(&format!("type: {kind}")), "{example}");
    }
    for schema in ["message", "config", "rules"] {
        let schema = json(&priem(&["schema", schema]));
        assert!(schema["$schema"].is_string() || schema["$id"].is_string(), "{schema}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&priem(&["completions", shell])).contains("quarantine"), "{shell}");
    }
    let manual = text(&priem(&["man"]));
    assert!(manual.contains(".TH priem") && manual.contains("journal"), "{manual}");
}

/// A daemon that published one message and holds one update of an unknown kind.
async fn lived_in() -> (Installation, Sent) {
    let city = flow::telegram().await;
    let bot = city.bot(HOOK_TOKEN);
    let mut daemon = flow::install(&(flow::settings(None) + &flow::hook(&city.api_url())));
    daemon.start().await;
    let sent = bot.send_private(&priem_city::voices::person(3), "Яма у остановки");
    bot.push(serde_json::json!({"edited_message": {"strange": true}}));
    until("one is held", async || {
        daemon.priem(&["quarantine", "list", "--json"]).stdout.len() > 5
    })
    .await;
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    (daemon, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn why_quarantine_and_journal_tell_what_happened() {
    let (mut daemon, sent) = lived_in().await;
    let external = format!("{}:{}", sent.chat_id, sent.message_id);
    let id = priem_sdk::Message::event_id("hook", &external, "0", priem_sdk::EventType::Received).to_string();

    // The same answer by every name the message has.
    let by_id = json(&daemon.priem(&["why", "--json", &id]));
    let number = by_id["decisions"][0]["seq"].to_string();
    for name in [&external, &number] {
        assert_eq!(json(&daemon.priem(&["why", "--json", name])), by_id, "{name}");
    }
    assert_eq!(
        (&by_id["decisions"][0]["outcome"], &by_id["decisions"][0]["event_id"]),
        (&"published".into(), &id.as_str().into())
    );
    let explained = text(&daemon.priem(&["why", &external]));
    assert!(
        explained.contains("отправлено") && explained.contains("Кому:") && explained.contains("Правило"),
        "{explained}"
    );
    // The same message by the rules of today, step by step.
    for name in [&id, &external, &number] {
        let anew = text(&daemon.priem(&["rules", "explain", "--id", name]));
        assert!(anew.contains("Яма") && anew.contains("Шаг 2. Маршрут"), "{anew}");
    }
    let unknown = daemon.priem(&["rules", "explain", "--id", "-100:1"]);
    assert_eq!(code(&unknown), 1, "{}", said(&unknown));
    assert!(text(&unknown).contains("priem why"), "{}", said(&unknown));
    let dashed = priem(&[
        "why",
        "--config",
        &daemon.config().display().to_string(),
        "--",
        "-1001234567890:42",
    ]);
    assert_eq!(code(&dashed), 1, "ids of groups begin with a dash: {}", said(&dashed));
    let unknown = daemon.priem(&["why", "nobody:1"]);
    assert_eq!(code(&unknown), 1);
    assert!(said(&unknown).contains("nothing is known of `nobody:1`"));

    let held = json(&daemon.priem(&["quarantine", "list", "--json"]));
    let held_number = held[0]["seq"].to_string();
    assert!(text(&daemon.priem(&["quarantine", "list"])).contains(held[0]["reason"].as_str().expect("a reason")));
    let quiet = text(&daemon.priem(&["quarantine", "show", &held_number]));
    assert!(
        quiet.contains("--raw prints them") && !quiet.contains("strange"),
        "{quiet}"
    );
    assert!(text(&daemon.priem(&["quarantine", "show", "--raw", &held_number])).contains("strange"));
    assert!(json(&daemon.priem(&["quarantine", "show", "--json", &held_number]))["format"].is_string());
    assert_eq!(code(&daemon.priem(&["quarantine", "show", "999999"])), 1);
    let sweeping = daemon.priem(&["quarantine", "drop", "--all"]);
    assert_eq!(code(&sweeping), 2, "nothing is removed by a slip of the hand");
    assert!(said(&sweeping).contains("--yes"), "{}", said(&sweeping));
    let unknown = daemon.priem(&["quarantine", "retry", "--reason", "nope"]);
    assert!(
        code(&unknown) == 1 && said(&unknown).contains("reasons now: "),
        "{}",
        said(&unknown)
    );
    assert_eq!(code(&daemon.priem(&["quarantine", "drop", "999999"])), 1);
    let dropped = json(&daemon.priem(&["quarantine", "drop", "--json", &held_number]));
    assert_eq!(dropped["done"][0].to_string(), held_number);
    assert_eq!(
        json(&daemon.priem(&["quarantine", "list", "--json"])),
        Value::Array(Vec::new())
    );
    assert!(text(&daemon.priem(&["quarantine", "list"])).contains("nothing is on hold"));
    assert!(
        text(&daemon.priem(&["why", &held_number])).contains("снята с карантина"),
        "the fact stays"
    );

    let path = daemon.folder.path().join("export.ndjson");
    let exported = daemon.priem(&["journal", "export", "--output", &path.display().to_string()]);
    assert_eq!(code(&exported), 0, "{}", said(&exported));
    let lines = std::fs::read_to_string(&path).expect("the export");
    let items: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect();
    assert_eq!(
        (items.len(), &items[0]["external_id"]),
        (1, &external.as_str().into()),
        "the dropped content is gone"
    );
    assert!(!lines.contains("strange"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).expect("metadata").permissions());
    assert_eq!(mode & 0o777, 0o600, "it holds personal data");
    assert_eq!(text(&daemon.priem(&["journal", "export"])), lines);
    let again = daemon.priem(&["journal", "export", "--output", &path.display().to_string()]);
    assert_eq!(code(&again), 3, "an export never overwrites");

    let stats = daemon.stats();
    assert_eq!(
        (&stats["raw_items"], &stats["pending"], &stats["parked"]),
        (&1.into(), &0.into(), &0.into())
    );
    assert!(text(&daemon.priem(&["journal", "stats"])).contains("stored items     1"));
    let verified = daemon.priem(&["journal", "verify", "--json"]);
    assert_eq!((code(&verified), &json(&verified)["ok"]), (0, &true.into()));
    daemon.stop().await;
    assert_eq!(daemon.stats()["raw_items"], 1, "works without a daemon too");
}

#[test]
fn conformance_is_a_list_for_programs_and_a_protocol_for_people() {
    let output = priem(&["connectors", "conformance", "files", "--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let results = json(&output);
    let results = results.as_array().expect("a list");
    assert!(results.len() > 20);
    for result in results {
        let keys: Vec<&String> = result.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["connector", "check", "outcome", "detail"], "{result}");
        assert_eq!(result["connector"], "files");
        let outcome = result["outcome"].as_str().expect("a word");
        assert!(["ok", "waived", "not_applicable"].contains(&outcome), "{result}");
    }
    let protocol = text(&priem(&["connectors", "conformance", "files"]));
    assert!(
        protocol.contains(env!("CARGO_PKG_VERSION")) && protocol.contains("poll.crashes"),
        "{protocol}"
    );
    assert_eq!(code(&priem(&["connectors", "conformance", "nobody"])), 2);
}
