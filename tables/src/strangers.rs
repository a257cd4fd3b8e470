//! Files that are no table we read, by what they are: told so, with what to do in the program they come from.

/// A kind of file that is not read.
#[derive(Debug)]
pub(crate) struct Stranger {
    /// What it is, for operators.
    pub english: &'static str,
    /// The same for the people who put it there.
    pub russian: &'static str,
    /// What they are to do.
    pub cure: &'static str,
}

/// Saving a table again in the program that shows it.
const SAVE_AS: &str = "откройте файл в Excel, LibreOffice, МойОфис или Р7-Офис, выберите «Сохранить как» → «Книга Excel (.xlsx)» \
                       и положите новый файл";
/// Asking for a table.
const ASK_FOR_TABLE: &str = "выгрузите из системы таблицу: «Книга Excel (.xlsx)» или CSV";
/// Taking a file out of an archive.
const UNPACK: &str = "распакуйте архив и положите сами таблицы (.xlsx, .ods, .xls, .csv)";

macro_rules! strangers {
    ($($name:ident: $english:literal, $russian:literal, $cure:expr;)*) => {
        $(pub(crate) const $name: &str = $english;)*
        /// Every kind.
        pub(crate) const STRANGERS: &[Stranger] = &[
            $(Stranger { english: $english, russian: $russian, cure: $cure },)*
        ];
    };
}

strangers! {
    NO_TABLE: "neither XLSX nor CSV", "это не XLSX и не CSV", SAVE_AS;
    PROTECTED: "a workbook protected by a password", "книга с паролем",
        "откройте её в Excel, LibreOffice, МойОфис или Р7-Офис, снимите пароль («Файл» → «Сведения» → «Защита книги» → \
         «Зашифровать с паролем», оставить пустым; в LibreOffice: «Сохранить как» без отметки «Сохранить с паролем») и положите снова";
    NO_WORKBOOK: "an archive without a workbook in it", "архив, в котором нет книги", UNPACK;
    OLD_OFFICE: "a file of the old Office without a workbook in it", "файл старого Office, в котором нет книги", SAVE_AS;
    EXCEL_95: "a workbook of Excel 95 or older", "книга Excel 95 или старше", SAVE_AS;
    XLSB: "an XLSB that is written otherwise than we know", "двоичная книга Excel (.xlsb), разобрать которую не удалось", SAVE_AS;
    XLS: "an XLS that is written otherwise than we know", "книга старого Excel (.xls), разобрать которую не удалось", SAVE_AS;
    ODS: "an ODS that is written otherwise than we know", "книга OpenDocument (.ods), разобрать которую не удалось", SAVE_AS;
    XLS_TOO_LARGE: "a workbook of the old Excel (.xls) of more than 16 MB", "книга старого Excel (.xls) больше 16 МБ", SAVE_AS;
    ARCHIVE: "an archive (RAR, 7z, gzip)", "архив (RAR, 7z, gzip)", UNPACK;
    NUMBERS: "a table of Apple Numbers", "таблица Apple Numbers", "в Numbers выберите «Файл» → «Экспортировать в» → «Excel» и положите новый файл";
    WORD: "a text document (Word, OpenDocument)", "текстовый документ (Word, OpenDocument), а не таблица", ASK_FOR_TABLE;
    SLIDES: "a presentation or a drawing", "презентация или рисунок, а не таблица", ASK_FOR_TABLE;
    PDF: "a PDF document", "документ PDF", ASK_FOR_TABLE;
    PICTURE: "a picture", "картинка", ASK_FOR_TABLE;
    RTF: "a text document (RTF)", "текстовый документ RTF, а не таблица", ASK_FOR_TABLE;
    HTML: "a page of HTML", "веб-страница (HTML), как бы ни назывался файл", SAVE_AS;
    XML_2003: "a table in XML of Excel 2003", "таблица XML Excel 2003, как бы ни назывался файл", SAVE_AS;
    FLAT_OPEN_DOCUMENT: "an OpenDocument table as one XML file", "таблица OpenDocument одним файлом XML (.fods)", SAVE_AS;
    XML: "an XML file", "файл XML, а не таблица", ASK_FOR_TABLE;
    SYLK: "a table in SYLK", "таблица SYLK (.slk)", SAVE_AS;
    NO_BEGINNING: "the file does not start as a workbook", "начало файла не похоже на книгу", SAVE_AS;
}

/// What stands at the beginning of a kind of file.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (b"%PDF-", PDF),
    (b"\x89PNG\r\n\x1a\n", PICTURE),
    (b"\xFF\xD8\xFF", PICTURE),
    (b"GIF8", PICTURE),
    (b"Rar!\x1a\x07", ARCHIVE),
    (b"7z\xBC\xAF\x27\x1C", ARCHIVE),
    (b"\x1F\x8B\x08", ARCHIVE),
    (b"{\\rtf", RTF),
    (b"ID;P", SYLK),
];

/// What a file with this beginning is, when it is none of ours; `start` may be in any encoding that holds ASCII.
pub(crate) fn of_start(start: &[u8]) -> Option<&'static str> {
    const LOOKED_AT: usize = 4096;
    let begins = BEGINNINGS.iter().find(|(bytes, _)| start.starts_with(bytes));
    if let Some((_, what)) = begins {
        return Some(what);
    }
    // UTF-16, too: zeros between the letters.
    let letters = start.iter().filter(|byte| **byte != 0).take(LOOKED_AT);
    let text: Vec<u8> = letters.map(u8::to_ascii_lowercase).collect();
    let marks: &[&[u8]] = &[b"\xEF\xBB\xBF", b"\xFF\xFE", b"\xFE\xFF"];
    let text = marks.iter().find_map(|mark| text.strip_prefix(*mark)).unwrap_or(&text);
    let text = text.trim_ascii_start();
    let holds = |word: &str| text.windows(word.len()).any(|window| window == word.as_bytes());
    let begins = |word: &str| text.starts_with(word.as_bytes());
    if ["<html", "<!doctype html", "<table", "<head", "<body", "<meta", "<style"]
        .into_iter()
        .any(begins)
    {
        return Some(HTML);
    }
    if begins("mime-version:") {
        return Some(HTML);
    }
    if begins("<?xml") || begins("<workbook") || begins("<office:document") {
        return Some(match () {
            () if holds("urn:schemas-microsoft-com:office:spreadsheet") => XML_2003,
            () if holds("<office:document") => FLAT_OPEN_DOCUMENT,
            () if holds("<html") => HTML,
            () => XML,
        });
    }
    None
}

/// The kind by its English name.
pub(crate) fn by_name(english: &str) -> Option<&'static Stranger> {
    STRANGERS.iter().find(|stranger| stranger.english == english)
}

/// Where the encoding of a text is changed.
pub(crate) const ENCODING_CURE: &str = "сохраните CSV в кодировке UTF-8 (в Excel: «Сохранить как» → «CSV UTF-8»; в LibreOffice, МойОфис и \
                                       Р7-Офис: «Текст CSV», набор символов «Юникод (UTF-8)») или как «Книга Excel (.xlsx)»";
