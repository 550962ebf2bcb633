//! Statements about what plugins are granted.

statements! {
GRANTS = "SELECT granted, decided, granted_at, granted_by, carried_from, digest FROM grants";
GRANT = "SELECT granted, decided, granted_at, granted_by, carried_from FROM grants WHERE digest = ?";
/// Only for a version that is installed.
PUT_GRANT = "INSERT INTO grants (digest, granted, decided, granted_at, granted_by, carried_from) \
     SELECT digest, ?2, ?3, ?4, ?5, ?6 FROM plugins WHERE digest = ?1 \
     ON CONFLICT (digest) DO UPDATE SET granted = excluded.granted, decided = excluded.decided, \
     granted_at = excluded.granted_at, granted_by = excluded.granted_by, carried_from = excluded.carried_from";
DELETE_GRANT = "DELETE FROM grants WHERE digest = ?";
}
