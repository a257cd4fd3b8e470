//! The communities of one entry with their secrets read: from the settings, from a list, or from both.
//!
//! A list is a secret as a whole, so its errors name line and column and never what stands there.

use std::{collections::BTreeMap, sync::Arc};

use priem_sdk::{BuildContext, ConfigError, Secret, webhook::SharedSecret};

use super::{
    config::{CommunitySettings, Mode, VkSettings},
    token::{Token, TokenKind},
};

/// Longest secret key VK takes for a callback server.
const LONGEST_SECRET: usize = 50;

/// A community, ready for work.
#[derive(Debug)]
pub(super) struct Community {
    pub id: i64,
    pub name: Option<String>,
    /// Missing in `mode: walls`.
    pub token: Option<Arc<Token>>,
    pub callback: Option<CallbackSecret>,
    /// The line VK wants back when it confirms the server, when the settings name it.
    pub confirmation: Option<String>,
}

/// Secret key of the callback server.
#[derive(Debug, Clone)]
pub(super) struct CallbackSecret {
    /// To compare with.
    pub proof: SharedSecret,
    /// To register.
    pub text: Secret<String>,
}

/// Communities by their number.
pub(super) type Communities = BTreeMap<i64, Community>;

impl Community {
    /// For operators: `123 (Жители Нагорного)`.
    pub fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("{} ({name})", self.id),
            None => self.id.to_string(),
        }
    }
}

/// One community as it is written, before the rules of the mode are looked at.
struct Written {
    key: String,
    id: i64,
    name: Option<String>,
    token: Option<Secret<String>>,
    secret: Option<Secret<String>>,
    confirmation: Option<String>,
}

/// Reads every secret and looks at its shape.
pub(super) fn read(settings: &VkSettings, context: &BuildContext) -> Result<Communities, ConfigError> {
    let shared = settings.callback.as_ref().and_then(|callback| callback.secret.as_ref());
    let shared = context.secret_if("callback.secret", shared)?;
    let mut written = inline(settings, context)?;
    if let Some(reference) = &settings.communities_list {
        let text = context.secret("communities_list", reference)?;
        written.extend(listed(
            text.expose(),
            &reference.starting_from(&context.base_dir).place(),
        )?);
    }
    let mut all = Communities::new();
    for one in written {
        let key = one.key.clone();
        let community = complete(one, settings.mode, shared.as_ref())?;
        let id = community.id;
        if all.insert(id, community).is_some() {
            return Err(ConfigError::new(
                key,
                format!("community {id} is listed twice: remove one"),
            ));
        }
    }
    if all.is_empty() {
        return Err(ConfigError::new("communities_list", "it holds no community"));
    }
    Ok(all)
}

fn inline(settings: &VkSettings, context: &BuildContext) -> Result<Vec<Written>, ConfigError> {
    let written = |(index, community): (usize, &CommunitySettings)| {
        let key = format!("communities.{index}");
        Ok(Written {
            id: community.id,
            name: community.name.clone(),
            token: context.secret_if(&format!("{key}.token"), community.token.as_ref())?,
            secret: context.secret_if(&format!("{key}.callback_secret"), community.callback_secret.as_ref())?,
            confirmation: community.confirmation.clone(),
            key,
        })
    };
    settings.communities.iter().enumerate().map(written).collect()
}

/// `id ; key ; name ; callback secret ; confirmation code`.
fn listed(text: &str, place: &str) -> Result<Vec<Written>, ConfigError> {
    let mut all = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong =
            |problem: &str| ConfigError::new("communities_list", format!("{place}, line {}: {problem}", number + 1));
        let columns: Vec<&str> = line.split(';').map(str::trim).collect();
        if columns.len() > 5 {
            return Err(wrong(
                "more than five columns; write `id ; key ; name ; callback secret ; confirmation code`",
            ));
        }
        let column = |index: usize| columns.get(index).copied().filter(|text| !text.is_empty());
        let id = column(0)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| wrong("column 1 is not the community's number; write digits only, 123 of club123"))?;
        all.push(Written {
            key: format!("communities_list, line {}", number + 1),
            id,
            token: column(1).map(|text| Secret::new(text.to_owned())),
            name: column(2).map(str::to_owned),
            secret: column(3).map(|text| Secret::new(text.to_owned())),
            confirmation: column(4).map(str::to_owned),
        });
    }
    Ok(all)
}

fn complete(one: Written, mode: Mode, shared: Option<&Secret<String>>) -> Result<Community, ConfigError> {
    let wrong = |field: &str, problem: String| {
        let key = if field.is_empty() {
            one.key.clone()
        } else {
            format!("{}.{field}", one.key)
        };
        Err(ConfigError::new(key, problem))
    };
    if one.id <= 0 {
        return wrong(
            "id",
            format!("{} is not a community's number: write it without the minus", one.id),
        );
    }
    let token = match one.token {
        Some(secret) => {
            let usable = secret.expose().len() >= 16 && secret.expose().bytes().all(|byte| byte.is_ascii_graphic());
            if !usable {
                return wrong(
                    "token",
                    "it is no key of VK: those read like vk1.a.… and hold no spaces".into(),
                );
            }
            Some(Token::new(
                secret,
                TokenKind::Community,
                format!("key of community {}", one.id),
            ))
        }
        None if mode == Mode::Longpoll => {
            return wrong(
                "token",
                "long polling needs the community's key: community → «Управление» → «Работа с API»".into(),
            );
        }
        None => None,
    };
    let secret = one.secret.or_else(|| shared.cloned());
    let callback = match secret {
        _ if mode != Mode::Callback => None,
        Some(secret) if secret.expose().chars().count() > LONGEST_SECRET => {
            return wrong(
                "callback_secret",
                format!("VK takes at most {LONGEST_SECRET} characters"),
            );
        }
        Some(text) => Some(CallbackSecret {
            proof: SharedSecret::new(&text),
            text,
        }),
        None => {
            return wrong(
                "callback_secret",
                "without a secret key anybody could send us events: set it here or in `callback.secret`".into(),
            );
        }
    };
    if mode == Mode::Callback && token.is_none() && one.confirmation.is_none() {
        return wrong(
            "confirmation",
            "without a key to ask for it, the confirmation line has to be written here".into(),
        );
    }
    Ok(Community {
        id: one.id,
        name: one.name,
        token,
        callback,
        confirmation: one.confirmation,
    })
}
