//! A token store of keyfob in etcd 3.4 or later, over the JSON gateway of etcd.
//!
//! Every key begins with a root, such as `acme/tokens/`:
//!
//! | key | value |
//! |---|---|
//! | root `t/` project `/` id | the record, as JSON |
//! | root `p/` project | empty; its revision is the mark of the project |
//! | root `i/` 32 bytes | the token key to which this import key is linked, as project `/` id |
//!
//! Every commit is one transaction of etcd, which compares the revision of the project's mark and
//! writes the mark again. Every read is linearizable.
//!
//! Each call of [`EtcdStore`] has a deadline, by default 5 seconds, and then returns `Unavailable`.
//! The default limits of etcd suffice (128 operations and 1.5 MiB for each request). Do not start
//! etcd with `--unsafe-no-fsync`.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyfob::import::{ImportKey, ImportRow};
use keyfob::store::{BasicImportStore, BasicStore, StoreError, StoreErrorKind, Write};
use keyfob::{ProjectId, TokenId, TokenKey, TokenRecord};
use reqwest::{Client, StatusCode};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// Records in one page of a scan.
const PAGE: usize = 500;

/// The tokens below one root of an etcd cluster. Wrap it in [`keyfob::store::Layered`].
#[derive(Clone, Debug)]
pub struct EtcdStore {
    client: Client,
    deadline: Duration,
    url: String,
    root: String,
}

impl EtcdStore {
    /// Creates a store on the etcd member at `url`, such as `http://127.0.0.1:2379`, whose keys
    /// begin with `root`, such as `acme/tokens/`.
    ///
    /// # Errors
    /// Returns [`StoreErrorKind::Other`] if the client cannot be created.
    pub fn new(url: &str, root: &str) -> Result<Self, StoreError> {
        let client = Client::builder().no_proxy().build().map_err(other)?;
        let (url, root) = (url.trim_end_matches('/').into(), root.into());
        Ok(Self { client, deadline: Duration::from_secs(5), url, root })
    }

    /// Sets the deadline of each call.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    fn token(&self, project: &ProjectId, id: &TokenId) -> String {
        encode(format!("{}t/{project}/{id}", self.root))
    }

    fn mark(&self, project: &ProjectId) -> String {
        encode(format!("{}p/{project}", self.root))
    }

    fn link(&self, import_key: &ImportKey) -> String {
        encode([self.root.as_bytes(), b"i/", import_key.as_bytes()].concat())
    }

    /// Sends one request, and returns the reply.
    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, StoreError> {
        let url = format!("{}/v3/kv/{path}", self.url);
        let request = self.client.post(url).timeout(self.deadline).json(body);
        let reply = request.send().await.map_err(unavailable)?;
        let status = reply.status();
        let bytes = reply.bytes().await.map_err(unavailable)?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(other);
        }
        let text = format!("etcd: {status}: {}", String::from_utf8_lossy(&bytes));
        Err(match status {
            // A compaction overtook the pages of a scan: a repeat reads a newer revision.
            StatusCode::BAD_REQUEST if text.contains("compacted") => unavailable(text),
            StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => unavailable(text),
            _ => other(text),
        })
    }

    async fn read(&self, key: String) -> Result<Option<KeyValue>, StoreError> {
        let range: Range = self.post("range", &json!({ "key": key })).await?;
        Ok(range.kvs.into_iter().next())
    }

    /// Runs the writes in one transaction if the project still has this mark and the further
    /// comparisons hold.
    async fn write(
        &self,
        project: &ProjectId,
        mark: i64,
        mut compare: Vec<Value>,
        mut writes: Vec<Value>,
    ) -> Result<bool, StoreError> {
        let key = self.mark(project);
        writes.push(put(key.clone(), ""));
        compare.push(json!({ "key": key, "target": "MOD", "mod_revision": mark.to_string() }));
        let txn: Txn = self.post("txn", &json!({ "compare": compare, "success": writes })).await?;
        Ok(txn.succeeded)
    }

    async fn pages(&self, project: &ProjectId) -> Result<(Vec<Arc<TokenRecord>>, i64), StoreError> {
        let mut start = format!("{}t/{project}/", self.root).into_bytes();
        let end = encode(format!("{}t/{project}0", self.root)); // '0' follows '/'
        let (mut records, mut revision) = (Vec::new(), 0);
        loop {
            // The first page reads the present revision, and all further pages read the same.
            let at = revision.to_string();
            let ranges = json!({ "success": [
                { "request_range": { "key": self.mark(project), "revision": at } },
                { "request_range": {
                    "key": encode(&start), "range_end": end, "limit": PAGE, "revision": at,
                } },
            ] });
            let txn: Txn = self.post("txn", &ranges).await?;
            revision = txn.header.revision;
            let [marks, page] = <[Response; 2]>::try_from(txn.responses)
                .map_err(|_| other("etcd answered another number of ranges"))?;
            let (marks, page) = (marks.response_range, page.response_range);
            for kv in &page.kvs {
                records.push(kv.record()?);
            }
            match page.kvs.into_iter().last() {
                Some(last) if page.more => {
                    start = last.key;
                    start.push(0);
                }
                _ => return Ok((records, marks.kvs.first().map_or(0, |kv| kv.mod_revision))),
            }
        }
    }
}

impl BasicStore for EtcdStore {
    /// The revision of the last commit to the project, or 0.
    type Mark = i64;

    /// A record has at most 64 KiB of JSON, and etcd takes 1.5 MiB in one transaction.
    const MOST_WRITES: usize = 23;

    async fn get(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let found = self.read(self.token(&key.project, &key.id)).await?;
        found.map(|kv| kv.record()).transpose()
    }

    async fn scan(&self, project: &ProjectId) -> Result<(Vec<Arc<TokenRecord>>, i64), StoreError> {
        tokio::time::timeout(self.deadline, self.pages(project)).await.map_err(unavailable)?
    }

    async fn commit(&self, project: &ProjectId, mark: i64, writes: Vec<Write>) -> Result<bool, StoreError> {
        let writes = writes.into_iter().map(|write| match write {
            Write::Put(record) => self.put_record(&record),
            Write::Delete(id) => Ok(json!({ "request_delete_range": { "key": self.token(project, &id) } })),
        });
        self.write(project, mark, Vec::new(), writes.collect::<Result<_, _>>()?).await
    }

    async fn projects(&self, after: Option<&ProjectId>, most: usize) -> Result<Vec<ProjectId>, StoreError> {
        let root = format!("{}p/", self.root);
        let start = after.map_or(root.clone(), |after| format!("{root}{after}\0"));
        let end = format!("{}p0", self.root);
        let range = json!({
            "key": encode(start), "range_end": encode(end), "limit": most, "keys_only": true,
        });
        let range: Range = self.post("range", &range).await?;
        range.kvs.iter().map(|kv| text(&kv.key[root.len()..])?.parse().map_err(corrupt)).collect()
    }
}

impl BasicImportStore for EtcdStore {
    async fn linked(&self, import_key: &ImportKey) -> Result<Option<TokenKey>, StoreError> {
        let Some(link) = self.read(self.link(import_key)).await? else {
            return Ok(None);
        };
        let (project, id) = text(&link.value)?.split_once('/').ok_or_else(|| corrupt("a link without a slash"))?;
        let (project, id) = (project.parse().map_err(corrupt)?, id.parse().map_err(corrupt)?);
        Ok(Some(TokenKey { project, id }))
    }

    async fn commit_imports(
        &self,
        project: &ProjectId,
        mark: i64,
        rows: Vec<ImportRow>,
        seen: Vec<(ImportKey, Option<TokenKey>)>,
    ) -> Result<bool, StoreError> {
        let compare = seen.iter().map(|(import_key, linked)| match linked {
            Some(to) => json!({
                "key": self.link(import_key), "target": "VALUE", "value": encode(link_value(to)),
            }),
            None => json!({
                "key": self.link(import_key), "target": "CREATE", "create_revision": "0",
            }),
        });
        let mut writes = Vec::new();
        for row in &rows {
            writes.push(self.put_record(&row.record)?);
            writes.push(put(self.link(&row.import_key), link_value(&row.record.key())));
        }
        self.write(project, mark, compare.collect(), writes).await
    }
}

impl EtcdStore {
    fn put_record(&self, record: &TokenRecord) -> Result<Value, StoreError> {
        let value = serde_json::to_vec(record).map_err(other)?;
        Ok(put(self.token(&record.project, &record.id), value))
    }
}

fn put(key: String, value: impl AsRef<[u8]>) -> Value {
    json!({ "request_put": { "key": key, "value": encode(value) } })
}

fn link_value(key: &TokenKey) -> String {
    format!("{}/{}", key.project, key.id)
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn text(bytes: &[u8]) -> Result<&str, StoreError> {
    str::from_utf8(bytes).map_err(corrupt)
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn unavailable(cause: impl Into<Cause>) -> StoreError {
    StoreError::with_source(StoreErrorKind::Unavailable, cause)
}

fn corrupt(cause: impl Into<Cause>) -> StoreError {
    StoreError::with_source(StoreErrorKind::Corrupt, cause)
}

fn other(cause: impl Into<Cause>) -> StoreError {
    StoreError::with_source(StoreErrorKind::Other, cause)
}

// The replies of the gateway. It writes 64-bit numbers as strings, and leaves out fields that are
// zero, empty or false.

#[derive(Deserialize)]
struct Txn {
    header: Header,
    #[serde(default)]
    succeeded: bool,
    #[serde(default)]
    responses: Vec<Response>,
}

#[derive(Deserialize)]
struct Header {
    #[serde(deserialize_with = "number")]
    revision: i64,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    response_range: Range,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Range {
    kvs: Vec<KeyValue>,
    more: bool,
}

#[derive(Deserialize)]
struct KeyValue {
    #[serde(deserialize_with = "bytes")]
    key: Vec<u8>,
    #[serde(default, deserialize_with = "bytes")]
    value: Vec<u8>,
    #[serde(deserialize_with = "number")]
    mod_revision: i64,
}

impl KeyValue {
    fn record(&self) -> Result<Arc<TokenRecord>, StoreError> {
        serde_json::from_slice(&self.value).map(Arc::new).map_err(corrupt)
    }
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
}
