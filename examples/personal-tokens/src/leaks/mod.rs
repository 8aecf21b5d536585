//! Leaked tokens: the routes that receive reports ([`reports`], [`github`]), the limits on the rate
//! of reports ([`reporter`]), and the alarms that owners see ([`told`]).

pub mod deliveries;
pub mod github;
pub mod reporter;
pub mod reports;
pub mod told;
