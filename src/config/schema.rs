//! The JSON Schema of the configuration file.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::Value;

use super::file::Config;

/// JSON Schema of the configuration file, for editors.
#[must_use]
pub fn json_schema() -> Value {
    let generator = SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(join_description_lines))
        .with_transform(RecursiveTransform(drop_default_zone))
        .into_generator();
    let mut schema = generator.into_root_schema_for::<Config>();
    schema.insert("title".to_owned(), "clinic-gateway configuration".into());
    schema.to_value()
}

/// Drops the default of a time zone: what a source has by default is the gateway's.
fn drop_default_zone(schema: &mut Schema) {
    let is_zone = |reference: &str| reference.ends_with("/ZoneSetting");
    if schema
        .get("$ref")
        .and_then(Value::as_str)
        .is_some_and(is_zone)
    {
        schema.remove("default");
    }
}

/// Joins the lines of each paragraph of a description: doc comments are wrapped for readers of the
/// source.
fn join_description_lines(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        let paragraphs = description.split("\n\n");
        *description = paragraphs
            .map(|paragraph| paragraph.replace('\n', " "))
            .collect::<Vec<_>>()
            .join("\n\n");
    }
}
