//! A region: hundreds of VK communities and Telegram bots for one daemon, and citizens who write to all of them.
//!
//! Every text carries a number of its own, so that what was published can be compared with what was written without
//! knowing how a connector names things.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    telegram::{self, Bot, TelegramCity},
    vk::{self, Citizen, Community, TokenKind, VkCity, Written},
    voices::Crowd,
};

/// Number of the first community.
const FIRST_COMMUNITY: i64 = 200_000_001;
/// Token of the person who reads walls.
const READER: &str = "vk1.a.region-reader-0123456789abcdef";
/// A group every bot is in.
const GROUP: i64 = -1_001_234_500_002;
/// Stands before the number of a text.
const MARK: &str = " №";

/// Simulators, sources, citizens.
pub struct Region {
    /// VK.
    pub vk: VkCity,
    /// Telegram.
    pub telegram: TelegramCity,
    places: Vec<Place>,
    bots: Vec<Bot>,
    crowd: Crowd,
    said: u64,
    /// Numbers of texts by citizens.
    expected: BTreeSet<u64>,
}

/// A community with something to talk about.
struct Place {
    community: Community,
    post: Written,
    topic: Written,
    last: Option<Written>,
}

impl Region {
    /// Starts both networks with so many sources, in real time.
    ///
    /// # Errors
    /// When a port can't be had.
    pub async fn start(communities: usize, bots: usize) -> std::io::Result<Self> {
        let vk = VkCity::start(vk::Options::default()).await?;
        let telegram = TelegramCity::start(telegram::Options::default()).await?;
        let mut crowd = Crowd::new(3, 5_000);
        vk.add_token(READER, TokenKind::User(1));
        let mut region = Self {
            bots: (0..bots).map(|number| telegram.bot(&bot_token(number))).collect(),
            places: Vec::with_capacity(communities),
            vk,
            telegram,
            said: 0,
            expected: BTreeSet::new(),
            crowd: crowd.clone(),
        };
        for number in 0..communities {
            let id = community_id(number);
            region.vk.add_token(&community_token(number), TokenKind::Community(id));
            let community = region.vk.community(id);
            let post = community.post("Что сделать в районе в первую очередь?");
            let asker = Citizen::from(&crowd.person());
            let (number, text) = region.next_text();
            let topic = community.open_topic(&asker, "Вопросы жителей", text.as_str());
            region.expected.insert(number);
            region.places.push(Place {
                community,
                post,
                topic,
                last: None,
            });
        }
        Ok(region)
    }

    /// Secrets the settings name: file name and content.
    pub fn secrets(&self) -> Vec<(String, String)> {
        let mut list = String::new();
        for number in 0..self.places.len() {
            let _ = writeln!(
                list,
                "{} ; {} ; Район {number}",
                community_id(number),
                community_token(number)
            );
        }
        let mut secrets = vec![
            ("vk-communities".to_owned(), list),
            ("vk-reader".to_owned(), READER.to_owned()),
        ];
        secrets.extend((0..self.bots.len()).map(|number| (format!("bot-{number}"), bot_token(number))));
        secrets
    }

    /// The connectors a user would write below `connectors:`, with their secrets in a folder.
    pub fn connectors(&self, secrets: &str) -> String {
        let mut text = String::new();
        if !self.places.is_empty() {
            let api = self.vk.api_url();
            let _ = write!(
                text,
                "  vk-region:\n    type: vk\n    communities_list: {{ file: \"{secrets}/vk-communities\" }}\n    api_url: {api}\n    \
                 catch_up:\n      token: {{ file: \"{secrets}/vk-reader\" }}\n      token_kind: user\n      suggested: true\n"
            );
        }
        let api = self.telegram.api_url();
        for number in 0..self.bots.len() {
            let _ = write!(
                text,
                "  bot-{number}:\n    type: telegram\n    mode: poll\n    token: {{ file: \"{secrets}/bot-{number}\" }}\n    api_url: {api}\n"
            );
        }
        text
    }

    /// Sources in all.
    pub fn sources(&self) -> usize {
        self.places.len() + self.bots.len()
    }

    /// Sources that are listened to right now.
    pub fn listened(&self) -> usize {
        let bots = self.bots.iter().filter(|bot| bot.is_polled()).count();
        let communities = self
            .places
            .iter()
            .filter(|place| place.community.polls_running() > 0)
            .count();
        bots + communities
    }

    /// Somebody writes to the next source in turn.
    pub fn write(&mut self) {
        let (number, text) = self.next_text();
        let person = self.crowd.person();
        let source = (number as usize).wrapping_mul(7919) % self.sources();
        self.expected.insert(number);
        let Some(place) = self.places.get_mut(source) else {
            let bot = &self.bots[source - self.places.len()];
            if self.crowd.once_in(3) {
                bot.send_group(GROUP, "Жители", &person, &text);
            } else {
                bot.send_private(&person, &text);
            }
            return;
        };
        let (community, citizen, text) = (&place.community, Citizen::from(&person), text.as_str());
        match number % 10 {
            0..5 => {
                community.write(&citizen, text);
            }
            5..7 => place.last = Some(community.comment(&place.post, &citizen, text)),
            7 => {
                let on = place.last.unwrap_or(place.post);
                community.comment(&on, &citizen, text);
            }
            8 => {
                community.comment(&place.topic, &citizen, text);
            }
            _ => {
                community.suggest(&citizen, text);
            }
        }
        if number % 4 == 0 {
            // What the community says itself is nobody's complaint.
            community.comment(&place.post, &community.itself(), "Передали в управу");
        }
    }

    fn next_text(&mut self) -> (u64, String) {
        self.said += 1;
        (self.said, format!("{}{MARK}{}", self.crowd.voice().text, self.said))
    }

    /// Texts of citizens so far.
    pub fn written(&self) -> usize {
        self.expected.len()
    }

    /// Compares with the texts of everything that was published.
    ///
    /// # Errors
    /// What is missing, doubled, or was never written.
    pub fn compare<'a>(&self, published: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        let (mut doubled, mut foreign) = (Vec::new(), Vec::new());
        for text in published {
            match number_of(text) {
                Some(number) if self.expected.contains(&number) => {
                    if !seen.insert(number) {
                        doubled.push(number);
                    }
                }
                _ => foreign.push(text),
            }
        }
        let missing: Vec<&u64> = self.expected.difference(&seen).collect();
        if missing.is_empty() && doubled.is_empty() && foreign.is_empty() {
            return Ok(());
        }
        let some = |list: &[u64]| format!("{} {:?}", list.len(), &list[..list.len().min(10)]);
        let missing: Vec<u64> = missing.into_iter().copied().collect();
        Err(format!(
            "missing {}, doubled {}, never written {} {:?}",
            some(&missing),
            some(&doubled),
            foreign.len(),
            foreign.first()
        ))
    }

    /// What the daemon did that the platforms forbid: limits of calls above all.
    pub fn violations(&self) -> Vec<String> {
        let mut all = self.vk.violations();
        all.extend(self.telegram.violations());
        all
    }
}

fn community_id(number: usize) -> i64 {
    FIRST_COMMUNITY + i64::try_from(number).unwrap_or(0)
}

fn community_token(number: usize) -> String {
    format!("vk1.a.region-community-{number:05}-0123456789abcdef")
}

fn bot_token(number: usize) -> String {
    format!("{}:AAE-region-bot-{number:05}-0123456789abcdef", 800_000_001 + number)
}

/// The number a text ends with.
fn number_of(text: &str) -> Option<u64> {
    text.rsplit_once(MARK)?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn comparing_finds_what_is_missing_doubled_or_foreign() {
        let mut region = Region::start(3, 2).await.expect("free ports");
        for _ in 0..50 {
            region.write();
        }
        let citizens = |entry: &vk::Entry| entry.is_by_citizen() && number_of(&entry.text).is_some();
        let by_vk = region.vk.ledger().iter().filter(|entry| citizens(entry)).count();
        let by_bots: usize = region.bots.iter().map(Bot::pending).sum();
        assert_eq!(by_vk + by_bots, region.written());
        assert_eq!(region.written(), 53, "three asked in discussions");
        let texts: Vec<String> = (1..=53).map(|number| format!("слова{MARK}{number}")).collect();
        let all = || texts.iter().map(String::as_str);
        region.compare(all()).expect("all there");
        let error = region
            .compare(all().skip(1).chain(["слова №9", "чужое"]))
            .expect_err("differs");
        assert_eq!(error, "missing 1 [1], doubled 1 [9], never written 1 Some(\"чужое\")");
    }
}
