//! Sets of files with any names and any bytes.

use proptest::prelude::*;
use schemaward::migration::catalog::{Catalog, SourceFile};
use schemaward::migration::checksum::Checksum;
use schemaward::migration::file_name::{Direction, parse_file_name};
use schemaward::migration::version::Version;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => ("[0-9]{1,3}", prop::sample::select(vec!["_", "__", "-", ""]), "[a-z.]{0,4}", prop::sample::select(vec![
            "_UP.sql", "_DOWN.sql", "_up.SQL", "_down.sql", ".sql", "_UP.sql.bak", "_init_schema_migrations.sql",
        ])).prop_map(|(version, separator, name, suffix)| format!("{version}{separator}{name}{suffix}")),
        1 => any::<String>(),
        1 => any::<String>().prop_map(|rest| format!("1{rest}")),
    ]
}

fn files() -> impl Strategy<Value = Vec<SourceFile>> {
    let bytes = prop_oneof![
        3 => Just(b"select 1".to_vec()),
        1 => Just(b"commit; select 1".to_vec()),
        1 => any::<Vec<u8>>(),
    ];
    let file = (name(), bytes).prop_map(|(name, bytes)| SourceFile { name, bytes });
    prop::collection::vec(file, 0..8)
}

proptest! {
    #[test]
    fn a_name_that_is_read_is_the_one_that_is_written(name in name()) {
        if let Ok(Some(read)) = parse_file_name(&name) {
            let suffix = match read.direction {
                Direction::Up if read.name == "init_schema_migrations" => "",
                Direction::Up => "_UP",
                Direction::Down => "_DOWN",
            };
            let written = format!("{}_{}{suffix}.sql", read.version, read.name);
            let with_suffix = format!("{}_{}_UP.sql", read.version, read.name);
            prop_assert!(
                written.eq_ignore_ascii_case(&name) || with_suffix.eq_ignore_ascii_case(&name),
                "{written} {name}"
            );
        }
    }

    #[test]
    fn a_set_is_a_catalog_or_has_defects(files in files(), skips in any::<bool>()) {
        let known = |_: &Checksum| skips;
        match Catalog::from_files(files.clone(), "schema_migrations", &known) {
            Err(defects) => {
                prop_assert!(!defects.is_empty());
                for defect in defects {
                    let message = defect.to_string();
                    prop_assert!(!message.contains(char::is_control), "{message:?}");
                }
            }
            Ok(catalog) => {
                let versions: Vec<&Version> = catalog.iter().map(|known| &known.version).collect();
                prop_assert!(versions.windows(2).all(|two| two[0] < two[1]));
                for migration in catalog.iter() {
                    let up = files.iter().find(|file| file.name == migration.up.file);
                    prop_assert!(up.is_some_and(|file| *file.bytes == *migration.up.bytes));
                }
                let ours = files.iter().filter(|file| matches!(parse_file_name(&file.name), Ok(Some(_)))).count();
                let kept = catalog.iter().map(|known| 1 + usize::from(known.down.is_some())).sum::<usize>();
                prop_assert_eq!(ours, kept, "a file was left out");
            }
        }
    }
}
