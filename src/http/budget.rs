//! Memory of request bodies, counted as their bytes come.
//!
//! What a sender announces takes no room: only bytes that came do. Strangers, whose proof is in the body or missing,
//! share a part of the room, and one address has a part of it at most, so that neither can take it from those whose
//! sender is proven by the head of the request.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::Arc,
};

use parking_lot::Mutex;
use priem_sdk::Admission;
use prometheus::IntGauge;

use super::WebhookSettings;
use crate::telemetry::Metrics;

/// What a body takes beside its bytes: its request, headers, buffers.
const OVERHEAD: usize = 4096;

/// The room for bodies. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Bytes of all bodies.
    most: usize,
    /// Of these, bytes of bodies whose sender is not proven, and bytes of one address.
    share: usize,
    taken: Mutex<Taken>,
    gauge: IntGauge,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    unproven: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why there is no room now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// For nobody, or for no stranger.
    Full,
    /// This address has its share.
    AddressShare,
}

impl NoRoom {
    /// Bounded name, for metric labels.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "overloaded",
            Self::AddressShare => "address_share",
        }
    }
}

impl Budget {
    /// All of `max_buffered_bytes`; half of it for strangers and for each address, one body at least.
    pub(super) fn new(settings: &WebhookSettings, metrics: &Metrics) -> Self {
        Self(Arc::new(Shared {
            most: settings.max_buffered_bytes + OVERHEAD,
            share: (settings.max_buffered_bytes / 2).max(settings.max_body_bytes) + OVERHEAD,
            taken: Mutex::default(),
            gauge: metrics.buffered_bytes.clone(),
        }))
    }

    /// Room for one body, nothing of it taken yet.
    pub(super) fn body(&self, address: IpAddr, admission: Admission) -> Held {
        Held {
            budget: self.clone(),
            address,
            admission,
            bytes: 0,
        }
    }
}

/// What one body takes, given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Budget,
    /// See [`crate::listener::peer::share_of`].
    address: IpAddr,
    admission: Admission,
    bytes: usize,
}

impl Held {
    /// Takes room for more bytes that came.
    ///
    /// # Errors
    /// [`NoRoom`]; what was taken before stays.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let more = if self.bytes == 0 { bytes + OVERHEAD } else { bytes };
        let Shared {
            most,
            share,
            taken,
            gauge,
        } = &*self.budget.0;
        let mut taken = taken.lock();
        let of_address = taken.by_address.get(&self.address).copied().unwrap_or(0);
        let unproven = match self.admission {
            Admission::Proven => 0,
            Admission::ProofInBody => more,
        };
        if of_address + more > *share {
            return Err(NoRoom::AddressShare);
        }
        if taken.all + more > *most || (unproven > 0 && taken.unproven + unproven > *share) {
            return Err(NoRoom::Full);
        }
        taken.all += more;
        taken.unproven += unproven;
        taken.by_address.insert(self.address, of_address + more);
        self.bytes += more;
        gauge.set(i64::try_from(taken.all).unwrap_or(i64::MAX));
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut taken = self.budget.0.taken.lock();
        taken.all -= self.bytes;
        self.budget.0.gauge.set(i64::try_from(taken.all).unwrap_or(i64::MAX));
        if self.admission == Admission::ProofInBody {
            taken.unproven -= self.bytes;
        }
        if let Entry::Occupied(mut entry) = taken.by_address.entry(self.address) {
            *entry.get_mut() -= self.bytes;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn budget() -> Budget {
        let settings = WebhookSettings {
            max_body_bytes: MIB,
            max_buffered_bytes: 8 * MIB,
            ..WebhookSettings::default()
        };
        Budget::new(&settings, &Metrics::new())
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    #[test]
    fn only_bytes_that_came_take_room_and_it_comes_back() {
        let budget = budget();
        let waiting: Vec<Held> = (0..100_000)
            .map(|_| budget.body(address(1), Admission::ProofInBody))
            .collect();
        let mut body = budget.body(address(1), Admission::ProofInBody);
        assert_eq!(body.grow(MIB), Ok(()));
        drop((waiting, body));
        let taken = budget.0.taken.lock();
        assert_eq!((taken.all, taken.unproven, taken.by_address.len()), (0, 0, 0));
    }

    #[test]
    fn strangers_and_one_address_leave_room_for_the_proven() {
        let budget = budget();
        let mut held = Vec::new();
        let mut take = |last: u8, admission| {
            let mut body = budget.body(address(last), admission);
            let answer = body.grow(MIB - OVERHEAD);
            held.push(body);
            answer
        };
        for _ in 0..4 {
            assert_eq!(take(1, Admission::ProofInBody), Ok(()));
        }
        assert_eq!(take(1, Admission::ProofInBody), Err(NoRoom::AddressShare));
        assert_eq!(take(1, Admission::Proven), Err(NoRoom::AddressShare));
        assert_eq!(
            take(2, Admission::ProofInBody),
            Err(NoRoom::Full),
            "strangers have their half"
        );
        for last in 3..7 {
            assert_eq!(take(last, Admission::Proven), Ok(()), "the rest is for the proven");
        }
        assert_eq!(take(8, Admission::Proven), Err(NoRoom::Full));
    }
}
