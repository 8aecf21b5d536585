//! Different guards for the methods of a service.

use std::collections::HashMap;
use std::sync::Arc;

use super::framework::Tonic;
use crate::adapters::http::route::RouteGuard;

/// A layer with different guards for the methods of a service. It is cheap to clone.
///
/// ```
/// use keyfob::tonic::{Guard, MethodGuards};
///
/// fn guards(guard: &Guard) -> Result<MethodGuards, keyfob::Invalid> {
///     let write = guard.project_in_header("x-project", "notes:write")?;
///     let read = guard.project_in_header("x-project", "notes:read")?;
///     // A method that is not named here needs the scope `notes:write`.
///     Ok(MethodGuards::new(write)
///         .with_method("acme.Notes/List", read.clone())
///         .with_method("acme.Notes/Watch", read)
///         .with_method("acme.Notes/WhoAmI", guard.own_project("")?))
/// }
/// ```
///
/// Use it like a [`RouteGuard`]: `guards.named_layer(NotesServer::new(notes))`, or with
/// `Server::layer`. The guards may name the project in different ways, so each handler takes the
/// caller of its own guard. A method that needs no token belongs into a service without a guard, or
/// gets a guard with [`or_other`](RouteGuard::or_other).
#[derive(Clone, Debug)]
pub struct MethodGuards {
    otherwise: RouteGuard<Tonic>,
    /// The guards by `SERVICE/METHOD`.
    methods: Arc<HashMap<Box<str>, RouteGuard<Tonic>>>,
}

impl MethodGuards {
    /// Creates a layer that protects every method with this guard. Pass the strictest guard of the
    /// service, because it also protects methods that you add later, and those whose name in
    /// [`with_method`](Self::with_method) is misspelt.
    pub fn new(otherwise: RouteGuard<Tonic>) -> Self {
        Self { otherwise, methods: Arc::default() }
    }

    /// Sets the guard of one method. The method is written as in the path of its calls, such as
    /// `acme.Notes/List`: the package and the service, `/`, and the method as the `.proto` file
    /// spells it. A `/` at the start is ignored.
    #[must_use]
    pub fn with_method(mut self, method: &str, guard: RouteGuard<Tonic>) -> Self {
        let method = method.strip_prefix('/').unwrap_or(method);
        Arc::make_mut(&mut self.methods).insert(method.into(), guard);
        self
    }

    /// Returns the guard of the method with this path.
    pub(super) fn of_path(&self, path: &str) -> &RouteGuard<Tonic> {
        path.strip_prefix('/').and_then(|method| self.methods.get(method)).unwrap_or(&self.otherwise)
    }
}
