//! A store on embedded SQLite.
