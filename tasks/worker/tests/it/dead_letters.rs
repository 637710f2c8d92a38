//! Dead letters on the admin listener: listed, and redriven one by one or all.

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::JobState;

use crate::{
    process::eventually,
    system::{Caused, QUICK, System},
};

impl System {
    async fn letters(&self, query: &str) -> Value {
        let answer = self
            .worker
            .admin(Method::GET, &format!("/dead-letters{query}"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    async fn redrive(&self, body: Value) -> (StatusCode, Value) {
        let request = self
            .worker
            .admin(Method::POST, "/dead-letters/redrive")
            .json(&body);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Jobs that have died; their copies come to the dead-letter queue a moment later.
    async fn dead(&self, count: u8) -> Vec<Caused> {
        self.worker
            .fault("job:activity", json!({"error": "gone_wrong"}))
            .await;
        let mut dead = Vec::new();
        for number in 0..count {
            dead.push(self.create(number).await);
        }
        let are_dead = async || {
            (self.letters("").await["items"].as_array().unwrap().len() == dead.len()).then_some(())
        };
        eventually("dead jobs", are_dead).await;
        self.worker.heal().await;
        dead
    }

    async fn dead_depth(&self, count: u64) {
        let is_so = async || {
            let depth = self.queue.dead_depth().await.unwrap();
            (depth.visible + depth.in_flight == count).then_some(())
        };
        eventually("the depth of the dead-letter queue", is_so).await;
    }

    async fn is_pending(&self, caused: &Caused) -> bool {
        let job = self.store.job(caused.job).await.unwrap().unwrap();
        matches!(job.state, JobState::Pending { due_at } if due_at <= Timestamp::now())
    }
}

#[tokio::test]
async fn dead_jobs_are_listed_page_by_page() {
    let system = System::start_with(QUICK).await;
    assert_eq!(
        system.letters("").await,
        json!({"items": [], "messages": []})
    );
    let dead = system.dead(3).await;
    let mut listed = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = system.letters(&query).await;
        listed.extend(page["items"].as_array().unwrap().clone());
        assert_eq!(
            page["messages"],
            json!([]),
            "a job's copy is no letter of its own"
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(listed.len(), 3);
    for caused in dead {
        let letter = listed
            .iter()
            .find(|letter| letter["job_id"] == caused.job.to_string())
            .unwrap();
        assert_eq!(letter["task_id"], caused.task.to_string());
        assert_eq!(letter["trace_id"], caused.trace_id);
        assert_eq!(
            (&letter["kind"], &letter["workspace"]),
            (&json!("activity"), &json!("home"))
        );
        assert_eq!(
            (&letter["attempts"], &letter["error_type"]),
            (&json!(5), &json!("gone_wrong"))
        );
        assert!(
            letter["died_at"]
                .as_str()
                .unwrap()
                .parse::<Timestamp>()
                .is_ok()
        );
    }
}

#[tokio::test]
async fn one_job_is_redriven_and_the_others_stay() {
    let system = System::start_with(QUICK).await;
    let dead = system.dead(2).await;
    system.dead_depth(2).await;
    let (status, answer) = system.redrive(json!({"job_id": dead[0].job})).await;
    assert_eq!(
        (status, answer),
        (
            StatusCode::OK,
            json!({"jobs": 1, "messages": 0, "more": false})
        )
    );
    assert!(system.is_pending(&dead[0]).await, "the relay sends it");
    assert!(!system.is_pending(&dead[1]).await);
    let page = system.letters("").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    system.dead_depth(1).await;

    system.send(&dead[0]).await;
    system.done(&dead[0]).await;
    assert_eq!(system.history(dead[0].task).await, [dead[0].job]);
    assert_eq!(
        system.redrive(json!({"job_id": dead[0].job})).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn all_are_redriven_with_the_messages_that_are_no_jobs() {
    let system = System::start_with(QUICK).await;
    system.send_text("no job").await;
    let dead = system.dead(12).await;
    system.dead_depth(13).await;
    let page = system.letters("").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 12);
    let [message] = page["messages"].as_array().unwrap().as_slice() else {
        panic!("{page}")
    };
    assert_eq!(
        (&message["body"], &message["error_type"]),
        (&json!("no job"), &json!("malformed"))
    );

    let (status, answer) = system.redrive(json!({"all": true})).await;
    assert_eq!(
        (status, answer),
        (
            StatusCode::OK,
            json!({"jobs": 12, "messages": 1, "more": false})
        )
    );
    for caused in &dead {
        assert!(system.is_pending(caused).await);
        system.send(caused).await;
        system.done(caused).await;
    }
    assert_eq!(system.letters("").await["items"], json!([]));
    // It is no better than before, so it comes back.
    system.dead_depth(1).await;
}

#[tokio::test]
async fn one_message_is_redriven_by_its_id() {
    let system = System::start_with(QUICK).await;
    for text in ["first", "second"] {
        system.send_text(text).await;
    }
    system.dead_depth(2).await;
    let page = system.letters("").await;
    let messages = page["messages"].as_array().unwrap();
    let first = messages
        .iter()
        .find(|message| message["body"] == "first")
        .unwrap();
    let (status, answer) = system
        .redrive(json!({"message_id": first["message_id"]}))
        .await;
    assert_eq!(
        (status, answer),
        (
            StatusCode::OK,
            json!({"jobs": 0, "messages": 1, "more": false})
        )
    );
    let page = system.letters("").await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 1);
    assert_eq!(
        system.redrive(json!({"message_id": "unheard of"})).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_redrive_says_exactly_what() {
    let system = System::start().await;
    for body in [
        json!({}),
        json!({"all": false}),
        json!({"all": true, "message_id": "a"}),
        json!({"job_id": 1}),
        json!({"jobs": []}),
    ] {
        let (status, problem) = system.redrive(body.clone()).await;
        assert_eq!(
            status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{body}: {problem}"
        );
        assert_eq!(problem["type"], "urn:tripod:problem:validation-failed");
    }
    let bad = system
        .worker
        .admin(Method::GET, "/dead-letters?cursor=nonsense")
        .send()
        .await
        .unwrap();
    assert_eq!(bad.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        system.redrive(json!({"all": true})).await.1,
        json!({"jobs": 0, "messages": 0, "more": false})
    );
}
