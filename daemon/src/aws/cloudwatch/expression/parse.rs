//! From an expression's text to its terms. Depth is bounded.

use wire::Fault;

use crate::aws::cloudwatch::span::invalid;
use crate::aws::input::not_implemented;

/// Terms within terms: nobody's metric math has more.
const DEPTH_MAX: usize = 32;
/// Terms in a row, joined by operators that bind alike.
const CHAIN_MAX: usize = 200;

/// A term of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::aws::cloudwatch) enum Term {
    Number(f64),
    /// A text, the argument of a function.
    Text(String),
    /// Another query, by its id; or `REPEAT` and the like.
    Name(String),
    List(Vec<Term>),
    Negative(Box<Term>),
    Both(Box<Term>, Operator, Box<Term>),
    Call(Function, Vec<Term>),
}

/// What two terms are joined by, the loosest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::aws::cloudwatch) enum Operator {
    Or,
    And,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    Plus,
    Minus,
    Times,
    Over,
    Power,
}

/// What can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::aws::cloudwatch) enum Function {
    Abs,
    Avg,
    Ceil,
    Diff,
    Fill,
    Floor,
    If,
    Max,
    Metrics,
    Min,
    Period,
    Rate,
    Sum,
}

const FUNCTIONS: &[(&str, Function)] = &[
    ("ABS", Function::Abs),
    ("AVG", Function::Avg),
    ("CEIL", Function::Ceil),
    ("DIFF", Function::Diff),
    ("FILL", Function::Fill),
    ("FLOOR", Function::Floor),
    ("IF", Function::If),
    ("MAX", Function::Max),
    ("METRICS", Function::Metrics),
    ("MIN", Function::Min),
    ("PERIOD", Function::Period),
    ("RATE", Function::Rate),
    ("SUM", Function::Sum),
];

/// Operators by how tightly they bind, and how they are written; those of one row bind alike.
const OPERATORS: &[&[(&str, Operator)]] = &[
    &[("||", Operator::Or), ("OR", Operator::Or)],
    &[("&&", Operator::And), ("AND", Operator::And)],
    &[
        ("<=", Operator::LessOrEqual),
        ("<", Operator::Less),
        (">=", Operator::GreaterOrEqual),
        (">", Operator::Greater),
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
    ],
    &[("+", Operator::Plus), ("-", Operator::Minus)],
    &[("*", Operator::Times), ("/", Operator::Over)],
    &[("^", Operator::Power)],
];

impl Term {
    /// Reads an expression.
    pub(in crate::aws::cloudwatch) fn read(text: &str) -> Result<Self, Fault> {
        // Queries of Metrics Insights and anomaly bands are other languages.
        if text
            .trim_start()
            .to_ascii_uppercase()
            .starts_with("SELECT ")
        {
            return Err(not_implemented("a query of Metrics Insights"));
        }
        let mut reader = Reader {
            rest: text,
            depth: 0,
        };
        let term = reader.joined(0)?;
        reader.space();
        if !reader.rest.is_empty() {
            return Err(reader.broken());
        }
        Ok(term)
    }

    /// The names in it.
    pub(in crate::aws::cloudwatch) fn names(&self) -> Vec<&str> {
        match self {
            Self::Number(_) | Self::Text(_) => Vec::new(),
            Self::Name(name) if KEYWORDS.contains(&name.as_str()) => Vec::new(),
            Self::Name(name) => vec![name],
            Self::Negative(term) => term.names(),
            Self::Both(one, _, other) => [one.names(), other.names()].concat(),
            Self::List(terms) | Self::Call(_, terms) => {
                terms.iter().flat_map(Self::names).collect()
            }
        }
    }

    /// Whether it stands for something of all metrics of its call.
    pub(in crate::aws::cloudwatch) fn asks_for_metrics(&self) -> bool {
        match self {
            Self::Number(_) | Self::Text(_) | Self::Name(_) => false,
            Self::Call(Function::Metrics, _) => true,
            Self::Negative(term) => term.asks_for_metrics(),
            Self::Both(one, _, other) => one.asks_for_metrics() || other.asks_for_metrics(),
            Self::List(terms) | Self::Call(_, terms) => terms.iter().any(Self::asks_for_metrics),
        }
    }
}

/// Words that stand for a way, not for a query: ids begin in lower case.
const KEYWORDS: [&str; 2] = ["REPEAT", "LINEAR"];

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn broken(&self) -> Fault {
        let rest: String = self.rest.chars().take(40).collect();
        let text = if rest.is_empty() {
            "Error in expression: it ends too early".to_owned()
        } else {
            format!("Error in expression: unexpected '{rest}'")
        };
        invalid(text)
    }

    /// Terms joined by operators that bind at least so tightly.
    fn joined(&mut self, row: usize) -> Result<Term, Fault> {
        let Some(operators) = OPERATORS.get(row) else {
            return self.single();
        };
        let mut term = self.joined(row + 1)?;
        while let Some(operator) = self.operator(operators) {
            let other = self.joined(row + 1)?;
            term = Term::Both(Box::new(term), operator, Box::new(other));
            if term.joints() > CHAIN_MAX {
                return Err(not_implemented("an expression of so many terms"));
            }
        }
        Ok(term)
    }

    fn operator(&mut self, operators: &[(&str, Operator)]) -> Option<Operator> {
        self.space();
        let found = operators.iter().find_map(|(word, operator)| {
            let rest = self.rest.strip_prefix(word)?;
            let ends = |rest: &str| !rest.starts_with(|it: char| it.is_alphanumeric() || it == '_');
            let is_word = word.starts_with(|it: char| it.is_alphabetic());
            (!is_word || ends(rest)).then_some((rest, *operator))
        });
        let (rest, operator) = found?;
        self.rest = rest;
        Some(operator)
    }

    fn single(&mut self) -> Result<Term, Fault> {
        self.space();
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(not_implemented("an expression of so many levels"));
        }
        let term = match self.rest.chars().next() {
            Some('-') => {
                self.rest = &self.rest[1..];
                // As everywhere, a power binds tighter than the sign before it.
                let row = OPERATORS.len() - 1;
                Term::Negative(Box::new(self.joined(row)?))
            }
            Some('(') => {
                self.rest = &self.rest[1..];
                let term = self.joined(0)?;
                self.expect(')')?;
                term
            }
            Some('[') => {
                self.rest = &self.rest[1..];
                Term::List(self.list(']')?)
            }
            Some('"') => self.text()?,
            Some(first) if first.is_ascii_digit() || first == '.' => self.number()?,
            Some(first) if first.is_ascii_alphabetic() => self.named()?,
            Some(_) | None => return Err(self.broken()),
        };
        self.depth -= 1;
        Ok(term)
    }

    fn expect(&mut self, wanted: char) -> Result<(), Fault> {
        self.space();
        self.rest = self
            .rest
            .strip_prefix(wanted)
            .ok_or_else(|| self.broken())?;
        Ok(())
    }

    /// Terms with commas between them, up to what ends them.
    fn list(&mut self, end: char) -> Result<Vec<Term>, Fault> {
        let mut terms = Vec::new();
        self.space();
        if let Some(rest) = self.rest.strip_prefix(end) {
            self.rest = rest;
            return Ok(terms);
        }
        loop {
            terms.push(self.joined(0)?);
            self.space();
            match self.rest.strip_prefix(',') {
                Some(rest) => self.rest = rest,
                None => break,
            }
        }
        self.expect(end)?;
        Ok(terms)
    }

    fn taken(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|it| !belongs(it)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn text(&mut self) -> Result<Term, Fault> {
        self.rest = &self.rest[1..];
        let text = self.taken(|it| it != '"').to_owned();
        self.expect('"')?;
        Ok(Term::Text(text))
    }

    fn number(&mut self) -> Result<Term, Fault> {
        let before = self.rest;
        let digits = self.taken(|it| it.is_ascii_digit() || it == '.');
        let number = digits.parse().ok();
        number.map(Term::Number).ok_or_else(|| {
            self.rest = before;
            self.broken()
        })
    }

    fn named(&mut self) -> Result<Term, Fault> {
        let name = self.taken(|it| it.is_ascii_alphanumeric() || it == '_');
        let Some(rest) = self.rest.trim_start().strip_prefix('(') else {
            return Ok(Term::Name(name.to_owned()));
        };
        let known = FUNCTIONS.iter().find(|(known, _)| *known == name);
        let Some((_, function)) = known else {
            return Err(not_implemented(format!(
                "the function {name} of metric math"
            )));
        };
        self.rest = rest;
        Ok(Term::Call(*function, self.list(')')?))
    }
}

impl Term {
    /// Operators one within another on the left, where a chain of them grows.
    fn joints(&self) -> usize {
        let mut term = self;
        let mut joints = 0;
        while let Self::Both(left, _, _) = term {
            joints += 1;
            term = left;
        }
        joints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With every join in brackets.
    fn spelled(term: &Term) -> String {
        match term {
            Term::Number(number) => number.to_string(),
            Term::Text(text) => format!("{text:?}"),
            Term::Name(name) => name.clone(),
            Term::Negative(term) => format!("-{}", spelled(term)),
            Term::Both(one, operator, other) => {
                let rows = OPERATORS.iter().flat_map(|row| row.iter());
                let word = rows.clone().find(|(_, it)| it == operator).unwrap().0;
                format!("({} {word} {})", spelled(one), spelled(other))
            }
            Term::List(terms) => {
                let terms: Vec<String> = terms.iter().map(spelled).collect();
                format!("[{}]", terms.join(", "))
            }
            Term::Call(function, terms) => {
                let terms: Vec<String> = terms.iter().map(spelled).collect();
                format!("{function:?}({})", terms.join(", "))
            }
        }
    }

    #[test]
    fn terms_bind_as_everywhere() {
        for (text, wanted) in [
            ("m1+m2*3", "(m1 + (m2 * 3))"),
            ("(m1 + m2) * 3", "((m1 + m2) * 3)"),
            ("100*(e/r)", "(100 * (e / r))"),
            ("a-b-c", "((a - b) - c)"),
            ("-a^2", "-(a ^ 2)"),
            (
                "a > 1 AND b<=2.5 || c == 3",
                "(((a > 1) && (b <= 2.5)) || (c == 3))",
            ),
            ("IF(a>0, b, FILL(c, 0))", "If((a > 0), b, Fill(c, 0))"),
            (
                "SUM([a,b]) / SUM(METRICS(\"e\"))",
                "(Sum([a, b]) / Sum(Metrics(\"e\")))",
            ),
            ("order", "order"),
        ] {
            assert_eq!(spelled(&Term::read(text).unwrap()), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in [
            "", "m1 +", "(m1", "m1)", "m1 m2", "1.2.3", "\"open", "[a", "é", "SUM(a", "a,b",
        ] {
            let fault = Term::read(text).unwrap_err();
            assert_eq!(fault.code, "ValidationError", "{text}");
        }
        for text in [
            "SEARCH('{A,B} x', 'Sum')",
            "ANOMALY_DETECTION_BAND(m1)",
            "SELECT AVG(x) FROM y",
            &"(".repeat(2_000),
            &"-".repeat(2_000),
            &"a+".repeat(1_000),
            &"ABS(".repeat(500),
        ] {
            assert_eq!(Term::read(text).unwrap_err().status, 501, "{text}");
        }
    }
}
