//! Where files are: the address holds the token, nothing that can be printed does.

use priem_sdk::{
    FileSource,
    message::{Attachment, AttachmentKind},
};

use super::*;

fn photo(file_id: &str) -> Attachment {
    Attachment {
        external_id: Some(file_id.into()),
        needs_token: true,
        ..Attachment::new(AttachmentKind::Photo)
    }
}

#[tokio::test]
async fn a_file_is_asked_for_and_its_address_is_a_secret() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    bot.add_file("small", vec![1; 10]);
    bot.add_file("huge", vec![1; 21 * 1024 * 1024]);
    let source = connector.file(&cx(), &photo("small")).await.expect("an answer");
    assert!(!format!("{source:?}").contains(TOKEN), "{source:?}");
    let FileSource::Fetch(request) = source else {
        panic!("an address");
    };
    assert!(request.trusted_host, "the server of the settings");
    assert_eq!(
        *request.url.expose(),
        format!("{}/file/bot{TOKEN}/photos/small.jpg", city.api_url())
    );
    let huge = connector.file(&cx(), &photo("huge")).await.expect("an answer");
    assert_eq!(huge, FileSource::Unavailable("too_large"));
    let error = connector.file(&cx(), &photo("unknown")).await.expect_err("maybe later");
    assert_eq!(error.kind(), "transient");
    assert!(!error.to_string().contains(TOKEN));
    bot.revoke(true);
    let error = connector.file(&cx(), &photo("small")).await.expect_err("revoked");
    assert_eq!(error.kind(), "auth_rejected");
    assert_eq!(city.violations(), [""; 0]);
}
