//! Issuing countries: codes of ISO 3166-1 and ICAO Doc 9303, numbers of UN M49, and names, all to
//! three letters.

mod issuer;
mod names;

pub(super) use issuer::Issuer;
pub(crate) use issuer::{Countries, CountryMeaning};

/// ISO 3166-1 as alpha-2 followed by alpha-3, sorted, one space between entries.
const ISO_3166_1: &str = "\
ADAND AEARE AFAFG AGATG AIAIA ALALB AMARM AOAGO AQATA ARARG ASASM ATAUT AUAUS AWABW AXALA AZAZE \
BABIH BBBRB BDBGD BEBEL BFBFA BGBGR BHBHR BIBDI BJBEN BLBLM BMBMU BNBRN BOBOL BQBES BRBRA BSBHS \
BTBTN BVBVT BWBWA BYBLR BZBLZ CACAN CCCCK CDCOD CFCAF CGCOG CHCHE CICIV CKCOK CLCHL CMCMR CNCHN \
COCOL CRCRI CUCUB CVCPV CWCUW CXCXR CYCYP CZCZE DEDEU DJDJI DKDNK DMDMA DODOM DZDZA ECECU EEEST \
EGEGY EHESH ERERI ESESP ETETH FIFIN FJFJI FKFLK FMFSM FOFRO FRFRA GAGAB GBGBR GDGRD GEGEO GFGUF \
GGGGY GHGHA GIGIB GLGRL GMGMB GNGIN GPGLP GQGNQ GRGRC GSSGS GTGTM GUGUM GWGNB GYGUY HKHKG HMHMD \
HNHND HRHRV HTHTI HUHUN IDIDN IEIRL ILISR IMIMN ININD IOIOT IQIRQ IRIRN ISISL ITITA JEJEY JMJAM \
JOJOR JPJPN KEKEN KGKGZ KHKHM KIKIR KMCOM KNKNA KPPRK KRKOR KWKWT KYCYM KZKAZ LALAO LBLBN LCLCA \
LILIE LKLKA LRLBR LSLSO LTLTU LULUX LVLVA LYLBY MAMAR MCMCO MDMDA MEMNE MFMAF MGMDG MHMHL MKMKD \
MLMLI MMMMR MNMNG MOMAC MPMNP MQMTQ MRMRT MSMSR MTMLT MUMUS MVMDV MWMWI MXMEX MYMYS MZMOZ NANAM \
NCNCL NENER NFNFK NGNGA NINIC NLNLD NONOR NPNPL NRNRU NUNIU NZNZL OMOMN PAPAN PEPER PFPYF PGPNG \
PHPHL PKPAK PLPOL PMSPM PNPCN PRPRI PSPSE PTPRT PWPLW PYPRY QAQAT REREU ROROU RSSRB RURUS RWRWA \
SASAU SBSLB SCSYC SDSDN SESWE SGSGP SHSHN SISVN SJSJM SKSVK SLSLE SMSMR SNSEN SOSOM SRSUR SSSSD \
STSTP SVSLV SXSXM SYSYR SZSWZ TCTCA TDTCD TFATF TGTGO THTHA TJTJK TKTKL TLTLS TMTKM TNTUN TOTON \
TRTUR TTTTO TVTUV TWTWN TZTZA UAUKR UGUGA UMUMI USUSA UYURY UZUZB VAVAT VCVCT VEVEN VGVGB VIVIR \
VNVNM VUVUT WFWLF WSWSM YEYEM YTMYT ZAZAF ZMZMB ZWZWE";

/// Issuers that print no ISO code on a passport's machine-readable line (ICAO Doc 9303 part 3,
/// section 5), and codes that stand beside ISO's in common use: `EL` and `UK` of the European
/// Union, `ROM` from before 2002.
///
/// Kinds of British nationals are those of one issuer, whose numbers are of one series.
const BESIDE_ISO: [(&str, &str); 30] = [
    ("D", "DEU"),
    ("EL", "GRC"),
    ("EUE", "EUE"),
    ("GBD", "GBR"),
    ("GBN", "GBR"),
    ("GBO", "GBR"),
    ("GBP", "GBR"),
    ("GBS", "GBR"),
    ("RKS", "XKX"),
    ("ROM", "ROU"),
    ("UK", "GBR"),
    ("UNA", "UNA"),
    ("UNK", "UNK"),
    ("UNO", "UNO"),
    // Stateless persons, and refugees.
    ("XXA", "XXA"),
    ("XXB", "XXB"),
    ("XXC", "XXC"),
    // Organisations.
    ("XBA", "XBA"),
    ("XCC", "XCC"),
    ("XCE", "XCE"),
    ("XCO", "XCO"),
    ("XDC", "XDC"),
    ("XEC", "XEC"),
    ("XES", "XES"),
    ("XIM", "XIM"),
    ("XMP", "XMP"),
    ("XOM", "XOM"),
    ("XPO", "XPO"),
    ("XK", "XKX"),
    ("XKX", "XKX"),
];

/// Code of ICAO Doc 9303 for an unspecified country, which is none.
const UNSPECIFIED: &str = "XXX";

/// Bytes of one entry of [`ISO_3166_1`] with its space.
const ENTRY_BYTES: usize = 6;

/// The three letters for a code of one to three letters in any case; `None` when it is not on the
/// lists.
pub(crate) fn alpha3(code: &str) -> Option<&'static str> {
    let code = code.trim();
    let same = |listed: &str| listed.eq_ignore_ascii_case(code);
    if let Some((_, three)) = BESIDE_ISO.iter().find(|(listed, _)| same(listed)) {
        return Some(three);
    }
    let entries = || {
        (0..ISO_3166_1.len())
            .step_by(ENTRY_BYTES)
            .map(|at| (&ISO_3166_1[at..at + 2], &ISO_3166_1[at + 2..at + 5]))
    };
    match code.len() {
        2 => entries().find(|(two, _)| same(two)).map(|(_, three)| three),
        3 => entries()
            .find(|(_, three)| same(three))
            .map(|(_, three)| three),
        _ => None,
    }
}

/// The three letters for a code, number or name; `None` when it is not on the lists.
fn known(text: &str) -> Option<&'static str> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.len() {
        // Numbers lose their leading zeros in columns of numbers.
        1..=3 if is_number => names::of_number(text),
        _ if is_number => None,
        1..=3 => alpha3(text).or_else(|| names::of_name(text)),
        _ => names::of_name(text),
    }
}

#[cfg(test)]
mod tests;
