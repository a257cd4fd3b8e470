//! A channel as the crash test sees it: something that keeps sending, knows what was taken from it, and can tell at the
//! end that all of it was. A further channel implements [`Channel`] over its simulator and joins the list of the test.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use priem_city::telegram::{Bot, TelegramCity};

use super::{
    Installation,
    flow::{self, HOOK_TOKEN, Importer, Ledger, POLL_TOKEN, Writers},
    pause,
};

/// One configured connector and the simulated source behind it.
pub trait Channel {
    /// Its entry below `connectors:`, indented by two spaces; `{folder}` becomes the installation's.
    fn settings(&self) -> String;

    /// The installation is there: secrets and folders are made.
    fn install(&mut self, installation: &Installation);

    /// Keeps enough waiting at the source, and notes in the ledger what must come out of it.
    fn keep_busy(&mut self, ledger: &mut Ledger);

    /// Remembers where it stands; called before each start of the daemon.
    fn mark(&mut self);

    /// How much can be taken after [`Channel::mark`] at least.
    fn waiting(&self) -> u64;

    /// Waits until so much more was taken since [`Channel::mark`].
    fn taken<'a>(&'a self, daemon: &'a Installation, more: u64) -> BoxFuture<'a, ()>;

    /// Waits until the source knows that a dead daemon is gone.
    fn hung_up(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Waits until everything was taken.
    fn emptied(&self) -> BoxFuture<'_, ()>;

    /// After everything was taken: what it finds wrong, its own rules broken by the daemon included.
    fn complaints(&self) -> Vec<String>;

    /// How many of its items must be in quarantine.
    fn quarantined(&self) -> u64 {
        0
    }
}

/// Updates that wait for a bot when a round begins.
const WAITING: usize = 60;
/// Incidents in one export.
const INCIDENTS: u64 = 60;

/// A bot of Telegram, by webhook or by polling.
pub struct TelegramChannel {
    city: TelegramCity,
    bot: Bot,
    writers: Writers,
    settings: String,
    secrets: Vec<(&'static str, &'static str)>,
    marked: u64,
}

impl TelegramChannel {
    /// The connector `hook`, over a Telegram of its own.
    pub async fn by_webhook(seed: u64) -> Self {
        let city = flow::telegram().await;
        let settings = flow::hook(&city.api_url());
        let secrets = vec![("hook-token", HOOK_TOKEN), ("hook-secret", flow::HOOK_SECRET)];
        Self::new(city, HOOK_TOKEN, "hook", settings, secrets, seed)
    }

    /// The connector `poll`, over a Telegram of its own.
    pub async fn by_polling(seed: u64) -> Self {
        let city = flow::telegram().await;
        let settings = flow::poll(&city.api_url());
        Self::new(
            city,
            POLL_TOKEN,
            "poll",
            settings,
            vec![("poll-token", POLL_TOKEN)],
            seed,
        )
    }

    fn new(
        city: TelegramCity,
        token: &str,
        connector: &'static str,
        settings: String,
        secrets: Vec<(&'static str, &'static str)>,
        seed: u64,
    ) -> Self {
        let bot = city.bot(token);
        Self {
            writers: Writers::new(bot.clone(), connector, seed),
            city,
            bot,
            settings,
            secrets,
            marked: 0,
        }
    }
}

impl Channel for TelegramChannel {
    fn settings(&self) -> String {
        self.settings.clone()
    }

    fn install(&mut self, installation: &Installation) {
        for (name, value) in &self.secrets {
            installation.secret(name, value);
        }
    }

    fn keep_busy(&mut self, ledger: &mut Ledger) {
        self.writers.keep_waiting(WAITING, ledger);
    }

    fn mark(&mut self) {
        self.marked = self.bot.delivered();
    }

    fn waiting(&self) -> u64 {
        WAITING as u64
    }

    fn taken<'a>(&'a self, _: &'a Installation, more: u64) -> BoxFuture<'a, ()> {
        Box::pin(self.bot.wait_until(move |bot| bot.delivered() >= self.marked + more))
    }

    /// A dead daemon's long poll must be seen as gone, or the next one would be a second poller.
    fn hung_up(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.bot.wait_until(|bot| !bot.is_polled()))
    }

    fn emptied(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.bot.wait_until(|bot| bot.pending() == 0))
    }

    fn complaints(&self) -> Vec<String> {
        self.city.violations()
    }
}

/// A drop folder of exports: the connector `exports`.
#[derive(Default)]
pub struct ExportsChannel {
    importer: Option<Importer>,
    /// Files put back: the daemon was killed twice over one page of each, and set them aside whole.
    put_back: AtomicU64,
}

impl ExportsChannel {
    fn importer(&self) -> &Importer {
        self.importer.as_ref().expect("installed first")
    }
}

impl Channel for ExportsChannel {
    fn settings(&self) -> String {
        flow::files()
    }

    fn install(&mut self, installation: &Installation) {
        self.importer = Some(Importer::new(installation, INCIDENTS));
    }

    fn keep_busy(&mut self, ledger: &mut Ledger) {
        let importer = self.importer.as_mut().expect("installed first");
        importer.keep_busy(ledger);
    }

    /// Counted by the daemon, from zero at every start.
    fn mark(&mut self) {}

    fn waiting(&self) -> u64 {
        INCIDENTS
    }

    fn taken<'a>(&'a self, daemon: &'a Installation, more: u64) -> BoxFuture<'a, ()> {
        let labels = "connector=\"exports\"";
        Box::pin(daemon.metric_reaches("priem_received_items_total", labels, more as f64))
    }

    fn emptied(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            loop {
                while self.importer().files_in("inbox") > 0 {
                    pause().await;
                }
                match self.importer().put_back() {
                    0 => break,
                    files => self.put_back.fetch_add(files, Ordering::Relaxed),
                };
            }
        })
    }

    fn complaints(&self) -> Vec<String> {
        let importer = self.importer();
        let (done, dropped) = (importer.files_in("done") as u64, importer.dropped());
        let mut complaints = Vec::new();
        if done != dropped {
            complaints.push(format!("{done} of {dropped} files are in done/"));
        }
        if importer.files_in("failed") > 0 {
            complaints.push("a file is in failed/".into());
        }
        complaints
    }

    fn quarantined(&self) -> u64 {
        self.importer().bad_rows + self.put_back.load(Ordering::Relaxed)
    }
}
