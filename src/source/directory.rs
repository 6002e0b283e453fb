//! Migration scripts from a folder.

use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::migration::catalog::SourceFile;
use crate::migration::file_name::parse_file_name;

/// The largest file that is read, in bytes. A script has to fit into memory several times over (its
/// bytes, its parsed form, the text sent), and a server takes no query above 1 GB.
pub const FILE_LIMIT: u64 = 64 * 1024 * 1024;

/// Room for one file, in bytes: most scripts are shorter, and are then read without asking for their length.
const USUAL_LENGTH: usize = 8 * 1024;

/// Why a folder gives no scripts. Nothing was sent to a database.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// There is nothing of this name.
    #[error(
        "There is no folder {}. Name the one that holds the migrations with --dir.",
        .0.display()
    )]
    NotFound(PathBuf),
    /// It is not a folder.
    #[error(
        "{} is not a folder. Name the one that holds the migrations with --dir.",
        .0.display()
    )]
    NotAFolder(PathBuf),
    /// The operating system does not let us read it.
    #[error("{} cannot be read: {source}.", path.display())]
    Unreadable {
        /// The folder, or a file in it.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file above [`FILE_LIMIT`].
    #[error(
        "{} is larger than {} MiB, the most that a migration file may have. Split it into several versions, or load its data by another way.",
        .0.display(),
        FILE_LIMIT / (1024 * 1024)
    )]
    TooLarge(PathBuf),
}

/// Files from which on a second thread is worth its start.
const MANY: usize = 64;

/// Threads that read at the most: reading is a handful of system calls a file, and no more than two were
/// seen to help.
const READERS: usize = 2;

/// Reads the migration files of a folder, and gives what `each` makes of them, in the order of their names. Sub-folders,
/// special files and files whose name does not start with a digit are left alone; symbolic links are followed.
///
/// # Errors
/// See [`DirectoryError`]. A name that starts with a digit and does not fit the grammar is no error
/// here: the file is given without its bytes, and the catalog reports it with all other defects.
pub fn read<T: Send>(
    folder: &Path,
    each: impl Fn(SourceFile) -> T + Sync,
) -> Result<Vec<T>, DirectoryError> {
    let entries = entries(folder)?;
    if entries.len() < MANY {
        return read_all(&entries, &each);
    }
    let (first, rest) = entries.split_at(entries.len() / READERS);
    let (first, rest) = std::thread::scope(|scope| {
        let other = scope.spawn(|| read_all(rest, &each));
        (read_all(first, &each), other.join())
    });
    let mut files = first?;
    files.extend(rest.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
    Ok(files)
}

/// Everything in the folder, with its name, sorted by that. A name that is not UTF-8 gets replacement characters,
/// which the grammar refuses by name.
fn entries(folder: &Path) -> Result<Vec<(String, DirEntry)>, DirectoryError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| no_folder(folder, error))? {
        let entry = entry.map_err(|source| unreadable(folder, source))?;
        entries.push((entry.file_name().to_string_lossy().into_owned(), entry));
    }
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}

fn read_all<T>(
    entries: &[(String, DirEntry)],
    each: impl Fn(SourceFile) -> T,
) -> Result<Vec<T>, DirectoryError> {
    let mut files = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        files.extend(read_entry(name, entry)?.map(&each));
    }
    Ok(files)
}

/// The file behind an entry; `None`: it is none of ours.
fn read_entry(name: &str, entry: &DirEntry) -> Result<Option<SourceFile>, DirectoryError> {
    let parsed = parse_file_name(name);
    let path = entry.path();
    if matches!(parsed, Ok(None)) || !is_file(entry, &path)? {
        return Ok(None);
    }
    let bytes = match parsed {
        Ok(_) => read_file(&path)?,
        Err(_) => Vec::new(),
    };
    let name = name.to_owned();
    Ok(Some(SourceFile { name, bytes }))
}

/// What the folder itself says; only a link has to be followed.
fn is_file(entry: &DirEntry, path: &Path) -> Result<bool, DirectoryError> {
    let kind = entry
        .file_type()
        .map_err(|source| unreadable(path, source))?;
    if !kind.is_symlink() {
        return Ok(kind.is_file());
    }
    let target = fs::metadata(path).map_err(|source| unreadable(path, source))?;
    Ok(target.is_file())
}

fn read_file(path: &Path) -> Result<Vec<u8>, DirectoryError> {
    let file = File::open(path).map_err(|source| unreadable(path, source))?;
    let mut bytes = Vec::with_capacity(USUAL_LENGTH);
    file.take(FILE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| unreadable(path, source))?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(DirectoryError::TooLarge(path.to_owned()));
    }
    bytes.shrink_to_fit();
    Ok(bytes)
}

fn no_folder(folder: &Path, error: io::Error) -> DirectoryError {
    match error.kind() {
        io::ErrorKind::NotFound => DirectoryError::NotFound(folder.to_owned()),
        io::ErrorKind::NotADirectory => DirectoryError::NotAFolder(folder.to_owned()),
        _ => unreadable(folder, error),
    }
}

fn unreadable(path: &Path, source: io::Error) -> DirectoryError {
    DirectoryError::Unreadable {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(files: &[SourceFile]) -> Vec<&str> {
        files.iter().map(|file| file.name.as_str()).collect()
    }

    #[test]
    fn reads_what_starts_with_a_digit_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("002_b_UP.sql"), "SELECT 2").unwrap();
        fs::write(at("README.md"), "text").unwrap();
        fs::write(at("3_wrong"), "text").unwrap();
        fs::create_dir(at("004_folder_UP.sql")).unwrap();
        fs::create_dir(at("old")).unwrap();
        fs::write(at("old/005_c_UP.sql"), "SELECT 5").unwrap();
        fs::write(at("target"), "SELECT 1").unwrap();
        symlink(at("target"), at("001_a_UP.sql")).unwrap();

        let files = read(folder.path(), |file| file).unwrap();
        assert_eq!(names(&files), ["001_a_UP.sql", "002_b_UP.sql", "3_wrong"]);
        assert_eq!(files[0].bytes, b"SELECT 1");
        assert!(files[2].bytes.is_empty());
    }

    #[test]
    fn a_large_folder_comes_in_the_order_of_its_names_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..2 * MANY {
            let name = format!("{number:03}_a_UP.sql");
            fs::write(folder.path().join(name), number.to_string()).unwrap();
        }
        let read_here = |file: SourceFile| {
            let text = String::from_utf8(file.bytes).unwrap();
            (file.name, text, std::thread::current().id())
        };
        let files = read(folder.path(), read_here).unwrap();
        let expected = (0..2 * MANY).map(|number| (format!("{number:03}_a_UP.sql"), number));
        for ((name, text, _), (expected, number)) in files.iter().zip(expected) {
            assert_eq!((name, text), (&expected, &number.to_string()));
        }
        assert_eq!(files.len(), 2 * MANY);
        let threads: std::collections::HashSet<_> = files.iter().map(|file| file.2).collect();
        assert_eq!(threads.len(), READERS);
    }

    #[test]
    fn says_what_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        assert!(matches!(
            read(&missing, |file| file),
            Err(DirectoryError::NotFound(_))
        ));

        let file = folder.path().join("001_a_UP.sql");
        fs::write(&file, "SELECT 1").unwrap();
        assert!(matches!(
            read(&file, |file| file),
            Err(DirectoryError::NotAFolder(_))
        ));

        symlink(&missing, folder.path().join("002_b_UP.sql")).unwrap();
        let error = read(folder.path(), |file| file).unwrap_err().to_string();
        assert!(
            error.contains("002_b_UP.sql cannot be read: No such file"),
            "{error}"
        );
    }

    #[test]
    fn refuses_a_file_above_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("001_a_UP.sql");
        File::create(&path)
            .unwrap()
            .set_len(FILE_LIMIT + 1)
            .unwrap();
        let error = read(folder.path(), |file| file).unwrap_err().to_string();
        assert!(error.contains("larger than 64 MiB"), "{error}");
    }
}
