//! Known systems, by tables that only they have.

use crate::catalog::{Catalog, Table};

/// Name of a system, and some of its tables with a column each, all of which it has.
struct System {
    name: &'static str,
    /// What helps with it; empty where the proposal says all.
    guide: &'static str,
    signs: &'static [(&'static str, &'static str)],
}

/// The narrower ones first: a distribution before what it is built on.
const SYSTEMS: [System; 12] = [
    System {
        name: "SORMAS",
        guide: "config/clinics/outbreak-postgres.toml is a whole example of such a system: a query for each kind of fact, and the short queries that notice changes",
        signs: &[
            ("cases", "caseclassification"),
            ("samples", "associatedcase_id"),
            ("pathogentest", "testeddisease"),
        ],
    },
    System {
        name: "Bahmni (OpenMRS)",
        guide: "config/clinics/records-mariadb.toml is a whole example of such a system: it puts a dose together from the observations of one group, by the numbers of the concepts",
        signs: &[("obs", "value_coded"), ("bahmni_config", "config_name")],
    },
    System {
        name: "OpenMRS",
        guide: "config/clinics/records-mariadb.toml is a whole example of such a system: it puts a dose together from the observations of one group, by the numbers of the concepts",
        signs: &[
            ("obs", "value_coded"),
            ("concept_name", "concept_id"),
            ("person", "person_id"),
        ],
    },
    System {
        name: "OpenEMR or LibreHealth EHR",
        guide: "config/clinics/practice-mariadb.toml is a whole example of such a system: CVX codes of vaccines, and results of the laboratory, which have no stamp",
        signs: &[
            ("patient_data", "pid"),
            ("immunizations", "cvx_code"),
            ("list_options", "list_id"),
        ],
    },
    System {
        name: "DHIS2 (events since 2.40)",
        guide: "config/clinics/tracker-postgres.toml is a whole example of such a system: an event's values by the ids of its data elements",
        signs: &[
            ("event", "eventdatavalues"),
            ("trackedentityattributevalue", "value"),
        ],
    },
    System {
        name: "DHIS2",
        guide: "config/clinics/tracker-postgres.toml is a whole example of such a system: an event's values by the ids of its data elements",
        signs: &[
            ("programstageinstance", "eventdatavalues"),
            ("trackedentityattributevalue", "value"),
        ],
    },
    System {
        name: "OpenELIS Global",
        guide: "connectors/sql/README.md, \"Systems that are recognised\", says how its results name entries of the dictionary",
        signs: &[
            ("clinlims.analysis", "test_id"),
            ("clinlims.result", "analysis_id"),
        ],
    },
    System {
        name: "GNU Health",
        guide: "connectors/sql/README.md, \"Moments in UTC without a zone\", says how its days are read",
        signs: &[("gnuhealth_patient", "id"), ("gnuhealth_vaccination", "id")],
    },
    System {
        name: "OSCAR EMR",
        guide: "connectors/sql/README.md, \"Systems that are recognised\", says how its values beside preventions, its merges and its list of diagnoses are read",
        signs: &[
            ("demographic", "demographic_no"),
            ("preventions", "prevention_type"),
        ],
    },
    System {
        name: "Care (Open Healthcare Network)",
        guide: "connectors/sql/README.md, \"Systems that are recognised\", says what a patient's row \
                tells of vaccinations",
        signs: &[
            ("facility_patientregistration", "external_id"),
            ("facility_facility", "external_id"),
        ],
    },
    System {
        name: "Open Hospital",
        guide: "connectors/sql/README.md, \"Systems that are recognised\", says how its columns and \
                flags are read",
        signs: &[("oh_patient", "pat_id"), ("oh_patientvaccine", "pav_id")],
    },
    System {
        name: "Frappe Health (ERPNext)",
        guide: "connectors/sql/README.md, \"Systems that are recognised\", says how its documents \
                and their rows are read",
        signs: &[("tabpatient", "docstatus"), ("tabdoctype", "name")],
    },
];

/// Frameworks that keep moments in UTC in columns without a zone.
const IN_UTC: [System; 5] = [
    System {
        name: "GNU Health",
        guide: "",
        signs: &[("gnuhealth_patient", "id")],
    },
    System {
        name: "Tryton",
        guide: "",
        signs: &[
            ("ir_module", "write_date"),
            ("ir_model_field", "create_date"),
        ],
    },
    System {
        name: "Odoo",
        guide: "",
        signs: &[
            ("ir_module_module", "write_date"),
            ("res_partner", "create_date"),
        ],
    },
    System {
        name: "Rails",
        guide: "",
        signs: &[
            ("schema_migrations", "version"),
            ("ar_internal_metadata", "key"),
        ],
    },
    System {
        name: "Django",
        guide: "",
        signs: &[
            ("django_migrations", "app"),
            ("django_content_type", "app_label"),
        ],
    },
];

/// Known system that a database is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownSystem {
    /// Its name.
    pub name: &'static str,
    /// Where to read on, in words.
    pub guide: &'static str,
}

/// The system that a database is of, if it is known.
pub(super) fn recognise(catalog: &Catalog) -> Option<KnownSystem> {
    let System { name, guide, .. } = find(&SYSTEMS, catalog)?;
    Some(KnownSystem { name, guide })
}

/// Name of the framework that keeps the moments of a database in UTC, if it is known.
pub(super) fn in_utc(catalog: &Catalog) -> Option<&'static str> {
    let known = find(&IN_UTC, catalog).map(|known| known.name);
    known.or_else(|| has_stamps_of_tryton(catalog).then_some("Tryton or Odoo"))
}

/// True where most tables have the stamps that Tryton and Odoo give each, and some who set them.
fn has_stamps_of_tryton(catalog: &Catalog) -> bool {
    const MIN_TABLES: usize = 3;
    let has = |table: &Table, names: [&str; 2]| {
        let mut names = names.into_iter();
        names.all(|name| table.column(name).is_some())
    };
    let tables = || catalog.tables.iter().filter(|table| !table.is_view);
    let stamped = tables().filter(|table| has(table, ["create_date", "write_date"]));
    let stamped = stamped.count();
    let mut all = tables();
    let names_authors = all.any(|table| has(table, ["create_uid", "write_uid"]));
    names_authors && stamped >= MIN_TABLES && stamped * 2 > tables().count()
}

fn find<'s>(systems: &'s [System], catalog: &Catalog) -> Option<&'s System> {
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
    systems.iter().find(|system| system.signs.iter().all(has))
}
