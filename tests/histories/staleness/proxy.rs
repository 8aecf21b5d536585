//! A proxy in front of a PostgreSQL server. It can silence the connections that listen to the
//! store's feed. A silenced connection stays open, but no bytes arrive.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

pub struct Proxy {
    pub port: u16,
    listening: Arc<Mutex<Vec<Arc<Link>>>>,
}

/// A connection through the proxy, with one flag for each direction. A set flag means that the
/// direction is silenced.
#[derive(Default)]
struct Link {
    from_client: AtomicBool,
    from_server: AtomicBool,
}

/// The side of a connection. The proxy drops the bytes that arrive from this side.
#[derive(Clone, Copy)]
pub enum Side {
    Client,
    Server,
}

impl Proxy {
    /// Starts a proxy in front of the server at this local port. The proxy listens on a free port
    /// until the test ends.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let listening: Arc<Mutex<Vec<Arc<Link>>>> = Arc::default();
        let heard = Arc::clone(&listening);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, link) = (client.unwrap(), Arc::new(Link::default()));
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                // A client without the proxy sets this option too.
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let (to_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let (there, back, heard) = (Arc::clone(&link), link, Arc::clone(&heard));
                thread::spawn(move || {
                    pass(client, to_server, &there.from_client, |bytes| {
                        if bytes.windows(8).any(|word| word == b"LISTEN \"") {
                            heard.lock().unwrap().push(Arc::clone(&there));
                        }
                    });
                });
                thread::spawn(move || pass(server, to_client, &back.from_server, |_| ()));
            }
        });
        Self { port, listening }
    }

    /// Silences connections that have sent `LISTEN` through this proxy: from now on, the proxy
    /// drops all bytes that arrive from this side of the connection. Silences only the connections
    /// that have sent `LISTEN` since the last call of this function, and returns their number.
    pub fn silence(&self, side: Side) -> usize {
        let links = std::mem::take(&mut *self.listening.lock().unwrap());
        for link in &links {
            let mute = match side {
                Side::Client => &link.from_client,
                Side::Server => &link.from_server,
            };
            mute.store(true, Ordering::SeqCst);
        }
        links.len()
    }
}

/// Passes bytes from one side to the other until a side closes the connection. Drops the bytes
/// instead while `muted` is set. Calls `hears` with each block of bytes.
fn pass(mut from: TcpStream, mut to: TcpStream, muted: &AtomicBool, mut hears: impl FnMut(&[u8])) {
    let mut bytes = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        hears(&bytes[..count]);
        if !muted.load(Ordering::SeqCst) && to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
