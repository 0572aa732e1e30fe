//! The citizens: who asks the city for a pass, gets it, and loses it when its fact is corrected.

use std::fs;
use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use contract::{FactKind, Pseudonym};
use eligibility::{Language, Rules};
use pass::Product;
use pass::holder::{BirthDate, HolderAttributes, Person};
use pass::keys::{PublicKey, SigningKey};
use pass::qr::{QrCode, TerminalColours};
use pass::revocation::{RevocationList, RevocationPayload};
use pass::trust::TrustBundle;
use pass::verify::{Held, verify};
use pseudonym::{IdentifierKind, StatedIdentifier};
use registry::passes::{Certified, DatedKey, Issued, PassKeys, PassSettings, Passes, Publication};
use secrecy::{SecretBox, SecretString};

use crate::portal::Portal;
use crate::print;
use crate::stage::Stage;

const RULES: &str = include_str!("../../../../config/pass-rules.toml");
const ISSUER: &str = "RU-MOW";
pub(crate) const ZONE: Tz = chrono_tz::Europe::Moscow;

/// Days before and after the demo in which its signing keys hold.
const KEY_DAYS: chrono::Days = chrono::Days::new(30);

/// Identifier as it is typed: numbering, number, and country of a foreign passport.
pub(crate) type TypedIdentifier = (IdentifierKind, &'static str, Option<&'static str>);

/// Citizen at the portal (all are invented), with what they type there.
pub(crate) struct Citizen {
    /// Name of the files that their pass goes into.
    pub file: &'static str,
    /// Who it is, for the reader.
    pub who: &'static str,
    /// Identifier that they type.
    pub identifier: TypedIdentifier,
    /// Given name and family name.
    pub names: [&'static str; 2],
    /// Day and month of birth.
    pub born: (u8, u8),
}

/// Employee of the closed institution: two doses at its polyclinic.
pub(crate) const EMPLOYEE: Citizen = Citizen {
    file: "pass-fso",
    who: "an employee whom only the FSO polyclinic knows, with the SNILS",
    identifier: (IdentifierKind::Snils, "612-480-911 69", None),
    names: ["Ольга", "Орлова"],
    born: (14, 7),
};

/// Number of the employee's SNILS, without its control digits.
pub(crate) const EMPLOYEES_NUMBER: u32 = 612_480_911;

/// SNILS of a patient of both clinics: one has vaccinated her, the other has tested her.
pub(crate) const PATIENT_OF_BOTH: TypedIdentifier = (IdentifierKind::Snils, "501-377-201 39", None);

/// Diplomat: a test, and no SNILS.
pub(crate) const DIPLOMAT: Citizen = Citizen {
    file: "pass-diplomat",
    who: "a French diplomat, with the passport",
    identifier: (IdentifierKind::PassportForeign, "12AB34567", Some("FR")),
    names: ["Jean", "Dupont"],
    born: (3, 3),
};

/// Person whose test was somebody else's.
pub(crate) const SWAPPED: Citizen = Citizen {
    file: "pass-ended",
    who: "a patient whose sample was swapped, with the SNILS",
    identifier: (IdentifierKind::Snils, "501-377-202 40", None),
    names: ["Пётр", "Петров"],
    born: (21, 11),
};

/// Patient of the first clinic, vaccinated there a month ago.
pub(crate) const PATIENT: Citizen = Citizen {
    file: "pass-fsb",
    who: "a patient whom the FSB clinic has vaccinated, with the SNILS",
    identifier: (IdentifierKind::Snils, "501-377-205 43", None),
    names: ["Зинаида", "Ёлкина"],
    born: (9, 5),
};

/// Person whom somebody has forged a vaccination for.
pub(crate) const CUSTOMER: Citizen = Citizen {
    file: "pass-forged",
    who: "a person with a forged vaccination, with the SNILS",
    identifier: (IdentifierKind::Snils, "501-377-207 45", None),
    names: ["Фёдор", "Фальшин"],
    born: (1, 4),
};

/// The portal and the issue of passes.
pub(crate) struct City {
    passes: Passes,
    portal: Portal,
}

/// What a verifier has fetched: it needs no network from then on.
pub(crate) struct Door {
    trust: TrustBundle,
    revocations: RevocationList,
}

impl City {
    /// Makes the keys of passes and takes the city's rules.
    pub(crate) fn open(stage: &Stage) -> Result<Self, String> {
        let rules = Rules::parse(RULES, Path::new("pass-rules.toml"));
        let rules = rules.map_err(|error| error.to_string())?;
        let now = stage.clock.now();
        let signing = Product::ALL.map(|product| DatedKey {
            key: SigningKey::generate(),
            products: vec![product],
            from: now - KEY_DAYS,
            until: now + KEY_DAYS,
        });
        let mut ids = Box::new([0; 32]);
        getrandom::fill(ids.as_mut_slice()).map_err(|error| error.to_string())?;
        let ids = pass::PassIdKey::new(&SecretBox::new(ids));
        let keys = PassKeys::new(SigningKey::generate(), ids, signing.into());
        let settings = PassSettings {
            issuer: ISSUER.to_owned(),
            strips_per_day: 1,
            days_ahead: 3,
            most_per_window: 10,
            certificate_days: 20,
            individual_revocation: true,
        };
        Ok(Self {
            passes: Passes::new(stage.registry.reader().clone(), rules, keys, settings),
            portal: Portal::open(stage)?,
        })
    }

    /// Lets a citizen ask: prints the answer, and returns the strip of today.
    pub(crate) async fn ask(
        &self,
        citizen: &Citizen,
        now: DateTime<Utc>,
    ) -> Result<String, String> {
        let pseudonyms = self.pseudonyms(citizen.identifier).await?;
        let answer = self.passes.eligibility(&pseudonyms, now).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let last = answer.covered.first().and_then(eligibility::Interval::last);
        print::line(format!("  {}:", citizen.who));
        for reason in &answer.reasons {
            let sentence = reason.sentence(Language::English);
            print::line(format!("    {}: {sentence}", reason.as_str()));
        }
        let issued = self.passes.issue_days(&pseudonyms, citizen.holder()?, now);
        match issued.await.map_err(|error| error.to_string())? {
            Issued::Strips(strips) => {
                let last = last.map_or_else(|| "the horizon".to_owned(), |day| day.to_string());
                print::line(format!(
                    "    entitled to the end of {last}: {} strips, one for each day from today on",
                    strips.len()
                ));
                let first = strips.into_iter().next();
                first.map(|strip| strip.text).ok_or("no strip".to_owned())
            }
            other => Err(format!("{}: no pass but {other:?}", citizen.who)),
        }
    }

    /// Asks for the certificate of a citizen's newest dose.
    pub(crate) async fn certify(
        &self,
        citizen: &Citizen,
        now: DateTime<Utc>,
    ) -> Result<String, String> {
        let pseudonyms = self.pseudonyms(citizen.identifier).await?;
        // A certificate has no date of birth, so that the initials alone are chosen from.
        let holder = citizen.disclosed(BirthDate::default());
        let kind = FactKind::Vaccination;
        let issued = self
            .passes
            .issue_certificate(&pseudonyms, kind, holder, now);
        match issued.await.map_err(|error| error.to_string())? {
            Certified::Certificate(certificate) => Ok(certificate.text),
            other => Err(format!("{}: no certificate but {other:?}", citizen.who)),
        }
    }

    /// Asks for nothing but the reasons why there is no pass.
    pub(crate) async fn refuse(&self, citizen: &Citizen, now: DateTime<Utc>) -> Result<(), String> {
        let pseudonyms = self.pseudonyms(citizen.identifier).await?;
        let issued = self.passes.issue_days(&pseudonyms, citizen.holder()?, now);
        match issued.await.map_err(|error| error.to_string())? {
            Issued::Refused(reasons) => {
                let sentences = reasons.iter().map(|reason| {
                    let sentence = reason.sentence(Language::English);
                    format!("{}: {sentence}", reason.as_str())
                });
                let sentences: Vec<_> = sentences.collect();
                print::line(format!("  {}: {}", citizen.who, sentences.join("; ")));
                Ok(())
            }
            other => Err(format!("{}: no refusal but {other:?}", citizen.who)),
        }
    }

    /// Publishes what verifiers fetch.
    pub(crate) async fn publish(&self, now: DateTime<Utc>) -> Result<Publication, String> {
        let publishing = self.passes.publish(now);
        publishing.await.map_err(|error| error.to_string())
    }

    /// The issue of passes, for the registry's portal interface.
    #[cfg(feature = "serve")]
    pub(crate) fn into_passes(self) -> Passes {
        self.passes
    }

    /// Public key that verifiers pin.
    pub(crate) fn root(&self) -> &PublicKey {
        self.passes.keys().root()
    }

    /// Pseudonyms of a person by an identifier, as the portal has them.
    pub(crate) async fn pseudonyms(
        &self,
        identifier: TypedIdentifier,
    ) -> Result<Vec<Pseudonym>, String> {
        let (kind, value, country) = identifier;
        let stated = StatedIdentifier {
            kind,
            value: SecretString::from(value),
            country: country.map(str::to_owned),
        };
        self.portal.pseudonyms(stated).await
    }
}

impl Citizen {
    fn holder(&self) -> Result<HolderAttributes, String> {
        let (day, month) = self.born;
        let birth = BirthDate::new(Some(day), Some(month)).map_err(|error| error.to_string())?;
        Ok(self.disclosed(birth))
    }

    /// Attributes that a pass discloses where so much of the date of birth is known.
    fn disclosed(&self, birth: BirthDate) -> HolderAttributes {
        let [given, family] = self.names.map(SecretString::from);
        HolderAttributes::disclosed_for(Person {
            given_name: Some(&given),
            family_name: Some(&family),
            birth,
        })
    }
}

impl Door {
    /// Opens what was published, as a verifier that pins the root does.
    pub(crate) fn fetch(published: &Publication, root: &PublicKey) -> Result<Self, String> {
        let trust = TrustBundle::open(&published.trust, root, ISSUER);
        let trust = trust.map_err(|error| error.to_string())?;
        let list = trust.open_revocations(&published.revocations);
        match list.map_err(|error| error.to_string())? {
            RevocationPayload::Whole(revocations) => Ok(Self { trust, revocations }),
            RevocationPayload::Delta(_) => Err("a delta was published, not a list".to_owned()),
        }
    }

    /// Verdict on a pass, in the words of the verifier.
    pub(crate) fn judge(&self, text: &str, now: DateTime<Utc>) -> String {
        let held = Held {
            trust: &self.trust,
            revocations: &self.revocations,
        };
        let verdict = verify(text, Some(held), now);
        match &verdict {
            pass::verify::Verdict::Invalid(reason) => {
                format!("{} ({})", verdict.as_str(), reason.as_str())
            }
            _ => verdict.as_str().to_owned(),
        }
    }
}

/// Prints the code of a pass.
pub(crate) fn print_code(text: &str) -> Result<(), String> {
    use std::io::IsTerminal as _;
    let colours = if std::io::stdout().is_terminal() {
        TerminalColours::Explicit
    } else {
        TerminalColours::DarkBackground
    };
    let code = QrCode::of_text(text).map_err(|error| error.to_string())?;
    print::line(code.to_terminal(colours));
    Ok(())
}

/// Makes the folder that passes are written into, if it is not there. One with other files than the
/// demo's own is refused.
pub(crate) fn make_folder(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    let entries = fs::read_dir(folder).map_err(|error| cannot(folder, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| cannot(folder, &error))?;
        if !is_written_here(&entry.file_name().to_string_lossy()) {
            let other = entry.path();
            return Err(format!(
                "{} is not of an earlier demo: give --out a new or empty folder",
                other.display()
            ));
        }
    }
    Ok(())
}

/// Name of the files that the employee's certificate goes into.
pub(crate) const CERTIFICATE: &str = "certificate-fso";

/// Returns whether a file is one of those that [`write_out`] writes.
fn is_written_here(name: &str) -> bool {
    let of_passes = [EMPLOYEE.file, DIPLOMAT.file, SWAPPED.file, CERTIFICATE];
    let code = name
        .strip_suffix(".txt")
        .or_else(|| name.strip_suffix(".svg"));
    PUBLISHED.contains(&name) || code.is_some_and(|code| of_passes.contains(&code))
}

/// Files that verifiers need.
const PUBLISHED: [&str; 5] = [
    "trust.json",
    "trust.cose",
    "revocations.cose",
    "root.jwk",
    "root.json",
];

/// Writes passes, each under its name, and what verifiers fetch, for any tool to check.
pub(crate) fn write_out(
    folder: &Path,
    passes: &[(&str, &str)],
    published: &Publication,
    root: &PublicKey,
) -> Result<(), String> {
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(|error| cannot(&path, &error))
    };
    for (name, text) in passes {
        let code = QrCode::of_text(text).map_err(|error| error.to_string())?;
        write(&format!("{name}.txt"), text.as_bytes())?;
        write(&format!("{name}.svg"), code.to_svg().as_bytes())?;
    }
    write("trust.json", published.jwk_set.as_bytes())?;
    write("trust.cose", &published.trust)?;
    write("revocations.cose", &published.revocations)?;
    write("root.jwk", format!("{:#}\n", root.jwk()).as_bytes())?;
    write("root.json", pinned_root(root).as_bytes())
}

/// Text of the file that the verifier page pins.
pub(crate) fn pinned_root(root: &PublicKey) -> String {
    format!("{:#}\n", root.pinned(ISSUER, ZONE.name()))
}

fn cannot(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be written: {error}", path.display())
}

/// Date in the city.
pub(crate) fn today(now: DateTime<Utc>) -> NaiveDate {
    now.with_timezone(&ZONE).date_naive()
}
