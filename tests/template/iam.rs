//! Evaluates policies as IAM does, for a made-up stack in which the ARN of each resource is its logical id.
//!
//! It knows those operators, variables and functions that the template uses, and panics at any other.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use std::borrow::Borrow;

use serde_norway::Value;

use crate::one_or_many;

/// The account of the made-up stack.
pub const ACCOUNT: &str = "123456789012";

/// A call as IAM sees it: who makes it, and what it says, by condition key.
#[derive(Debug)]
pub struct Call {
    action: &'static str,
    resource: String,
    /// The kind of the principal, `AWS` or `Service`, and its name.
    principal: Option<(&'static str, String)>,
    context: Vec<(&'static str, Vec<String>)>,
}

/// A call without condition keys. Without a principal, it is made by somebody who has the policy.
pub fn call(action: &'static str, resource: &str) -> Call {
    Call {
        action,
        resource: resource.into(),
        principal: None,
        context: Vec::new(),
    }
}

impl Call {
    /// By a role.
    pub fn by(mut self, role: &str) -> Self {
        self.principal = Some(("AWS", role.into()));
        self
    }

    pub fn by_service(mut self, service: &str) -> Self {
        self.principal = Some(("Service", service.into()));
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

    pub fn saying(mut self, key: &'static str, values: &[&str]) -> Self {
        let values = values.iter().map(ToString::to_string).collect();
        self.context.push((key, values));
        self
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
        let any = |patterns: &Value, found: &str| {
            let mut patterns = one_or_many(patterns).into_iter();
            patterns.any(|pattern| matches(&resolve(pattern), found))
        };
        let principal = match (statement.get("Principal"), &self.principal) {
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
        principal
            && any(&statement["Action"], self.action)
            && any(&statement["Resource"], &self.resource)
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

/// Asserts that somebody with these statements may make these calls, and that the statements name no action and no resource that
/// none of the calls needs.
pub fn assert_needed(who: &str, statements: &[impl Borrow<Value>], calls: &[Call]) {
    for call in calls {
        assert!(call.is_allowed_by(statements), "{who} may not {call:?}");
    }
    for statement in statements.iter().map(Borrow::<Value>::borrow) {
        let named = |field: &str| -> Vec<String> {
            let values = one_or_many(&statement[field]);
            values.into_iter().map(resolve).collect()
        };
        let (actions, resources) = (named("Action"), named("Resource"));
        let needs = |action: &str, resource: &str| {
            let mut calls = calls.iter();
            calls.any(|call| call.action == action && matches(resource, &call.resource))
        };
        for action in &actions {
            let needed = resources.iter().any(|resource| needs(action, resource));
            assert!(needed, "{who} needs no {action} on {resources:?}");
        }
        for resource in &resources {
            let needed = actions.iter().any(|action| needs(action, resource));
            assert!(needed, "{who} needs none of {actions:?} on {resource}");
        }
    }
}

/// Whether a text matches a pattern, which has no `*` but at its end.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => !begin.contains('*') && text.starts_with(begin),
        None => pattern == text,
    }
}

/// A value of the template in the made-up stack.
fn resolve(value: &Value) -> String {
    let Value::Tagged(tagged) = value else {
        return match value {
            Value::Bool(value) => value.to_string(),
            value => value.as_str().expect("a text").to_owned(),
        };
    };
    let text = tagged.value.as_str().expect("a text");
    match (tagged.tag.to_string().as_str(), text) {
        ("!Ref", "AWS::AccountId") => ACCOUNT.to_owned(),
        ("!Ref", id) => id.to_owned(),
        ("!GetAtt", id) => id.trim_end_matches(".Arn").to_owned(),
        ("!Sub", text) => text
            .replace("${AWS::Partition}", "aws")
            .replace("${AWS::Region}", "eu-central-1")
            .replace("${AWS::AccountId}", ACCOUNT)
            .replace("${AWS::StackName}", "orders")
            .replace(".Arn}", "")
            .replace("${", ""),
        (other, _) => panic!("say here what {other} gives"),
    }
}
