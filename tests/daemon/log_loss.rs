//! A daemon that can't write its log goes on with what it is for; a command whose reader leaves ends without a word.

use std::{
    fs::File,
    io::{PipeWriter, Read, Write, pipe},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Command, Stdio},
};

use crate::support::{
    Installation,
    flow::{self, HOOK_PATH, HOOK_SECRET},
    http, priem,
};

async fn installed() -> (priem_city::telegram::TelegramCity, Installation) {
    let city = flow::telegram().await;
    let settings = flow::settings(None) + &flow::hook(&city.api_url());
    (city, flow::install(&settings))
}

async fn post(daemon: &Installation, number: u32) -> u16 {
    let url = format!("http://127.0.0.1:{}/hooks/hook/{HOOK_PATH}", daemon.hooks);
    let body = format!(
        r#"{{"update_id": {number}, "message": {{"message_id": {number}, "date": 1, "text": "Яма", "chat": {{"id": 4, "type": "private", "first_name": "А"}}}}}}"#
    );
    let request = http().post(url).header("x-telegram-bot-api-secret-token", HOOK_SECRET);
    request.body(body).send().await.expect("an answer").status().as_u16()
}

/// Takes messages, loses log lines and counts them, ends in order.
async fn works(daemon: &mut Installation, from: u32) {
    for number in from..from + 5 {
        assert_eq!(post(daemon, number).await, 200);
    }
    // A reload of the rules and a SIGHUP log too.
    assert!(daemon.priem(&["reload"]).status.success());
    daemon.metric_reaches("priem_log_lost_total", "", 1.0).await;
    daemon.metric_reaches("priem_published_messages_total", "", 5.0).await;
    daemon.assert_running();
    let (status, _) = daemon.get("/health/ready").await.expect("an answer");
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_a_full_disk_and_a_gone_journald_cost_log_lines_only() {
    let (_city, mut daemon) = installed().await;
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let (ours, theirs) = UnixStream::pair().expect("a socket");
    drop(theirs);
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let outputs: [(&str, OwnedFd); 3] = [
        ("closed pipe", writer.into()),
        ("full disk", full.into()),
        ("gone journald", ours.into()),
    ];
    for (number, (name, output)) in (1..).zip(outputs) {
        println!("{name}");
        if name == "gone journald" {
            daemon.environment("JOURNAL_STREAM", "9:99999");
        }
        daemon.start_with_log(output).await;
        works(&mut daemon, number * 100).await;
        daemon.stop().await;
    }
    assert!(daemon.priem(&["journal", "verify"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_stops_nothing_and_reads_on_later() {
    let (_city, mut daemon) = installed().await;
    let (reader, mut writer) = pipe().expect("a pipe");
    fill(&mut writer);
    daemon.start_with_log(writer).await;
    works(&mut daemon, 1).await;
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        let mut reader = reader;
        reader.read_to_end(&mut all).map(|_| all)
    });
    // The pipe empties; the lines of the end are written again.
    daemon.stop().await;
    let all = reading.join().expect("no panic").expect("reads");
    assert!(String::from_utf8_lossy(&all).contains("priem has stopped"));
}

/// Writes until a pipe takes nothing more.
fn fill(writer: &mut PipeWriter) {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let usual = fcntl_getfl(&*writer).expect("flags");
    fcntl_setfl(&*writer, usual | OFlags::NONBLOCK).expect("flags");
    while writer.write(&[b'\n'; 512]).is_ok() {}
    fcntl_setfl(&*writer, usual).expect("flags");
}

/// The reader of a command leaves at once: no panic, no error.
#[test]
fn a_command_whose_reader_leaves_ends_quietly() {
    for arguments in [
        &["connectors", "list"][..],
        &["connectors", "list", "--json"],
        &["connectors", "schema", "telegram"],
        &["schema", "config"],
        &["schema", "message"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
    ] {
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_priem"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(writer)
            .output()
            .expect("priem runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.is_empty(),
            "{arguments:?}: {}\n{said}",
            output.status
        );
    }
}

/// An error that can't be told is still an exit code.
#[test]
fn a_command_that_cannot_say_its_error_gives_its_exit_code() {
    for output in ["/dev/full", "closed pipe"] {
        let errors: Stdio = match output {
            "/dev/full" => File::options().write(true).open(output).expect("opens").into(),
            _ => {
                let (reader, writer) = pipe().expect("a pipe");
                drop(reader);
                writer.into()
            }
        };
        let status = Command::new(env!("CARGO_BIN_EXE_priem"))
            .args(["check", "--config", "/nowhere/priem.yaml"])
            .stderr(errors)
            .status()
            .expect("priem runs");
        assert_eq!(status.code(), Some(3), "{output}");
    }
    assert_eq!(
        priem(&["check", "--config", "/nowhere/priem.yaml"]).status.code(),
        Some(3)
    );
}

#[test]
fn an_unknown_level_is_refused_with_the_known_ones() {
    let daemon = Installation::new("version: 1\njournal: { dir: j }\nlog: { level: warning }\n");
    for command in [&["check", "--offline"][..], &["run"]] {
        let output = daemon.priem(command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("priem.yaml:3: log.level: unknown level `warning`, did you mean `warn`?"),
            "{said}"
        );
    }
}
