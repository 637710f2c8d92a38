//! What anybody may read: the document and the page.

use http::Method;

use crate::system::{Answer, System, run};

#[test]
fn the_document_is_served_to_everybody() {
    run(async {
        let system = System::start().await;
        let answer = Answer::to(system.anonymous(Method::GET, "/openapi.json")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-type"], "application/json");
        let golden = include_str!("../../../../docs/openapi.json");
        assert!(
            answer.text.trim() == golden.trim(),
            "not the checked-in document"
        );
    });
}

#[test]
fn the_page_lets_nothing_in_from_elsewhere() {
    run(async {
        let system = System::start().await;
        let answer = Answer::to(system.anonymous(Method::GET, "/docs")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(answer.text.contains("\"openapi\": \"3.1.0\""));
    });
}

#[test]
fn the_guide_explains_every_kind_of_problem_and_no_other() {
    let guide = include_str!("../../../../docs/api.md");
    let explained: Vec<_> = guide
        .lines()
        .skip_while(|line| !line.starts_with("| kind |"))
        .skip(2)
        .map_while(|line| line.strip_prefix("| `"))
        .map(|row| {
            let (kind, rest) = row.split_once("` | ").unwrap();
            (kind, rest[..3].parse().unwrap())
        })
        .collect();
    let kinds = tasks_api::Kind::ALL
        .iter()
        .map(|kind| (kind.name(), kind.status().as_u16()));
    assert_eq!(explained, kinds.collect::<Vec<_>>());
}
