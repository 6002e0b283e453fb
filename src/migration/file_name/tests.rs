use proptest::prelude::*;

use super::*;

#[test]
fn reads_what_fits() {
    use Direction::{Down, Up};
    for (file, version, name, direction) in [
        (
            "001_add_historical_inventory_UP.sql",
            "001",
            "add_historical_inventory",
            Up,
        ),
        (
            "001_add_historical_inventory_DOWN.sql",
            "001",
            "add_historical_inventory",
            Down,
        ),
        (
            "000_init_schema_migrations.sql",
            "000",
            "init_schema_migrations",
            Up,
        ),
        (
            "0_init_schema_migrations.SQL",
            "0",
            "init_schema_migrations",
            Up,
        ),
        (
            "000_init_schema_migrations_DOWN.sql",
            "000",
            "init_schema_migrations",
            Down,
        ),
        ("7_a_up.sql", "7", "a", Up),
        ("7_a_Down.Sql", "7", "a", Down),
        ("20240101120000_x_UP.sql", "20240101120000", "x", Up),
        ("1_back_up_UP.sql", "1", "back_up", Up),
        ("1__x_UP.sql", "1", "_x", Up),
        ("1_v1.2-final_UP.sql", "1", "v1.2-final", Up),
    ] {
        let read = parse_file_name(file).expect(file).expect(file);
        assert_eq!(
            (read.version.as_str(), read.name.as_str(), read.direction),
            (version, name, direction),
            "{file}"
        );
    }
}

#[test]
fn ignores_what_is_not_ours() {
    for file in [
        "README.md",
        "_1_x_UP.sql",
        ".001_x_UP.sql",
        "V1__x.sql",
        "",
        "up.sql",
    ] {
        assert_eq!(parse_file_name(file), Ok(None), "{file:?}");
    }
}

#[test]
fn refuses_what_starts_with_a_digit_and_does_not_fit() {
    use FileNameProblem::{Character, EmptyName, NoName, OtherDigits, Suffix};
    for (file, problem) in [
        ("001_x.sql", Suffix),
        ("001_init_schema_migrations.sql", Suffix),
        ("001_x_UP.sql.bak", Suffix),
        ("001_x_UP", Suffix),
        ("001_x_SIDEWAYS.sql", Suffix),
        ("1", Suffix),
        ("001_UP.sql", EmptyName),
        ("001__UP.sql", EmptyName),
        ("001x_UP.sql", NoName),
        ("001-x_UP.sql", NoName),
        ("001_a b_UP.sql", Character),
        ("001_é_UP.sql", Character),
        ("001_../../etc_UP.sql", Character),
        ("001_a..b_UP.sql", Character),
        ("٣_x_UP.sql", OtherDigits),
        ("1٣_x_UP.sql", OtherDigits),
    ] {
        let refused = parse_file_name(file).expect_err(file);
        assert_eq!(refused.problem, problem, "{file}");
        assert!(
            refused.to_string().starts_with(file.trim_end_matches('\n')),
            "{refused}"
        );
    }
    let odd = parse_file_name("1_\u{1b}[31m_UP.sql")
        .unwrap_err()
        .to_string();
    assert!(!odd.contains('\u{1b}'), "{odd:?}");
}

proptest! {
    #[test]
    fn round_trips(version in "[0-9]{1,20}", name in "[A-Za-z0-9_-]([A-Za-z0-9_-]|\\.[A-Za-z0-9_-]){0,20}", up in any::<bool>()) {
        let direction = if up { Direction::Up } else { Direction::Down };
        let read = parse_file_name(&format!("{version}_{name}_{direction}.sql")).unwrap().unwrap();
        prop_assert_eq!(read, FileName { version: Version::parse(&version).unwrap(), name, direction });
    }

    #[test]
    fn never_panics(file in any::<String>(), digit in any::<bool>()) {
        let file = if digit { format!("1{file}") } else { file };
        let _ = parse_file_name(&file);
    }
}
