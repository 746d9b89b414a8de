-- Damaged stores: an error that is a message, or rows that everything downstream can use.
local damage = require "support.damage"
local files = require "secateur.util.files"
local json = require "secateur.util.json"
local results = require "secateur.results"
local rows = require "support.rows"
local sqlite = require "secateur.sqlite"
local store = require "secateur.results.store"
local temporary = require "support.temporary"

local PER_KIND = 12

describe("damaged store", function()
  local folder, path, good
  local grid = { methods = { "lrp", "ig" }, rates = { 0, 0.5 }, seeds = { 0 }, samplings = { "random" },
    models = { "vgg" }, datasets = { "cpn" }, redundancy = { false }, repair = { "none" } }

  setup(function()
    folder = temporary.folder()
    path = files.join(folder, "runs.db")
    local writer <close> = assert(store.open(path))
    for i = 0, 9 do
      local row = rows.row { seed = i, drop = i / 100 }
      rows.put(writer, row)
      writer:put("samples", "s" .. i, { 4, 2, i + 1 })
    end
    local other = { scope = "layer" }
    rows.put(writer, rows.row {}, other) -- another version of a row
    writer:put("run", "1", { version = "1", seconds = 1, ranks = 1, grid = grid, settings = { store.hash(other) } })
    writer:put("failure", "f", { error = "out of luck", method = "ig", seed = 1 })
    writer:close()
    good = files.read_all(path)
  end)
  teardown(function() assert(files.remove(folder)) end)

  -- Reads and uses what is in the file, then opens it to go on; both end with an answer.
  local function use()
    local read, message = results.read(path)
    assert.equal("string", type(read and tostring(read) or message))
    if read then
      read:lossless()
      for _, row in ipairs(read) do assert.is_true(row.rate >= 0 and row.drop == row.drop) end
    end
    local writer, problem = store.open(path)
    if not writer then return assert.equal("string", type(problem)) end
    local _ <close> = writer
    local fine, fault = pcall(writer.put, writer, "other", "k", 1)
    assert.is_true(fine or type(fault) == "string" and fault:find("store '", 1, true) ~= nil, tostring(fault))
  end

  for number, kind in ipairs(damage.kinds) do
    it("is read or refused: bytes " .. kind, function()
      local draw = damage.draws(100 + number)
      for _ = 1, PER_KIND do
        for _, beside in ipairs { "-journal", "-wal", "-shm" } do os.remove(path .. beside) end
        assert(files.write_all(path, damage.ways[kind](good, draw)))
        use()
      end
    end)

    it("is read or refused: texts " .. kind, function()
      local draw = damage.draws(200 + number)
      for _ = 1, PER_KIND do
        assert(files.write_all(path, good))
        local connection <close> = assert(sqlite.open(path, "read"))
        local of = ({ { "rows", "row" }, { "rows", "key" }, { "rows", "settings" }, { "meta", "value" },
          { "cache", "value" } })[draw(5) + 1]
        local found = assert(connection:run(("SELECT rowid, %s FROM %s"):format(of[2], of[1])))
        local entry = found[draw(#found) + 1]
        local text = damage.ways[kind](entry[2], draw)
        assert(connection:run(("UPDATE OR IGNORE %s SET %s = ? WHERE rowid = ?"):format(of[1], of[2]), text, entry[1]))
        connection:close()
        use()
      end
    end)
  end

  it("names the row whose text is damaged", function()
    assert(files.write_all(path, good))
    local connection <close> = assert(sqlite.open(path, "read"))
    local text = json.encode(rows.row { seed = 3, drop = 0.03 }):gsub('"drop":', '"drop":"')
    assert(connection:run("UPDATE rows SET row = ? WHERE position = 4", text))
    connection:close()
    local read, message = results.read(path)
    assert.is_nil(read)
    assert.matches("^store '.*' is damaged: row 4: json: ", message)
  end)
end)
