//! Levels of severity by a mapping.

use super::{Answer, Refusal, Tree};

/// The first level of `mapping` of which a criterion fits.
///
/// A level has a list of criteria: `{"equals": ["warn", "warning"]}` for texts and
/// `{"range": {"min": 400, "max": 499}}` or `{"range": "4xx"}` for whole numbers.
///
/// # Errors
///
/// Fails for a mapping of another form, a target of another type, and one that fits none.
pub fn parse_severity(target: &Tree, mapping: &[(String, Tree)]) -> Answer<String> {
    let target = match target {
        Tree::Str(text) => Target::Text(text),
        Tree::Int(number) => Target::Number(*number),
        _ => return Err(Refusal::new("a severity is made of a string or a whole number")),
    };
    for (level, criteria) in mapping {
        let Tree::List(criteria) = criteria else {
            return Err(Refusal::new(format!("the level `{level}` needs a list of criteria")));
        };
        for criterion in criteria {
            if target.fits(criterion, level)? {
                return Ok(level.clone());
            }
        }
    }
    let target = match target {
        Target::Text(text) => text.to_owned(),
        Target::Number(number) => number.to_string(),
    };
    Err(Refusal::new(format!("no level of the mapping is for `{target}`")))
}

#[derive(Clone, Copy)]
enum Target<'t> {
    Text(&'t str),
    Number(i64),
}

impl Target<'_> {
    fn fits(self, criterion: &Tree, level: &str) -> Answer<bool> {
        let Tree::Map(criterion) = criterion else {
            return Err(Refusal::new(format!("a criterion of `{level}` is not a map")));
        };
        let get =
            |name: &str| criterion.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        match (self, get("equals"), get("range")) {
            (Self::Text(text), Some(Tree::List(values)), _) => {
                if values.iter().any(|value| !matches!(value, Tree::Str(_))) {
                    return Err(Refusal::new(format!("`equals` of `{level}` takes strings only")));
                }
                Ok(values.iter().any(|value| matches!(value, Tree::Str(other) if other == text)))
            }
            (Self::Text(_), Some(_), _) => {
                Err(Refusal::new(format!("`equals` of `{level}` needs a list of strings")))
            }
            (Self::Number(number), _, Some(range)) => {
                let (least, most) = bounds(range, level)?;
                Ok((least..=most).contains(&number))
            }
            _ => Ok(false),
        }
    }
}

fn bounds(range: &Tree, level: &str) -> Answer<(i64, i64)> {
    let refuse = |reason: &str| Refusal::new(format!("`range` of `{level}` {reason}"));
    match range {
        Tree::Str(text) => match &**text {
            "2xx" => Ok((200, 299)),
            "3xx" => Ok((300, 399)),
            "4xx" => Ok((400, 499)),
            "5xx" => Ok((500, 599)),
            _ => Err(refuse(&format!("cannot be `{text}`: use 2xx, 3xx, 4xx or 5xx"))),
        },
        Tree::Map(pairs) => {
            let bound = |name: &str| match pairs.iter().find(|(key, _)| key == name) {
                Some((_, Tree::Int(number))) => Ok(*number),
                Some(_) => Err(refuse(&format!("needs a whole number as `{name}`"))),
                None => Err(refuse(&format!("needs `{name}`"))),
            };
            Ok((bound("min")?, bound("max")?))
        }
        _ => Err(refuse("is neither a map nor a word such as 4xx")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: Vec<Tree>) -> Tree {
        Tree::List(items)
    }

    #[test]
    fn levels_are_found_as_documented() {
        // The Collector's documentation of ParseSeverity.
        let equals = Tree::map([("equals", list(vec![Tree::str("inf")]))]);
        let range = Tree::map([("min", Tree::Int(200)), ("max", Tree::Int(299))]);
        let info = list(vec![equals, Tree::map([("range", range)])]);
        let error = list(vec![Tree::map([("range", Tree::str("4xx"))])]);
        let mapping = [("info".to_owned(), info), ("error".to_owned(), error)];
        let level = |target| parse_severity(&target, &mapping);
        assert_eq!(level(Tree::str("inf")).as_deref(), Ok("info"));
        assert_eq!(level(Tree::Int(200)).as_deref(), Ok("info"));
        assert_eq!(level(Tree::Int(299)).as_deref(), Ok("info"));
        assert_eq!(level(Tree::Int(450)).as_deref(), Ok("error"));
        // Results of the Collector's OTTL 1.4: these are errors.
        for target in
            [Tree::Int(1), Tree::str("450"), Tree::str("INF"), Tree::Nil, Tree::Bool(true)]
        {
            assert!(level(target).is_err());
        }
        let wrong = [
            Tree::str("x"),
            list(vec![Tree::str("x")]),
            list(vec![Tree::map([("range", Tree::str("9xx"))])]),
            list(vec![Tree::map([("range", Tree::map([("min", Tree::Int(1))]))])]),
        ];
        for criteria in wrong {
            let mapping = [("info".to_owned(), criteria)];
            assert!(parse_severity(&Tree::Int(1), &mapping).is_err());
        }
        let numbers = list(vec![Tree::map([("equals", list(vec![Tree::Int(4)]))])]);
        assert!(parse_severity(&Tree::str("4"), &[("a".to_owned(), numbers)]).is_err());
    }
}
