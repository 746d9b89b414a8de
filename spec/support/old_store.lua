--- Stores as versions before wrote them (format 1, of a single experiment).
local json = require "secateur.util.json"
local sqlite = require "secateur.sqlite"

local old_store = {}

--- Makes one.
-- @string path
-- @tab experiment
-- @tab rows
function old_store.make(path, experiment, rows)
  local connection <close> = assert(sqlite.open(path, "write"))
  local function run(...) assert(connection:run(...)) end
  run "PRAGMA application_id = 1397048129"
  run "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)"
  run "CREATE TABLE rows (position INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, row TEXT NOT NULL)"
  run "CREATE TABLE cache (kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, key))"
  run [[CREATE VIEW results AS SELECT json_extract(row, '$.dataset') AS dataset, json_extract(row, '$.model') AS model,
    json_extract(row, '$.method') AS method, json_extract(row, '$.sampling') AS sampling,
    json_extract(row, '$.seed') AS seed, json_extract(row, '$.rate') AS rate,
    json_extract(row, '$.accuracy') AS accuracy, json_extract(row, '$.drop') AS "drop" FROM rows ORDER BY position]]
  run "INSERT INTO meta VALUES ('format', '1')"
  run("INSERT INTO meta VALUES ('experiment', ?)", json.encode(experiment))
  for _, row in ipairs(rows) do
    local key = { row.dataset, row.model, row.method, row.sampling, row.seed, row.rate }
    if row.redundancy ~= nil then key[7], key[8] = row.redundancy, row.repair end
    run("INSERT INTO rows (key, row) VALUES (?, ?)", json.encode(key), json.encode(row))
  end
  run("INSERT INTO cache VALUES ('samples', 's', '[4,2]')")
end

return old_store
