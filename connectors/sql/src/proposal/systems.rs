//! Known systems, by tables that only they have.

use crate::catalog::Catalog;

/// Name of a system, and some of its tables with a column each, all of which it has.
struct System {
    name: &'static str,
    signs: &'static [(&'static str, &'static str)],
}

/// The narrower ones first: a distribution before what it is built on.
const SYSTEMS: [System; 9] = [
    System {
        name: "SORMAS",
        signs: &[
            ("cases", "caseclassification"),
            ("samples", "associatedcase_id"),
            ("pathogentest", "testeddisease"),
        ],
    },
    System {
        name: "Bahmni (OpenMRS)",
        signs: &[("obs", "value_coded"), ("bahmni_config", "config_name")],
    },
    System {
        name: "OpenMRS",
        signs: &[
            ("obs", "value_coded"),
            ("concept_name", "concept_id"),
            ("person", "person_id"),
        ],
    },
    System {
        name: "OpenEMR or LibreHealth EHR",
        signs: &[
            ("patient_data", "pid"),
            ("immunizations", "cvx_code"),
            ("list_options", "list_id"),
        ],
    },
    System {
        name: "DHIS2 (events since 2.40)",
        signs: &[
            ("event", "eventdatavalues"),
            ("trackedentityattributevalue", "value"),
        ],
    },
    System {
        name: "DHIS2",
        signs: &[
            ("programstageinstance", "eventdatavalues"),
            ("trackedentityattributevalue", "value"),
        ],
    },
    System {
        name: "OpenELIS Global",
        signs: &[
            ("clinlims.analysis", "test_id"),
            ("clinlims.result", "analysis_id"),
        ],
    },
    System {
        name: "GNU Health",
        signs: &[
            ("gnuhealth_patient", "name"),
            ("gnuhealth_vaccination", "vaccine"),
        ],
    },
    System {
        name: "OSCAR EMR",
        signs: &[
            ("demographic", "demographic_no"),
            ("preventions", "prevention_type"),
        ],
    },
];

/// Frameworks that keep moments in UTC in columns without a zone.
const IN_UTC: [System; 5] = [
    System {
        name: "GNU Health",
        signs: &[
            ("gnuhealth_patient", "name"),
            ("gnuhealth_vaccination", "vaccine"),
        ],
    },
    System {
        name: "Tryton",
        signs: &[
            ("ir_module", "write_date"),
            ("ir_model_field", "create_date"),
        ],
    },
    System {
        name: "Odoo",
        signs: &[
            ("ir_module_module", "write_date"),
            ("res_partner", "create_date"),
        ],
    },
    System {
        name: "Rails",
        signs: &[
            ("schema_migrations", "version"),
            ("ar_internal_metadata", "key"),
        ],
    },
    System {
        name: "Django",
        signs: &[
            ("django_migrations", "app"),
            ("django_content_type", "app_label"),
        ],
    },
];

/// Name of the system that a database is of, if it is known.
pub(super) fn recognise(catalog: &Catalog) -> Option<&'static str> {
    find(&SYSTEMS, catalog)
}

/// Name of the framework that keeps the moments of a database in UTC, if it is known.
pub(super) fn in_utc(catalog: &Catalog) -> Option<&'static str> {
    find(&IN_UTC, catalog)
}

fn find(systems: &[System], catalog: &Catalog) -> Option<&'static str> {
    let has = |(name, column): &(&str, &str)| {
        let (schema, name) = name.split_once('.').unwrap_or(("", name));
        catalog.tables.iter().any(|table| {
            table.name.eq_ignore_ascii_case(name)
                && (schema.is_empty() || table.schema == schema)
                && table
                    .columns
                    .iter()
                    .any(|own| own.name.eq_ignore_ascii_case(column))
        })
    };
    let known = systems.iter().find(|system| system.signs.iter().all(has));
    known.map(|system| system.name)
}
