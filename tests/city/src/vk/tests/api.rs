//! The method API: doors, tokens, pages, `execute`.

use super::*;

#[tokio::test]
async fn arguments_come_in_a_form_or_in_the_address_and_never_as_json() {
    let caller = caller(fast()).await;
    let url = format!("{}/method/groups.getById", caller.city.api_url());
    let query = format!("{url}?v=5.199&access_token={TOKEN}");
    let answer = caller
        .http
        .get(query)
        .send()
        .await
        .expect("an answer")
        .bytes()
        .await
        .expect("a body");
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    assert_eq!(answer["response"]["groups"][0]["id"], GROUP);
    let body = json!({"v": VERSION, "access_token": TOKEN}).to_string();
    let request = caller
        .http
        .post(url)
        .header("content-type", "application/json")
        .body(body);
    let answer = request.send().await.expect("an answer").bytes().await.expect("a body");
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    assert_eq!(answer["error"]["error_code"], 8);
    let all = caller.city.violations().join("\n");
    assert!(
        all.contains("the token is in the address") && all.contains("application/json"),
        "{all}"
    );
}

#[tokio::test]
async fn tokens_may_do_what_the_platform_lets_their_kind_do() {
    let caller = caller(fast()).await;
    let owner = json!({"owner_id": -GROUP});
    assert_eq!(caller.error(TOKEN, "wall.get", owner.clone()).await, 27);
    assert_eq!(caller.error(SERVICE, "photos.getAllComments", owner.clone()).await, 28);
    assert_eq!(caller.error(USER, "groups.getTokenPermissions", json!({})).await, 15);
    assert_eq!(
        caller.error(SERVICE, "execute", json!({"code": "return [];"})).await,
        28
    );
    assert_eq!(caller.error("nobody", "users.get", json!({})).await, 5);
    assert_eq!(
        caller
            .error(TOKEN, "groups.getLongPollServer", json!({"group_id": 78}))
            .await,
        15
    );
    caller.city.set_rights(TOKEN, &["messages"]);
    assert_eq!(
        caller
            .error(TOKEN, "groups.getLongPollServer", json!({"group_id": GROUP}))
            .await,
        15
    );
    let rights = caller.call(TOKEN, "groups.getTokenPermissions", json!({})).await;
    assert_eq!(
        rights,
        json!({"mask": 4096, "permissions": [{"name": "messages", "setting": 4096}]})
    );
    let me = caller.call(USER, "users.get", json!({})).await;
    assert_eq!(me[0]["last_name"], "Дежурная");
    caller.city.refuse_token(SERVICE, Some(5));
    assert_eq!(caller.error(SERVICE, "wall.get", owner).await, 5);
}

#[tokio::test]
async fn a_wall_shows_the_pinned_post_first_and_no_proposals() {
    let caller = caller(fast()).await;
    let first = caller.community.post("Первый");
    caller.city.advance(Duration::from_secs(60));
    caller.community.post("Второй");
    let proposed = caller.community.suggest(&citizen(), "Предлагаю");
    caller.community.pin(&first);
    let arguments = json!({"owner_id": -GROUP, "extended": 1});
    let wall = caller.call(SERVICE, "wall.get", arguments).await;
    let texts: Vec<&Value> = wall["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|post| &post["text"])
        .collect();
    assert_eq!(texts, ["Первый", "Второй"]);
    assert_eq!(wall["items"][0]["is_pinned"], 1);
    assert_eq!(wall["groups"][0]["id"], GROUP);
    let proposals = json!({"owner_id": -GROUP, "filter": "suggests"});
    assert_eq!(caller.error(SERVICE, "wall.get", proposals.clone()).await, 15);
    let shown = caller.call(USER, "wall.get", proposals).await;
    assert_eq!(shown["items"][0]["post_type"], "suggest");
    caller.community.accept(&proposed).expect("a post");
    let wall = caller
        .call(
            SERVICE,
            "wall.get",
            json!({"owner_id": -GROUP, "count": 1, "offset": 1}),
        )
        .await;
    assert_eq!((&wall["count"], &wall["items"][0]["signer_id"]), (&json!(3), &json!(7)));
}

#[tokio::test]
async fn comments_come_level_by_level() {
    let caller = caller(fast()).await;
    let post = caller.community.post("Пост");
    let by = citizen();
    let first = caller.community.comment(&post, &by, "1");
    for number in 0..12 {
        let text = format!("1.{number}");
        caller
            .community
            .comment(&first, &caller.community.itself(), text.as_str());
    }
    let second = caller.community.comment(&post, &by, "2");
    caller.community.comment(&post, &by, "3");
    // Each question with a key of its own: three a second are the limit of one.
    let ask = async |extra: Value| {
        let token = format!("service-{extra}");
        caller.city.add_token(&token, TokenKind::Service);
        let mut arguments = json!({"owner_id": -GROUP, "post_id": post.id, "sort": "asc"});
        arguments
            .as_object_mut()
            .expect("an object")
            .extend(extra.as_object().expect("an object").clone());
        caller.call(&token, "wall.getComments", arguments).await
    };
    let page = ask(json!({"count": 100, "thread_items_count": 10, "extended": 1})).await;
    assert_eq!((&page["count"], &page["current_level_count"]), (&json!(15), &json!(3)));
    assert_eq!(page["items"][0]["thread"]["count"], 12);
    assert_eq!(page["items"][0]["thread"]["items"].as_array().map(Vec::len), Some(10));
    assert_eq!(page["profiles"][0]["first_name"], "Пётр");
    let answers = ask(json!({"comment_id": first.id, "count": 100, "offset": 10})).await;
    assert_eq!(answers["current_level_count"], 12);
    let texts: Vec<&Value> = answers["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["text"])
        .collect();
    assert_eq!(texts, ["1.10", "1.11"]);
    assert_eq!(answers["items"][0]["parents_stack"], json!([first.id]));
    let from_second = ask(json!({"start_comment_id": second.id, "count": 1, "offset": 1})).await;
    assert_eq!(
        (&from_second["items"][0]["text"], &from_second["real_offset"]),
        (&json!("3"), &json!(2))
    );
    caller.community.delete(&first, &by);
    caller.community.delete(&second, &by);
    let left = ask(json!({"count": 100})).await;
    assert_eq!(left["items"][0]["deleted"], true, "answers hang on it");
    assert_eq!(
        (&left["items"][0]["text"], &left["current_level_count"]),
        (&json!(""), &json!(2))
    );
}

#[tokio::test]
async fn boards_photos_videos_products_and_dialogs_are_there() {
    let caller = caller(fast()).await;
    let by = citizen();
    let old = caller.community.open_topic(&by, "Дороги", "Где ремонт?");
    caller.city.advance(Duration::from_secs(60));
    caller.community.open_topic(&by, "Двор", "Где урны?");
    caller.city.advance(Duration::from_secs(60));
    caller.community.comment(&old, &caller.community.itself(), "Скоро");
    let topics = json!({"group_id": GROUP, "order": 1, "preview": 2});
    let topics = caller.call(SERVICE, "board.getTopics", topics).await;
    assert_eq!(topics["items"][0]["title"], "Дороги", "newest comment first");
    assert_eq!(topics["items"][0]["last_comment"], "Скоро");
    let comments = json!({"group_id": GROUP, "topic_id": old.id});
    assert_eq!(caller.call(SERVICE, "board.getComments", comments).await["count"], 2);
    assert_eq!(
        caller
            .error(SERVICE, "board.getTopics", json!({"group_id": -GROUP}))
            .await,
        100
    );
    let photo = caller.community.show_photo("Мост");
    caller.community.comment(&photo, &by, "Ржавый");
    let video = caller.community.show_video("Планёрка");
    caller.community.comment(&video, &by, "Долго");
    let owner = json!({"owner_id": -GROUP});
    let all = caller.call(USER, "photos.getAllComments", owner.clone()).await;
    assert_eq!(
        (&all["items"][0]["text"], &all["items"][0]["pid"]),
        (&json!("Ржавый"), &json!(photo.id))
    );
    assert_eq!(
        caller.call(USER, "video.get", owner.clone()).await["items"][0]["comments"],
        1
    );
    let comments = json!({"owner_id": -GROUP, "video_id": video.id});
    assert_eq!(
        caller.call(USER, "video.getComments", comments).await["items"][0]["text"],
        "Долго"
    );
    // Few calls a second are allowed with one key, so others look at the products.
    let (buyer, service) = ("vk1.a.buyer", "service-of-the-shop");
    caller.city.add_token(buyer, TokenKind::User(901));
    caller.city.add_token(service, TokenKind::Service);
    let product = caller.community.offer("Дрова");
    caller.community.comment(&product, &by, "Почём?");
    let goods = caller.call(buyer, "market.get", owner.clone()).await;
    assert_eq!(
        (&goods["items"][0]["id"], &goods["items"][0]["comments"]),
        (&json!(product.id), &Value::Null)
    );
    let comments = json!({"owner_id": -GROUP, "item_id": product.id});
    assert_eq!(
        caller.call(buyer, "market.getComments", comments).await["items"][0]["text"],
        "Почём?"
    );
    assert_eq!(caller.error(service, "market.get", owner.clone()).await, 28);
    let message = caller.community.write(&by, "Здравствуйте");
    caller.community.answer(7, "Добрый день");
    caller.community.write_in_chat(3, &by, "В беседе");
    let dialogs = caller
        .call(TOKEN, "messages.getConversations", json!({"count": 200}))
        .await;
    assert_eq!(dialogs["count"], 2);
    let history = caller
        .call(TOKEN, "messages.getHistory", json!({"peer_id": 7, "rev": 1}))
        .await;
    assert_eq!(history["items"][1]["out"], 1);
    let by_number = json!({"peer_id": 7, "cmids": message.id});
    assert_eq!(
        caller.call(TOKEN, "messages.getById", by_number).await["items"][0]["text"],
        "Здравствуйте"
    );
    let chat = caller
        .call(TOKEN, "messages.getHistory", json!({"peer_id": 2_000_000_003_i64}))
        .await;
    assert_eq!(chat["items"][0]["id"], 0);
}

#[tokio::test]
async fn execute_runs_what_it_can_and_names_what_it_could_not() {
    let caller = caller(fast()).await;
    caller.community.post("Пост");
    let code = format!(
        r#"return [API.wall.get({{"owner_id":-{GROUP},"count":1}}), API.wall.get({{"owner_id":-1}}), API.users.get({{"user_ids":[900]}})];"#
    );
    caller.city.fault(Fault::api_error(10).on("users.get"));
    let envelope = caller.envelope(USER, "execute", json!({"code": code})).await;
    assert_eq!(envelope["response"][0]["items"][0]["text"], "Пост");
    assert_eq!(
        (&envelope["response"][1], &envelope["response"][2]),
        (&json!(false), &json!(false))
    );
    let errors = envelope["execute_errors"].as_array().expect("a list");
    let errors: Vec<(&Value, &Value)> = errors.iter().map(|one| (&one["method"], &one["error_code"])).collect();
    assert_eq!(
        errors,
        [(&json!("wall.get"), &json!(15)), (&json!("users.get"), &json!(10))]
    );
    let calls = vec!["API.users.get({})"; 26].join(",");
    assert_eq!(
        caller
            .error(USER, "execute", json!({"code": format!("return [{calls}];")}))
            .await,
        13
    );
    assert_eq!(caller.error(USER, "execute", json!({"code": "var a = 1;"})).await, 12);
    let within = json!({"code": format!(r#"return API.wall.get({{"owner_id":-{GROUP}}});"#)});
    assert_eq!(caller.error_of_part(within).await, 27, "execute does not lend rights");
}

impl Caller {
    async fn error_of_part(&self, arguments: Value) -> i64 {
        let envelope = self.envelope(TOKEN, "execute", arguments).await;
        envelope["execute_errors"][0]["error_code"].as_i64().expect("an error")
    }
}

#[tokio::test]
async fn callback_servers_are_managed_by_methods() {
    let caller = caller(fast()).await;
    let group = json!({"group_id": GROUP});
    let code = caller
        .call(TOKEN, "groups.getCallbackConfirmationCode", group.clone())
        .await;
    assert_eq!(code["code"], caller.community.confirmation());
    let server = json!({"group_id": GROUP, "url": "http://127.0.0.1:1/x", "title": "priem", "secret_key": "s"});
    let id = caller.call(TOKEN, "groups.addCallbackServer", server.clone()).await["server_id"].clone();
    let named = json!({"group_id": GROUP, "server_id": id});
    let settings = caller.call(TOKEN, "groups.getCallbackSettings", named.clone()).await;
    assert_eq!(settings["events"]["message_new"], 0, "nothing is on at first");
    let change = json!({"group_id": GROUP, "server_id": id, "message_new": 1, "api_version": VERSION});
    assert_eq!(caller.call(TOKEN, "groups.setCallbackSettings", change).await, 1);
    let settings = caller.call(TOKEN, "groups.getCallbackSettings", named.clone()).await;
    assert_eq!(settings["events"]["message_new"], 1);
    for _ in 0..9 {
        caller.call(TOKEN, "groups.addCallbackServer", server.clone()).await;
    }
    assert_eq!(caller.error(TOKEN, "groups.addCallbackServer", server).await, 2000);
    caller.call(TOKEN, "groups.deleteCallbackServer", named.clone()).await;
    assert_eq!(caller.error(TOKEN, "groups.deleteCallbackServer", named).await, 104);
}

#[tokio::test]
async fn a_new_community_is_mute_until_somebody_switches_it_on() {
    let caller = caller(fast()).await;
    let mute = caller.city.muted_community(5);
    caller.city.add_token("five", TokenKind::Community(5));
    let group = json!({"group_id": 5});
    assert_eq!(
        caller.error("five", "groups.getLongPollServer", group.clone()).await,
        100
    );
    let on = json!({"group_id": 5, "enabled": 1, "api_version": "5.131", "message_new": 1});
    caller.call("five", "groups.setLongPollSettings", on).await;
    mute.write(&citizen(), "слышно");
    mute.post("не слышно");
    let settings = caller.call("five", "groups.getLongPollSettings", group).await;
    assert_eq!(
        (&settings["is_enabled"], &settings["api_version"]),
        (&json!(true), &json!("5.131"))
    );
    assert_eq!(settings["events"]["wall_post_new"], 0);
    let announced: Vec<usize> = caller.city.ledger().iter().map(|entry| entry.announced.len()).collect();
    assert_eq!(announced, [1, 0]);
}
