//! What all communities of the simulated network share: clock, tokens, people, trouble, and what clients did wrong.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{runtime::Handle, sync::watch};

use super::{
    Citizen, Options,
    faults::{Fault, Kind, Outage, Place},
    ledger::Ledger,
    state::Community,
    tokens::Token,
};
use crate::clock::Clock;

pub(super) type SharedCommunity = Arc<Mutex<Community>>;

/// Most violations that are kept; a client that does one thing wrong does it a thousand times.
const MOST_VIOLATIONS: usize = 1000;

pub(super) struct Network {
    pub options: Options,
    pub address: SocketAddr,
    clock: Mutex<Clock>,
    pub communities: Mutex<HashMap<i64, SharedCommunity>>,
    pub tokens: Mutex<HashMap<String, Token>>,
    pub people: Mutex<HashMap<i64, Citizen>>,
    pub ledger: Mutex<Ledger>,
    faults: Mutex<VecDeque<Fault>>,
    outage: Mutex<Option<Outage>>,
    /// Calls of a method a token may make in a day of simulated time.
    pub daily_limits: Mutex<BTreeMap<String, u64>>,
    violations: Mutex<Vec<String>>,
    /// Grows with everything that happens; those who wait for a condition look again.
    pub changed: watch::Sender<u64>,
    /// Grows when time jumps or an outage begins or ends: those who sleep look at the clock again.
    jumped: watch::Sender<u64>,
    pub runtime: Handle,
    pub http: reqwest::Client,
}

impl Network {
    pub fn new(options: Options, address: SocketAddr, http: reqwest::Client) -> Self {
        Self {
            clock: Mutex::new(Clock::new(options.second)),
            options,
            address,
            communities: Mutex::default(),
            tokens: Mutex::default(),
            people: Mutex::default(),
            ledger: Mutex::default(),
            faults: Mutex::default(),
            outage: Mutex::default(),
            daily_limits: Mutex::default(),
            violations: Mutex::default(),
            changed: watch::Sender::new(0),
            jumped: watch::Sender::new(0),
            runtime: Handle::current(),
            http,
        }
    }

    pub fn now(&self) -> f64 {
        self.clock.lock().now()
    }

    pub fn unix(&self) -> i64 {
        self.now() as i64
    }

    pub fn advance(&self, by: Duration) {
        self.clock.lock().advance(by);
        self.wake_sleepers();
    }

    /// Real duration of simulated seconds.
    pub fn real(&self, seconds: f64) -> Duration {
        self.options.second.mul_f64(seconds.max(0.0))
    }

    /// Waits until this moment of simulated time has come, by itself or by a jump.
    pub async fn sleep_until(&self, moment: f64) {
        let mut jumped = self.jumped.subscribe();
        loop {
            let left = moment - self.now();
            if left <= 0.0 {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(self.real(left)) => {}
                _ = jumped.changed() => {}
            }
        }
    }

    /// Lets those who sleep look at the clock, and those who wait for a condition at theirs.
    pub fn wake_sleepers(&self) {
        self.jumped.send_modify(|version| *version += 1);
        self.touch();
    }

    /// Waits until there is no outage.
    pub async fn sleep_through_outage(&self) {
        let mut jumped = self.jumped.subscribe();
        while self.outage().is_some() {
            if jumped.changed().await.is_err() {
                return;
            }
        }
    }

    /// Tells those who wait for a condition.
    pub fn touch(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    pub fn violate(&self, what: impl Into<String>) {
        let mut violations = self.violations.lock();
        if violations.len() < MOST_VIOLATIONS {
            violations.push(what.into());
        }
        drop(violations);
        self.touch();
    }

    pub fn violations(&self) -> Vec<String> {
        self.violations.lock().clone()
    }

    pub fn add_fault(&self, fault: Fault) {
        if fault.times > 0 {
            self.faults.lock().push_back(fault);
        }
    }

    pub fn clear_faults(&self) {
        self.faults.lock().clear();
    }

    /// Takes the first fault that strikes here.
    pub fn take_fault(&self, place: Place<'_>) -> Option<Kind> {
        let mut faults = self.faults.lock();
        let index = faults.iter().position(|fault| fault.fits(&place))?;
        let fault = faults.get_mut(index)?;
        let kind = fault.kind.clone();
        fault.times -= 1;
        if fault.times == 0 {
            faults.remove(index);
        }
        Some(kind)
    }

    pub fn outage(&self) -> Option<Outage> {
        *self.outage.lock()
    }

    pub fn set_outage(&self, outage: Option<Outage>) {
        *self.outage.lock() = outage;
        for community in self.all() {
            community.lock().wake.notify_waiters();
        }
        self.wake_sleepers();
    }

    pub fn community(&self, group: i64) -> Option<SharedCommunity> {
        self.communities.lock().get(&group).cloned()
    }

    pub fn all(&self) -> Vec<SharedCommunity> {
        self.communities.lock().values().cloned().collect()
    }

    /// The people among these ids, as `users.get` and `profiles` show them.
    pub fn profiles(&self, ids: impl IntoIterator<Item = i64>) -> Vec<Value> {
        let mut ids: Vec<i64> = ids.into_iter().filter(|id| *id > 0).collect();
        ids.sort_unstable();
        ids.dedup();
        let people = self.people.lock();
        ids.iter().map(|id| profile(*id, people.get(id))).collect()
    }

    /// The communities among these (negative) ids, as `groups` shows them.
    pub fn group_list(&self, ids: impl IntoIterator<Item = i64>) -> Vec<Value> {
        let mut ids: Vec<i64> = ids.into_iter().filter(|id| *id < 0).map(|id| -id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter()
            .filter_map(|id| Some(self.community(id)?.lock().group_object()))
            .collect()
    }
}

fn profile(id: i64, person: Option<&Citizen>) -> Value {
    match person {
        Some(person) => json!({"id": id, "first_name": person.first_name, "last_name": person.last_name,
            "can_access_closed": true, "is_closed": false}),
        None => json!({"id": id, "first_name": "DELETED", "last_name": "", "deactivated": "deleted"}),
    }
}
