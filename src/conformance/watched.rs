//! A store that notes its calls under way, so that the message about a law that hangs can name the
//! call.

use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::forward::forward_stores;

/// A store around another store that notes the calls under way.
///
/// [`for_each_law!`](super::for_each_law) puts it around the store of each law. In a test of your
/// own, put it around a store that may hang, keep its [`calls`](Self::calls), and show them in the
/// message of the time limit.
///
/// ```
/// use keyfob::conformance::Watched;
/// use keyfob::{MemoryStore, ProjectId, TokenStore, store::CountQuery};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Watched::new(MemoryStore::new());
/// let calls = store.calls();
/// store.count(&CountQuery::new(ProjectId::new("145")?)).await?;
/// assert_eq!(calls.to_string(), "no call is under way; the last one was count");
/// # Ok(())
/// # }
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(example()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Watched<S> {
    store: S,
    calls: Calls,
}

impl<S> Watched<S> {
    /// Creates a store that notes the calls to this store.
    pub fn new(store: S) -> Self {
        Self { store, calls: Calls::default() }
    }

    /// Returns the calls under way. The value shows later calls too.
    pub fn calls(&self) -> Calls {
        self.calls.clone()
    }
}

/// The calls to a [`Watched`] store that are under way. `Display` names each of them, with its
/// duration so far.
///
/// A clone shows the same calls.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    under_way: Vec<Call>,
    last: Option<&'static str>,
    begun: u64,
}

#[derive(Debug)]
struct Call {
    number: u64,
    name: &'static str,
    started: Instant,
}

impl Calls {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call until the returned value is dropped.
    fn begin(&self, name: &'static str) -> UnderWay<'_> {
        let mut noted = self.noted();
        noted.begun += 1;
        noted.last = Some(name);
        let number = noted.begun;
        noted.under_way.push(Call { number, name, started: Instant::now() });
        UnderWay { calls: self, number }
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noted = self.noted();
        if noted.under_way.is_empty() {
            return match noted.last {
                Some(last) => write!(f, "no call is under way; the last one was {last}"),
                None => f.write_str("no call is under way"),
            };
        }
        f.write_str("under way: ")?;
        for (place, call) in noted.under_way.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{} (call {}) since {:.1?}", call.name, call.number, call.started.elapsed())?;
        }
        Ok(())
    }
}

/// A call under way. Dropping this value removes the call from the [`Calls`].
struct UnderWay<'c> {
    calls: &'c Calls,
    number: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the store panicked; {}", self.calls);
        }
        self.calls.noted().under_way.retain(|call| call.number != self.number);
    }
}

macro_rules! noted {
    ($self:ident, $call:ident($($argument:ident),*)) => {{
        let _under_way = $self.calls.begin(stringify!($call));
        $self.store.$call($($argument),*).await
    }};
}

macro_rules! passed_on {
    ($self:ident, $call:ident($argument:ident)) => {
        $self.store.$call($argument)
    };
}

forward_stores! { [S] Watched<S>, noted, passed_on }
