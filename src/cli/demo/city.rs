//! The city of the demo: what its platforms are set to, and how its citizens live for a while.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use priem_city::{
    exports::{self, Encoding, ExportSpec, Format, Layout},
    telegram::{self, Bot, Life, TelegramCity},
    vk::{self, Community, TokenKind, VkCity},
    voices::Crowd,
};

use super::{DemoArgs, show::Show, summary};
use crate::runtime::Daemon;

const POLLED_TOKEN: &str = "7000001:demo-bot-that-is-polled-AAAAAAAAAAA";
const HOOK_TOKEN: &str = "7000002:demo-bot-with-a-webhook-AAAAAAAAAAA";
const COMMUNITY: i64 = 7_000_003;
/// Name of the community.
const COMMUNITY_NAME: &str = "Жители Нагорного";
const COMMUNITY_TOKEN: &str = "vk1.a.demo-community-AAAAAAAAAAAAAAAAAAA";
/// Share of the messages that come in files.
const FILE_SHARE: f64 = 0.3;

/// Simulators, their bots and the folder of exports.
pub struct City {
    /// The settings file the daemon is started with.
    pub config: PathBuf,
    folder: PathBuf,
    telegram: TelegramCity,
    polled: Bot,
    hooked: Bot,
    life_of_polled: Life,
    life_of_hooked: Life,
    vk: VkCity,
    community: Community,
    life_of_community: vk::Life,
    random: fastrand::Rng,
    seed: u64,
    rows: u64,
    exports: u64,
}

impl City {
    /// Starts the simulators and writes the settings a user would write.
    pub async fn start(folder: &Path, arguments: &DemoArgs) -> anyhow::Result<Self> {
        let telegram = TelegramCity::start(telegram::Options::default()).await?;
        let vk = VkCity::start(vk::Options::default()).await?;
        vk.add_token(COMMUNITY_TOKEN, TokenKind::Community(COMMUNITY));
        let community = vk.community(COMMUNITY);
        community.set_name(COMMUNITY_NAME);
        for (name, text) in [
            ("polled-token", POLLED_TOKEN),
            ("hook-token", HOOK_TOKEN),
            ("hook-path", "demo-path-0123456789abcdef0123456789abcdef"),
            ("hook-secret", "demo-secret-0123456789abcdef"),
            ("community-token", COMMUNITY_TOKEN),
        ] {
            std::fs::write(folder.join(name), text)?;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = folder.join("priem.yaml");
        std::fs::write(
            &config,
            settings(
                folder,
                &telegram.api_url(),
                &vk.api_url(),
                port,
                arguments.amqp.as_deref(),
            )?,
        )?;
        let (polled, hooked) = (telegram.bot(POLLED_TOKEN), telegram.bot(HOOK_TOKEN));
        Ok(Self {
            config,
            folder: folder.to_owned(),
            life_of_polled: Life::new(polled.clone(), Crowd::new(arguments.seed, 40)),
            life_of_hooked: Life::new(hooked.clone(), Crowd::new(arguments.seed.wrapping_add(1), 20)),
            life_of_community: vk::Life::new(community.clone(), Crowd::new(arguments.seed.wrapping_add(2), 30)),
            polled,
            hooked,
            telegram,
            community,
            vk,
            random: fastrand::Rng::with_seed(arguments.seed),
            seed: arguments.seed,
            rows: 0,
            exports: 0,
        })
    }

    /// What a watcher should know first.
    pub fn introduction(&self, arguments: &DemoArgs) -> String {
        let broker = if arguments.amqp.is_some() {
            "RabbitMQ"
        } else {
            "файл out.ndjson"
        };
        format!(
            "Город на {:#}: Telegram (опрос и вебхук), сообщество ВКонтакте, выгрузки «Инцидент менеджмент» → журнал → правила → {broker}\n",
            arguments.length
        )
    }

    /// Lives: citizens write at the given pace until the time is over.
    pub async fn live(&mut self, arguments: &DemoArgs) -> anyhow::Result<()> {
        let length = Duration::try_from(arguments.length)?;
        let started = Instant::now();
        // Nobody may be lost because the daemon was not there yet.
        let polled = self.polled.clone();
        tokio::time::timeout(super::PATIENCE, polled.wait_until(Bot::is_polled)).await?;
        let hooked = self.hooked.clone();
        tokio::time::timeout(super::PATIENCE, hooked.wait_until(|bot| bot.webhook_url().is_some())).await?;
        let community = self.community.clone();
        // Its dialogues are read once at the start; what was written later would come twice.
        let listens = |city: &VkCity| community.polls_running() > 0 && city.calls("messages.getConversations") > 0;
        tokio::time::timeout(super::PATIENCE, self.vk.wait_until(listens)).await?;
        let in_files = (arguments.rate * length.as_secs_f64() * FILE_SHARE).ceil() as u64;
        self.export(in_files / 2, true)?;
        let mut halfway = false;
        let mut written = 0.0;
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while started.elapsed() < length {
            ticks.tick().await;
            let wanted = started.elapsed().as_secs_f64() * arguments.rate * (1.0 - FILE_SHARE);
            while written < wanted {
                self.act();
                written += 1.0;
            }
            if !halfway && started.elapsed() > length / 2 {
                halfway = true;
                self.export(in_files - in_files / 2, false)?;
            }
        }
        Ok(())
    }

    /// One act of one citizen, sometimes delivered twice.
    fn act(&mut self) {
        if self.random.u32(0..40) == 0 {
            self.telegram.fault(telegram::Fault::Duplicate { times: 1 });
        }
        if self.random.u32(0..120) == 0 {
            self.vk.fault(vk::Fault::duplicate().on(vk::LONG_POLL));
        }
        match self.random.u32(0..9) {
            0..3 => self.life_of_community.act(),
            3..5 => drop(self.life_of_hooked.act()),
            _ => drop(self.life_of_polled.act()),
        }
    }

    /// Drops two exports into the inbox; the second time they repeat and change what came the first time.
    fn export(&mut self, rows: u64, first: bool) -> anyhow::Result<()> {
        let inbox = self.folder.join("exports").join("inbox");
        std::fs::create_dir_all(&inbox)?;
        let each = (rows / 2).max(1);
        let spec = |number: u64| {
            let mut spec = ExportSpec::new(self.seed, each).with_trouble();
            spec.first = number * 1_000_000 + 1;
            (spec.bad_every, spec.duplicate_every) = (5, 4);
            if first { spec } else { spec.later(1, 4) }
        };
        let csv = Format::Csv {
            encoding: Encoding::Windows1251,
            delimiter: b';',
        };
        for (extension, spec) in [("xlsx", spec(1).layout(Layout::Wide)), ("csv", spec(2).format(csv))] {
            self.exports += 1;
            let name = format!("incidents-{:02}.{extension}", self.exports);
            // A hidden name while it is written, then one step: as careful people copy.
            let hidden = inbox.join(format!(".{name}"));
            let manifest = exports::write(&hidden, &spec, &mut exports::sample_voice)?;
            std::fs::rename(&hidden, inbox.join(name))?;
            self.rows += manifest.good_rows + manifest.bad_rows;
        }
        Ok(())
    }

    /// What was given to Priem so far, repetitions included.
    pub fn sent(&self) -> u64 {
        self.polled.handed_out() + self.hooked.handed_out() + self.community.handed_out() + self.rows
    }

    /// Waits until everything given was taken and is settled; `false` when patience ends first.
    pub async fn settled(&self, daemon: &Daemon, show: &mut Show, patience: Duration) -> anyhow::Result<bool> {
        let started = Instant::now();
        while started.elapsed() < patience {
            let in_telegram = self.polled.pending() + self.hooked.pending();
            let nothing_waits = in_telegram + self.community.pending() == 0;
            let taken = summary::sum(&daemon.metrics, "priem_received_items_total");
            if nothing_waits && taken >= self.sent() && daemon.journal().pending_count() == 0 {
                return Ok(true);
            }
            show.look()?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(false)
    }
}

/// The settings a user would write. `amqp` is added as JSON, which is YAML too.
fn settings(folder: &Path, telegram: &str, vk: &str, port: u16, amqp: Option<&str>) -> anyhow::Result<String> {
    let broker = match amqp {
        Some(url) => format!("amqp: {}\n", serde_json::json!({ "url": url })),
        None => String::new(),
    };
    let folder = folder.display();
    Ok(format!(
        "# Written by `priem demo`.
version: 1
journal: {{ dir: journal, min_free_bytes: 0 }}
http:
  admin: {{ listen: 127.0.0.1:0 }}
  webhooks: {{ listen: 127.0.0.1:{port}, public_url: http://127.0.0.1:{port} }}
{broker}ndjson: {{ path: out.ndjson }}
log: {{ level: warn }}
# The incidents are invented and have any age.
deadlines: {{ events: [] }}
connectors:
  telegram-polled:
    type: telegram
    token: {{ file: {folder}/polled-token }}
    api_url: {telegram}
    http: {{ requests_per_second: 50 }}
  telegram-webhook:
    type: telegram
    mode: webhook
    token: {{ file: {folder}/hook-token }}
    api_url: {telegram}
    webhook:
      path: {{ file: {folder}/hook-path }}
      secret_token: {{ file: {folder}/hook-secret }}
      source_networks: []
  vk-community:
    type: vk
    api_url: {vk}
    communities:
      - {{ id: {COMMUNITY}, name: {COMMUNITY_NAME}, token: {{ file: {folder}/community-token }} }}
  incident-exports:
    type: files
    folder: {folder}/exports
    mapping: incident
    settle: 0s
    every: 1s
"
    ))
}
