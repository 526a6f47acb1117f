//! What is to be written, and under which conditions. Knows expressions; sends nothing.

mod commit;
mod leg;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use crate::Broken;
use crate::table::{EXPIRES, Entity, Index, Indexes, Item, Key, MARK, PK, encode};

pub(crate) use commit::{Outcome, Patience, outcome};
pub use commit::{TransactFailed, WriteFailed};

/// The condition under which a write happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// No such item.
    Absent,
    Present,
    /// The stored attribute `rev` is this number.
    Rev(u64),
    /// No such item, or one whose `expires` (unix seconds) is not later than `now_s`.
    AbsentOrExpired {
        now_s: i64,
    },
}

/// An attribute, or one inside a map: `"tasks.7.state"` is three steps. Keys that may hold a dot
/// are given as an array, `["nodes", id]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Vec<String>);

impl From<&str> for Path {
    fn from(text: &str) -> Self {
        Self(text.split('.').map(str::to_owned).collect())
    }
}

impl<const N: usize> From<[&str; N]> for Path {
    fn from(steps: [&str; N]) -> Self {
        Self(steps.iter().map(|step| (*step).to_owned()).collect())
    }
}

/// A further condition on an attribute.
#[derive(Clone, Debug)]
pub struct Check {
    path: Path,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Exists,
    Missing,
    Fewer(u32),
    Compare(&'static str, Result<AttributeValue, String>),
}

macro_rules! comparison {
    ($($(#[$doc:meta])* $name:ident => $operator:literal),* $(,)?) => {$(
        $(#[$doc])*
        pub fn $name(path: impl Into<Path>, value: impl Serialize) -> Self {
            Self { path: path.into(), test: Test::Compare($operator, to_value(value)) }
        }
    )*};
}

impl Check {
    comparison! {
        equals => "=",
        differs => "<>",
        below => "<",
        at_most => "<=",
        above => ">",
        /// False where the attribute is missing, as every comparison is.
        at_least => ">=",
    }

    pub fn exists(path: impl Into<Path>) -> Self {
        Self { path: path.into(), test: Test::Exists }
    }

    /// The map, list or text at `path` has fewer than `size` members.
    pub fn fewer(path: impl Into<Path>, size: u32) -> Self {
        Self { path: path.into(), test: Test::Fewer(size) }
    }

    pub fn missing(path: impl Into<Path>) -> Self {
        Self { path: path.into(), test: Test::Missing }
    }
}

fn to_value(value: impl Serialize) -> Result<AttributeValue, String> {
    serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(value).map_err(|bad| bad.to_string())
}

/// Placeholders and conditions of one leg.
#[derive(Clone, Debug, Default)]
struct Expression {
    names: HashMap<String, String>,
    values: Item,
    conditions: Vec<String>,
    /// The first value that could not be encoded: said when the write is sent.
    fault: Option<String>,
}

impl Expression {
    fn name(&mut self, path: Path) -> String {
        let mut steps = Vec::with_capacity(path.0.len());
        for step in path.0 {
            let known = self.names.iter().find(|(_, name)| **name == step);
            let placeholder = match known {
                Some((placeholder, _)) => placeholder.clone(),
                None => {
                    let fresh = format!("#n{}", self.names.len());
                    self.names.insert(fresh.clone(), step);
                    fresh
                }
            };
            steps.push(placeholder);
        }
        steps.join(".")
    }

    fn value(&mut self, value: Result<AttributeValue, String>) -> String {
        let placeholder = format!(":v{}", self.values.len());
        let value = value.unwrap_or_else(|fault| {
            self.fault.get_or_insert(fault);
            AttributeValue::Null(true)
        });
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    fn number(&mut self, number: impl ToString) -> String {
        self.value(Ok(AttributeValue::N(number.to_string())))
    }

    fn when(&mut self, when: When) {
        let condition = match when {
            When::Always => return,
            When::Absent => format!("attribute_not_exists({})", self.name(PK.into())),
            When::Present => format!("attribute_exists({})", self.name(PK.into())),
            When::Rev(rev) => {
                let (name, value) = (self.name("rev".into()), self.number(rev));
                format!("{name} = {value}")
            }
            When::AbsentOrExpired { now_s } => {
                let (key, name) = (self.name(PK.into()), self.name(EXPIRES.into()));
                let value = self.number(now_s);
                format!("(attribute_not_exists({key}) OR {name} <= {value})")
            }
        };
        self.conditions.push(condition);
    }

    fn check(&mut self, check: Check) -> String {
        let name = self.name(check.path);
        match check.test {
            Test::Exists => format!("attribute_exists({name})"),
            Test::Missing => format!("attribute_not_exists({name})"),
            Test::Fewer(size) => {
                let size = self.number(size);
                format!("size({name}) < {size}")
            }
            Test::Compare(operator, value) => {
                let value = self.value(value);
                format!("{name} {operator} {value}")
            }
        }
    }

    fn condition(&self) -> Option<String> {
        (!self.conditions.is_empty()).then(|| self.conditions.join(" AND "))
    }

    fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    fn values(&self) -> Option<Item> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}

#[derive(Clone, Debug)]
enum Action {
    Put(Item),
    Delete,
    Check,
    Update(Clauses),
}

#[derive(Clone, Debug, Default)]
struct Clauses {
    set: Vec<String>,
    remove: Vec<String>,
    add: Vec<String>,
}

impl Clauses {
    fn text(&self) -> String {
        [("SET", &self.set), ("REMOVE", &self.remove), ("ADD", &self.add)]
            .into_iter()
            .filter(|(_, parts)| !parts.is_empty())
            .map(|(word, parts)| format!("{word} {}", parts.join(", ")))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// One write, or one leg of a transaction.
#[derive(Clone, Debug)]
pub struct Write {
    key: Key,
    action: Action,
    expression: Expression,
    exact: bool,
}

impl Write {
    pub fn put<T: Entity>(entity: &T, when: When) -> Self {
        let (item, fault) = match encode(entity) {
            Ok(item) => (item, None),
            Err(broken) => (Item::new(), Some(broken.detail())),
        };
        let mut write = Self::new(entity.key(), Action::Put(item), when);
        write.expression.fault = fault;
        write
    }

    pub fn delete(key: Key, when: When) -> Self {
        Self::new(key, Action::Delete, when)
    }

    /// Writes nothing; a leg that must hold for the others to happen.
    pub fn check(key: Key, when: When) -> Self {
        Self::new(key, Action::Check, when)
    }

    pub fn update(update: Update) -> Self {
        update.into()
    }

    fn new(key: Key, action: Action, when: When) -> Self {
        let mut expression = Expression::default();
        expression.when(when);
        Self { key, action, expression, exact: true }
    }

    /// And this must hold too.
    #[must_use]
    pub fn require(mut self, check: Check) -> Self {
        let condition = self.expression.check(check);
        self.expression.conditions.push(condition);
        self
    }

    /// And at least one of these.
    #[must_use]
    pub fn require_any(mut self, checks: impl IntoIterator<Item = Check>) -> Self {
        let any: Vec<String> =
            checks.into_iter().map(|check| self.expression.check(check)).collect();
        if any.is_empty() {
            self.expression.fault.get_or_insert("no alternative given".to_owned());
        } else {
            self.expression.conditions.push(format!("({})", any.join(" OR ")));
        }
        self
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    fn sound(&self) -> Result<(), Broken> {
        match &self.expression.fault {
            Some(fault) => Err(Broken::new("encode", fault.clone())),
            None => Ok(()),
        }
    }
}

/// An update of some attributes of one item, which is created where it is missing and the
/// condition allows.
///
/// Alone (not in a transaction) an update with [`Update::add`] whose outcome stays unknown is
/// reported as broken rather than repeated: sums that matter belong in [`crate::Store::transact`].
#[derive(Clone, Debug)]
pub struct Update {
    write: Write,
    clauses: Clauses,
}

impl Update {
    pub fn at(key: Key, when: When) -> Self {
        Self { write: Write::new(key, Action::Check, when), clauses: Clauses::default() }
    }

    #[must_use]
    pub fn set(mut self, path: impl Into<Path>, value: impl Serialize) -> Self {
        let name = self.write.expression.name(path.into());
        let value = self.write.expression.value(to_value(value));
        self.clauses.set.push(format!("{name} = {value}"));
        self
    }

    /// Sets it where it is missing; else leaves it.
    #[must_use]
    pub fn set_once(mut self, path: impl Into<Path>, value: impl Serialize) -> Self {
        let name = self.write.expression.name(path.into());
        let value = self.write.expression.value(to_value(value));
        self.clauses.set.push(format!("{name} = if_not_exists({name}, {value})"));
        self
    }

    #[must_use]
    pub fn remove(mut self, path: impl Into<Path>) -> Self {
        let name = self.write.expression.name(path.into());
        self.clauses.remove.push(name);
        self
    }

    /// Adds to a number, from zero where it is missing; negative takes away. A path inside a map
    /// needs the map to exist.
    #[must_use]
    pub fn add(mut self, path: impl Into<Path>, amount: i64) -> Self {
        self.write.exact = false;
        let name = self.write.expression.name(path.into());
        let value = self.write.expression.number(amount);
        self.clauses.add.push(format!("{name} {value}"));
        self
    }

    /// Rewrites all index rows of the item: those given are set, the others removed.
    #[must_use]
    pub fn indexes(self, indexes: &Indexes) -> Self {
        Index::ALL
            .into_iter()
            .fold(self, |update, index| update.index(index, index.of(indexes).cloned()))
    }

    /// Moves the item in one index, or takes it out.
    #[must_use]
    pub fn index(self, index: Index, keys: Option<(String, String)>) -> Self {
        let (partition, sort) = index.attributes();
        match keys {
            Some((p, s)) => self.set(partition, p).set(sort, s),
            None => self.remove(partition).remove(sort),
        }
    }

    #[must_use]
    pub fn require(mut self, check: Check) -> Self {
        self.write = self.write.require(check);
        self
    }

    #[must_use]
    pub fn require_any(mut self, checks: impl IntoIterator<Item = Check>) -> Self {
        self.write = self.write.require_any(checks);
        self
    }
}

impl From<Update> for Write {
    fn from(update: Update) -> Self {
        let mut write = update.write;
        write.action = Action::Update(update.clauses);
        write
    }
}

impl Write {
    /// Adds the writer's mark, by which it recognises its own hand after a time-out.
    fn marked(mut self, mark: &AttributeValue) -> Self {
        match &mut self.action {
            Action::Put(item) => {
                item.insert(MARK.to_owned(), mark.clone());
            }
            Action::Update(_) => {
                let name = self.expression.name(MARK.into());
                let value = self.expression.value(Ok(mark.clone()));
                if let Action::Update(clauses) = &mut self.action {
                    clauses.set.push(format!("{name} = {value}"));
                }
            }
            Action::Delete | Action::Check => {}
        }
        self
    }
}
