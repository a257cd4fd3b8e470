//! A community as its administrators and the people of the platform see it: settings, servers, what becomes of keys
//! and history. What citizens do there is in `deeds`.

use std::sync::Arc;

use super::{
    callback,
    events::Settings,
    network::{Network, SharedCommunity},
};

/// A community of the network. The handle is cheap to copy.
#[derive(Clone)]
pub struct Community {
    pub(super) network: Arc<Network>,
    pub(super) state: SharedCommunity,
    pub(super) id: i64,
}

impl std::fmt::Debug for Community {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Community")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// How a callback server fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackStatus {
    /// `unconfigured`, `wait`, `failed` or `ok`.
    pub status: &'static str,
    /// Events it took.
    pub delivered: u64,
    /// Events given up.
    pub lost: u64,
    /// Events that failed and wait for their next attempt: now [`VkCity::advance`](super::VkCity::advance) brings it on.
    pub waiting: i64,
}

impl Community {
    /// Positive id.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Gives it a name.
    pub fn set_name(&self, name: &str) {
        name.clone_into(&mut self.state.lock().name);
    }

    /// Switches the long poll server on or off.
    pub fn set_long_poll(&self, on: bool) {
        self.state.lock().long_poll_enabled = on;
        self.network.touch();
    }

    /// Switches a kind of event on or off for the long poll server.
    pub fn switch(&self, kind: &str, on: bool) {
        self.state.lock().settings.switch(kind, on);
    }

    /// Sets the version events of the long poll server are written in.
    pub fn set_version(&self, version: &str) {
        version.clone_into(&mut self.state.lock().settings.version);
    }

    /// Writes `ts` as a number instead of text.
    pub fn set_numeric_ts(&self, numeric: bool) {
        self.state.lock().numeric_ts = numeric;
    }

    /// Lets every key expire: `failed` 2.
    pub fn expire_keys(&self) {
        let mut state = self.state.lock();
        for key in &mut state.keys {
            key.expired = true;
        }
        state.wake.notify_waiters();
    }

    /// Forgets the events that are kept: `failed` 1 for a client that is behind.
    pub fn lose_history(&self) {
        self.state.lock().forget_all();
    }

    /// Forgets keys, events and the count of `ts`: `failed` 3 for everybody.
    pub fn lose_everything(&self) {
        let mut state = self.state.lock();
        state.forget_all();
        state.epoch += 1;
        state.ts = 1;
        state.heard = 1;
        state.forgotten = 0;
        state.wake.notify_waiters();
    }

    /// Registers a callback server as an administrator does, with every kind of event on; its id.
    pub fn add_callback_server(&self, url: &str, title: &str, secret: &str) -> i64 {
        callback::register(&self.network, &self.state, url, title, secret, Settings::all_on())
    }

    /// Presses the button that confirms a server, also one that was given up.
    pub fn confirm_callback_server(&self, id: i64) {
        callback::confirm(&self.network, &self.state, id);
    }

    /// Sets the version events for a callback server are written in.
    pub fn set_callback_version(&self, id: i64, version: &str) {
        if let Some(server) = self.state.lock().server_mut(id) {
            version.clone_into(&mut server.settings.version);
        }
    }

    /// Switches a kind of event on or off for a callback server.
    pub fn switch_callback(&self, id: i64, kind: &str, on: bool) {
        if let Some(server) = self.state.lock().server_mut(id) {
            server.settings.switch(kind, on);
        }
    }

    /// How a callback server fares.
    pub fn callback_status(&self, id: i64) -> Option<CallbackStatus> {
        self.state.lock().server_mut(id).map(|server| CallbackStatus {
            status: server.status,
            delivered: server.delivered,
            lost: server.lost,
            waiting: server.waiting,
        })
    }

    /// The string a callback server must answer a confirmation with.
    pub fn confirmation(&self) -> String {
        self.state.lock().confirmation.clone()
    }

    /// Another string, as after a change of the settings.
    pub fn set_confirmation(&self, code: &str) {
        code.clone_into(&mut self.state.lock().confirmation);
    }

    /// Long polls that wait right now.
    pub fn polls_running(&self) -> u32 {
        self.state.lock().polls_running
    }

    /// Long polls that have come so far.
    pub fn polls(&self) -> u64 {
        self.state.lock().polls
    }

    /// Events in answers of the long poll server, repetitions included.
    pub fn handed_out(&self) -> u64 {
        self.state.lock().handed_out
    }

    /// Events in the history that no answer has held yet.
    pub fn pending(&self) -> usize {
        let state = self.state.lock();
        state.history.iter().filter(|(ts, _)| *ts > state.heard).count()
    }

    /// Present `ts`.
    pub fn ts(&self) -> u64 {
        self.state.lock().ts
    }

    /// Waits until a condition on this community holds.
    pub async fn wait_until(&self, holds: impl Fn(&Self) -> bool) {
        let mut changed = self.network.changed.subscribe();
        while !holds(self) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}
