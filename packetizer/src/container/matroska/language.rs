//! Languages: Matroska's forms as ISO 639-2/T codes (RFC 9559 §12).

/// The code of a Language element: ISO 639-2/B, perhaps with a country behind a hyphen; `None` for
/// `und` and what is no code.
pub(super) fn from_language(text: &[u8]) -> Option<[u8; 3]> {
    let code = text.split(|byte| *byte == b'-').next()?;
    let code: [u8; 3] = code.try_into().ok()?;
    let code = BIBLIOGRAPHIC.iter().find(|(from, _)| **from == code).map_or(code, |(_, to)| **to);
    (code.iter().all(u8::is_ascii_lowercase) && code != *b"und").then_some(code)
}

/// The code of a LanguageBCP47 element, by its primary subtag (RFC 5646 §2.2.1): ISO 639-1, else
/// ISO 639-2 or 639-3.
pub(super) fn from_bcp47(text: &[u8]) -> Option<[u8; 3]> {
    let primary = text.split(|byte| *byte == b'-').next()?.to_ascii_lowercase();
    if primary.len() != 2 {
        return from_language(&primary);
    }
    let mut pairs = TWO_LETTERS.split_ascii_whitespace().map(str::as_bytes);
    let pair = pairs.find(|pair| pair.starts_with(&primary))?;
    pair.last_chunk().copied()
}

/// Codes that ISO 639-2 has twice: bibliographic and terminological.
const BIBLIOGRAPHIC: &[(&[u8; 3], &[u8; 3])] = &[
    (b"alb", b"sqi"),
    (b"arm", b"hye"),
    (b"baq", b"eus"),
    (b"bur", b"mya"),
    (b"chi", b"zho"),
    (b"cze", b"ces"),
    (b"dut", b"nld"),
    (b"fre", b"fra"),
    (b"geo", b"kat"),
    (b"ger", b"deu"),
    (b"gre", b"ell"),
    (b"ice", b"isl"),
    (b"mac", b"mkd"),
    (b"mao", b"mri"),
    (b"may", b"msa"),
    (b"per", b"fas"),
    (b"rum", b"ron"),
    (b"slo", b"slk"),
    (b"tib", b"bod"),
    (b"wel", b"cym"),
];

/// ISO 639-1 codes, each with its ISO 639-2/T code.
const TWO_LETTERS: &str = "
    aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak
    be:bel bg:bul bi:bis bm:bam bn:ben bo:bod br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre
    cs:ces cu:chu cv:chv cy:cym da:dan de:deu dv:div dz:dzo ee:ewe el:ell en:eng eo:epo es:spa
    et:est eu:eus fa:fas ff:ful fi:fin fj:fij fo:fao fr:fra fy:fry ga:gle gd:gla gl:glg gn:grn
    gu:guj gv:glv ha:hau he:heb hi:hin ho:hmo hr:hrv ht:hat hu:hun hy:hye hz:her ia:ina id:ind
    ie:ile ig:ibo ii:iii ik:ipk io:ido is:isl it:ita iu:iku ja:jpn jv:jav ka:kat kg:kon ki:kik
    kj:kua kk:kaz kl:kal km:khm kn:kan ko:kor kr:kau ks:kas ku:kur kv:kom kw:cor ky:kir la:lat
    lb:ltz lg:lug li:lim ln:lin lo:lao lt:lit lu:lub lv:lav mg:mlg mh:mah mi:mri mk:mkd ml:mal
    mn:mon mr:mar ms:msa mt:mlt my:mya na:nau nb:nob nd:nde ne:nep ng:ndo nl:nld nn:nno no:nor
    nr:nbl nv:nav ny:nya oc:oci oj:oji om:orm or:ori os:oss pa:pan pi:pli pl:pol ps:pus pt:por
    qu:que rm:roh rn:run ro:ron ru:rus rw:kin sa:san sc:srd sd:snd se:sme sg:sag si:sin sk:slk
    sl:slv sm:smo sn:sna so:som sq:sqi sr:srp ss:ssw st:sot su:sun sv:swe sw:swa ta:tam te:tel
    tg:tgk th:tha ti:tir tk:tuk tl:tgl tn:tsn to:ton tr:tur ts:tso tt:tat tw:twi ty:tah ug:uig
    uk:ukr ur:urd uz:uzb ve:ven vi:vie vo:vol wa:wln wo:wol xh:xho yi:yid yo:yor za:zha zh:zho
    zu:zul";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_terminological() {
        for (text, expected) in [
            (&b"eng"[..], Some(b"eng")),
            (b"ger", Some(b"deu")),
            (b"fre-ca", Some(b"fra")),
            (b"und", None),
            (b"en", None),
            (b"ENG", None),
            (b"", None),
        ] {
            assert_eq!(from_language(text), expected.copied(), "{text:?}");
        }
        for (text, expected) in [
            (&b"en-US"[..], Some(b"eng")),
            (b"DE", Some(b"deu")),
            (b"zh-Hant", Some(b"zho")),
            (b"zu", Some(b"zul")),
            (b"yue", Some(b"yue")),
            (b"und", None),
            (b"xx", None),
            (b"", None),
        ] {
            assert_eq!(from_bcp47(text), expected.copied(), "{text:?}");
        }
    }
}
