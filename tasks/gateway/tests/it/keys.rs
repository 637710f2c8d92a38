//! Who is let in, and what the others see.

use http::Method;
use jiff::Timestamp;
use store::{ApiKey, KeyText};

use crate::system::{Answer, System, run, some_task, store};

#[test]
fn every_way_of_not_being_let_in_looks_the_same() {
    run(async {
        let system = System::start().await;
        let key = system.key.reveal();
        let (id, secret) = key.rsplit_once('_').unwrap();
        let wrong_secret = format!("{id}_{}", secret.chars().rev().collect::<String>());
        let unknown = KeyText::generate().unwrap().reveal();
        let mut answers = Vec::new();
        for authorization in [
            None,
            Some("Bearer".to_owned()),
            Some("Bearer tpk_".to_owned()),
            Some(format!("Basic {key}")),
            Some(key.clone()),
            Some(format!("Bearer {key}x")),
            Some(format!("Bearer {wrong_secret}")),
            Some(format!("Bearer {unknown}")),
            // Again: now from memory.
            Some(format!("Bearer {unknown}")),
        ] {
            let mut request = system.anonymous(Method::GET, "/v1/tasks");
            if let Some(authorization) = &authorization {
                request = request.header("authorization", authorization);
            }
            let answer = Answer::to(request).await;
            assert_eq!(
                (answer.status.as_u16(), answer.problem().as_str()),
                (401, "unauthenticated"),
                "{authorization:?}"
            );
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            assert!(!answer.text.contains(secret));
            let mut body = answer.json();
            body["trace_id"].take();
            answers.push(body);
        }
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:?}"
        );
        assert!(system.stub.take().is_empty(), "nothing may be passed on");
    });
}

#[test]
fn a_key_is_asked_for_before_anything_else_is_looked_at() {
    run(async {
        let system = System::start().await;
        let malformed = system
            .anonymous(Method::POST, "/v1/tasks?colour=red")
            .body("{");
        assert_eq!(Answer::to(malformed).await.status, 401);
        assert_eq!(
            Answer::to(system.anonymous(Method::DELETE, &some_task()))
                .await
                .status,
            401
        );
        assert_eq!(
            Answer::to(system.anonymous(Method::GET, "/v1/tasks/nonsense"))
                .await
                .status,
            401
        );
    });
}

#[test]
fn each_key_acts_in_its_own_workspace() {
    run(async {
        let system = System::start().await;
        let foreign = KeyText::generate().unwrap();
        let key = ApiKey::new(&foreign, "elsewhere".parse().unwrap(), Timestamp::now());
        store(system.table_address())
            .put_api_key(&key)
            .await
            .unwrap();
        for (key, workspace) in [
            (&system.key, "home"),
            (&foreign, "elsewhere"),
            (&system.key, "home"),
        ] {
            let request = system
                .anonymous(Method::GET, "/v1/tasks")
                .bearer_auth(key.reveal());
            assert_eq!(Answer::to(request).await.status, 200);
            let received = system.stub.take_one();
            assert_eq!(received.headers["x-tripod-workspace"], workspace);
            assert_eq!(received.headers["x-tripod-actor"], key.id().as_str());
            assert!(!received.headers.contains_key("authorization"));
        }
    });
}

#[test]
fn the_scheme_is_read_without_regard_to_case() {
    run(async {
        let system = System::start().await;
        let authorization = format!("bEARER {}", system.key.reveal());
        let request = system
            .anonymous(Method::GET, "/v1/tasks")
            .header("authorization", authorization);
        assert_eq!(Answer::to(request).await.status, 200);
    });
}

#[test]
fn two_keys_at_once_are_none() {
    run(async {
        let system = System::start().await;
        let request = system.get("/v1/tasks").bearer_auth(system.key.reveal());
        assert_eq!(Answer::to(request).await.status, 401);
    });
}

#[test]
fn while_the_table_is_away_known_keys_work_and_others_hear_of_it() {
    run(async {
        let mut system = System::start().await;
        let key = system.key.reveal();
        assert_eq!(Answer::to(system.get("/v1/tasks")).await.status, 200);
        let table = system.table_address();
        system.stop_table().await;

        assert_eq!(Answer::to(system.get("/v1/tasks")).await.status, 200);
        let (id, secret) = key.rsplit_once('_').unwrap();
        let wrong = format!("{id}_{}", secret.chars().rev().collect::<String>());
        let wrong = system
            .anonymous(Method::GET, "/v1/tasks")
            .bearer_auth(wrong);
        assert_eq!(Answer::to(wrong).await.status, 401);

        let unknown = KeyText::generate().unwrap().reveal();
        let request = system
            .anonymous(Method::GET, "/v1/tasks")
            .bearer_auth(unknown);
        let answer = Answer::to(request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (503, "unavailable")
        );
        assert!(answer.headers.contains_key("retry-after"));
        assert!(!answer.text.contains(&table.to_string()), "{}", answer.text);
    });
}
