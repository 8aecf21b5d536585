// The set-up that each example of `guide::lifecycle` includes: a service with a clock for tests.

use std::error::Error;
use std::time::Duration;

use keyfob::clock::FixedClock;
use keyfob::{Access, Actor, Invalid, Keyring, MemoryStore, Name, NewToken, OwnerId, Pepper};
use keyfob::{Prefix, ProjectId, Tokens};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct World {
    clock: FixedClock,
    tokens: Tokens<MemoryStore>,
    project: ProjectId,
    ada: Actor,
}

impl World {
    fn new() -> Result<Self, Box<dyn Error>> {
        let clock = FixedClock::new("2026-11-24T12:00:00Z".parse()?);
        let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
        let tokens = Tokens::new(keyring, MemoryStore::new()).with_clock(clock.clone());
        Ok(Self { clock, tokens, project: ProjectId::new("145")?, ada: Actor::new("ada")? })
    }

    fn new_token(&self, name: &str) -> Result<NewToken, Invalid> {
        Ok(NewToken::new(self.project, OwnerId::new("ada")?, Name::new(name)?))
    }

    fn access(&self) -> Access<'_> {
        Access::to(&self.project, &[])
    }
}

fn run(example: impl AsyncFnOnce(World) -> Result<(), Box<dyn Error>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(example(World::new().unwrap())).unwrap();
}
