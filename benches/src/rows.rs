//! The way of a row from a file into the journal, stage by stage, against a plain reader of the same file in the same run.
//!
//! The plain readers are what a program that only wants the values would use: calamine's range of a sheet, records of the
//! crate csv. Nothing is published: the daemon's broker is an address where nobody is.

use std::{
    hint::black_box,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use calamine::Reader as _;
use clap::Args;
use priem_city::{exports::Format, telegram::TelegramCity};
use priem_sdk::{
    Cx, Wait,
    contract::{ConnectorId, Cursor},
};
use priem_tables::{CsvRows, Source, Workbook, dialect::Delimiter, sniff::Start};

use crate::{
    daemon::{self, Installation, Target},
    import::{self, CSV, XLSX},
    report::median,
};

/// The connector of the exports, as [`crate::daemon::exports`] names it.
const EXPORTS: &str = "exports";
const STREAM: &str = "inbox";
/// Longest wait for a file to be read.
const PATIENCE: Duration = Duration::from_secs(300);

/// Arguments of `rows`.
#[derive(Debug, Args)]
pub struct RowsArgs {
    /// Rows of each file
    #[arg(long, default_value_t = 200_000)]
    rows: u64,
    /// Interleaved rounds; medians count
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Print the figures as one line of JSON, last
    #[arg(long)]
    json: bool,
}

/// Rows a second at every stage, and the daemon's memory.
#[derive(Debug, Default)]
struct Stages {
    plain: Vec<f64>,
    parsed: Vec<f64>,
    items: Vec<f64>,
    journal: Vec<f64>,
    peak_mb: Vec<f64>,
    tenth_peak_mb: Vec<f64>,
}

/// Measures and prints.
///
/// # Errors
/// When a stage can't be measured.
pub async fn run(arguments: RowsArgs) -> anyhow::Result<()> {
    let city = TelegramCity::start(Default::default()).await?;
    let nobody = daemon::nobody()?;
    let mut figures = serde_json::Map::new();
    for (name, format) in [("xlsx", XLSX), ("csv", CSV)] {
        let folder = tempfile::tempdir()?;
        let (file, rows) = export(folder.path(), format, arguments.rows).await?;
        let (tenth, _) = export(folder.path(), format, arguments.rows / 10).await?;
        let mut stages = Stages::default();
        for _ in 0..arguments.rounds {
            stages.plain.push(timed(&file, rows, plain).await?);
            stages.parsed.push(timed(&file, rows, parsed).await?);
            let installation = || Installation::new(&Target::Amqp(&nobody), &city.api_url());
            stages.items.push(items(&installation()?, &file, rows).await?);
            let (took, peak_mb) = stored(&installation()?, &file).await?;
            stages.journal.push(rows as f64 / took.as_secs_f64());
            stages.peak_mb.push(peak_mb);
            let (_, peak_mb) = stored(&installation()?, &tenth).await?;
            stages.tenth_peak_mb.push(peak_mb);
        }
        stages.print(name, &mut figures);
    }
    if arguments.json {
        println!("{}", serde_json::Value::Object(figures));
    }
    Ok(())
}

impl Stages {
    fn print(&self, name: &str, figures: &mut serde_json::Map<String, serde_json::Value>) {
        let plain = median(&self.plain);
        println!("{name}: a plain reader {plain:.0} rows/s");
        for (stage, rates) in [
            ("parsed", &self.parsed),
            ("items", &self.items),
            ("journal", &self.journal),
        ] {
            let rate = median(rates);
            println!("{name}: {stage:<8} {rate:>8.0} rows/s, {:.2} of it", rate / plain);
            figures.insert(format!("{name}_{stage}_rows_per_s"), rate.round().into());
            figures.insert(
                format!("{name}_{stage}_ratio"),
                ((rate / plain * 100.0).round() / 100.0).into(),
            );
        }
        let (peak, tenth) = (median(&self.peak_mb), median(&self.tenth_peak_mb));
        println!("{name}: peak memory {peak:.0} MB, with a tenth of the rows {tenth:.0} MB");
        figures.insert(format!("{name}_peak_mb"), peak.round().into());
        figures.insert(format!("{name}_tenth_peak_mb"), tenth.round().into());
    }
}

async fn export(folder: &Path, format: Format, rows: u64) -> anyhow::Result<(PathBuf, u64)> {
    let path = folder.join(format!("export-{rows}.{}", import::extension(format)));
    let good_rows = import::write(&path, format, rows).await?;
    Ok((path, good_rows))
}

/// Rows a second of something that reads a file and counts its rows, the header among them.
async fn timed(file: &Path, rows: u64, read: fn(&Path) -> anyhow::Result<u64>) -> anyhow::Result<f64> {
    let file = file.to_owned();
    tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        let read = read(&file)?;
        anyhow::ensure!(read == rows + 1, "{read} rows instead of {rows} and a header");
        Ok(rows as f64 / begun.elapsed().as_secs_f64())
    })
    .await?
}

fn is_csv(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "csv")
}

/// As a program reads it that wants the values and nothing else.
fn plain(file: &Path) -> anyhow::Result<u64> {
    if is_csv(file) {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(b';')
            .has_headers(false)
            .flexible(true)
            .from_path(file)?;
        let (mut record, mut rows) = (csv::ByteRecord::new(), 0);
        while reader.read_byte_record(&mut record)? {
            rows += 1;
            black_box(&record);
        }
        return Ok(rows);
    }
    let mut book: calamine::Xlsx<_> = calamine::open_workbook(file)?;
    let range = book.worksheet_range_at(0).context("a sheet")??;
    let rows = range.rows().map(|row| {
        black_box(row);
    });
    Ok(rows.count() as u64)
}

/// As our reader of tables gives rows.
fn parsed(file: &Path) -> anyhow::Result<u64> {
    let source = Source::open(file)?;
    let mut count = 0;
    if is_csv(file) {
        let dialect = Start::of(&source)?.dialect(None, Delimiter::OfHeader)?;
        let mut rows = CsvRows::new(source.from_start(), dialect.mark, 1, dialect)?;
        while let Some(row) = rows.next_row()? {
            count += 1;
            black_box(row);
        }
        return Ok(count);
    }
    let book = Workbook::open(&source)?;
    let name = book.sheet_names().next().context("a sheet")?.to_owned();
    let scratch = tempfile::tempdir()?;
    let mut rows = book.rows(&name, book.strings(scratch.path())?)?;
    while let Some(row) = rows.next_row()? {
        count += 1;
        black_box(row);
    }
    Ok(count)
}

/// Rows a second of the connector alone: pages of items, stored nowhere.
async fn items(installation: &Installation, file: &Path, rows: u64) -> anyhow::Result<f64> {
    drop_into(installation, file)?;
    let built = installation.built()?;
    let id = ConnectorId::new(EXPORTS);
    let connector = built.connectors.get(&id).context("the connector of the exports")?;
    let cx = Cx::new(id);
    let begun = Instant::now();
    let mut cursor = Cursor::default();
    // A row may be several items: the end is where there are no more.
    loop {
        let page = connector.poll(&cx, STREAM, &cursor).await?;
        black_box(&page.items);
        cursor = page.next;
        if page.wait != Wait::Now {
            break;
        }
    }
    Ok(rows as f64 / begun.elapsed().as_secs_f64())
}

/// How long the daemon takes from the drop of a file to its place among those that are done, which is after the commit of
/// its last row, and its peak of memory, megabytes.
async fn stored(installation: &Installation, file: &Path) -> anyhow::Result<(Duration, f64)> {
    let daemon = installation.start().await?;
    drop_into(installation, file)?;
    let dropped = Instant::now();
    let done = installation.folder().join(EXPORTS).join("done");
    let done = done.join(file.file_name().context("a name")?);
    while !done.exists() {
        anyhow::ensure!(
            dropped.elapsed() < PATIENCE,
            "the file is not read to its end\n{}",
            daemon.log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok((dropped.elapsed(), daemon.memory_mb()?.1))
}

/// A copy of a file appears in the drop folder at once.
fn drop_into(installation: &Installation, file: &Path) -> anyhow::Result<()> {
    let inbox = installation.folder().join(EXPORTS).join("inbox");
    std::fs::create_dir_all(&inbox)?;
    let name = file.file_name().context("a name")?.to_string_lossy().into_owned();
    let hidden = inbox.join(format!(".{name}"));
    std::fs::copy(file, &hidden)?;
    Ok(std::fs::rename(hidden, inbox.join(name))?)
}
