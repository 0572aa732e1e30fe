//! The portal: what a citizen typed becomes a question to the registry, and its answer becomes what
//! the page shows. Nothing is kept.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono_tz::Tz;
use clock::Clock;
use parking_lot::Mutex;
use pass::claims::Claims;
use pass::container::{Envelope, from_text};
use pass::holder::HolderAttributes;
use pass::qr::{PaperSheet, QrCode};

use crate::access::{Access, AccessMistake, read_origin};
use crate::answer::{
    CitizenProblem, Code, PageAnswer, Sheet, ShownCertificate, ShownHolder, ShownStatus,
};
use crate::ceilings::Ceiling;
use crate::citizen::{Citizen, CitizenForm};
use crate::config::PageConfig;
use crate::fault_log::note;
use crate::metrics::count_fault;
use crate::outcome::RequestOutcome;
use crate::pdf::pdf;
use crate::pseudonyms::{KeyServiceFault, PseudonymSource};
use crate::registry::{
    IdempotencyKey, IssuedPass, PassKind, PassOrder, PassesReply, RegistryClient, RegistryFault,
    RegistryFaultKind,
};
use crate::tally::RequestTally;

/// Parts that a portal is made of.
pub struct PortalSettings {
    /// Source of the citizens' pseudonyms: shared keys, or key services.
    pub pseudonyms: PseudonymSource,
    /// Client of the city's registry.
    pub registry: Arc<RegistryClient>,
    /// The page: origin, zone, ceiling. Address and TLS are the caller's.
    pub page: PageConfig,
}

/// State of the portal.
pub struct CityPortal {
    pub(crate) access: Access,
    pub(crate) clock: Arc<dyn Clock>,
    pseudonyms: PseudonymSource,
    registry: Arc<RegistryClient>,
    zone: Tz,
    ceiling: Mutex<Ceiling>,
    tally: Mutex<RequestTally>,
}

impl CityPortal {
    /// Portal with these settings.
    ///
    /// # Errors
    /// [`AccessMistake`]: the configured origin is none.
    pub fn new(
        settings: PortalSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, AccessMistake> {
        let page = &settings.page;
        Ok(Arc::new(Self {
            access: Access {
                origin: page.origin.as_deref().map(read_origin).transpose()?,
                is_behind_proxy: page.behind_tls_proxy,
                is_loopback: page.address.ip().is_loopback(),
            },
            clock,
            pseudonyms: settings.pseudonyms,
            registry: settings.registry,
            zone: page.zone,
            ceiling: Mutex::new(Ceiling::new(page.requests_per_hour)),
            tally: Mutex::default(),
        }))
    }

    /// Asks the registry for what verifiers fetch, to see whether it answers this portal.
    ///
    /// # Errors
    /// [`RegistryFault`], which says what to change.
    pub async fn look_at_registry(&self) -> Result<(), RegistryFault> {
        let looked = self.registry.trust().await.map(drop);
        looked.inspect_err(|fault| count_fault(fault.kind))
    }

    /// Looks whether the key services answer this portal, have the pinned keys, and have room for
    /// a question below their ceilings; the log is told where that changes. Shared keys need
    /// nobody.
    ///
    /// # Errors
    /// [`KeyServiceFault`] of the first service that fails, which says what to change.
    pub async fn look_at_key_services(&self) -> Result<(), KeyServiceFault> {
        match &self.pseudonyms {
            PseudonymSource::SharedKeys(_) => Ok(()),
            PseudonymSource::KeyServices(services) => services.look(self.clock.now()).await,
        }
    }

    /// Shows the metrics of the key services at zero, where there are such.
    pub fn register_key_service_metrics(&self) {
        if let PseudonymSource::KeyServices(services) = &self.pseudonyms {
            services.client().register_metrics();
        }
    }

    /// Takes the tally of requests since it was last taken, such as for an audit log.
    pub fn take_tally(&self) -> RequestTally {
        std::mem::take(&mut self.tally.lock())
    }

    /// Counts a request that was answered.
    pub(crate) fn tally(&self, route: &'static str, outcome: RequestOutcome) {
        self.tally.lock().count(route, outcome);
    }

    /// Counts a request of a client; returns the time until its ceiling is lifted.
    pub(crate) fn admit(&self, client: IpAddr) -> Result<(), Duration> {
        self.ceiling.lock().admit(client, self.clock.elapsed())
    }

    /// Status of a citizen.
    pub(crate) async fn status(&self, form: CitizenForm) -> Result<PageAnswer, PageAnswer> {
        let citizen = self.citizen(form).await?;
        let found = self.registry.eligibility(&citizen.pseudonyms).await;
        let found = found.map_err(|fault| failed(&fault))?;
        Ok(PageAnswer::Status(Box::new(ShownStatus::of(
            found,
            citizen.holder,
        ))))
    }

    /// Codes of today.
    pub(crate) async fn codes(
        &self,
        form: CitizenForm,
        key: &IdempotencyKey,
    ) -> Result<PageAnswer, PageAnswer> {
        let issued = self.issued(form, PassKind::Days, key).await?;
        let strips = issued.strips()?;
        let now = self.clock.now();
        let today = strips
            .iter()
            .filter(|strip| strip.from <= now && now < strip.until);
        let codes = today.map(|strip| code(strip, issued.holder));
        let codes: Vec<Code> = codes
            .collect::<Result<_, _>>()
            .map_err(|fault| failed(&fault))?;
        if codes.is_empty() {
            return Ok(PageAnswer::exhausted());
        }
        Ok(PageAnswer::Codes {
            codes,
            zone: self.zone.name(),
            holder: ShownHolder::of(issued.holder),
        })
    }

    /// Sheet for paper.
    pub(crate) async fn sheet(
        &self,
        form: CitizenForm,
        key: &IdempotencyKey,
    ) -> Result<PageAnswer, PageAnswer> {
        let issued = self.issued(form, PassKind::Paper, key).await?;
        let [strip] = issued.strips()? else {
            return Err(failed(&mixed_up()));
        };
        let claims = strip_claims(strip, issued.holder).map_err(|fault| failed(&fault))?;
        let sheet = PaperSheet::of_text(&strip.text, self.zone);
        let sheet = sheet.map_err(|_| failed(&mixed_up()))?;
        let pdf = pdf(&sheet).map_err(|error| {
            tracing::error!(event = "pdf-failed", %error, "a sheet was not made");
            PageAnswer::Problem(CitizenProblem::of(RequestOutcome::Internal, None))
        })?;
        Ok(PageAnswer::Sheet(Box::new(Sheet {
            svg: sheet.to_svg(),
            pdf: STANDARD.encode(pdf),
            from: claims.from(),
            until: claims.expires(),
            zone: self.zone.name(),
            holder: ShownHolder::of(issued.holder),
        })))
    }

    /// Certificate of one fact.
    pub(crate) async fn certificate(
        &self,
        form: CitizenForm,
        kind: PassKind,
        key: &IdempotencyKey,
    ) -> Result<PageAnswer, PageAnswer> {
        let issued = self.issued(form, kind, key).await?;
        let PassesReply::Certificate { certificate } = issued.passes else {
            return Err(failed(&mixed_up()));
        };
        let certificate = certified(certificate, kind, issued.holder, self.zone);
        let certificate = certificate.map_err(|fault| failed(&fault))?;
        Ok(PageAnswer::Certificate(Box::new(certificate)))
    }

    /// Citizen of a form. Key services are asked only about a form without a fault.
    async fn citizen(&self, form: CitizenForm) -> Result<Citizen, PageAnswer> {
        let today = self.clock.now().with_timezone(&self.zone).date_naive();
        let checked = form.check(&self.pseudonyms, today);
        let checked = checked.map_err(|fields| PageAnswer::Fields { fields })?;
        let citizen = checked.citizen().await;
        citizen.map_err(|fault| PageAnswer::of_key_service_fault(&fault))
    }

    /// Passes that the registry issued, or what to answer where it issued none.
    async fn issued(
        &self,
        form: CitizenForm,
        kind: PassKind,
        key: &IdempotencyKey,
    ) -> Result<IssuedPasses, PageAnswer> {
        let citizen = self.citizen(form).await?;
        let holder = match kind.group() {
            None => citizen.holder,
            Some(_) => citizen.certificate_holder,
        };
        let order = PassOrder::of(&citizen, kind, holder);
        let passes = self.registry.passes(&order, key).await;
        match passes.map_err(|fault| failed(&fault))? {
            PassesReply::Refused { reasons } => Err(PageAnswer::Refused { reasons }),
            PassesReply::Exhausted => Err(PageAnswer::exhausted()),
            passes => Ok(IssuedPasses { passes, holder }),
        }
    }
}

/// Passes that the registry issued, and the attributes that it was asked to disclose.
struct IssuedPasses {
    passes: PassesReply,
    holder: HolderAttributes,
}

impl IssuedPasses {
    fn strips(&self) -> Result<&[IssuedPass], PageAnswer> {
        match &self.passes {
            PassesReply::Strips { strips } => Ok(strips),
            _ => Err(failed(&mixed_up())),
        }
    }
}

/// Notes in the log that the registry gave no answer, and what to change; answers the citizen.
fn failed(fault: &RegistryFault) -> PageAnswer {
    // Whoever asks can bring this about: it is no failure of the registry.
    if fault.kind != RegistryFaultKind::KeyReused {
        note(fault);
    }
    PageAnswer::of_fault(fault)
}

/// An answer to another question.
fn mixed_up() -> RegistryFault {
    RegistryFault::of(RegistryFaultKind::Nonsense).because("a pass that was not asked for")
}

/// Claims of a pass, if it is the one that was asked for.
fn claims(strip: &IssuedPass, holder: HolderAttributes) -> Result<Claims, RegistryFault> {
    let nonsense = |what| RegistryFault::of(RegistryFaultKind::Nonsense).because(what);
    let envelope = from_text(&strip.text).and_then(|cose| Envelope::open(&cose));
    let envelope = envelope.map_err(|_| nonsense("a text that is no pass"))?;
    let claims = Claims::decode(&envelope.payload);
    let claims = claims.map_err(|_| nonsense("a pass with other claims than passes have"))?;
    if claims.holder() != holder || claims.expires() != strip.until {
        return Err(nonsense("a pass of another holder or window"));
    }
    Ok(claims)
}

fn strip_claims(strip: &IssuedPass, holder: HolderAttributes) -> Result<Claims, RegistryFault> {
    let claims = claims(strip, holder)?;
    match &claims {
        Claims::City(_) if claims.from() == strip.from => Ok(claims),
        _ => Err(mixed_up()),
    }
}

fn code(strip: &IssuedPass, holder: HolderAttributes) -> Result<Code, RegistryFault> {
    let claims = strip_claims(strip, holder)?;
    let code = QrCode::of_text(&strip.text).map_err(|_| mixed_up())?;
    Ok(Code {
        svg: code.to_svg(),
        text: strip.text.clone(),
        from: claims.from(),
        until: claims.expires(),
    })
}

fn certified(
    certificate: IssuedPass,
    kind: PassKind,
    holder: HolderAttributes,
    zone: Tz,
) -> Result<ShownCertificate, RegistryFault> {
    let Claims::Hcert(claims) = claims(&certificate, holder)? else {
        return Err(mixed_up());
    };
    let entry = claims.certificate.entry;
    if kind.group() != Some(entry.group()) {
        return Err(mixed_up());
    }
    let code = QrCode::of_text(&certificate.text).map_err(|_| mixed_up())?;
    Ok(ShownCertificate {
        svg: code.to_svg(),
        text: certificate.text,
        until: claims.expires,
        zone: zone.name(),
        states: entry.into(),
        holder: ShownHolder::of(holder),
    })
}
