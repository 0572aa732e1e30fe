//! Statements that SQLite and PostgreSQL share.

/// Writes the check value of the second-layer key where there is none yet.
pub(super) const CLAIM: &str =
    "INSERT INTO second_layer (id, check_value) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";

/// Check value of the second-layer key that the store was filled with.
pub(super) const CHECK_VALUE: &str = "SELECT check_value FROM second_layer";

/// Asks whether the store answers.
pub(super) const PING: &str = "SELECT 1 FROM subject LIMIT 1";

/// Writes the one row that is always there as it is: changes nothing, and yet is a write.
pub(super) const TOUCH: &str = "UPDATE second_layer SET check_value = check_value WHERE id = 1";

/// Number of failures at a message by itself.
pub(super) const FAILURES: &str = "SELECT failures FROM attempt WHERE message = $1";

/// Writes the number of failures at a message.
pub(super) const PUT_FAILURES: &str = "INSERT INTO attempt (message, failures, noted_at)
    VALUES ($1, $2, $3)
    ON CONFLICT (message) DO UPDATE SET failures = excluded.failures, noted_at = excluded.noted_at";

/// Removes what is noted of a message.
pub(super) const REMOVE_FAILURES: &str = "DELETE FROM attempt WHERE message = $1";

/// Removes what was noted of messages before a time.
pub(super) const PRUNE_FAILURES: &str = "DELETE FROM attempt WHERE noted_at < $1";

/// Writes counts of passes: adds to those that are stored, and returns window and number of each.
/// Beyond a million it counts no further: far more than are issued.
macro_rules! count_passes {
    ($rows:literal) => {
        concat!(
            "INSERT INTO pass_count (name, begins_at, ends_at, issued) ",
            $rows,
            " ON CONFLICT (name, begins_at, ends_at) DO UPDATE SET issued = CASE
                WHEN pass_count.issued > 1000000 THEN pass_count.issued
                ELSE pass_count.issued + excluded.issued END
            RETURNING name, begins_at, ends_at, issued, ended"
        )
    };
}
pub(super) use count_passes;

/// Names for which passes or certificates were issued that have not ended, from after the name `$1`
/// on, and that end after `$2`; at most `$3`.
pub(super) const OPEN_NAMES: &str = "SELECT name FROM (
        SELECT DISTINCT name FROM pass_count
        WHERE name > $1 AND ends_at > $2 AND ended < issued ORDER BY name LIMIT $3) AS p
    UNION SELECT name FROM (
        SELECT DISTINCT name FROM certificate_count
        WHERE name > $1 AND ends_at > $2 AND ended < issued ORDER BY name LIMIT $3) AS c
    ORDER BY name LIMIT $3";

/// Counts of passes of which some have ended and whose window ends after `$1`, at most `$5`, in the
/// order of their keys, from after the key `$2`, `$3`, `$4` on.
pub(super) const ENDED_PASSES: &str =
    "SELECT name, begins_at, ends_at, issued, ended FROM pass_count
    WHERE ended > 0 AND ends_at > $1 AND (name, begins_at, ends_at) > ($2, $3, $4)
    ORDER BY name, begins_at, ends_at LIMIT $5";

/// Returns whether changes of evidence are marked.
pub(super) const IS_WATCHED: &str = "SELECT EXISTS (SELECT 1 FROM pass_watch)";

/// Has changes of evidence marked.
pub(super) const WATCH: &str = "INSERT INTO pass_watch (id) VALUES (1) ON CONFLICT DO NOTHING";

/// Has changes of evidence marked no longer, so that whoever looks next looks at everything.
pub(super) const UNWATCH: &str = "DELETE FROM pass_watch";

/// First `$1` marks.
pub(super) const MARKS: &str = "SELECT id, name, subject_id FROM pass_mark ORDER BY id LIMIT $1";

/// Removes marks that were made before `$1`.
pub(super) const PRUNE_MARKS: &str = "DELETE FROM pass_mark WHERE made_at < $1";

/// Removes the counts of passes whose window ended before `$1`.
pub(super) const PRUNE_PASSES: &str = "DELETE FROM pass_count WHERE ends_at <= $1";

/// Next sequence of a publication: above the last one, and not below `$1`.
pub(super) const NEXT_PUBLICATION: &str =
    "INSERT INTO pass_publication (id, sequence) VALUES (1, $1)
    ON CONFLICT (id) DO UPDATE SET sequence = CASE
        WHEN pass_publication.sequence >= excluded.sequence THEN pass_publication.sequence + 1
        ELSE excluded.sequence END
    RETURNING sequence";

/// Removes all but the newest `$1` refusals.
pub(super) const PRUNE: &str = "DELETE FROM refusal WHERE seen_at <=
    (SELECT seen_at FROM refusal ORDER BY seen_at DESC LIMIT 1 OFFSET $1)";

/// Counts over the whole store: subject of the count, word it is counted by, number.
pub(super) const COUNTS: &str = "SELECT 'subjects', '', count(*) FROM subject
    UNION ALL SELECT 'pseudonyms', scheme, count(*) FROM pseudonym GROUP BY scheme
    UNION ALL SELECT CASE WHEN status = 'asserted' THEN 'asserted' WHEN deleted THEN 'deleted'
        WHEN purged THEN 'purged'
        WHEN expired THEN 'expired' ELSE 'withdrawn' END AS counted, kind, count(*)
        FROM fact GROUP BY counted, kind
    UNION ALL SELECT 'facts-by-suite', suites, CAST(sum(records) AS BIGINT) FROM (
        SELECT s.records, CASE WHEN min(p.suite) = max(p.suite) THEN min(p.suite)
            ELSE min(p.suite) || ' and ' || max(p.suite) END AS suites
        FROM name_set AS s JOIN link AS l ON l.name_set = s.id
        JOIN pseudonym AS p ON p.value = l.pseudonym GROUP BY s.id, s.records
        ) AS stated GROUP BY suites
    UNION ALL SELECT 'subjects-by-suite', suites, count(*) FROM (
        SELECT CASE WHEN min(suite) = max(suite) THEN min(suite)
            ELSE min(suite) || ' and ' || max(suite) END AS suites
        FROM pseudonym GROUP BY subject_id
        ) AS known GROUP BY suites
    UNION ALL SELECT 'passes-by-suite', p.suite, count(*) FROM (
        SELECT name FROM pass_count WHERE ended < issued
        UNION ALL SELECT name FROM certificate_count WHERE ended < issued
        ) AS c JOIN pseudonym AS p ON p.value = c.name GROUP BY p.suite
    UNION ALL SELECT 'conflicts', kind, count(*) FROM contest GROUP BY kind
    UNION ALL SELECT 'without-owner', '', count(*) FROM fact WHERE owner IS NULL
    UNION ALL SELECT 'refusals', reason, count(*) FROM refusal GROUP BY reason";

/// Columns that say what a fact is.
macro_rules! fact_columns {
    () => {
        "f.kind, f.vaccine, f.dose_number, f.series_doses, f.test, f.result, f.began_on,
            f.occurred_on"
    };
}
pub(super) use fact_columns;

/// Facts with their subjects, sorted by record, from `$join` on.
macro_rules! select_facts {
    ($($join:expr),+) => {
        concat!(
            "SELECT f.record, f.version, ",
            fact_columns!(),
            ", p.subject_id FROM fact AS f ",
            $($join,)+
            " ORDER BY f.record"
        )
    };
}
pub(super) use select_facts;

/// Every fact.
pub(super) const ALL_FACTS: &str = select_facts!(
    "LEFT JOIN name_set AS s ON s.id = f.name_set
    LEFT JOIN pseudonym AS p ON p.value = substr(s.names, 1, 32)"
);

/// Joins the facts of a pseudonym: those of the sets whose strongest name it is.
macro_rules! facts_of_pseudonyms {
    () => {
        "JOIN name_set AS s ON s.id = f.name_set
        JOIN link AS l ON l.name_set = s.id AND l.pseudonym = substr(s.names, 1, 32)
        JOIN pseudonym AS p ON p.value = l.pseudonym "
    };
}
pub(super) use facts_of_pseudonyms;

/// Condition on the kind of a contest for which it is open whose the name is: as many records say
/// one thing as another, or more names hang together than are judged.
macro_rules! is_doubt {
    () => {
        "IN ('tie', 'too-large')"
    };
}
pub(super) use is_doubt;

/// Returns whether an operator has decided anything.
pub(super) const HAS_DECISIONS: &str = "SELECT EXISTS (SELECT 1 FROM decision)";

/// Writes down what an operator did.
pub(super) const ADD_ACTION: &str =
    "INSERT INTO operator_action (done_at, action, one, other) VALUES ($1, $2, $3, $4)";

/// Contests, the newest first, at most `$1`; times by `$time`.
macro_rules! select_contests {
    ($time:literal) => {
        concat!(
            "SELECT p.value, p.scheme, p.suite, p.epoch, c.kind, ",
            $time,
            " FROM contest AS c JOIN pseudonym AS p ON p.value = c.name
            ORDER BY c.first_seen_at DESC, c.name, c.kind LIMIT $1"
        )
    };
}
pub(super) use select_contests;

/// Actions of operators, the newest first, at most `$1`; times by `$time`.
macro_rules! select_actions {
    ($time:literal) => {
        concat!(
            "SELECT ",
            $time,
            ", action, one, other FROM operator_action ORDER BY id DESC LIMIT $1"
        )
    };
}
pub(super) use select_actions;

/// Every pseudonym with its subject.
pub(super) const ALL_PSEUDONYMS: &str =
    "SELECT value, scheme, suite, epoch, subject_id FROM pseudonym";

/// Writes the facts that `$rows` selects, and does `$conflict` about those that are stored.
macro_rules! insert_facts {
    ($rows:literal, $conflict:expr) => {
        concat!(
            "INSERT INTO fact (record, version, kind, status, owner, name_set, vaccine,
                dose_number, series_doses, test, result, began_on, occurred_on, occurred_earliest,
                content, expired) ",
            $rows,
            " ON CONFLICT (record) ",
            $conflict
        )
    };
}
pub(super) use insert_facts;

/// Replaces a stored version. The condition is the one of `linking::StoredVersion::is_replaced_by`.
macro_rules! replace_fact {
    () => {
        "DO UPDATE SET version = excluded.version,
            status = excluded.status, owner = excluded.owner, name_set = excluded.name_set,
            vaccine = excluded.vaccine, dose_number = excluded.dose_number,
            series_doses = excluded.series_doses, test = excluded.test,
            result = excluded.result, began_on = excluded.began_on,
            occurred_on = excluded.occurred_on,
            occurred_earliest = excluded.occurred_earliest, content = excluded.content,
            expired = excluded.expired
        WHERE excluded.kind = fact.kind AND excluded.version > fact.version
            AND (fact.owner IS NULL OR fact.owner = excluded.owner) AND NOT fact.purged"
    };
}
pub(super) use replace_fact;

/// Withdraws the facts of the records that `$is_one_of`, and has no newer version of them taken; with
/// `$2` never again.
macro_rules! purge_facts {
    ($is_one_of:literal) => {
        concat!(
            "UPDATE fact SET status = 'withdrawn', name_set = NULL, vaccine = NULL,
                dose_number = NULL, series_doses = NULL, test = NULL, result = NULL,
                began_on = NULL, occurred_on = NULL, occurred_earliest = NULL, purged = TRUE,
                deleted = deleted OR $2
            WHERE record ",
            $is_one_of
        )
    };
}
pub(super) use purge_facts;

/// Keeps nothing of the facts of the records that `$is_one_of` but their versions.
macro_rules! expire_facts {
    ($is_one_of:literal) => {
        concat!(
            "UPDATE fact SET status = 'withdrawn', name_set = NULL, vaccine = NULL,
                dose_number = NULL, series_doses = NULL, test = NULL, result = NULL,
                began_on = NULL, occurred_on = NULL, occurred_earliest = NULL, content = NULL,
                expired = TRUE
            WHERE record ",
            $is_one_of
        )
    };
}
pub(super) use expire_facts;

/// First `$2` subjects above the id `$1`.
pub(super) const SUBJECTS_AFTER: &str = "SELECT id FROM subject WHERE id > $1 ORDER BY id LIMIT $2";

/// Facts of the subjects that `$are_asked`, each with its set of names; none of a subject with a
/// name that is kept apart.
macro_rules! held_facts {
    ($are_asked:literal) => {
        concat!(
            "SELECT f.record, f.version, ",
            fact_columns!(),
            ", p.subject_id, f.name_set, s.records, CAST(length(s.names) / 32 AS BIGINT)
            FROM fact AS f ",
            facts_of_pseudonyms!(),
            "WHERE p.subject_id ",
            $are_asked,
            " AND NOT EXISTS (SELECT 1 FROM pseudonym AS n
                WHERE n.subject_id = p.subject_id AND n.apart)
            ORDER BY p.subject_id, f.record"
        )
    };
}
pub(super) use held_facts;

/// Has newer versions of purged records taken again, but for those of deleted persons.
macro_rules! permit_facts {
    ($is_one_of:literal) => {
        concat!(
            "UPDATE fact SET purged = FALSE WHERE purged AND NOT deleted AND record ",
            $is_one_of
        )
    };
}
pub(super) use permit_facts;

/// First `$1` facts from before links.
pub(super) const OLD_FACTS: &str =
    "SELECT record, pseudonym FROM fact_before_links ORDER BY record LIMIT $1";

/// Removes names that no set states, and then subjects without names.
pub(super) const REMOVE_UNSTATED: [&str; 2] = [
    "DELETE FROM pseudonym WHERE NOT EXISTS
        (SELECT 1 FROM link WHERE link.pseudonym = pseudonym.value)",
    "DELETE FROM subject WHERE NOT EXISTS
        (SELECT 1 FROM pseudonym WHERE pseudonym.subject_id = subject.id)",
];

/// Removes the table of the facts from before links.
pub(super) const DROP_OLD_FACTS: &str = "DROP TABLE fact_before_links";

/// Writes the facts from before links whose new names `$moved` has.
macro_rules! move_old_facts {
    ($moved:literal) => {
        concat!(
            "INSERT INTO fact (record, version, kind, status, name_set, vaccine, dose_number,
                series_doses, test, result, began_on, occurred_on, occurred_earliest, content)
            SELECT m.stored, o.version, o.kind, o.status, m.name_set, o.vaccine, o.dose_number,
                o.series_doses, o.test, o.result, o.began_on, o.occurred_on, o.occurred_earliest,
                o.content
            FROM ",
            $moved,
            " JOIN fact_before_links AS o ON o.record = m.sent"
        )
    };
}
pub(super) use move_old_facts;
