//! The form that issues a token: what the person has entered so far, what the form offers, and the
//! error of each field.

use std::time::Duration;

use keyfob::{Lifetime, ScopeSet, TokenKind, TokenView};
use serde::Deserialize;

use crate::app::App;
use crate::tokens::expiry::{self, ExpiryError, Measure};
use crate::tokens::own::Refused;
use crate::tokens::scopes;
use crate::web::error::in_words;
use crate::web::time_words::Time;
use crate::web::view::PATH;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The lifetimes that the form offers with one press, in days.
const PRESETS: [u32; 3] = [7, 30, 90];

/// The values that a person enters into the form. They are texts, so that the form can show a wrong
/// value with its error. If the URL of the form contains values, the form starts with them.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Entered {
    pub name: String,
    /// A number of days in [`PRESETS`], `custom` or `never`. If it is empty, `amount` and `unit`
    /// count.
    pub preset: String,
    /// The number of units of the lifetime.
    pub amount: String,
    pub unit: String,
    /// The scopes that the person chose. If there are none, the token grants nothing.
    pub scope: Vec<String>,
    pub addresses: String,
}

impl Entered {
    /// Returns whether the person has entered anything.
    fn is_empty(&self) -> bool {
        let Self { name, preset, amount, unit, scope, addresses } = self;
        [name, preset, amount, unit, addresses].iter().all(|text| text.is_empty()) && scope.is_empty()
    }

    /// Returns the lifetime that the form asks for.
    ///
    /// # Errors
    /// Returns [`ExpiryError::Measure`] if the unit is unknown, and [`ExpiryError::Value`] if the
    /// amount is not a whole number of at least 1.
    pub fn lifetime(&self) -> Result<Lifetime, ExpiryError> {
        match self.preset.as_str() {
            "never" => Ok(Lifetime::Never),
            "" | "custom" => lifetime(&self.amount, &self.unit),
            days => lifetime(days, "days"),
        }
    }
}

/// Returns the lifetime of an amount of units.
///
/// # Errors
/// Returns [`ExpiryError::Measure`] if the unit is unknown, and [`ExpiryError::Value`] if the
/// amount is not a whole number of at least 1.
pub fn lifetime(amount: &str, unit: &str) -> Result<Lifetime, ExpiryError> {
    if unit == "never" {
        return Ok(Lifetime::Never);
    }
    let measure = Measure::parse(unit).ok_or(ExpiryError::Measure)?;
    let amount = amount.trim();
    match amount.parse() {
        Ok(value) => measure.times(value),
        // The number overflows. A huge lifetime leads to the error of the policy, which explains
        // the problem better.
        Err(_) if amount.len() > 18 && amount.bytes().all(|byte| byte.is_ascii_digit()) => measure.times(i64::MAX),
        Err(_) => Err(ExpiryError::Value),
    }
}

/// The form that issues a token, as the page shows it.
pub struct Draft {
    /// The id of the form, which is spent when the token is issued.
    pub form: String,
    pub entered: Entered,
    pub presets: Vec<Preset>,
    /// The longest lifetime that the policy allows, in words.
    pub most: String,
    pub allows_never: bool,
    pub faults: Faults,
}

/// A lifetime that the form offers with one press.
pub struct Preset {
    pub word: String,
    pub label: String,
    /// The time at which the token would expire.
    pub end: Time,
}

/// The error of each field, in words.
#[derive(Default)]
pub struct Faults {
    pub name: Option<String>,
    pub expiry: Option<String>,
    pub scopes: Option<String>,
    pub addresses: Option<String>,
    /// An error that belongs to no field.
    pub other: Option<String>,
}

impl Faults {
    pub fn of(refused: &Refused) -> Self {
        let mut faults = Self::default();
        let place = match refused {
            Refused::Name(_) => &mut faults.name,
            Refused::Expiry(_) | Refused::Policy(_) => &mut faults.expiry,
            Refused::Scopes(_) => &mut faults.scopes,
            Refused::Addresses(_) => &mut faults.addresses,
            _ => &mut faults.other,
        };
        *place = Some(in_words(refused));
        faults
    }

    /// Returns whether a field has an error. If none has, the field for the name gets the focus.
    pub fn is_empty(&self) -> bool {
        [&self.expiry, &self.scopes, &self.addresses].iter().all(|fault| fault.is_none())
    }
}

impl Draft {
    /// Creates the form. If `entered` is empty, the form suggests the default lifetime of the
    /// policy and the default scope.
    pub fn new(app: &App, form: String, mut entered: Entered, faults: Faults) -> Self {
        let lifetimes = app.tokens.policy().lifetimes(TokenKind::Human);
        let now = app.tokens.now();
        let allowed = |days: &u32| (lifetimes.min..=lifetimes.max).contains(&(*days * DAY));
        let presets: Vec<_> = PRESETS
            .into_iter()
            .filter(allowed)
            .map(|days| Preset {
                word: days.to_string(),
                label: format!("{days} days"),
                end: Time::ahead(now.saturating_add(days * DAY), now),
            })
            .collect();
        if entered.is_empty() {
            entered.scope = vec![scopes::DEFAULT.into()];
        }
        let default = lifetimes.default.clamp(lifetimes.min, lifetimes.max);
        if entered.amount.is_empty() && entered.unit.is_empty() {
            let in_units = expiry::in_units(default);
            let (amount, unit) = in_units.split_once(' ').unwrap_or(("30", "days"));
            entered.amount = amount.into();
            entered.unit = format!("{}s", unit.trim_end_matches('s'));
            if entered.preset.is_empty() {
                let word = (default.as_secs() / DAY.as_secs()).to_string();
                let is_offered = PRESETS.iter().any(|days| allowed(days) && default == *days * DAY);
                entered.preset = if is_offered { word } else { "custom".into() };
            }
        }
        if entered.unit == "never" {
            entered.preset = "never".into();
        } else if entered.preset != "never" && presets.iter().all(|preset| preset.word != entered.preset) {
            entered.preset = "custom".into();
        }
        let (most, allows_never) = (expiry::in_units(lifetimes.max), lifetimes.never_expiring);
        Self { form, entered, presets, most, allows_never, faults }
    }

    pub fn is_preset(&self, word: &str) -> bool {
        self.entered.preset == word
    }

    pub fn is_unit(&self, word: &str) -> bool {
        self.entered.unit == word
    }

    pub fn has_scope(&self, scope: &str) -> bool {
        self.entered.scope.iter().any(|chosen| chosen == scope)
    }

    /// Returns the chosen scopes that the service does not know. The form keeps them, because a
    /// replacement may need them.
    pub fn unknown_scopes(&self) -> Vec<&str> {
        let is_known = |scope: &str| scopes::ALL.iter().any(|known| known.scope == scope);
        self.entered.scope.iter().map(String::as_str).filter(|scope| !is_known(scope)).collect()
    }
}

/// Returns the address of the form for a new token with the name, the project, the scopes and the
/// addresses of an existing token.
pub fn replacement(view: &TokenView) -> String {
    let (project, name) = (view.project.as_str(), view.name.as_str());
    let mut query = vec![("project", project), ("new", "1"), ("name", name)];
    query.extend(ScopeSet::iter(&view.scopes).map(|scope| ("scope", scope)));
    if !view.addresses.as_str().is_empty() {
        query.push(("addresses", view.addresses.as_str()));
    }
    // Pairs of texts can always be encoded.
    format!("{PATH}?{}", serde_urlencoded::to_string(query).expect("pairs of texts can be encoded"))
}
