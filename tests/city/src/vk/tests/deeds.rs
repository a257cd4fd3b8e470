//! Deeds of citizens: which events they become, what stands in the ledger.

use super::*;

#[tokio::test]
async fn a_comment_lives_through_edit_deletion_and_return() {
    let caller = caller(fast()).await;
    let mut session = caller.session().await;
    let by = citizen();
    let post = caller.community.post("Пост");
    let topic = caller.community.open_topic(&by, "Тема", "Вопрос");
    let (photo, video) = (
        caller.community.show_photo("Фото"),
        caller.community.show_video("Видео"),
    );
    let product = caller.community.offer("Дрова");
    let mut expected = vec!["wall_post_new", "board_post_new"];
    for (on, kinds) in [
        (
            post,
            [
                "wall_reply_new",
                "wall_reply_edit",
                "wall_reply_delete",
                "wall_reply_restore",
            ],
        ),
        (
            topic,
            [
                "board_post_new",
                "board_post_edit",
                "board_post_delete",
                "board_post_restore",
            ],
        ),
        (
            photo,
            [
                "photo_comment_new",
                "photo_comment_edit",
                "photo_comment_delete",
                "photo_comment_restore",
            ],
        ),
        (
            video,
            [
                "video_comment_new",
                "video_comment_edit",
                "video_comment_delete",
                "video_comment_restore",
            ],
        ),
        (
            product,
            [
                "market_comment_new",
                "market_comment_edit",
                "market_comment_delete",
                "market_comment_restore",
            ],
        ),
    ] {
        let comment = caller.community.comment(&on, &by, "Было");
        caller.community.edit(&comment, "Стало");
        caller.community.delete(&comment, &by);
        caller.community.restore(&comment);
        expected.extend(kinds);
        let ledger = caller.city.ledger();
        let entry = ledger.last().expect("an entry");
        assert_eq!(
            (entry.text.as_str(), entry.former.as_slice()),
            ("Стало", ["Было".to_owned()].as_slice())
        );
        assert_eq!((entry.deleted_at, entry.announced.as_slice()), (None, kinds.as_slice()));
        assert!(entry.is_by_citizen());
    }
    assert_eq!(caller.kinds(&mut session).await, expected);
}

#[tokio::test]
async fn the_service_and_the_schema_name_owners_differently() {
    for (as_in_schema, owner, deleter) in [(false, "post_owner_id", "deleter_id"), (true, "owner_id", "user_id")] {
        let caller = caller(Options { as_in_schema, ..fast() }).await;
        let session = caller.session().await;
        let post = caller.community.post("Пост");
        let comment = caller.community.comment(&post, &citizen(), "Было");
        caller.community.delete(&comment, &Citizen::new(8, "Модератор", ""));
        let answer = caller.poll(&session, 1).await;
        assert_eq!(answer["updates"][1]["object"][owner], -GROUP);
        assert_eq!(answer["updates"][2]["object"][deleter], 8);
    }
}

#[tokio::test]
async fn the_platform_is_silent_about_private_edits_and_deletions() {
    let caller = caller(fast()).await;
    let mut session = caller.session().await;
    let message = caller.community.write(&citizen(), "Яма");
    caller.community.edit(&message, "Ямы");
    caller.community.delete(&message, &citizen());
    let answer = caller.community.answer(7, "Приняли");
    caller.community.edit(&answer, "Передали");
    assert_eq!(
        caller.kinds(&mut session).await,
        ["message_new", "message_reply", "message_edit"]
    );
    assert!(!caller.city.ledger()[1].is_by_citizen());
}

#[tokio::test]
async fn attachments_places_and_answers_come_as_they_were_put() {
    let caller = caller(fast()).await;
    let session = caller.session().await;
    let place = json!({"type": "point", "coordinates": {"latitude": 55.75, "longitude": 37.61}});
    let words = Words::new("Яма")
        .with("geo", place.clone())
        .attach("sticker", json!({"sticker_id": 1}));
    caller.community.write(&citizen(), words);
    let post = caller.community.post("Пост");
    let first = caller.community.comment(&post, &citizen(), "1");
    caller.community.comment(&first, &Citizen::community(78), "2");
    let answer = caller.poll(&session, 1).await;
    let message = &answer["updates"][0]["object"]["message"];
    assert_eq!(message["geo"], place);
    assert_eq!(
        message["attachments"],
        json!([{"type": "sticker", "sticker": {"sticker_id": 1}}])
    );
    let reply = &answer["updates"][3]["object"];
    assert_eq!(
        (&reply["reply_to_user"], &reply["reply_to_comment"]),
        (&json!(7), &json!(first.id))
    );
    assert_eq!(reply["from_id"], -78);
}

#[tokio::test]
async fn unknown_events_and_fields_come_when_asked_for() {
    let caller = caller(Options {
        unknown_fields: true,
        ..fast()
    })
    .await;
    let session = caller.session().await;
    caller.community.push("hologram_new", json!({"id": 1}));
    caller.community.write(&citizen(), "Яма");
    let answer = caller.poll(&session, 1).await;
    assert_eq!(answer["updates"][0]["type"], "hologram_new");
    assert!(answer["updates"][1]["object"]["message"]["hologram_mode"].is_object());
}

#[tokio::test]
async fn versions_before_5_103_have_flat_messages() {
    let caller = caller(fast()).await;
    let session = caller.session().await;
    caller.community.set_version("5.92");
    caller.community.write(&citizen(), "Яма");
    assert_eq!(caller.poll(&session, 1).await["updates"][0]["object"]["text"], "Яма");
    caller.community.set_version("5.50");
    assert!(caller.poll(&session, 1).await["updates"][0]["object"]["warning"].is_string());
}
