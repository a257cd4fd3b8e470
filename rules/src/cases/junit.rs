//! The result of the tests beside the rules as JUnit XML, which CI systems show.

use std::io;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use crate::cases::TestReport;

impl TestReport {
    /// The report as JUnit XML: one suite, a case for each test, its file and line in `classname`.
    ///
    /// # Panics
    /// Never: memory takes every write.
    pub fn junit(&self) -> Vec<u8> {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        self.write_junit(&mut writer).expect("memory takes every write");
        let mut bytes = writer.into_inner();
        bytes.push(b'\n');
        bytes
    }

    fn write_junit(&self, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let (total, failed) = (self.total.to_string(), self.failures.len().to_string());
        let suite = writer.create_element("testsuite").with_attributes([
            ("name", "priem rules"),
            ("tests", total.as_str()),
            ("failures", failed.as_str()),
            ("errors", "0"),
        ]);
        suite.write_inner_content(|writer| {
            for (file, line, name) in &self.names {
                let place = format!("{}:{line}", file.display());
                let case = writer
                    .create_element("testcase")
                    .with_attributes([("classname", place.as_str()), ("name", name.as_str())]);
                let failure = self
                    .failures
                    .iter()
                    .find(|failure| failure.file == *file && failure.line == *line);
                let Some(failure) = failure else {
                    case.write_empty()?;
                    continue;
                };
                case.write_inner_content(|writer| {
                    let all = [failure.differences.as_slice(), failure.explanation.as_slice()].concat();
                    let message = failure.differences.join("; ");
                    writer
                        .create_element("failure")
                        .with_attribute(("message", message.as_str()))
                        .write_text_content(BytesText::new(&all.join("\n")))?;
                    Ok(())
                })?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::RuleSet;

    #[test]
    fn every_test_is_a_case_and_what_differs_is_a_failure() {
        let text = "version: 1
route: { id: root, name: Все, to: { organisation: МЦУ }, queue: q }
tests:
  - { name: хорошо, given: { text: а }, expect: { queue: q } }
  - { name: \"мимо <&>\", given: { text: а }, expect: { queue: другая } }
";
        let rules = RuleSet::parse(&[("a.yaml".into(), text.to_owned())]).expect("valid");
        let xml = String::from_utf8(rules.run_tests().junit()).expect("UTF-8");
        assert!(
            xml.contains(r#"<testsuite name="priem rules" tests="2" failures="1" errors="0">"#),
            "{xml}"
        );
        assert!(
            xml.contains(r#"<testcase classname="a.yaml:4" name="хорошо"/>"#),
            "{xml}"
        );
        assert!(xml.contains(r#"name="мимо &lt;&amp;&gt;""#), "{xml}");
        assert!(
            xml.contains("<failure message=\"queue: ожидали «другая», получили «q»\">"),
            "{xml}"
        );
    }
}
