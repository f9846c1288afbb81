//! Languages: ISO 639-2/T codes, which containers and tracks have, and the tags of BCP 47
//! (RFC 5646),
//! which SDP and URLs have.

/// The ISO 639-2/T code of a language tag by its primary subtag (RFC 5646 §2.2.1), in any case:
/// ISO 639-1, ISO 639-2 (either form) or 639-3. `None` for `und` and what is no code.
#[must_use]
pub fn code(tag: &str) -> Option<[u8; 3]> {
    let primary = tag.split('-').next()?.to_ascii_lowercase();
    if primary.len() == 2 {
        let mut pairs = TWO_LETTERS.split_ascii_whitespace().map(str::as_bytes);
        let pair = pairs.find(|pair| pair.starts_with(primary.as_bytes()))?;
        return pair.last_chunk().copied();
    }
    terminological(primary.as_bytes())
}

/// The ISO 639-2/T code of an ISO 639-2 code of either form; `None` for `und` and what is no code.
#[must_use]
pub fn terminological(code: &[u8]) -> Option<[u8; 3]> {
    let code: [u8; 3] = code.try_into().ok()?;
    let code = BIBLIOGRAPHIC.iter().find(|(from, _)| **from == code).map_or(code, |(_, to)| **to);
    (code.iter().all(u8::is_ascii_lowercase) && code != *b"und").then_some(code)
}

/// The tag of an ISO 639-2/T code: that of ISO 639-1, if there is one (RFC 5646 §4.5, the
/// shortest).
/// `None` for what is no code.
#[must_use]
pub fn tag(code: [u8; 3]) -> Option<String> {
    if !code.iter().all(u8::is_ascii_lowercase) {
        return None;
    }
    let mut pairs = TWO_LETTERS.split_ascii_whitespace().filter_map(|pair| pair.split_once(':'));
    let letters = match pairs.find(|(_, three)| three.as_bytes() == code) {
        Some((two, _)) => two.to_owned(),
        None => code.map(char::from).iter().collect(),
    };
    Some(letters)
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
    fn tags_become_terminological_codes() {
        for (tag, expected) in [
            ("en", Some(b"eng")),
            ("EN", Some(b"eng")),
            ("eng", Some(b"eng")),
            ("Eng-GB", Some(b"eng")),
            ("ger", Some(b"deu")),
            ("deu", Some(b"deu")),
            ("zh-Hant", Some(b"zho")),
            ("yue", Some(b"yue")),
            ("xx", None),
            ("und", None),
            ("english", None),
            ("e1g", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(code(tag), expected.copied(), "{tag}");
        }
    }

    #[test]
    fn tags_are_the_shortest() {
        for (code, expected) in [
            (b"eng", Some("en")),
            (b"deu", Some("de")),
            (b"zul", Some("zu")),
            (b"yue", Some("yue")),
            (b"mul", Some("mul")),
            (b"ENG", None),
            (b"e g", None),
        ] {
            assert_eq!(tag(*code).as_deref(), expected, "{code:?}");
        }
        // Every two letters lead back to themselves.
        for pair in TWO_LETTERS.split_ascii_whitespace() {
            let (two, three) = pair.split_once(':').unwrap();
            assert_eq!(code(two).and_then(tag).as_deref(), Some(two), "{pair}");
            assert_eq!(code(two), code(three), "{pair}");
        }
    }
}
