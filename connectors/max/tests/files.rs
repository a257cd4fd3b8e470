//! Where files are, and that no token but the attachment's own is ever sent there.

use priem_sdk::{
    FileSource,
    message::{Attachment, AttachmentKind},
};

use super::*;

fn film(token: &str) -> Attachment {
    Attachment {
        external_id: Some(token.into()),
        needs_token: true,
        ..Attachment::new(AttachmentKind::Video)
    }
}

#[tokio::test]
async fn a_public_address_is_taken_as_it_is_and_a_film_is_asked_for() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let mut photo = Attachment::new(AttachmentKind::Photo);
    photo.url = Some("https://i.oneme.ru/i?r=1".into());
    let Ok(FileSource::Fetch(request)) = connector.file(&cx(), &photo).await else {
        panic!("an address");
    };
    assert_eq!(request.url.expose(), "https://i.oneme.ru/i?r=1");
    assert!(request.headers.is_empty() && !request.trusted_host);

    bot.add_video("ready", Some("https://vd1.okcdn.ru/v?id=1"));
    bot.add_video("converting", None);
    let Ok(FileSource::Fetch(request)) = connector.file(&cx(), &film("ready")).await else {
        panic!("an address");
    };
    assert_eq!(request.url.expose(), "https://vd1.okcdn.ru/v?id=1");
    assert!(request.headers.is_empty() && !request.trusted_host);
    let error = connector.file(&cx(), &film("converting")).await.expect_err("not yet");
    assert_eq!(error.kind(), "transient");
    for (attachment, reason) in [
        (film("unknown"), "gone"),
        (film("../me"), "no_address"),
        (Attachment::new(AttachmentKind::Document), "no_address"),
    ] {
        let source = connector.file(&cx(), &attachment).await.expect("an answer");
        assert_eq!(source, FileSource::Unavailable(reason));
    }
    assert_eq!(city.violations(), [""; 0]);
}
