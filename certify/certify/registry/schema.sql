-- Schema 1 of the embedded registry. The tables below `entries`, `subtrees` and `checkpoints` are a projection of the log.

CREATE TABLE migrations (
    version    INTEGER PRIMARY KEY,
    applied_at TEXT NOT NULL
) STRICT;

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE entries (
    number    INTEGER PRIMARY KEY,
    node      TEXT NOT NULL,
    leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),
    data      BLOB NOT NULL
) STRICT;

CREATE INDEX entries_of_node ON entries (node, number);

-- Complete subtrees of level 1 and above; level 0 is entries.leaf_hash.
CREATE TABLE subtrees (
    level  INTEGER NOT NULL CHECK (level >= 1),
    number INTEGER NOT NULL,
    hash   BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    size INTEGER PRIMARY KEY,
    note TEXT NOT NULL
) STRICT;

CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    size   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE releases (
    node     TEXT NOT NULL,
    release  TEXT NOT NULL,
    subject  TEXT NOT NULL,
    evidence TEXT NOT NULL REFERENCES blobs (digest),
    entry    INTEGER NOT NULL REFERENCES entries (number),
    status   TEXT NOT NULL,
    version  INTEGER NOT NULL,
    PRIMARY KEY (node, release)
) STRICT, WITHOUT ROWID;

CREATE TABLE waivers (
    id    TEXT PRIMARY KEY REFERENCES blobs (digest),
    node  TEXT NOT NULL,
    entry INTEGER NOT NULL REFERENCES entries (number)
) STRICT, WITHOUT ROWID;

CREATE INDEX waivers_of_node ON waivers (node);

-- The log only grows. These stop mistakes; what was done on purpose is found by verification.
CREATE TRIGGER entries_stay BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the log only grows'); END;
CREATE TRIGGER entries_remain BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'the log only grows'); END;
CREATE TRIGGER subtrees_stay BEFORE UPDATE ON subtrees BEGIN SELECT RAISE(ABORT, 'the log only grows'); END;
CREATE TRIGGER subtrees_remain BEFORE DELETE ON subtrees BEGIN SELECT RAISE(ABORT, 'the log only grows'); END;
CREATE TRIGGER checkpoints_stay BEFORE UPDATE ON checkpoints BEGIN SELECT RAISE(ABORT, 'the log only grows'); END;
CREATE TRIGGER checkpoints_remain BEFORE DELETE ON checkpoints BEGIN SELECT RAISE(ABORT, 'the log only grows'); END;
