//! Messages as the list shows them: the fields seen in public code (domain facts §2.3), with their traps.

use serde_json::{Value, json};

use super::State;

/// A citizen's message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appeal {
    /// Text, possibly HTML.
    pub text: String,
    /// Applicant's surname.
    pub surname: String,
    /// Category, subcategory and fact by name; the fact may be absent.
    pub topic: [&'static str; 3],
    /// In a hurry.
    pub fast_track: bool,
    /// Further applicants.
    pub co_applicants: usize,
    /// Files by name.
    pub files: Vec<String>,
    /// Cabinet that holds it.
    pub cabinet: Option<(u64, &'static str)>,
}

/// A message with the row that shows it.
pub(super) struct Stored {
    pub row: Value,
    pub is_accepted: bool,
}

impl State {
    /// Puts a message at the front of the list.
    pub(super) fn submit(&mut self, appeal: &Appeal, base_url: &str) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let mut urls = Vec::new();
        for name in &appeal.files {
            let key = format!("{id}-{name}");
            self.files
                .insert(key.clone(), format!("file {name} of {id}").into_bytes());
            urls.push(format!("{base_url}/file-storage-service/filestorage/{key}"));
        }
        let row = row(id, appeal, &urls);
        let stored = Stored {
            row,
            is_accepted: false,
        };
        self.appeals.insert(id, stored);
        self.list.insert(0, id);
        id
    }
}

fn row(id: u64, appeal: &Appeal, urls: &[String]) -> Value {
    let minute = id % 60;
    let [subject, subsubject, fact] = appeal.topic;
    let (cabinet_id, cabinet) = appeal.cabinet.unwrap_or((1017, "Администрация города (пример)"));
    let co_applicants: Vec<Value> = (0..appeal.co_applicants)
        .map(|number| json!({"surname": format!("Соавторов{number}"), "name": "Пётр", "patronymic": null}))
        .collect();
    json!({
        "id": id,
        "description": appeal.text,
        "regNumber": format!("ПОС-{id}"),
        "regNumberSetAt": format!("2026-03-02T09:{minute:02}:00+05:00"),
        "subjectId": 11, "subjectName": subject,
        "subsubjectId": 1101, "subsubjectName": subsubject,
        "factId": if fact.is_empty() { Value::Null } else { json!(110_101) },
        "factName": if fact.is_empty() { Value::Null } else { json!(fact) },
        "answerAt": format!("2026-04-01T09:{minute:02}:00+05:00"),
        "fastTrack": appeal.fast_track,
        "createdAt": format!("2026-03-02T08:{minute:02}:00+05:00"),
        "regionId": 59, "regionName": "Пермский край",
        "address": "г. Пермь, ул. Ленина, д. 7",
        "coordinates": "58.010455, 56.229443",
        "opaId": cabinet_id, "opaName": cabinet,
        "shared": appeal.co_applicants > 0, "coApplicants": co_applicants,
        "applicant": {
            "surname": appeal.surname, "name": "Иван", "patronymic": "Иванович",
            "email": "ivan@example.ru", "phone": "+7 900 000-00-00",
            "postAddress": "614000, г. Пермь, ул. Ленина, д. 7, кв. 1", "sendWithRussiaPost": false
        },
        "attachments": urls,
        "customFieldValues": [],
        "locationAddress": {
            "region_fias_id": "4f8b1a21-e4bb-422f-9087-d3cbf4bebc14",
            "city": "Пермь", "cityFiasId": "a309e4ce-2f36-4106-b1ca-53e0f48a6d95",
            "cityDistrict": "Ленинский", "street": "Ленина", "house": "7",
            "houseFiasId": "00000000-0000-4000-8000-000000000007",
            "oktmo": "57701000", "okato": "57401000000",
            "geoLat": "58.010455", "geoLon": "56.229443", "timezone": "UTC+5", "fiasLevel": "8"
        }
    })
}
