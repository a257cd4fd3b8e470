//! Recording the end of an item's way. Rides in the next commit; a crash before it only means publishing again.

use rusqlite::{
    Connection, params,
    types::{ToSqlOutput, ValueRef},
};

use super::{End, Settlement, append::hold};

/// Takes the item off the pending list and keeps what was decided.
pub(super) fn settle(connection: &Connection, settlement: &Settlement, now: i64) -> rusqlite::Result<()> {
    let Settlement { position, seq, end } = settlement;
    match end {
        End::Delivered { decisions, parked } => {
            let mut insert =
                connection.prepare_cached("INSERT OR REPLACE INTO decision VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
            for decision in decisions {
                insert.execute(params![
                    seq,
                    &decision.event_id.as_bytes()[..],
                    decision.queue,
                    decision.event,
                    decision.outcome,
                    now,
                    decision.channel,
                    ToSqlOutput::Borrowed(ValueRef::Text(&decision.routing))
                ])?;
            }
            if let Some(why) = parked {
                hold(connection, *seq, "parked", "unroutable", why, now)?;
            }
        }
        End::Quarantined { reason, why } => hold(connection, *seq, "quarantined", reason, why, now)?,
    }
    connection
        .prepare_cached("DELETE FROM pending WHERE position = ?1")?
        .execute([position])?;
    Ok(())
}
