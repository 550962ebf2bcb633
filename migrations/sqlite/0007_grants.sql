-- What each installed version of a plugin may do. It never exceeds what the version's descriptor asks for.
CREATE TABLE grants (
    digest       TEXT    NOT NULL PRIMARY KEY, -- of the version's component
    granted      TEXT    NOT NULL, -- JSON object
    decided      INTEGER NOT NULL CHECK (decided IN (0, 1)), -- somebody decided about all that the version asks for
    granted_at   INTEGER NOT NULL,
    granted_by   TEXT,             -- who decided, about this version or the one that it was carried over from
    carried_from TEXT              -- the version that it was carried over from
) STRICT, WITHOUT ROWID;
