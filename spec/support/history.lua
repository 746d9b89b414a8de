--- Measurements in a CSV file that grows from run to run: a line each, whole with what they were made on.
local csv = require "secateur.util.csv"
local files = require "secateur.util.files"
local machine = require "support.machine"

local COLUMNS = { "date", "commit", "processor", "level", "threads", "model", "mode", "batch", "who", "version",
  "ms_per_image", "gflops", "peak_share", "peak_mb" }

local history = {}

local History = {}
History.__index = History

-- Text of the file's first line; nil where there is no file yet.
local function heading_of(path)
  local file = io.open(path)
  if not file then return nil end
  local line = file:read "l"
  file:close()
  return line
end

--- Opens a history, and begins it where there is none.
-- @string path its folder is made; "" keeps nothing
-- @treturn History
function history.open(path)
  local self = setmetatable({ commit = machine.commit(), processor = machine.processor(), level = machine.level() },
    History)
  if path == "" then return self end
  assert(files.mkdir_p(files.directory(path)))
  local heading, found = csv.encode { COLUMNS }, heading_of(path)
  if found and found .. "\n" ~= heading then
    error(("%s: expected the columns %s, got '%s'"):format(path, table.concat(COLUMNS, ","), found), 0)
  end
  self.file = assert(io.open(path, "a"))
  if not found then self.file:write(heading) end
  return self
end

--- Adds a measurement; date, commit, processor and level are added to it.
-- @tab measured the other columns by name; what is absent stays empty
function History:add(measured)
  if not self.file then return end
  local row = { n = #COLUMNS }
  for i, name in ipairs(COLUMNS) do row[i] = measured[name] or self[name] end
  row[1] = os.date "!%Y-%m-%dT%H:%M:%SZ"
  self.file:write(csv.encode { row })
  self.file:flush()
end

return history
