//! Import: a large export dropped into the inbox of a running daemon. Messages go to a synced NDJSON file, so that the
//! import is measured and not a broker.

use std::{path::Path, time::Instant};

use anyhow::ensure;
use priem_city::exports::{self, Encoding, ExportSpec, Format};

use crate::daemon::{Installation, sum};

/// XLSX as Excel writes it, texts in the table of shared strings.
pub const XLSX: Format = Format::Xlsx {
    shared_strings: true,
    dates_as_numbers: true,
};
/// CSV as Russian Excel writes it.
pub const CSV: Format = Format::Csv {
    encoding: Encoding::Windows1251,
    delimiter: b';',
};

/// What one import gave.
#[derive(Debug, Clone, Copy)]
pub struct Import {
    /// Rows stored in a second, from the drop of the file to the commit of its last row.
    pub rows_per_s: f64,
    /// Rows published in a second, from the drop of the file to the last line of the NDJSON file.
    pub published_per_s: f64,
    /// Peak memory of the daemon, megabytes.
    pub peak_mb: f64,
    /// Size of the file, megabytes.
    pub file_mb: f64,
}

/// Writes an export of `rows` rows, drops it and waits until everything in it is published.
///
/// # Errors
/// When the file can't be written or the daemon does not take all of it.
pub async fn measure(installation: &Installation, format: Format, rows: u64) -> anyhow::Result<Import> {
    let inbox = installation.folder().join("exports").join("inbox");
    std::fs::create_dir_all(&inbox)?;
    let extension = extension(format);
    let hidden = inbox.join(format!(".export.{extension}"));
    let good_rows = write(&hidden, format, rows).await?;
    let file_mb = std::fs::metadata(&hidden)?.len() as f64 / 1e6;
    let daemon = installation.start().await?;
    std::fs::rename(&hidden, inbox.join(format!("export.{extension}")))?;
    let dropped = Instant::now();
    let seen = daemon
        .watch("priem_received_items_total", |received, _| received >= good_rows)
        .await?;
    let stored = seen[seen.len() - 1].0 - dropped;
    daemon
        .watch("priem_published_messages_total", |published, text| {
            published > 0 && sum(text, "priem_pending_items") == 0
        })
        .await?;
    let published = dropped.elapsed();
    let quarantined = daemon.metric("priem_quarantined_items_total").await?;
    ensure!(
        quarantined == 0,
        "{quarantined} rows of a clean export went to quarantine"
    );
    Ok(Import {
        rows_per_s: good_rows as f64 / stored.as_secs_f64(),
        published_per_s: good_rows as f64 / published.as_secs_f64(),
        peak_mb: daemon.memory_mb()?.1,
        file_mb,
    })
}

/// The ending of a file's name.
pub fn extension(format: Format) -> &'static str {
    match format {
        Format::Xlsx { .. } => "xlsx",
        Format::Csv { .. } => "csv",
    }
}

/// Writes an export of so many rows; gives how many can become messages.
///
/// # Errors
/// When it can't be written.
pub async fn write(path: &Path, format: Format, rows: u64) -> anyhow::Result<u64> {
    let (path, spec) = (path.to_owned(), ExportSpec::new(7, rows).format(format));
    let written =
        tokio::task::spawn_blocking(move || exports::write(&path, &spec, &mut exports::sample_voice)).await??;
    Ok(written.good_rows)
}
