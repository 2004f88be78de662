//! Evaluates policies as IAM does, for a made-up stack in which the ARN of each resource is its logical id.
//!
//! It knows those operators, variables and functions that the template uses, and panics at any other.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_norway::Value;

use crate::one_or_many;

/// The account of the made-up stack.
pub const ACCOUNT: &str = "123456789012";

/// A call as IAM sees it: who makes it, and what it says, by condition key.
#[derive(Clone, Debug)]
pub struct Call {
    pub action: String,
    pub resource: String,
    /// The kind of the principal, such as `AWS` or `Service`, and its name.
    principal: Option<(String, String)>,
    context: Vec<(String, Vec<String>)>,
    /// What such a call may say or not.
    optional: Vec<(&'static str, String)>,
}

/// A call without condition keys. Without a principal, it is made by somebody who has the policy.
pub fn call(action: &str, resource: &str) -> Call {
    Call {
        action: action.into(),
        resource: resource.into(),
        principal: None,
        context: Vec::new(),
        optional: Vec::new(),
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)?;
        if let Some((_, principal)) = &self.principal {
            write!(f, " by {principal}")?;
        }
        let mut context = self.context.iter();
        context.try_for_each(|(key, values)| write!(f, ", {key} {}", values.join(" and ")))
    }
}

impl Call {
    /// By a role.
    pub fn by(self, role: &str) -> Self {
        self.by_principal("AWS", role)
    }

    pub fn by_service(self, service: &str) -> Self {
        self.by_principal("Service", service)
    }

    fn by_principal(mut self, kind: &str, name: &str) -> Self {
        self.principal = Some((kind.into(), name.into()));
        self
    }

    pub fn over_tls(self, is_encrypted: bool) -> Self {
        self.saying("aws:SecureTransport", &[&is_encrypted.to_string()])
    }

    /// By somebody with the tag `restaurant_id`.
    pub fn tagged(self, restaurant: &str) -> Self {
        self.saying("aws:PrincipalTag/restaurant_id", &[restaurant])
    }

    /// For the items with these partition keys.
    pub fn of(self, keys: &[&str]) -> Self {
        self.saying("dynamodb:LeadingKeys", keys)
    }

    /// By a service that somebody called, and that makes this call for them, such as `sns`.
    pub fn by_way_of(self, service: &str) -> Self {
        let service = format!("{service}.eu-central-1.amazonaws.com");
        self.saying("kms:ViaService", &[&service])
    }

    pub fn saying(mut self, key: &str, values: &[&str]) -> Self {
        let values = values.iter().map(ToString::to_string).collect();
        self.context.push((key.into(), values));
        self
    }

    /// Allows a call that says this of itself, and one that does not.
    pub fn perhaps(mut self, key: &'static str, value: &str) -> Self {
        self.optional.push((key, value.into()));
        self
    }

    /// The same call with another action and resource.
    pub fn with(&self, action: &str, resource: &str) -> Self {
        let (action, resource) = (action.into(), resource.into());
        Self {
            action,
            resource,
            ..self.clone()
        }
    }

    /// Who makes the call, and what it says.
    pub fn said(&self) -> String {
        format!("{:?} {:?}", self.principal, self.context)
    }

    /// This call, and the same with one thing that it says left out, other, or said besides; and by others. What it could say, and
    /// who could make it, is whatever the policies name.
    pub fn variants(&self, named: &Named) -> Vec<Self> {
        let mut found = vec![self.clone()];
        for (index, (key, values)) in self.context.iter().enumerate() {
            let mut without = self.clone();
            without.context.remove(index);
            let others = named.others(key).into_iter();
            found.extend(others.map(|other| without.clone().saying(key, &[other])));
            if key.starts_with("dynamodb:") {
                let all = values.iter().map(String::as_str).chain(["another"]);
                found.push(without.clone().saying(key, &all.collect::<Vec<_>>()));
            }
            found.push(without);
        }
        let mut more = vec![self.clone()];
        for key in named.values.keys().filter(|key| self.values(key).is_none()) {
            let others = named.others(key).into_iter();
            more.extend(others.map(|value| self.clone().saying(key, &[value])));
        }
        if self.principal.is_some() {
            let strangers = [
                ("AWS", "arn:aws:iam::123456789012:role/stranger"),
                ("AWS", "*"),
                ("Service", "s3.amazonaws.com"),
            ];
            let named = named.principals.iter();
            let named = named.map(|(kind, name)| (kind.as_str(), name.as_str()));
            for (kind, name) in strangers.into_iter().chain(named) {
                let by = |call: &Self| call.clone().by_principal(kind, name);
                found.extend(more.iter().map(by));
            }
        }
        found.extend(more);
        found
    }

    /// Whether another call is one such as this, whose values may end with `*`.
    pub fn covers(&self, other: &Self) -> bool {
        let said = |key: &str| other.values(key);
        matches(&self.action, &other.action)
            && matches(&self.resource, &other.resource)
            && self.principal == other.principal
            && self.context.iter().all(|(key, values)| {
                let wanted = |said: &String| values.iter().any(|value| matches(value, said));
                said(key).is_some_and(|said| said.iter().all(wanted))
            })
            && self
                .optional
                .iter()
                .all(|(key, value)| said(key).is_none_or(|said| said == [value.as_str()]))
    }

    /// Whether a statement allows the call and none denies it.
    pub fn is_allowed_by(&self, statements: &[impl Borrow<Value>]) -> bool {
        self.has(statements, "Allow") && !self.is_denied_by(statements)
    }

    pub fn is_denied_by(&self, statements: &[impl Borrow<Value>]) -> bool {
        self.has(statements, "Deny")
    }

    fn has(&self, statements: &[impl Borrow<Value>], effect: &str) -> bool {
        let mut statements = statements.iter().map(Borrow::borrow);
        statements.any(|statement| statement["Effect"] == effect && self.is_meant_by(statement))
    }

    /// Whether principal, action, resource and all conditions of a statement match.
    fn is_meant_by(&self, statement: &Value) -> bool {
        let principal = || match (statement.get("Principal"), &self.principal) {
            // The policy of a role has none: it is its principal's.
            (None, _) => true,
            (Some(everybody), _) if everybody == "*" => true,
            (Some(principals), Some((kind, name))) => {
                principals.get(kind).is_some_and(|names| any(names, name))
            }
            (Some(_), None) => false,
        };
        let conditions = statement.get("Condition").and_then(Value::as_mapping);
        let mut conditions = conditions
            .into_iter()
            .flatten()
            .flat_map(|(operator, keys)| {
                let keys = keys.as_mapping().expect("condition keys").iter();
                keys.map(move |(key, values)| (operator, key, values))
            });
        concerns(statement, &self.action, &self.resource)
            && principal()
            && conditions.all(|(operator, key, values)| {
                let (operator, key) = (operator.as_str(), key.as_str().expect("a key"));
                self.meets(operator.expect("an operator"), key, values)
            })
    }

    /// Whether what the call says meets a condition. A key that the call does not have meets no condition but `IfExists`,
    /// `Null` and `ForAllValues`:
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>
    fn meets(&self, operator: &str, key: &str, expected: &Value) -> bool {
        let found = self.values(key);
        let expected: Vec<_> = one_or_many(expected)
            .into_iter()
            .filter_map(|value| self.substitute(resolve(value)))
            .collect();
        let equals = |value: &String| expected.contains(value);
        let like = |value: &String| expected.iter().any(|pattern| matches(pattern, value));
        match operator {
            "StringEquals" | "Bool" => found.is_some_and(|values| values.iter().any(equals)),
            "ArnEquals" | "ArnLike" => found.is_some_and(|values| values.iter().any(like)),
            "StringEqualsIfExists" => found.is_none_or(|values| values.iter().any(equals)),
            "ForAllValues:StringEquals" => found.unwrap_or_default().iter().all(equals),
            "ForAllValues:StringLike" | "ForAllValues:ArnLike" => {
                found.unwrap_or_default().iter().all(like)
            }
            "Null" => equals(&found.is_none().to_string()),
            other => panic!("say here what {other} means"),
        }
    }

    fn values(&self, key: &str) -> Option<&[String]> {
        let mut context = self.context.iter();
        let found = context.find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, values)| values.as_slice())
    }

    /// A value with its policy variable replaced. None, which equals nothing, if the call lacks the variable.
    fn substitute(&self, value: String) -> Option<String> {
        let variable = value.strip_prefix("${");
        match variable.and_then(|rest| rest.strip_suffix('}')) {
            Some(variable) => self.values(variable)?.first().cloned(),
            None => Some(value),
        }
    }
}

/// Whom and what the statements of policies name.
#[derive(Default)]
pub struct Named {
    principals: BTreeSet<(String, String)>,
    /// By condition key.
    values: BTreeMap<String, BTreeSet<String>>,
}

impl Named {
    pub fn by(statements: &[impl Borrow<Value>]) -> Self {
        let mut named = Self::default();
        // Something that a pattern matches.
        let example = |value: &Value| resolve(value).replace('*', "any");
        let each = |value: &Value| value.as_mapping().cloned().unwrap_or_default();
        let text = |key: Value| key.as_str().expect("a name").to_owned();
        for statement in statements.iter().map(Borrow::borrow) {
            for (kind, names) in each(&statement["Principal"]) {
                let kind = text(kind);
                let all = one_or_many(&names).into_iter().map(resolve);
                named
                    .principals
                    .extend(all.map(|name| (kind.clone(), name)));
            }
            for (key, values) in each(&statement["Condition"])
                .into_iter()
                .flat_map(|(_, keys)| each(&keys))
            {
                let values = one_or_many(&values).into_iter().map(example);
                // A policy variable stands for what the call says.
                let values = values.filter(|value| !value.starts_with("${"));
                named.values.entry(text(key)).or_default().extend(values);
            }
        }
        named
    }

    /// What a call could say by a key.
    fn others(&self, key: &str) -> Vec<&str> {
        let named = self.values.get(key).into_iter().flatten();
        let mut others: Vec<_> = named.map(String::as_str).collect();
        match others.first() {
            Some(&("true" | "false")) => others = vec!["true", "false"],
            _ => others.push("another"),
        }
        others
    }
}

/// Whether a statement is about an action on a resource.
pub fn concerns(statement: &Value, action: &str, resource: &str) -> bool {
    any(&statement["Action"], action) && any(&statement["Resource"], resource)
}

fn any(patterns: &Value, found: &str) -> bool {
    let mut patterns = one_or_many(patterns).into_iter();
    patterns.any(|pattern| matches(&resolve(pattern), found))
}

/// Whether a text matches a pattern, which has no `*` but at its end.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => !begin.contains('*') && text.starts_with(begin),
        None => pattern == text,
    }
}

/// Statements of the template in the made-up stack.
pub fn resolved(value: &Value) -> Value {
    match value {
        Value::Tagged(_) => resolve(value).into(),
        Value::Sequence(values) => values.iter().map(resolved).collect(),
        Value::Mapping(values) => {
            let values = values
                .iter()
                .map(|(key, value)| (key.clone(), resolved(value)));
            Value::Mapping(values.collect())
        }
        value => value.clone(),
    }
}

/// A value of the template in the made-up stack.
pub fn resolve(value: &Value) -> String {
    let Value::Tagged(tagged) = value else {
        return match value {
            Value::Bool(value) => value.to_string(),
            value => value.as_str().expect("a text").to_owned(),
        };
    };
    let text = tagged.value.as_str().expect("a text");
    match (tagged.tag.to_string().as_str(), text) {
        ("!Ref" | "!GetAtt", name) => value_of(name),
        ("!Sub", text) => resolve_text(text),
        (other, _) => panic!("say here what {other} gives"),
    }
}

/// A text with `${…}` in the made-up stack.
pub fn resolve_text(text: &str) -> String {
    let mut parts = text.split("${");
    let mut resolved = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').expect("an end of ${");
        resolved += &value_of(name);
        resolved += rest;
    }
    resolved
}

/// What the name of a resource, an attribute, a parameter or of AWS's stands for.
fn value_of(name: &str) -> String {
    let value = match name {
        "AWS::AccountId" => ACCOUNT,
        "AWS::Partition" => "aws",
        "AWS::Region" => "eu-central-1",
        "AWS::StackName" => "stack-7",
        name => name.trim_end_matches(".Arn"),
    };
    value.to_owned()
}
