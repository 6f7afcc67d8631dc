//! A report for continuous integration: one test case per promise. A broken promise is a failure, one without a verdict an
//! error, so that neither passes.

use std::fmt::{self, Write as _};

use super::{Report, text};
use crate::verdict::{Finding, Verdict};

/// Renders JUnit XML.
pub fn render(report: &Report<'_>) -> String {
    let mut out = String::new();
    write(&mut out, report).expect("writing to a string does not fail");
    out
}

fn write(out: &mut String, report: &Report<'_>) -> fmt::Result {
    let findings = &report.judgement.findings;
    let count = |verdict| findings.iter().filter(|one| one.verdict == verdict).count();
    let totals = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\"",
        findings.len(),
        count(Verdict::Broken),
        count(Verdict::Unknown),
        report.length().as_secs_f64()
    );
    let name = escape(&report.drill.name);
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"localaws\" {totals}>")?;
    writeln!(out, "  <testsuite name=\"{name}\" skipped=\"0\" {totals}>")?;
    writeln!(out, "    <properties>")?;
    properties(out, report)?;
    writeln!(out, "    </properties>")?;
    for finding in findings {
        case(out, &name, finding)?;
    }
    let told = escape(&text::render(report));
    writeln!(out, "    <system-out>{told}</system-out>")?;
    writeln!(out, "  </testsuite>\n</testsuites>")
}

fn properties(out: &mut String, report: &Report<'_>) -> fmt::Result {
    let mut property = |name: &str, value: &str| {
        let (name, value) = (escape(name), escape(value));
        writeln!(out, "      <property name=\"{name}\" value=\"{value}\"/>")
    };
    property("stack", report.stack)?;
    property("verdict", &report.judgement.verdict.to_string())?;
    if let Some(why) = &report.history.cut_short {
        property("cut-short", why)?;
    }
    for measures in &report.judgement.measures {
        if let Some(rto) = measures.rto() {
            let name = format!("rto-ms.{}", measures.endpoint);
            property(&name, &rto.as_millis().to_string())?;
        }
        if let Some(Ok(found)) = &measures.reconciliation {
            let name = format!("acknowledged-writes-lost.{}", measures.endpoint);
            property(&name, &found.lost.len().to_string())?;
            let name = format!("rpo-ms.{}", measures.endpoint);
            property(
                &name,
                &format!("{:.3}", found.rpo().as_secs_f64() * 1_000.0),
            )?;
        }
    }
    Ok(())
}

fn case(out: &mut String, suite: &str, finding: &Finding) -> fmt::Result {
    let name = escape(&finding.expectation.to_string());
    let because = escape(&finding.because);
    write!(out, "    <testcase classname=\"{suite}\" name=\"{name}\"")?;
    match finding.verdict {
        Verdict::Held => writeln!(out, "/>"),
        Verdict::Broken => writeln!(
            out,
            ">\n      <failure type=\"broken\" message=\"{because}\"/>\n    </testcase>"
        ),
        Verdict::Unknown => writeln!(
            out,
            ">\n      <error type=\"unknown\" message=\"{because}\"/>\n    </testcase>"
        ),
    }
}

/// Text as XML 1.0 takes it, in an element and in a quoted attribute. What XML can not hold at all becomes U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\t' => out.push(character),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn xml_is_escaped() {
        let check = |text: &str, expected: &str| assert_eq!(escape(text), expected);
        check("a<b>&\"c'", "a&lt;b&gt;&amp;&quot;c&apos;");
        check("line\nline\u{1b}[1m\u{0}", "line\nline\u{fffd}[1m\u{fffd}");
        check("]]>", "]]&gt;");
        check("é漢", "é漢");
    }
}
