//! Asking a source over HTTP, as a manifest says: one page for each poll.
//!
//! Invariants:
//! - the cursor holds everything needed to go on: the place in the list, the marks, the ids to acknowledge;
//! - a record is acknowledged only after the journal has it, and an acknowledgement may be sent again after a crash;
//! - nothing here sleeps or tries again: troubles are decisions for the host (the one exception is a refused token, which
//!   is fetched anew once);
//! - one record the source can't serve or acknowledge never stops the others for good.

mod acknowledge;
mod auth;
pub mod config;
mod line;
mod marks;
mod patience;
mod pick;
mod refresh;
mod template;
#[cfg(test)]
mod tests;
mod walk;
#[cfg(test)]
mod ways;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use priem_sdk::{
    CheckReport, ConfigError, ConnectorError, Cursor, FileSource, HttpResponse, Item, NormalizeError, Page, Retry,
    Wait, message::Attachment,
};
use serde_json::Value;
use tracing::warn;

use self::{
    acknowledge::Acknowledging,
    config::{FollowUpSettings, PagingSettings, PollSettings},
    line::Line,
    marks::Marks,
    patience::Patience,
    template::{RequestTemplate, Values},
    walk::{Brought, PAGES_IN_A_TURN, Place, State, Stepping, Walk},
};

pub use pick::Pick;

/// What the poller must know about records: the rest of the manifest gives it.
pub trait Records: Send + Sync {
    /// The body of an answer as JSON, whatever its format.
    ///
    /// # Errors
    /// When it is not in the format the manifest names.
    fn read(&self, body: &Bytes) -> Result<Value, NormalizeError>;

    /// The item made of a record. Never fails: what can't be understood is an item with a problem.
    fn item(&self, record: Value) -> Item;
}

/// Asks one source. `Debug` shows no secret.
pub struct Poller {
    line: Line,
    request: RequestTemplate,
    items: Pick,
    paging: Paging,
    walk: Walk,
    marks: Option<(Marks, Pick)>,
    follow_ups: Vec<FollowUp>,
    acknowledging: Option<Acknowledging>,
    every: Duration,
    records: Arc<dyn Records>,
    unserved: Patience,
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// Names of values in the list's request.
const LIST_NAMES: [&str; 6] = ["since", "page", "size", "offset", "limit", "cursor"];

/// The paging settings, ready to use.
struct Paging {
    /// Query parameters of place and size, when the request does not use the values itself.
    place: Option<String>,
    size: Option<String>,
    page_size: u64,
    first: u64,
    last: Option<Pick>,
    total: Option<Pick>,
    next: Next,
}

enum Next {
    Nowhere,
    Header,
    Link(Pick),
    Word(Pick),
}

struct FollowUp {
    id: Pick,
    request: RequestTemplate,
    into: String,
}

impl Poller {
    /// Checks the settings and reads the secrets they name; makes no connection. Relative paths start from `base_dir`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key below `poll`.
    pub fn new(settings: &PollSettings, base_dir: &Path, records: Arc<dyn Records>) -> Result<Self, ConfigError> {
        let request = RequestTemplate::new(&settings.request, &LIST_NAMES, "request")?;
        if settings.incremental.is_none() && request.uses("since") {
            return Err(ConfigError::new(
                "incremental",
                "`{since}` in the request needs `incremental: { mark: … }`",
            ));
        }
        if settings.incremental.is_some() && !request.uses("since") {
            return Err(ConfigError::new(
                "request",
                "`incremental` needs `{since}` in the request, in its query for example",
            ));
        }
        let (paging, stepping) = Paging::new(&settings.paging, &request)?;
        let marks = match &settings.incremental {
            None => None,
            Some(incremental) => Some((
                Marks::new(incremental)?,
                Pick::compile(&incremental.mark, "incremental.mark")?,
            )),
        };
        let follow_ups = settings.follow_up.iter().enumerate();
        let follow_ups = follow_ups.map(|(number, one)| FollowUp::new(one, number));
        let follow_ups = follow_ups.collect::<Result<_, _>>()?;
        let acknowledging = settings.acknowledge.as_ref().map(Acknowledging::new).transpose()?;
        let every = Duration::try_from(settings.every).unwrap_or_default();
        if every.is_zero() {
            return Err(ConfigError::new("every", "must be longer than nothing, like 1m"));
        }
        Ok(Self {
            walk: Walk {
                stepping,
                page_size: paging.page_size,
                drains: settings
                    .acknowledge
                    .as_ref()
                    .is_some_and(|acknowledge| acknowledge.removes),
            },
            items: Pick::compile(&settings.items, "items")?,
            line: Line::new(settings, base_dir)?,
            request,
            paging,
            marks,
            follow_ups,
            acknowledging,
            every,
            records,
            unserved: Patience::default(),
        })
    }

    /// Asks for one page.
    ///
    /// # Errors
    /// A decision for the host.
    pub async fn poll(&self, cursor: &Cursor) -> Result<Page, ConnectorError> {
        let state = self.state(cursor);
        let (answer, address) = self.ask(&state).await?;
        let whole = self.read(&answer)?;
        let records = self.records_of(&whole)?;
        let mut brought = self
            .paging
            .brought(&whole, &answer, |link| self.line.own_link(link, &address))?;
        brought.records = records.len() as u64;
        let mut items = Vec::with_capacity(records.len());
        for mut record in records {
            if let Some((marks, pick)) = &self.marks {
                let mark = pick.first(&record).ok().flatten().and_then(|value| marks.read(&value));
                brought.reached = brought.reached.max(mark);
            }
            if let Some(acknowledging) = &self.acknowledging {
                brought.acknowledge.extend(acknowledging.id_of(&record));
            }
            self.follow(&mut record).await?;
            let item = self.records.item(record);
            brought.names.insert(short_name(&item));
            items.push(item);
        }
        let step = self.walk.step(&state, brought);
        // A very long list is read in turns: the source and the other lists have a rest between them.
        let is_turn_over = step.state.pages > 0 && step.state.pages.is_multiple_of(PAGES_IN_A_TURN);
        Ok(Page {
            items,
            next: step.state.write(),
            wait: if step.ended || is_turn_over {
                Wait::For(self.every)
            } else {
                Wait::Now
            },
            gap: step.trouble,
            ..Page::default()
        })
    }

    /// Tells the source that the page before `cursor` is stored. Only after the journal commit; may come again.
    ///
    /// # Errors
    /// A decision for the host: it comes again.
    pub async fn acknowledge(&self, cursor: &Cursor) -> Result<(), ConnectorError> {
        let Some(acknowledging) = &self.acknowledging else {
            return Ok(());
        };
        let ids = self.state(cursor).acknowledge;
        acknowledging.tell(&self.line, self.records.as_ref(), &ids).await
    }

    /// How to fetch an attachment: with our credentials on the source's own host only.
    ///
    /// # Errors
    /// When no token is to be had now.
    pub async fn file(&self, attachment: &Attachment) -> Result<FileSource, ConnectorError> {
        self.line.file(attachment).await
    }

    /// Asks for the first page and looks whether it can be understood. Changes nothing at the source.
    pub async fn check(&self, report: &mut CheckReport) {
        let looked = async {
            let (answer, _) = self.ask(&State::default()).await?;
            let whole = self.read(&answer)?;
            self.records_of(&whole)
        };
        match looked.await {
            Ok(records) => report.ok("list", format!("{} records in the first page", records.len())),
            Err(error) => report.fail(
                "list",
                error.to_string(),
                "compare base_url, auth and request with what the operator of the system gave you",
            ),
        }
    }

    fn state(&self, cursor: &Cursor) -> State {
        let Some(state) = State::read(cursor) else {
            warn!("the cursor was written by something else; the list is read from its beginning");
            return State::default();
        };
        if self.walk.has(&state.place) {
            return state;
        }
        // The manifest pages in another way now.
        State {
            mark: state.mark,
            acknowledge: state.acknowledge,
            ..State::default()
        }
    }

    /// The answer of a place, and the address it came from.
    async fn ask(&self, state: &State) -> Result<(HttpResponse, String), ConnectorError> {
        let since = self.marks.as_ref().and_then(|(marks, _)| marks.since(state.mark));
        let (request, address) = match &state.place {
            Place::Link(link) => {
                let address = self
                    .line
                    .address_of(link)
                    .ok_or_else(|| ConnectorError::Misconfigured {
                        hint: "the stored address of the next page does not belong to base_url any more".into(),
                    })?;
                let (values, _) = self.paging.values(&Place::Start, since);
                (self.request.follow(&address, &values), address)
            }
            place => {
                let (values, further) = self.paging.values(place, since);
                let base_url = self.line.base_url();
                let request = self.request.request(base_url, &values, &further)?;
                (request, self.request.address(base_url, &values).unwrap_or_default())
            }
        };
        let request = if self.request.is_read() {
            request.retry(Retry::Idempotent)
        } else {
            request
        };
        let answer = self.line.send(request).await?.error_for_status()?;
        Ok((answer, address))
    }

    fn read(&self, answer: &HttpResponse) -> Result<Value, ConnectorError> {
        if answer.status == 204 || answer.body.is_empty() {
            return Ok(Value::Array(Vec::new()));
        }
        self.records
            .read(&answer.body)
            .map_err(|error| ConnectorError::transient(format_args!("the answer can't be read: {error}")))
    }

    fn records_of(&self, whole: &Value) -> Result<Vec<Value>, ConnectorError> {
        if whole.as_array().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let mut found = self
            .items
            .all(whole)
            .map_err(|_| ConnectorError::transient("the answer has not the shape `items` expects"))?;
        if let [Value::Array(list)] = found.as_mut_slice() {
            return Ok(std::mem::take(list));
        }
        found.retain(|record| !record.is_null());
        Ok(found)
    }

    /// Further requests of one record; the answers go into it.
    async fn follow(&self, record: &mut Value) -> Result<(), ConnectorError> {
        for one in &self.follow_ups {
            let Some(id) = one.id.text(record) else { continue };
            let request = one
                .request
                .request(self.line.base_url(), &Values::default().with("id", id.clone()), &[])?;
            let request = if one.request.is_read() {
                request.retry(Retry::Idempotent)
            } else {
                request
            };
            let answer = self.line.send(request).await?;
            let answer = match answer.status {
                404 | 410 => Value::Null,
                200..=299 => {
                    self.unserved.served(&id);
                    self.read(&answer)?
                }
                // One card may be broken for ever: the record goes on without it in the end.
                status if self.unserved.is_over(&id) => {
                    warn!(
                        status,
                        id, "the source does not serve a record's details; it goes on without them"
                    );
                    Value::Null
                }
                _ => {
                    self.unserved.failed(&id);
                    answer.error_for_status()?;
                    Value::Null
                }
            };
            if let Value::Object(fields) = record {
                fields.insert(one.into.clone(), answer);
            }
        }
        Ok(())
    }
}

impl FollowUp {
    fn new(settings: &FollowUpSettings, number: usize) -> Result<Self, ConfigError> {
        let key = format!("follow_up[{number}]");
        Ok(Self {
            id: Pick::compile(&settings.id, &format!("{key}.id"))?,
            request: RequestTemplate::new(&settings.request, &["id"], &format!("{key}.request"))?,
            into: settings.into.clone(),
        })
    }
}

impl Paging {
    fn new(settings: &PagingSettings, request: &RequestTemplate) -> Result<(Self, Stepping), ConfigError> {
        let pick = |source: &Option<String>, key: &str| match source {
            Some(source) => Pick::compile(source, key).map(Some),
            None => Ok(None),
        };
        let unless = |name: &str, parameter: &str| (!request.uses(name)).then(|| parameter.to_owned());
        let mut paging = Self {
            place: None,
            size: None,
            page_size: 0,
            first: 0,
            last: None,
            total: None,
            next: Next::Nowhere,
        };
        let stepping = match settings {
            PagingSettings::None => Stepping::Single,
            PagingSettings::Page {
                page,
                size,
                page_size,
                first,
                last,
                total,
            } => {
                (paging.place, paging.size) = (unless("page", page), unless("size", size));
                (paging.page_size, paging.first) = (u64::from(*page_size), *first);
                paging.last = pick(last, "paging.last")?;
                paging.total = pick(total, "paging.total")?;
                Stepping::Pages
            }
            PagingSettings::Spring { page, size, page_size } => {
                (paging.place, paging.size) = (unless("page", page), unless("size", size));
                paging.page_size = u64::from(*page_size);
                paging.last = Some(Pick::compile(".last", "paging.last")?);
                paging.total = Some(Pick::compile(".totalElements", "paging.total")?);
                Stepping::Pages
            }
            PagingSettings::Offset {
                offset,
                limit,
                page_size,
                total,
            } => {
                (paging.place, paging.size) = (unless("offset", offset), unless("limit", limit));
                paging.page_size = u64::from(*page_size);
                paging.total = pick(total, "paging.total")?;
                Stepping::Offsets
            }
            PagingSettings::NextLink { next } => {
                paging.next = match next {
                    Some(next) => Next::Link(Pick::compile(next, "paging.next")?),
                    None => Next::Header,
                };
                Stepping::Told { keep: false }
            }
            PagingSettings::Cursor { cursor, next, keep } => {
                paging.place = unless("cursor", cursor);
                paging.next = Next::Word(Pick::compile(next, "paging.next")?);
                Stepping::Told { keep: *keep }
            }
        };
        let counts = matches!(stepping, Stepping::Pages | Stepping::Offsets);
        if counts && !(1..=1000).contains(&paging.page_size) {
            return Err(ConfigError::new("paging.page_size", "must lie between 1 and 1000"));
        }
        Ok((paging, stepping))
    }

    /// Values for the request, and parameters to add to it.
    fn values(&self, place: &Place, since: Option<Value>) -> (Values, Vec<(&str, String)>) {
        let mut values = Values::default();
        if let Some(since) = since {
            values = values.with("since", since);
        }
        let mut further = Vec::new();
        let at = match place {
            Place::Page(page) => Some((self.first + page).to_string()),
            Place::Offset(offset) => Some(offset.to_string()),
            Place::Word(word) => Some(word.clone()),
            Place::Start if self.page_size > 0 => Some(self.first.to_string()),
            Place::Start | Place::Link(_) => None,
        };
        if let Some(at) = &at {
            let number = at.parse::<u64>().map_or_else(|_| Value::from(at.clone()), Value::from);
            values = values
                .with("page", number.clone())
                .with("offset", number)
                .with("cursor", at.clone());
        }
        if self.page_size > 0 {
            values = values.with("size", self.page_size).with("limit", self.page_size);
        }
        if let (Some(name), Some(at)) = (&self.place, at) {
            further.push((name.as_str(), at));
        }
        if let Some(name) = &self.size {
            further.push((name.as_str(), self.page_size.to_string()));
        }
        (values, further)
    }

    fn brought(
        &self,
        whole: &Value,
        answer: &HttpResponse,
        own_link: impl Fn(&str) -> Result<String, ConnectorError>,
    ) -> Result<Brought, ConnectorError> {
        let link = match &self.next {
            Next::Header => link_header(answer),
            Next::Link(pick) => pick.text(whole),
            Next::Nowhere | Next::Word(_) => None,
        };
        let told = match (&self.next, link) {
            (Next::Word(pick), _) => pick.text(whole).map(Place::Word),
            (_, Some(link)) => Some(Place::Link(own_link(&link)?)),
            (_, None) => None,
        };
        let last = self.last.as_ref().and_then(|pick| pick.first(whole).ok().flatten());
        let total = self.total.as_ref().and_then(|pick| pick.first(whole).ok().flatten());
        Ok(Brought {
            is_last: last.as_ref().and_then(Value::as_bool),
            total: total.as_ref().and_then(Value::as_u64),
            told,
            ..Brought::default()
        })
    }
}

/// The address of the next page in the header `Link`.
fn link_header(answer: &HttpResponse) -> Option<String> {
    let values = answer.headers.get_all("link").iter();
    let mut links = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split('<').skip(1));
    links.find_map(|link| {
        let (address, parameters) = link.split_once('>')?;
        let mut parameters = parameters.split([';', ',']).map(str::trim);
        parameters
            .any(|one| matches!(one, "rel=\"next\"" | "rel=next"))
            .then(|| address.to_owned())
    })
}

/// Names a version of a record in a few letters.
fn short_name(item: &Item) -> String {
    let revision = item.revision.as_deref().unwrap_or_default();
    let fingerprint = item.fingerprint.unwrap_or_default();
    let mut hasher = blake3::Hasher::new();
    for part in [item.external_id.as_bytes(), revision.as_bytes(), &fingerprint] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hasher.finalize().to_hex()[..12].to_owned()
}
