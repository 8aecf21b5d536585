//! Starts a single Redis server or a cluster with three masters for a test, with the installed
//! program and on free loopback ports. Stops the servers when the test ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::sleep;
use std::time::{Duration, Instant};

use keyfob::{ProjectId, store::redis::RedisStore};
use tempfile::TempDir;

use super::process::{self, can_listen, free_port, quick, run};

const MASTERS: usize = 3;
/// The maximum time that a test waits for a change. A change normally takes less.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Servers {
    folder: TempDir,
    nodes: Vec<Node>,
    clustered: bool,
    settings: Vec<String>,
    has_tls: bool,
}

/// The numbers of the nodes on one side of a [partition](Servers::cut).
pub type Side = [usize];

struct Node {
    host: String,
    port: u16,
    /// The port for TLS, which the node opens if the servers have a certificate.
    tls_port: u16,
    process: Option<Child>,
}

/// Returns the cluster that most tests of this process share. No test may empty it. The cluster
/// runs as long as a test holds it. Returns `None` if Redis is not installed.
pub fn shared_cluster() -> Option<Arc<Servers>> {
    static SHARED: Mutex<Weak<Servers>> = Mutex::new(Weak::new());
    shared(&SHARED, || Servers::cluster(0))
}

/// Returns the cluster that is shared by the tests that empty it. Only one of these tests may run
/// at a time. Returns `None` if Redis is not installed.
pub fn shared_cluster_to_empty() -> Option<Arc<Servers>> {
    static SHARED: Mutex<Weak<Servers>> = Mutex::new(Weak::new());
    shared(&SHARED, || Servers::cluster(0))
}

/// Returns the single server that the tests of this process share. Returns `None` if Redis is not
/// installed.
pub fn shared_server() -> Option<Arc<Servers>> {
    static SHARED: Mutex<Weak<Servers>> = Mutex::new(Weak::new());
    shared(&SHARED, Servers::one)
}

fn shared(shared: &Mutex<Weak<Servers>>, start: impl FnOnce() -> Option<Servers>) -> Option<Arc<Servers>> {
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(servers) = shared.upgrade() {
        return Some(servers);
    }
    let servers = Arc::new(start()?);
    *shared = Arc::downgrade(&servers);
    Some(servers)
}

impl Servers {
    /// Starts a single server. Returns `None` if Redis is not installed. If the environment
    /// variable `CI` is `true`, panics instead of returning `None`.
    pub fn one() -> Option<Self> {
        Self::start(1, false)
    }

    /// Starts a single server with its data in a new folder in `parent`. `settings` has additional
    /// arguments of the server: names, such as `--save`, each followed by its value.
    pub fn one_in(parent: impl AsRef<Path>, settings: &[&str]) -> Option<Self> {
        Self::start_in(parent, settings, 1, false)
    }

    /// Starts a single server or a cluster of three masters that also offers TLS. The certificates
    /// and the key are files in PEM format. If `asks`, clients need a certificate of the authority
    /// `root`.
    pub fn with_tls(clustered: bool, certificate: &Path, key: &Path, root: &Path, asks: bool) -> Option<Self> {
        let [certificate, key, root] = [certificate, key, root].map(|path| path.to_str().unwrap());
        let asks = if asks { "yes" } else { "no" };
        let mut settings = vec!["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", root];
        settings.extend(["--tls-auth-clients", asks]);
        if !clustered {
            return Self::start_in(quick(), &settings, 1, false);
        }
        settings.extend(["--tls-cluster", "yes", "--cluster-node-timeout", "30000"]);
        let servers = Self::start_in(quick(), &settings, MASTERS, true)?;
        let addresses = servers.nodes.iter().map(|node| format!("{}:{}", node.host, node.tls_port));
        servers.join(addresses, 0, &["--tls", "--cacert", root]);
        Some(servers)
    }

    /// Returns the address of each node for TLS. `host` is the name of the server in the address.
    pub fn tls_urls(&self, host: &str) -> Vec<String> {
        self.nodes.iter().map(|node| format!("rediss://{host}:{}", node.tls_port)).collect()
    }

    /// Returns the folder of a node's data.
    pub fn folder(&self, number: usize) -> PathBuf {
        self.folder.path().join(self.nodes[number].address())
    }

    /// Starts a cluster of three masters, each with `replicas` replicas. Returns `None` if Redis is
    /// not installed.
    pub fn cluster(replicas: usize) -> Option<Self> {
        // A master without replicas has no node that could take over. If the other nodes considered
        // a slow master failed, the whole cluster would refuse requests. So the timeout is long.
        let settings: &[&str] = if replicas == 0 { &["--cluster-node-timeout", "30000"] } else { &[] };
        let servers = Self::start_in(quick(), settings, MASTERS * (1 + replicas), true)?;
        servers.join(servers.nodes.iter().map(Node::address), replicas, &[]);
        Some(servers)
    }

    /// Joins the nodes at these addresses to a cluster. `options` are further options of
    /// `redis-cli`.
    fn join(&self, addresses: impl Iterator<Item = String>, replicas: usize, options: &[&str]) {
        let mut create = Command::new("redis-cli");
        create.args(options).args(["--cluster", "create"]).args(addresses);
        create.args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"]);
        let created = create.output().unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
        for node in 0..self.nodes.len() {
            self.wait_until_served(node);
            self.wait_for(node, &["CLUSTER", "NODES"], |told| told.matches("slave").count() == MASTERS * replicas);
            self.wait_until_linked(node);
        }
    }

    fn start(count: usize, clustered: bool) -> Option<Self> {
        Self::start_in(quick(), &[], count, clustered)
    }

    fn start_in(parent: impl AsRef<Path>, settings: &[&str], count: usize, clustered: bool) -> Option<Self> {
        // A cluster node needs two ports. The second is 10,000 above the first. The port for TLS is
        // 13,000 below the first.
        let is_free = |port: u16| [port, port + 10_000, port - 13_000].into_iter().all(can_listen);
        let new = |_| {
            let port = free_port(15_000, is_free);
            Node { host: "127.0.0.1".to_owned(), port, tls_port: port - 13_000, process: None }
        };
        let nodes = (0..count).map(new).collect();
        Self::start_nodes(parent, settings, nodes, clustered)
    }

    fn start_nodes(parent: impl AsRef<Path>, settings: &[&str], nodes: Vec<Node>, clustered: bool) -> Option<Self> {
        let Ok(version) = Command::new("redis-server").arg("--version").output() else {
            test_summary::missing("Redis is not installed");
            return None;
        };
        // The output is like `Redis server v=7.0.15 sha=…`.
        let version = String::from_utf8_lossy(&version.stdout);
        let version =
            version.split_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or("of unknown version");
        test_summary::engine(&format!("Redis {version}{}", if clustered { ", a cluster" } else { "" }));
        let folder = tempfile::tempdir_in(parent).unwrap();
        let has_tls = settings.contains(&"--tls-cert-file");
        let settings = settings.iter().map(ToString::to_string).collect();
        let count = nodes.len();
        let mut servers = Self { folder, nodes, clustered, settings, has_tls };
        for node in 0..count {
            servers.go(node);
        }
        Some(servers)
    }

    /// Starts a node, or starts it again after it was killed.
    pub fn go(&mut self, number: usize) {
        let Node { host, port, tls_port, .. } = &self.nodes[number];
        let (host, bus_port) = (host.clone(), (port + 10_000).to_string());
        let (port, tls_port) = (port.to_string(), tls_port.to_string());
        let folder = self.folder(number);
        std::fs::create_dir_all(&folder).unwrap();
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port, "--bind", &host, "--bind-source-addr", &host, "--save", ""]);
        command.args(["--protected-mode", "no"]).arg("--dir").arg(&folder);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0"]);
        if self.clustered {
            command.args(["--cluster-enabled", "yes", "--cluster-node-timeout", "1500"]);
            command.args(["--cluster-allow-replica-migration", "no"]);
        }
        if self.has_tls {
            command.args(["--tls-port", &tls_port]);
        }
        if self.has_tls && self.clustered {
            command.args(["--cluster-port", &bus_port]);
        }
        // If an argument occurs twice, Redis uses the second value. So the settings can replace the
        // arguments above.
        command.args(&self.settings);
        let process = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.nodes[number].process = Some(process);
        self.wait_for(number, &["PING"], |told| told.trim() == "PONG");
    }

    /// Suspends a node, as if its machine hung. The connections of the node stay open.
    pub fn suspend(&self, number: usize) {
        process::suspend(self.pid(number));
    }

    /// Resumes a suspended node.
    pub fn resume(&self, number: usize) {
        process::resume(self.pid(number));
    }

    fn pid(&self, number: usize) -> u32 {
        self.nodes[number].process.as_ref().expect("the node runs").id()
    }

    /// Kills a node without a regular stop, like a crash.
    pub fn kill(&mut self, number: usize) {
        if let Some(mut process) = self.nodes[number].process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("redis://{}", node.address())).collect()
    }

    pub async fn store(&self) -> RedisStore {
        RedisStore::connect(self.urls()).await.unwrap()
    }

    /// Runs a command on the first running node and returns its output.
    pub fn ask(&self, command: &[&str]) -> String {
        let runs = |node: &Node| node.process.is_some();
        self.ask_node(self.nodes.iter().position(runs).unwrap(), command)
    }

    /// Returns the number of nodes. The nodes are numbered from 0.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Deletes all data of all masters.
    pub fn flush(&self) {
        let first = self.nodes[0].address();
        let mut flush = Command::new("redis-cli");
        flush.args(["--cluster", "call", &first, "FLUSHALL", "--cluster-only-masters"]);
        let flushed = flush.output().unwrap();
        assert!(flushed.status.success(), "{}", String::from_utf8_lossy(&flushed.stdout));
    }

    pub fn ask_node(&self, number: usize, command: &[&str]) -> String {
        let Node { host, port, .. } = &self.nodes[number];
        let told =
            Command::new("redis-cli").args(["-h", host, "-p", &port.to_string()]).args(command).output().unwrap();
        String::from_utf8_lossy(&told.stdout).into_owned()
    }

    fn wait_for(&self, number: usize, command: &[&str], is_it: impl Fn(&str) -> bool) {
        let asked = Instant::now();
        loop {
            let told = self.ask_node(number, command);
            if is_it(&told) {
                return;
            }
            assert!(asked.elapsed() < PATIENCE, "{command:?}: {told}");
            sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a replica is connected to its master. Returns immediately if the node is a
    /// master.
    pub fn wait_until_linked(&self, number: usize) {
        self.wait_for(number, &["INFO", "replication"], |told| {
            told.contains("role:master") || told.contains("master_link_status:up")
        });
    }

    /// Waits until a former master follows the node that replaced it.
    pub fn wait_until_it_follows(&self, number: usize) {
        self.wait_for(number, &["INFO", "replication"], |told| {
            told.contains("role:slave") && told.contains("master_link_status:up")
        });
    }

    /// Waits until a node reports that every slot of the cluster has a master.
    pub fn wait_until_served(&self, number: usize) {
        self.wait_for(number, &["CLUSTER", "INFO"], |told| told.contains("cluster_state:ok"));
    }

    /// Kills the master of a project, waits until a replica has taken over, and starts the killed
    /// node again.
    pub fn fail_over(&mut self, project: &ProjectId) {
        let master = self.master_of(project);
        self.kill(master);
        let killed = Instant::now();
        while self.master_of(project) == master {
            assert!(killed.elapsed() < PATIENCE, "no replica took over");
            sleep(Duration::from_millis(20));
        }
        self.go(master);
        self.wait_until_it_follows(master);
    }

    /// Returns the node number of the master that has the tokens of this project.
    pub fn master_of(&self, project: &ProjectId) -> usize {
        let slot: u16 = self.ask(&["CLUSTER", "KEYSLOT", &format!("{{{project}}}")]).trim().parse().unwrap();
        let nodes = self.ask(&["CLUSTER", "NODES"]);
        let has_slot = |node: &&str| {
            node.split(' ')
                .skip(8)
                .filter_map(|range| range.split_once('-'))
                .any(|(first, last)| (first.parse().unwrap()..=last.parse::<u16>().unwrap()).contains(&slot))
        };
        self.number(nodes.lines().find(has_slot).unwrap())
    }

    /// Returns the node number of a replica of this master. `master` is a node number too.
    pub fn replica_of(&self, master: usize) -> usize {
        let id = self.ask_node(master, &["CLUSTER", "MYID"]);
        let nodes = self.ask(&["CLUSTER", "NODES"]);
        self.number(nodes.lines().find(|node| node.split(' ').nth(3) == Some(id.trim())).unwrap())
    }

    /// Returns the node number of the node that a line of the output of `CLUSTER NODES` describes.
    fn number(&self, line: &str) -> usize {
        let is_named = |node: &Node| line.contains(&format!("{}@", node.address()));
        self.nodes.iter().position(is_named).unwrap()
    }
}

/// Functions for a test in its own network namespace. There, each node has its own address, so the
/// test can cut nodes off from each other.
impl Servers {
    /// Starts a cluster of three masters. The first master has all slots except two, and has two
    /// replicas, which are nodes 3 and 4.
    pub fn cluster_of_addresses() -> Option<Self> {
        let nodes =
            (11..16).map(|last| Node { host: format!("127.0.0.{last}"), port: 7000, tls_port: 7001, process: None });
        let servers = Self::start_nodes(quick(), &[], nodes.collect(), true)?;
        let slots = [["0", "16381"], ["16382", "16382"], ["16383", "16383"]];
        for (node, [first, last]) in slots.into_iter().enumerate() {
            servers.order(node, &["CLUSTER", "ADDSLOTSRANGE", first, last]);
            servers.order(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(node + 1).to_string()]);
        }
        let ids: Vec<String> = (0..5).map(|node| servers.ask_node(node, &["CLUSTER", "MYID"])).collect();
        for node in &servers.nodes[1..] {
            servers.order(0, &["CLUSTER", "MEET", &node.host, "7000"]);
        }
        for node in 0..5 {
            servers.wait_for(node, &["CLUSTER", "NODES"], |told| ids.iter().all(|id| told.contains(id.trim())));
            servers.wait_until_served(node);
        }
        for replica in [3, 4] {
            servers.order(replica, &["CLUSTER", "REPLICATE", ids[0].trim()]);
        }
        for replica in [3, 4] {
            servers.wait_until_it_follows(replica);
        }
        for node in 0..5 {
            servers.wait_for(node, &["CLUSTER", "NODES"], |told| told.matches("slave").count() == 2);
        }
        Some(servers)
    }

    fn order(&self, number: usize, command: &[&str]) {
        assert_eq!(self.ask_node(number, command).trim(), "OK", "{command:?}");
    }

    /// Cuts the nodes of the two sides off from each other. Packets between the sides are dropped,
    /// and no node is notified.
    pub fn cut(&self, one: &Side, other: &Side) {
        for (from, to) in one.iter().flat_map(|one| other.iter().map(move |other| (*one, *other))) {
            for (from, to) in [(from, to), (to, from)] {
                let (from, to) = (&self.nodes[from].host, &self.nodes[to].host);
                run(Command::new("iptables").args(["-A", "INPUT", "-s", from, "-d", to, "-j", "DROP"]));
            }
        }
    }

    /// Ends all partitions.
    pub fn heal(&self) {
        run(Command::new("iptables").arg("-F"));
    }

    /// Waits until a node has become a master.
    pub fn wait_until_master(&self, number: usize) {
        self.wait_for(number, &["INFO", "replication"], |told| told.contains("role:master"));
    }
}

impl Node {
    fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for node in 0..self.nodes.len() {
            self.kill(node);
        }
    }
}
