//! Issuing countries: ISO 3166-1 alpha-2 and alpha-3, and the issuers of ICAO Doc 9303, all to
//! three letters.

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
/// section 5).
const DOC_9303: [(&str, &str); 10] = [
    ("D", "DEU"),
    ("EUE", "EUE"),
    ("RKS", "XKX"),
    ("UNA", "UNA"),
    ("UNK", "UNK"),
    ("UNO", "UNO"),
    ("XK", "XKX"),
    ("XKX", "XKX"),
    ("XOM", "XOM"),
    ("XPO", "XPO"),
];

/// Bytes of one entry of [`ISO_3166_1`] with its space.
const ENTRY_BYTES: usize = 6;

/// The three letters for a code of one to three letters in any case; `None` when it is not on the
/// lists.
pub(super) fn alpha3(code: &str) -> Option<&'static str> {
    let code = code.trim();
    let same = |listed: &str| listed.eq_ignore_ascii_case(code);
    if let Some((_, three)) = DOC_9303.iter().find(|(listed, _)| same(listed)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_country_once_and_in_order() {
        let entries: Vec<&str> = ISO_3166_1.split(' ').collect();
        assert_eq!(entries.len(), 249);
        assert!(entries.iter().all(|entry| entry.len() == ENTRY_BYTES - 1));
        assert!(entries.is_sorted() && entries.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn two_and_three_letters_in_any_case_mean_the_same() {
        for code in ["DE", "de", " DEU", "deu ", "D"] {
            assert_eq!(alpha3(code), Some("DEU"), "{code}");
        }
        assert_eq!(alpha3("ad"), Some("AND"));
        assert_eq!(alpha3("ZWE"), Some("ZWE"));
        assert_eq!(alpha3("UNO"), Some("UNO"));
    }

    #[test]
    fn what_is_on_no_list_is_not_guessed() {
        for code in ["", "Q", "QQ", "QQQ", "Germany", "ДЕ", "D E", "276"] {
            assert_eq!(alpha3(code), None, "{code}");
        }
    }
}
