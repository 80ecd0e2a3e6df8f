-- Schema 2: what the service keeps beside the log. Every record has a version, which changes go by.

CREATE TABLE records (
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    owner   TEXT NOT NULL,
    state   TEXT NOT NULL,
    version INTEGER NOT NULL,
    at      TEXT NOT NULL,
    data    TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX records_by_state ON records (kind, state, id);
CREATE INDEX records_by_owner ON records (kind, owner, id);

-- Blobs that were uploaded and that no log entry names yet.
CREATE TABLE staged (
    digest TEXT PRIMARY KEY,
    size   INTEGER NOT NULL,
    owner  TEXT NOT NULL,
    at     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each change, in the transaction of the change; readers go through them with cursors of their own.
CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    at     TEXT NOT NULL,
    kind   TEXT NOT NULL,
    item   TEXT NOT NULL,
    data   TEXT NOT NULL
) STRICT;

CREATE TABLE audit (
    number  INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,
    who     TEXT NOT NULL,
    action  TEXT NOT NULL,
    item    TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason  TEXT NOT NULL,
    address TEXT NOT NULL
) STRICT;

CREATE INDEX releases_by_status ON releases (status, entry);
CREATE INDEX releases_by_entry ON releases (entry);

CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the log only grows'); END;
CREATE TRIGGER audit_remains BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the log only grows'); END;
