//! Statements about the documents of plugins.

statements! {
/// What a batch's calls change: documents that are written, and documents that are taken away.
WRITE_KV = "INSERT INTO kv (plugin, workflow_id, key, value) SELECT j.value->>0, j.value->>1, j.value->>2, j.value->>3 \
     FROM json_each(?) AS j WHERE true ON CONFLICT (plugin, workflow_id, key) DO UPDATE SET value = excluded.value;\
     DELETE FROM kv WHERE (plugin, workflow_id, key) IN \
     (SELECT j.value->>0, j.value->>1, j.value->>2 FROM json_each(?) AS j);";
KV_VALUE = "SELECT value FROM kv WHERE plugin = ? AND workflow_id = ? AND key = ?";
KV_KEYS_FROM = "SELECT key FROM kv WHERE plugin = ? AND workflow_id = ? AND key >= ? ORDER BY key LIMIT ?";
KV_KEYS_AFTER = "SELECT key FROM kv WHERE plugin = ? AND workflow_id = ? AND key > ? ORDER BY key LIMIT ?";
/// How many keys a space has, and how many bytes its plugin.
KV_USAGE = "SELECT coalesce((SELECT keys FROM kv_spaces WHERE plugin = ?1 AND workflow_id = ?2), 0), \
     coalesce((SELECT sum(bytes) FROM kv_spaces WHERE plugin = ?1), 0)";
DELETE_KV_OF_PLUGIN = "DELETE FROM kv WHERE plugin = ?1 AND NOT EXISTS (SELECT 1 FROM plugins WHERE name = ?1)";
DELETE_KV_OF_WORKFLOW = "DELETE FROM kv WHERE workflow_id = ?1 \
     AND plugin IN (SELECT s.plugin FROM kv_spaces AS s WHERE s.workflow_id = ?1)";
}
