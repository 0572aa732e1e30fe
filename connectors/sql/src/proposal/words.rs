//! Names that tables and columns of clinic systems bear, in English, Russian (in both alphabets)
//! and French. Cyrillic and accents stand here in the form that `names` brings them to.

use super::names::Words;

/// Whole names (the surest first), words and parts of names, and parts of names of something else.
const fn list(
    whole: &'static str,
    words: &'static str,
    parts: &'static str,
    never: &'static str,
) -> Words {
    Words {
        whole,
        words,
        parts,
        never,
    }
}

/// Parts of names of tables that hold no facts of their own.
const NO_FACTS: &str = "audit history istori histor backup archiv template config setting lookup \
    catalog \
     spravochnik referen mapping seq schedule campaign stock invent staging type option \
     criteria reaction side user export import tmp price plan raspisan report map norm \
     definition";
/// Parts of names of days that are not the day of the fact.
const NO_DATE: &str = "next due expir birth rozhd naiss creat updat modif chang delet sled proch \
    print entered \
     educat vis lot srok izmen sozd void death smert by place site exit valid";

pub(super) const PERSON_TABLE: Words = list(
    "person persons people patient patients patientdata demographic demographics pacienty \
     pacient client clients citizen citizens resident residents personne personnes malade \
     malades usager usagers trackedentityinstance trackedentity fizlica fizlico kontingent \
     lica",
    "patient patients person persons pacient pacienty patsient grazhdanin grazhdane naselenie \
     malade malades personne beneficiary beneficiaire kartoteka employee employees sotrudniki \
     party parties",
    "patient pacient patsient person fizlic",
    "address adres name relation audit history access photo merge contact note attribute \
     identifier role type portal program visit",
);

pub(super) const VACCINATION_TABLE: Words = list(
    "vaccination vaccinations immunization immunizations privivki vakcinacii vakcinaciya \
     vaccinationrecords immunizationrecords doses",
    "vaccinations immunizations immunisations preventions prevention privivki",
    "vaccinat vaccine immunis immuniz vakcin vaktsin privivk injection",
    NO_FACTS,
);

pub(super) const TEST_TABLE: Words = list(
    "pathogentest labresult labresults testresult testresults labtest labtests analizy \
     issledovaniya procedureresult analyses tests results rezultaty resultats obs measurement \
     analysis result \
     tabnormaltestresult tablabtest",
    "lab labs test tests analizy analiz pcr ptcr analyses analyse examen examens laboratory \
     laboratoire measurement obs result results resultat resultats",
    "labresult testresult analiz issledovan laborator covidtest depistage",
    NO_FACTS,
);

pub(super) const RECOVERY_TABLE: Words = list(
    "recoveries recovery diagnoses diagnosis diagnozy conditions condition cases case \
     casedata problems problem zabolevaniya maladies episodes illnesses issues lists \
     conditionoccurrence encounterdiagnosis dxresearch",
    "diagnoses diagnosis diagnoz diagnozy diagnostics diagnostic conditions condition cases \
     case illness zabolevanie maladie recoveries disease diseases",
    "diagnos diagnoz zabolev recover vyzdorov vizdorov maladie guerison",
    NO_FACTS,
);

pub(super) const SNILS: Words = list("snils", "snils", "snils", "date data has");

pub(super) const OMS: Words = list(
    "oms enp polisoms omspolicy policynumber npolis nomerpolisa polis",
    "oms enp",
    "polisoms omspolis nomerpolis polisnomer policynum numpolis polisnum",
    "date data seriya company smo type tip",
);

pub(super) const PASSPORT: Words = list(
    "passport passportnumber passportno passportnum pasport passeport paspnum paspno paspnomer",
    "passport pasport passeport",
    "passport pasport passeport",
    "date data seri country strana pays vidan vydan kem type tip foreign zagran inostr expir \
     issue etranger valid scan file",
);

pub(super) const PASSPORT_SERIES: Words = list(
    "passportseries pasportseriya passportserie passportser seriyapasporta",
    "",
    "passportseri pasportseri seriyapasp seriapasp passportser paspser serpasp",
    "date",
);

pub(super) const FOREIGN_PASSPORT: Words = list(
    "foreignpassport passportforeign zagranpasport passeportetranger inpassport",
    "zagranpasport",
    "foreignpassp passportforeign zagranpas inostrpas pasportinostr passeportetr",
    "date data country strana pays seri expir",
);

pub(super) const PASSPORT_COUNTRY: Words = list(
    "passportcountry passportissuingcountry passeportpays passportforeigncountry",
    "",
    "passportcountry passportissu issuingcountry stranapas paspays payspas",
    "date",
);

pub(super) const CITIZENSHIP: Words = list(
    "citizenship nationality grazhdanstvo nationalite citizenshipcountry",
    "citizenship nationality grazhdanstvo nationalite grazhd",
    "citizenship nationalit grazhdanstv",
    "date",
);

pub(super) const NATIONAL_ID: Words = list(
    "nationalid nationalhealthid nationalidnumber nationalidentifier nationalno aadhar \
     aadhaar cin nin nir numerosecu ssn ss \
     taxcode codicefiscale",
    "nationalid aadhaar aadhar cni",
    "nationalid nationalhealthid identitenationale numsecu securitesociale",
    "date type",
);

pub(super) const EHIC: Words = list(
    "ehic ehicnumber carteeuropeenne ceam",
    "ehic ceam",
    "ehicnum healthinsurancecardeu carteeurop",
    "date country",
);

pub(super) const RESIDENCE_PERMIT: Words = list(
    "residencepermit vnzh vnj titresejour cartesejour",
    "vnzh",
    "residencepermit vidnazhit titredesejour titresejour cartedesejour",
    "date data country expir",
);

pub(super) const BIRTH_CERTIFICATE: Words = list(
    "birthcertificate svidetelstvoorozhdenii actenaissance svidrozhd",
    "",
    "birthcert svidrozh svidetelstvooroz actenaiss actedenaiss",
    "date data country",
);

/// Columns that refer to a person by the person's number.
pub(super) const PERSON_REFERENCE: Words = list(
    "patientid personid pid patient person pacientid idpacienta clientid idpatient demographicno \
     residentid citizenid pacient ptid idpersonne subjectid malade usager kodpacienta medrecid",
    "",
    "",
    "",
);

/// Columns that lead to the patient, whoever else a row names.
pub(super) const PATIENT_REFERENCE: Words = list(
    "patientid pacientid idpacienta clientid idpatient malade kodpacienta patient pacient client",
    "",
    "",
    "",
);

/// Columns that show that a table is about persons, and that are never read.
pub(super) const PERSONAL: Words = list(
    "fname lname firstname lastname dob sex gender surname fio nom fam",
    "birthdate birthday familiya familia prenom pol fio gender naissance",
    "firstname lastname birthdate dateofbirth familiy rozhden datenaiss",
    "",
);

pub(super) const VACCINE: Words = list(
    "vaccinename vaccine vaccinecode cvxcode cvx vaccineid vaccinetype vaccin nomvaccin \
     vakcina preparat drug immunizationname immunizationid preventiontype idvaccin vakcinaid \
     idvakciny preparatid naimenovanievakciny product medicine kodvakciny medicineid \
     vaccineproduct libellevaccin \
     vacida vacid",
    "vaccine vakcina vakciny vaccin preparat cvx vaktsina immunization",
    "vaccinename vaccinecode vaccinetype vakcin vaktsin preparat vaccin",
    "date data dose doza batch lot seriya manufact place site route status other reason note \
     vaccinator vaccinationid count expir proizvod fabric mesto lieu center centre by info \
     type2 vaccinatorid url medic source history",
);

pub(super) const DOSE: Words = list(
    "dosenumber dosenum doseno dose vaccinedose nomerdozy doza rang numerodose etap komponent \
     component numofdose dosesequence doseseq ndose series sequence rangdose",
    "dose doza dozy rang",
    "dosenum dosenr nomerdoz numerodose dosesequence",
    "date data unit amount volume next total ml required doses sled prochaine due interval",
);

pub(super) const SERIES: Words = list(
    "seriesdoses dosestotal totaldoses dosesinseries numberofdoses vsegodoz",
    "",
    "seriesdoses totaldoses dosesinseries nombredoses vsegodoz",
    "date",
);

pub(super) const GIVEN: Words = list(
    "occurredon vaccinationdate givenon dategiven given administereddate administrationdate \
     dateadministered datavakcinacii dataprivivki datevaccination datevaccin occurrencedate \
     preventiondate vacdate vdate datetaken dateprivivki dateinjection dtprivivki dtvakc \
     datavvedeniya immunizationdate performedon eventdate executiondate occurreddate date \
     data obsdatetime visitdate startdate reportdate data1 \
     lastvaccinateddate lastvaccinationdate dateofvaccination dateofimmunization \
     dateofadministration",
    "given administered administration vaccination vakcinacii privivki injection",
    "vaccinationdate administ dategiven givendate vakcinac privivk injection",
    NO_DATE,
);

pub(super) const TEST_CODE: Words = list(
    "loinc loinccode testcode testtype testname test analysiscode analizkod kodanaliza \
     naimenovanieissledovaniya analyte issledovanie analiz resultcode codeanalyse typetest \
     typeanalyse analyse examen conceptid testid measurementconceptid resulttext \
     procedurecode procedurename idanaliza kodissledovaniya vidissledovaniya method metod \
     analysisid question code libelleanalyse vidanaliza name \
     labtestname exaida",
    "loinc test analyte analiz analyse examen issledovanie concept",
    "testtype testcode testname loinc analiz issledovan typetest",
    "date data result rezultat lab status sample note by details verified disease time reason \
     group value comment",
);

pub(super) const RESULT: Words = list(
    "testresult result rezultat resultat valuecoded resultvalue rezultatanaliza \
     resultatanalyse answer reponse resultcode outcome finding value znachenie valeur resultstatus \
     valueasconceptid valueassourcevalue interpretation abnormal otvet \
     res",
    "result rezultat resultat znachenie valeur answer",
    "testresult resultvalue rezultat resultat",
    "date data time verified type units range note text numeric lab by group order comment \
     link file resultid",
);

/// Question that a row answers.
pub(super) const QUESTION: Words = list(
    "conceptid questionid question concept voprosid itemid",
    "concept question",
    "",
    "date group",
);

/// When a sample was taken.
pub(super) const SAMPLED: Words = list(
    "takenon sampledate sampledatetime collecteddate collectiondate takenat datecollected \
     datazabora datavzyatiya dateprelevement datetaken taken collectiondatetime specimendate \
     specimencollected datetimesampled sampledat dateofsample dateofcollection",
    "sampled collected collection taken zabora vzyatiya prelevement",
    "sampledate collect zabor prelev datesampled vzyatiy",
    NO_DATE,
);

/// When a test was asked for, where nothing says when it took place.
pub(super) const REQUESTED: Words = list(
    "daterequested requestdate requesteddate dateorder",
    "",
    "daterequest requestdate",
    NO_DATE,
);

/// When a sample was tested.
pub(super) const TESTED: Words = list(
    "occurredon occurreddate testdatetime testdate datetest obsdatetime dataanaliza \
     dataissledovaniya \
     resultdate datarezultata performedon dateanalyse dateresultat measurementdate \
     observationdate dateexamen dateobserved date data orderdate dateordered eventdate \
     executiondate datereport dateanalysis analysisdate dateofresult dateoftest",
    "test tested performed",
    "testdate analiz resultdate issledov datetest",
    NO_DATE,
);

pub(super) const DIAGNOSIS: Words = list(
    "diagnosiscode icd10 icd10code icd icdcode mkb10 mkb kodmkb mkbkod diagnosis diagnoz \
     cim10 cim codecim codecim10 diagnostic disease diagnosisid conditioncode \
     conditionconceptid diagnozid maladie condition iddiagnoza code problem kod conditionname \
     diagnosiscoded conditioncoded dx zabolevanie dxcode dxresearchcode pathology pathologie",
    "icd10 icd mkb10 mkb cim10 cim diagnosis diagnoz diagnostic disease",
    "diagnosiscode icd10 mkb10 diagnoz diagnosis diagnostic zabolev",
    "date data status type details variant note text comment by rank certainty clinical",
);

pub(super) const RECOVERED: Words = list(
    "recoveredon recoverydate daterecovered outcomedate datavyzdorovleniya dateguerison \
     resolveddate dateresolved abatementdate enddate dateend closeddate datazakritiya \
     dataokonchaniya dischargedate datefin conditionenddate occurredon datavipiski recovered \
     resolved dtvyzdor healeddate datehealed dateofrecovery dateofoutcome",
    "recovered healed recovery vyzdorovleniya guerison resolved resolution outcome",
    "recover vyzdorov vizdorov gueri resolved outcomedate abatement",
    "birth rozhd creat updat modif chang delet status previous",
);

pub(super) const BEGAN: Words = list(
    "beganon onsetdate dateonset onset begdate startdate datanachala datedebut diagnosisdate \
     datadiagnoza conditionstartdate begindate dateilness datazabolevaniya datediagnostic \
     diagnosedon datestart diagnoseddate datediagnosed dateofonset dateofdiagnosis",
    "onset began nachala debut",
    "onset begdate begindate startdate nachala debut zabolev",
    "birth creat updat modif chang delet end",
);

pub(super) const STATUS: Words = list(
    "status state statut etat sostoyanie completionstatus statusid stanje vaccinationstatus \
     immunizationstatus resultstatus teststatus procstatus recordstatus statuszapisi priznak",
    "status statut sostoyanie etat state",
    "statuszap",
    "date marital family insurance sync by verified print sent smoking",
);

/// Frappe's number for the state of a document: 0 a draft, 1 submitted, 2 cancelled.
pub(super) const DOCUMENT_STATUS: Words = list("docstatus", "", "", "");

/// Flags that take a row back where they are set.
pub(super) const DELETED: Words = list(
    "deleted isdeleted voided isvoided retired udalen udaleno isdel del supprime annule \
     annulee addederroneously enteredinerror removed cancelled otmenen otmenena anulirovano \
     pometkaudaleniya deletionmark disabled inactive isremoved efface",
    "deleted voided retired udalen udaleno supprime annule removed",
    "erroneous enteredinerror udalen annul supprim",
    "by reason date at time prichina user uid motif familydata",
);

/// Moments at which a row was taken back; empty for one that holds.
pub(super) const DELETED_AT: Words = list(
    "deletedat deletedon datedeleted deletiondate voidedat datevoided dateretired \
     dataudaleniya datesuppression dateannulation cancelledat removedat supprimele annulele \
     deleteddate deletedate dtudal",
    "deleted voided udaleniya suppression annulation udaleno",
    "dateudal dataudal deletiondat supprim",
    "by reason prichina",
);

/// Flags of a person who was vaccinated.
pub(super) const VACCINATED: Words = list("isvaccinated vaccinated privit privita", "", "", "");

/// Flags of a vaccination that was noted and not given.
pub(super) const NOT_GIVEN: Words = list(
    "refused isrefused wasrefused refusal declined isdeclined never notgiven notadministered \
     notdone ineligible isineligible contraindicated otkaz otkazano otkazalsya neprovedena \
     nevypolnena medotvod refuse refusee nonfait nonadministre",
    "",
    "",
    "",
);

/// Flags that hold a row where they are set.
pub(super) const ACTIVE: Words = list(
    "active isactive activity enabled actif valid deystvuet aktiven",
    "active actif aktivno",
    "",
    "date by reason",
);

pub(super) const CHANGED: Words = list(
    "updatedat updated lastupdated changedat changed changedate datechanged modifiedat \
     modified datemodified modifieddate updatedate lastmodified updatedon lastupdate \
     datemodification datemodif modifiele maj datemaj dataizmeneniya dtizm izmeneno obnovleno \
     dataobnovleniya lastchanged lastupdatedate updatetime dateupdated lastedit tstamp \
     lastmodifieddate writedate izmenen dataizm dtizmen lastupdatedatetime mise misajour",
    "updated changed modified modif izm izmeneniya obnovleniya maj",
    "lastupdat updatedat lastmodif datechang datemodif izmenen obnovlen",
    "by user creat client bynom local author status address",
);

pub(super) const CREATED: Words = list(
    "createdat created creationdate datecreated createdate createdon datecreation creele \
     datasozdaniya dtsozd sozdano entrydate dateentered recordedat insertedat datavvoda \
     datesaisie createddate dateadded added",
    "created creation sozdaniya saisie inserted",
    "creationdat datecreat sozdan datesaisie",
    "by user client author",
);

/// What an illness or a vaccination is about, where a table holds those of many diseases.
pub(super) const DISEASE: Words = list(
    "disease testeddisease zabolevanie infekciya maladie pathogen infection",
    "disease infekciya maladie pathogen",
    "testeddisease",
    "date variant details other status code2",
);

/// How an illness ended.
pub(super) const OUTCOME: Words = list(
    "outcome ishod issue resultatmaladie recovered iscured vyzdorovel",
    "outcome ishod",
    "ishodzabol",
    "date data",
);

/// Text that stands for an entry of a list.
pub(super) const LABEL: Words = list(
    "cvx cvxcode loinc icd10 mkb10 name title naimenovanie nazvanie libelle nom label \
     fullname identitytype dictentry description desc vaccinename medname code kod testname conceptname \
     polnoenaimenovanie value designation shortname defaultname opisanie",
    "name naimenovanie nazvanie libelle title label nom",
    "vaccinename naimenovan nazvanie libelle",
    "date user by manufact by file",
);

/// Country in a form that is told: ISO 3166-1.
pub(super) const COUNTRY_CODE: Words = list(
    "isocode iso3 alpha3 iso2 alpha2 isoalpha3 isoalpha2 codeiso code kod",
    "iso alpha3 alpha2",
    "isocode alpha",
    "phone date",
);
