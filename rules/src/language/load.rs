//! Reads the rule files of a folder. The only part of routing that touches the disk.

use std::path::{Path, PathBuf};

use crate::language::error::{RuleError, RuleErrors};

/// Largest rule file taken, bytes: ten thousand rules need a tenth of it.
const LARGEST_FILE: u64 = 32 * 1024 * 1024;

/// Whether a file holds polygons for the territories of the rules.
pub(crate) fn is_geojson(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "geojson")
}

/// All `*.yaml`, `*.yml` and `*.geojson` of `dir`, in the order of their names. Sub-folders and hidden files are left
/// out. A file stands for a folder with nothing else in it.
///
/// # Errors
/// A folder or file that can't be read, or a folder without rules.
pub(crate) fn folder(dir: &Path) -> Result<Vec<(PathBuf, String)>, RuleErrors> {
    if dir.is_file() {
        return read_all(vec![dir.to_owned()]);
    }
    let entries = std::fs::read_dir(dir).map_err(|error| {
        one(
            dir,
            format!("папка правил не читается: {error}"),
            "проверьте путь и права доступа",
        )
    })?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| {
            one(
                dir,
                format!("папка правил не читается: {error}"),
                "проверьте диск и права",
            )
        })?;
        let path = entry.path();
        let is_yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if (is_yaml || is_geojson(&path)) && !is_hidden && path.is_file() {
            paths.push(path);
        }
    }
    if paths.iter().all(|path| is_geojson(path)) {
        return Err(one(
            dir,
            "в папке нет файлов правил".into(),
            "положите в неё файлы *.yaml",
        ));
    }
    paths.sort();
    read_all(paths)
}

fn read_all(paths: Vec<PathBuf>) -> Result<Vec<(PathBuf, String)>, RuleErrors> {
    let mut files = Vec::with_capacity(paths.len());
    let mut errors = Vec::new();
    for path in paths {
        match read(&path) {
            Ok(text) => files.push((path, text)),
            Err(problem) => errors.push(RuleError {
                file: path,
                line: 0,
                quote: String::new(),
                problem,
                cure: "сохраните файл в кодировке UTF-8 и проверьте права".into(),
                environment: true,
            }),
        }
    }
    if errors.is_empty() {
        Ok(files)
    } else {
        Err(RuleErrors(errors))
    }
}

fn read(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path)
        .map_err(|error| format!("файл не читается: {error}"))?
        .len();
    if size > LARGEST_FILE {
        return Err(format!("файл слишком велик: {size} байт"));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("файл не читается: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| "файл не в кодировке UTF-8".to_owned())?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn one(dir: &Path, problem: String, cure: &str) -> RuleErrors {
    RuleErrors(vec![RuleError {
        file: dir.to_owned(),
        line: 0,
        quote: String::new(),
        problem,
        cure: cure.to_owned(),
        environment: true,
    }])
}
