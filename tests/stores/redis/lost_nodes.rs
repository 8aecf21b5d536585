//! Tests of the connection to a cluster whose nodes were all lost. A server of the test plays the
//! cluster's only node, because the loss needs an exact order of replies, and exact delays.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keyfob::store::StoreErrorKind;
use keyfob::store::redis::{RedisOptions, RedisStore};
use keyfob::{TokenId, TokenKey, TokenStore};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};

use crate::support::project;

/// The maximum time that the test waits until the store has reached the cluster again.
const PATIENCE: Duration = Duration::from_secs(60);

/// The only node of a cluster. It has no tokens.
struct Node {
    port: u16,
    /// Whether the node goes down during the next two calls of scripts.
    is_leaving: AtomicBool,
    /// Whether the node closes each connection.
    is_down: AtomicBool,
    /// Whether the node never replies again on the connections on which it gets a command.
    is_silent: AtomicBool,
    /// Whether the node takes [`SLOW`] to name its slots.
    is_slow: AtomicBool,
    /// The number of connections.
    accepted: AtomicUsize,
}

const SLOW: Duration = Duration::from_millis(300);

impl Node {
    async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let [is_leaving, is_down, is_silent, is_slow] = [const { AtomicBool::new(false) }; 4];
        let accepted = AtomicUsize::new(0);
        let node = Arc::new(Self { port, is_leaving, is_down, is_silent, is_slow, accepted });
        let serving = Arc::clone(&node);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                serving.accepted.fetch_add(1, Ordering::SeqCst);
                let node = Arc::clone(&serving);
                tokio::spawn(async move { node.serve(BufStream::new(client)).await });
            }
        });
        node
    }

    /// Connects a store, and finds a token that does not exist.
    async fn store(&self) -> (RedisStore, TokenKey) {
        let url = format!("redis://127.0.0.1:{}", self.port);
        let store = RedisStore::connect_with(RedisOptions::new([url]).unchecked()).await.unwrap();
        let key = TokenKey { project: project("145"), id: TokenId::new("1aaaaaaaaaaaaaaa").unwrap() };
        assert!(store.find(&key).await.unwrap().is_none());
        (store, key)
    }

    /// Replies to the commands of one client until one side closes the connection.
    ///
    /// While the node is leaving, it redirects two calls of scripts to itself. The reply to the
    /// second call arrives after the client has asked for the slots because of the first reply.
    /// When the client then checks its connections, the node is down.
    async fn serve(&self, mut client: BufStream<TcpStream>) -> io::Result<()> {
        let moved = format!("-MOVED 0 127.0.0.1:{}\r\n", self.port);
        let slots = format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{}\r\n", self.port);
        let mut held = 0;
        while !self.is_down.load(Ordering::SeqCst) {
            let command = command(&mut client).await?;
            if self.is_silent.load(Ordering::SeqCst) {
                pending::<()>().await;
            }
            if command == "CLUSTER" && self.is_slow.load(Ordering::SeqCst) {
                tokio::time::sleep(SLOW).await;
            }
            let reply = match (command.as_str(), held) {
                ("EVALSHA", 0) if self.is_leaving.load(Ordering::SeqCst) => {
                    held = 1;
                    continue;
                }
                ("EVALSHA", 1) => {
                    held = 2;
                    moved.clone()
                }
                ("CLUSTER", 2) => format!("{moved}{slots}"),
                ("PING", 2) => {
                    self.is_down.store(true, Ordering::SeqCst);
                    continue;
                }
                ("EVALSHA", _) => "*1\r\n$4\r\nnone\r\n".into(),
                ("CLUSTER", _) => slots.clone(),
                ("INFO", _) => "$17\r\ncluster_enabled:1\r\n".into(),
                ("CLIENT" | "PING", _) => "+OK\r\n".into(),
                (other, _) => panic!("the node does not know the command {other}"),
            };
            client.write_all(reply.as_bytes()).await?;
            client.flush().await?;
        }
        Ok(())
    }
}

/// Reads a command, and returns its name.
async fn command(client: &mut BufStream<TcpStream>) -> io::Result<String> {
    let mut name = String::new();
    for number in 0..count(client, '*').await? {
        let mut word = vec![0; count(client, '$').await? + "\r\n".len()];
        client.read_exact(&mut word).await?;
        if number == 0 {
            name = String::from_utf8_lossy(&word).trim().to_owned();
        }
    }
    Ok(name)
}

/// Reads a line that contains a mark and a count.
async fn count(client: &mut BufStream<TcpStream>, mark: char) -> io::Result<usize> {
    let mut line = String::new();
    client.read_line(&mut line).await?;
    let count = line.strip_prefix(mark).and_then(|count| count.trim().parse().ok());
    count.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

#[tokio::test]
async fn a_store_finds_a_cluster_again_whose_nodes_were_all_lost() {
    let node = Node::start().await;
    let (store, key) = node.store().await;
    node.is_leaving.store(true, Ordering::SeqCst);
    let (one, other) = tokio::join!(store.find(&key), store.find(&key));
    for found in [one, other] {
        assert_eq!(found.unwrap_err().kind(), StoreErrorKind::Unavailable);
    }
    assert!(node.is_down.load(Ordering::SeqCst));

    node.is_leaving.store(false, Ordering::SeqCst);
    node.is_down.store(false, Ordering::SeqCst);
    let back = Instant::now();
    while let Err(error) = store.find(&key).await {
        assert!(back.elapsed() < PATIENCE, "{error:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The callers wait for a shorter time than the node takes for a new connection, and for a shorter
/// time than the silence after which the store replaces a connection.
#[tokio::test]
async fn callers_that_are_in_a_hurry_do_not_keep_the_store_from_connecting() {
    let node = Node::start().await;
    let (store, key) = node.store().await;
    let before = node.accepted.load(Ordering::SeqCst);
    node.is_silent.store(true, Ordering::SeqCst);
    node.is_slow.store(true, Ordering::SeqCst);
    let hurried = async || tokio::time::timeout(SLOW / 3, store.find(&key)).await;
    assert!(hurried().await.is_err());
    node.is_silent.store(false, Ordering::SeqCst);
    let back = Instant::now();
    while !matches!(hurried().await, Ok(Ok(None))) {
        assert!(back.elapsed() < PATIENCE, "no connection");
    }
    assert!(node.accepted.load(Ordering::SeqCst) > before, "the store has opened a new connection");
}
