//! The whole daemon as it is installed: the real binary with settings in YAML, simulated platforms, a real broker, kills.
//!
//! One program for all of these tests, so that the daemon is linked into one: a test file is a module here. `generated` and
//! `arrows`, which only read the tree, stand alone.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod abuse;
mod attachments_live;
mod cli;
mod crash;
mod deadlines;
mod demo;
mod drop_folder;
mod duplicates;
mod examples;
mod files_report;
mod following;
mod full;
mod habits_live;
mod journal;
mod killed;
mod limits;
mod log_loss;
mod manifest_tls_live;
mod max_live;
mod ok_live;
mod outage;
mod packaging;
mod pos_live;
mod presets;
mod privacy_leak;
mod publish;
mod ready;
mod reload;
mod scale;
mod silent_queue;
mod strangers;
mod supervision;
mod support;
mod telegram_live;
mod vk_live;
mod webhook_mtls_live;
mod webhooks_live;
