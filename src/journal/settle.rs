//! Recording the end of an item's way. Rides in the next commit; a crash before it only means publishing again.

use rusqlite::Connection;

use super::{
    End, Settlement,
    append::hold,
    ledger::Ledger,
    settled::{self, Fact},
};

/// Takes the item off the pending list and keeps what was decided.
pub(super) fn settle(
    connection: &Connection,
    ledger: &mut Ledger,
    settlement: &Settlement,
    now: i64,
) -> rusqlite::Result<()> {
    let Settlement { position, seq, end } = settlement;
    match end {
        End::Delivered { decisions, parked } => {
            let facts: Vec<Fact<'_>> = decisions.iter().map(Fact::from).collect();
            settled::insert(connection, ledger, None, *seq, now, &facts)?;
            if let Some(parked) = parked {
                hold(connection, *seq, "parked", parked.reason, &parked.why, now)?;
            }
        }
        End::Quarantined { reason, why } => hold(connection, *seq, "quarantined", reason, why, now)?,
    }
    let gone = connection
        .prepare_cached("DELETE FROM pending WHERE position = ?1")?
        .execute([position])?;
    ledger.counts.pending -= gone as i64;
    Ok(())
}
