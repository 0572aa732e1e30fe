//! JSON log lines whose `fields` hold the fields of the enclosing spans too, so that a collector
//! finds `source` and `feed` in one place whether a line or its span states them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Event format that adds the fields of the enclosing spans to the lines of another JSON format.
pub(crate) struct FlatJson<F> {
    pub(crate) inner: F,
}

/// A line of the inner format.
#[derive(Serialize, Deserialize)]
struct Line {
    timestamp: String,
    level: String,
    fields: Map<String, Value>,
    target: String,
}

impl<S, F> FormatEvent<S, JsonFields> for FlatJson<F>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    F: FormatEvent<S, JsonFields>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.inner
            .format_event(context, Writer::new(&mut text), event)?;
        let Some(spans) = context.event_scope() else {
            return writer.write_str(&text);
        };
        let Ok(mut line) = serde_json::from_str::<Line>(&text) else {
            return writer.write_str(&text);
        };
        // From the innermost outwards: the nearest statement of a field counts.
        for span in spans {
            let extensions = span.extensions();
            let fields = extensions
                .get::<FormattedFields<JsonFields>>()
                .and_then(|fields| serde_json::from_str::<Map<String, Value>>(fields).ok());
            for (name, value) in fields.into_iter().flatten() {
                line.fields.entry(name).or_insert(value);
            }
        }
        let text = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{text}")
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_holds_the_fields_of_its_spans_beside_its_own() {
        let captured = Captured::default();
        let writer = captured.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .json()
            .with_current_span(false)
            .with_span_list(false)
            .map_event_format(|inner| FlatJson { inner });
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let _outer = tracing::error_span!("run", source = %"mis", code = 1).entered();
            let _inner = tracing::error_span!("feed", feed = %"tests").entered();
            tracing::warn!(event = "pull-failed", code = 2, "a pull stopped");
        });
        let bytes = captured.0.lock().expect("not poisoned").clone();
        let text = String::from_utf8(bytes).expect("text");
        let line: Value = serde_json::from_str(&text).expect("one object a line");
        let fields = serde_json::json!({
            "message": "a pull stopped", "event": "pull-failed", "code": 2,
            "source": "mis", "feed": "tests",
        });
        assert_eq!(line["fields"], fields);
        assert_eq!(line["level"], "WARN");
        assert!(line["span"].is_null() && text.ends_with("}\n"));
    }
}
