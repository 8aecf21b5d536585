//! Each kind of call from Python's library grpcio (`pip install grpcio`). The test tries two
//! interpreters: the one in `target/ci-tools`, and `python3` on the path.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keyfob::record::RevocationReason;
use serde_json::{Value, json};

use crate::http::world::{HOUR, World};
use crate::support::{actor, new_token};
use crate::tonic::calls::serve;
use crate::tonic::server::{Kind, Notes, Server};

/// Returns the path of a Python interpreter that has the library, if one is installed.
fn python() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/ci-tools/bin/python3");
    let has_library = |python: &PathBuf| {
        let mut command = Command::new(python);
        command.args(["-c", "import grpc"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    [tools, "python3".into()].into_iter().find(has_library)
}

/// Calls each kind of method with each of these authorizations, in order.
fn calls(python: &Path, address: SocketAddr, authorizations: &[&[&str]]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("service/tonic/client.py");
    let calls = authorizations.iter().flat_map(|values| {
        let metadata: Vec<_> = values.iter().map(|value| ["authorization", value]).collect();
        Kind::ALL.map(|kind| {
            let name = match kind {
                Kind::Read => "unary_unary",
                Kind::Watch => "unary_stream",
                Kind::Write => "stream_unary",
                Kind::Chat => "stream_stream",
            };
            json!([kind.path(), name, metadata])
        })
    });
    let input = Value::from_iter(calls).to_string();
    let mut command = Command::new(python);
    command.arg(script).arg(address.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn is_refusal(answer: &Value, (code, reason, message): (u8, &str, &str)) {
    assert_eq!((&answer["code"], &answer["message"]), (&json!(code), &json!(message)), "{answer}");
    let metadata = answer["metadata"].as_array().unwrap();
    assert!(metadata.contains(&json!(["reason", reason])), "{answer}");
    let challenges = metadata.iter().filter(|pair| pair[0] == "www-authenticate").count();
    assert_eq!(challenges, usize::from(!matches!(code, 13 | 14)), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_call_gets_the_code_and_the_reason_in_python() {
    let Some(python) = python() else {
        test_summary::missing("the library grpcio for Python is not installed");
        return;
    };
    let world = World::new();
    let server = serve(&world);
    let issued = async |new| format!("Bearer {}", world.issue(new).await.token.expose_secret());
    let made = world.issue(world.usual()).await;
    let (good, revoked) = (issued(world.usual()).await, format!("Bearer {}", made.token.expose_secret()));
    world.tokens().revoke(&actor(), &made.record.key(), RevocationReason::default()).await.unwrap();
    let other = issued(new_token()).await;

    let tried: [&[&str]; 6] = [&[&good], &[], &["Bearer acme_pat_x"], &[&revoked], &[&other], &[&good, &good]];
    let answers = calls(&python, server.address, &tried);
    for (answer, kind) in answers.iter().zip(Kind::ALL) {
        assert_eq!(*answer, json!({"code": 0, "messages": kind.passed()}));
    }
    let expected = [
        (16, "missing_token", "the request needs a token"),
        (16, "invalid_token", "the token is not valid"),
        (16, "revoked", "the token was revoked"),
        (7, "insufficient_scope", "the token lacks a scope that the request needs"),
        (3, "repeated_token", "the request has more than one credential"),
    ];
    for (answers, expected) in answers.chunks(4).skip(1).zip(expected) {
        answers.iter().for_each(|answer| is_refusal(answer, expected));
    }
    assert_eq!(answers.len(), 24);

    world.clock.advance(HOUR);
    for answer in calls(&python, server.address, &[&[&good]]) {
        is_refusal(&answer, (16, "expired", "the token has expired"));
    }
    let good = issued(world.usual()).await;
    world.switch_off();
    for answer in calls(&python, server.address, &[&[&good]]) {
        is_refusal(&answer, (14, "unavailable", "the token cannot be checked at the moment"));
    }
    let unguarded = Server::start(tonic::transport::Server::builder().add_service(Notes));
    for answer in calls(&python, unguarded.address, &[&[&good]]) {
        is_refusal(&answer, (13, "unguarded", "no guard of this kind protects the route"));
    }
}
