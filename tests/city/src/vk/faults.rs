//! Trouble made on purpose: one [`Fault`] spoils the next calls that fit it, an [`Outage`] everything until it ends.

/// Name under which faults find long polls.
pub const LONG_POLL: &str = "a_check";
/// Name under which faults find callback deliveries.
pub const CALLBACK: &str = "callback";

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// An error of the method API, under HTTP status 200.
    Api { code: i64, subcode: Option<i64> },
    /// A `failed` number of the long poll server.
    Failed { code: u32 },
    /// A proxy's HTML page with this status.
    Html { status: u16 },
    /// The answer breaks off in the middle.
    Cut,
    /// The answer takes this many simulated seconds longer.
    Slow { seconds: f64 },
    /// A long poll is answered at once, with what there is.
    AtOnce,
    /// Events are handed out twice, with the same `event_id`.
    Duplicate,
    /// Events of one answer come in reverse order.
    Disorder,
}

/// Trouble for the next calls that fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub(super) kind: Kind,
    method: Option<String>,
    group: Option<i64>,
    token: Option<String>,
    pub(super) times: u32,
}

impl Fault {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            method: None,
            group: None,
            token: None,
            times: 1,
        }
    }

    /// The method API answers with this error code. 14 comes with a captcha, 17 with an address to go to.
    pub fn api_error(code: i64) -> Self {
        Self::new(Kind::Api { code, subcode: None })
    }

    /// The method API answers with this error code and subcode.
    pub fn api_error_with_subcode(code: i64, subcode: i64) -> Self {
        Self::new(Kind::Api {
            code,
            subcode: Some(subcode),
        })
    }

    /// The long poll server answers with this `failed`. Only the number is made up: use
    /// [`Community::expire_keys`](super::Community::expire_keys),
    /// [`Community::lose_history`](super::Community::lose_history) and
    /// [`Community::lose_everything`](super::Community::lose_everything) for a server that has really forgotten.
    pub fn failed(code: u32) -> Self {
        Self::new(Kind::Failed { code }).on(LONG_POLL)
    }

    /// A proxy's HTML page with this status.
    pub fn html(status: u16) -> Self {
        Self::new(Kind::Html { status })
    }

    /// The answer breaks off in the middle.
    pub fn cut() -> Self {
        Self::new(Kind::Cut)
    }

    /// The long poll server answers at once, in place of waiting.
    pub fn at_once() -> Self {
        Self::new(Kind::AtOnce).on(LONG_POLL)
    }

    /// The answer takes longer by so many simulated seconds.
    pub fn slow(seconds: f64) -> Self {
        Self::new(Kind::Slow { seconds })
    }

    /// The events of the next answer (or the next callback delivery) come twice.
    pub fn duplicate() -> Self {
        Self::new(Kind::Duplicate)
    }

    /// The events of the next answer come in reverse order.
    pub fn disorder() -> Self {
        Self::new(Kind::Disorder).on(LONG_POLL)
    }

    /// Only for this method, for [`LONG_POLL`] or for [`CALLBACK`]. Also fits calls inside `execute`.
    #[must_use]
    pub fn on(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only for calls about this community.
    #[must_use]
    pub fn of(mut self, group: i64) -> Self {
        self.group = Some(group);
        self
    }

    /// Only for calls with this token.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// How often; once when nothing is said.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Whether this fault spoils the call. Duplicates and disorder only concern events.
    pub(super) fn fits(&self, place: &Place<'_>) -> bool {
        let is_about_events = matches!(self.kind, Kind::Duplicate | Kind::Disorder);
        let is_of_methods = matches!(self.kind, Kind::Api { .. });
        is_about_events == place.events
            && !(is_of_methods && matches!(place.method, LONG_POLL | CALLBACK))
            && match &self.method {
                Some(method) => method == place.method,
                // Inside `execute` and in deliveries only what is named goes wrong.
                None => !place.inner && (place.events || place.method != CALLBACK),
            }
            && self.group.is_none_or(|group| place.group == Some(group))
            && self.token.as_ref().is_none_or(|token| place.token == Some(token))
    }
}

/// Where a fault could strike.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub method: &'a str,
    pub group: Option<i64>,
    pub token: Option<&'a str>,
    /// A call inside `execute`.
    pub inner: bool,
    /// Asked while events are handed out.
    pub events: bool,
}

/// How the platform is down. Citizens go on writing: what they see is another part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// Every request gets a proxy's HTML page with this status.
    Html(u16),
    /// Answers break off.
    Cut,
    /// Requests are taken and never answered.
    Silent,
    /// The API answers with this error code, the long poll server with HTML 502.
    ApiError(i64),
}
