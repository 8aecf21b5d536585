//! A connection to a cluster or to a single server.

use core::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, Slot, SlotAddr};
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value};
use tokio::time::timeout;

use super::options::RedisOptions;
use super::patience::PATIENCE;
use super::shared::{SILENCE, Shared};

/// The time limit of one attempt to reach a node.
pub(super) const REACH: Duration = Duration::from_secs(1);

/// The Redis servers of the store: a cluster or a single server. Their addresses are given when the
/// store is created.
pub(super) enum Address {
    /// A cluster. The addresses name some of its nodes.
    Cluster(Box<ClusterClient>),
    /// A single server.
    Single(Box<Client>),
}

impl Address {
    /// Returns the cluster or the single server at these addresses. Queries one server after the
    /// other until a server replies. The reply says whether the server belongs to a cluster.
    pub(super) async fn of(options: &RedisOptions) -> RedisResult<Self> {
        let mut refusal = RedisError::from((ErrorKind::InvalidClientConfig, "no address was given"));
        for url in &options.urls {
            let client = options.client(url)?;
            let told = async { redis::cmd("INFO").arg("cluster").query_async(&mut open(&client).await?).await };
            match told.await {
                Ok(info) => return Self::of_told(&info, options, client),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    fn of_told(info: &Value, options: &RedisOptions, client: Client) -> RedisResult<Self> {
        let info: String = redis::from_redis_value_ref(info)?;
        if info.contains("cluster_enabled:1") {
            // With `retries(0)`, the client does not repeat commands. If the reply to a command is
            // lost, the client cannot know whether the command took effect.
            let builder = ClusterClientBuilder::new(options.urls.iter().map(String::as_str)).retries(0);
            let builder = builder.connection_timeout(REACH).response_timeout(PATIENCE);
            let builder = builder.tcp_settings(TcpSettings::default().set_nodelay(true));
            #[cfg(feature = "tls")]
            let builder = match options.certificates() {
                Some(certificates) => builder.certs(certificates),
                None => builder,
            };
            return builder.build().map(|client| Self::Cluster(Box::new(client)));
        }
        match options.urls[..] {
            [_] => Ok(Self::Single(Box::new(client))),
            _ => Err((ErrorKind::InvalidClientConfig, "several addresses were given for a single server").into()),
        }
    }

    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        Ok(match self {
            Self::Cluster(client) => {
                let shared = Shared::new(Some(client.get_async_connection().await?));
                Connection::Cluster { client: client.clone(), shared }
            }
            Self::Single(client) => Connection::Single { client: client.clone(), shared: Shared::new(None) },
        })
    }
}

async fn open(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(REACH)).set_response_timeout(Some(PATIENCE));
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// A connection to a cluster or to a single server.
pub(super) enum Connection {
    /// A connection to each node of a cluster. The client follows changes of the cluster's
    /// topology.
    Cluster { client: Box<ClusterClient>, shared: Shared<ClusterConnection> },
    /// A connection to one server.
    Single { client: Box<Client>, shared: Shared<MultiplexedConnection> },
}

impl Connection {
    /// Sends commands to the master of a slot, one directly after the other. No other command of
    /// this connection comes between them. Returns the reply to each command. A reply may be an
    /// error.
    ///
    /// # Errors
    /// Returns [`RedisError`] if there is no reply, or if a command was sent to the wrong server.
    pub(super) async fn send(&self, slot: Slot, commands: &[Cmd]) -> RedisResult<Vec<Value>> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.clone());
        }
        match self {
            Self::Cluster { client, shared } => {
                let route = SingleNodeRoutingInfo::SpecificNode(Route::with_slot(slot, SlotAddr::Master));
                let send = async |mut connection: ClusterConnection| {
                    connection.route_pipeline(pipeline, 0, commands.len(), route).await
                };
                send_to_cluster(client, shared, send).await
            }
            Self::Single { client, shared } => send_to_one(client, shared, &pipeline, commands.len()).await,
        }
    }

    /// Sends one command to the master of a slot.
    ///
    /// # Errors
    /// Returns [`RedisError`] if there is no reply, or if the server refused the command.
    pub(super) async fn send_one(&self, slot: Slot, command: Cmd) -> RedisResult<Value> {
        let mut answers = self.send(slot, &[command]).await?;
        answers
            .pop()
            .ok_or_else(|| RedisError::from((ErrorKind::UnexpectedReturnType, "no reply to a command")))?
            .extract_error()
    }

    /// Sends a command to each node, including replicas. Returns each node's address and reply.
    pub(super) async fn send_to_all(&self, command: Cmd) -> RedisResult<Vec<(String, Value)>> {
        match self {
            Self::Cluster { client, shared } => {
                let routing = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllNodes, None));
                let send = async |mut connection: ClusterConnection| connection.route_command(command, routing).await;
                match send_to_cluster(client, shared, send).await? {
                    Value::Map(answers) => {
                        answers.into_iter().map(|(node, answer)| Ok((redis::from_redis_value(node)?, answer))).collect()
                    }
                    _ => Err((ErrorKind::UnexpectedReturnType, "not every node replied").into()),
                }
            }
            Self::Single { client, .. } => {
                let answers = self.send(Slot::for_key(""), &[command]).await?;
                let node = client.get_connection_info().addr().to_string();
                Ok(answers.into_iter().map(|answer| (node.clone(), answer)).collect())
            }
        }
    }

    /// Returns whether the connection is to a cluster.
    pub(super) fn is_clustered(&self) -> bool {
        matches!(self, Self::Cluster { .. })
    }
}

/// Sends a command to the cluster over the shared connection. Normally, the connection reconnects
/// on its own. But after all nodes were unreachable for some time, the connection may hang forever,
/// or it may know no node any more and fail each call. So this function gives the connection up if
/// a call gets no reply within [`SILENCE`].
async fn send_to_cluster<T>(
    client: &ClusterClient,
    shared: &Shared<ClusterConnection>,
    send: impl AsyncFnOnce(ClusterConnection) -> RedisResult<T>,
) -> RedisResult<T> {
    let open = || {
        let client = client.clone();
        async move { client.get_async_connection().await }
    };
    let opened = shared.get_or_open(open).await?;
    match timeout(SILENCE, send(opened.connection.clone())).await {
        Ok(answer) => {
            opened.note_outcome(&answer);
            answer
        }
        Err(_) => {
            shared.give_up(&opened);
            Err((ErrorKind::Io, "the cluster did not reply in time").into())
        }
    }
}

/// Sends commands to the single server over the shared connection. If the connection is lost, the
/// next call opens a new connection.
async fn send_to_one(
    client: &Client,
    shared: &Shared<MultiplexedConnection>,
    pipeline: &Pipeline,
    count: usize,
) -> RedisResult<Vec<Value>> {
    let opening = || {
        let client = client.clone();
        async move { open(&client).await }
    };
    let opened = shared.get_or_open(opening).await?;
    let answers = opened.connection.clone().req_packed_commands(pipeline, 0, count).await;
    opened.note_outcome(&answers);
    if answers.as_ref().is_err_and(RedisError::is_unrecoverable_error) {
        shared.give_up(&opened);
    }
    answers
}
