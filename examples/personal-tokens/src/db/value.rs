//! The values of statements and rows, for three engines.

use sqlx::error::BoxDynError;
use sqlx::mysql::MySqlArguments;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Database, Decode, MySql, Postgres, Sqlite, Type, ValueRef};

/// A value of a statement. Its types are those of the columns: whole numbers, texts and bytes. A
/// truth value is stored as 0 or 1.
#[derive(Clone, Debug)]
pub enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Vec<u8>),
    List(Vec<Value>),
}

macro_rules! value_from {
    ($($type:ty => |$from:ident| $value:expr;)*) => {
        $(impl From<$type> for Value {
            fn from($from: $type) -> Self {
                $value
            }
        })*
    };
}

value_from! {
    i64 => |number| Self::Integer(Some(number));
    u8 => |number| Self::Integer(Some(number.into()));
    u32 => |number| Self::Integer(Some(number.into()));
    Option<i64> => |number| Self::Integer(number);
    bool => |truth| Self::Integer(Some(truth.into()));
    &str => |text| Self::Text(Some(text.into()));
    String => |text| Self::Text(Some(text));
    &String => |text| Self::Text(Some(text.clone()));
    &Option<String> => |text| Self::Text(text.clone());
    &[u8] => |bytes| Self::Bytes(bytes.into());
    Vec<u8> => |bytes| Self::Bytes(bytes);
    &[i64] => |numbers| Self::List(numbers.iter().map(|number| Self::from(*number)).collect());
    &[&str] => |texts| Self::List(texts.iter().map(|text| Self::from(*text)).collect());
}

/// A truth value of a row. PostgreSQL has a type for it, and the others have numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Truth(pub bool);

macro_rules! truth_of {
    ($($engine:ty)*) => {
        $(impl Type<$engine> for Truth {
            fn type_info() -> <$engine as Database>::TypeInfo {
                <i64 as Type<$engine>>::type_info()
            }

            fn compatible(info: &<$engine as Database>::TypeInfo) -> bool {
                <i64 as Type<$engine>>::compatible(info) || <bool as Type<$engine>>::compatible(info)
            }
        }

        impl<'r> Decode<'r, $engine> for Truth {
            fn decode(value: <$engine as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
                if <i64 as Type<$engine>>::compatible(&value.type_info()) {
                    return Ok(Self(<i64 as Decode<'r, $engine>>::decode(value)? != 0));
                }
                Ok(Self(<bool as Decode<'r, $engine>>::decode(value)?))
            }
        })*
    };
}

truth_of! { Sqlite Postgres MySql }

macro_rules! arguments_of {
    ($($name:ident: $arguments:ty;)*) => {
        $(pub(super) fn $name(values: Vec<Value>) -> sqlx::Result<$arguments> {
            let mut arguments = <$arguments>::default();
            for value in values {
                let added = match value {
                    Value::Integer(number) => arguments.add(number),
                    Value::Text(text) => arguments.add(text),
                    Value::Bytes(bytes) => arguments.add(bytes),
                    Value::List(_) => unreachable!("`render` replaces a list by its values"),
                };
                added.map_err(sqlx::Error::Encode)?;
            }
            Ok(arguments)
        })*
    };
}

arguments_of! {
    of_sqlite: SqliteArguments;
    of_postgres: PgArguments;
    of_mariadb: MySqlArguments;
}
