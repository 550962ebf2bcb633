-- Small documents of plugins. All versions of a plugin share them.

CREATE TABLE kv (
    plugin      TEXT NOT NULL,
    workflow_id TEXT NOT NULL, -- '' where all workflows share it
    key         TEXT NOT NULL,
    value       TEXT NOT NULL, -- JSON
    PRIMARY KEY (plugin, workflow_id, key)
) STRICT, WITHOUT ROWID;

-- How much each has, so that limits need not count.
CREATE TABLE kv_spaces (
    plugin      TEXT    NOT NULL,
    workflow_id TEXT    NOT NULL,
    keys        INTEGER NOT NULL,
    bytes       INTEGER NOT NULL, -- of keys and values
    PRIMARY KEY (plugin, workflow_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER kv_is_counted AFTER INSERT ON kv
BEGIN
    INSERT INTO kv_spaces (plugin, workflow_id, keys, bytes)
    VALUES (new.plugin, new.workflow_id, 1, length(CAST(new.key AS BLOB)) + length(CAST(new.value AS BLOB)))
    ON CONFLICT (plugin, workflow_id) DO UPDATE SET keys = keys + 1, bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER kv_is_counted_again AFTER UPDATE ON kv
BEGIN
    UPDATE kv_spaces SET bytes = bytes + length(CAST(new.value AS BLOB)) - length(CAST(old.value AS BLOB))
    WHERE plugin = new.plugin AND workflow_id = new.workflow_id;
END;

CREATE TRIGGER kv_is_counted_no_more AFTER DELETE ON kv
BEGIN
    UPDATE kv_spaces
    SET keys = keys - 1, bytes = bytes - length(CAST(old.key AS BLOB)) - length(CAST(old.value AS BLOB))
    WHERE plugin = old.plugin AND workflow_id = old.workflow_id;
    DELETE FROM kv_spaces WHERE plugin = old.plugin AND workflow_id = old.workflow_id AND keys = 0;
END;
