--- Finds the files that a table names: as written, or without their ending, or by their name alone in some folder.
-- @module secateur.data.file_index
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local layout = require "secateur.data.layout"
local names = require "secateur.data.names"

local file_index = {}

local Index = {}
Index.__index = Index

--- An index of a folder. It is walked through when a file is first missed.
-- @string root
-- @treturn table with `find`
function file_index.new(root)
  return setmetatable({ root = root, elsewhere = 0 }, Index)
end

-- All files, by their name with and without its ending: key -> list of paths.
local function walk(self)
  local by_name = {}
  for _, path in ipairs(errors.check(files.walk(self.root, { leave = layout.is_litter }))) do
    local base = files.base(path)
    local stem = base:match "^(.+)%.[^.]*$"
    for _, key in ipairs { base, stem ~= base and stem or nil } do
      by_name[key] = by_name[key] or {}
      table.insert(by_name[key], path)
    end
  end
  return by_name
end

-- Those of some paths that end with the folders that were written before the name, or all where none do.
local function narrow(paths, written)
  local folder = written:match "^(.*/)[^/]*$"
  if not folder then return paths end
  local narrowed = {}
  for _, path in ipairs(paths) do
    local own = "/" .. (path:match "^(.*/)[^/]*$" or "")
    if own:sub(-#folder - 1) == "/" .. folder then narrowed[#narrowed + 1] = path end
  end
  return #narrowed > 0 and narrowed or paths
end

--- The path of a file, relative to the root. Tried in turn: as written; with slashes for backslashes; without leading
-- folders (a list's paths often begin with the name of the folder itself); any file of that name, or of that name and
-- some ending, in the folder or those in it.
-- @string written as the table has it
-- @treturn[1] string path; as written where there is no such file
-- @treturn[2] nil where several files are meant
-- @treturn[2] table these
function Index:find(written)
  local plain = written
  for _, candidate in ipairs { written, (written:gsub("\\", "/")), names.from_latin1(written) } do
    plain = candidate
    if files.is_file(files.join(self.root, candidate)) then return candidate end
  end
  plain = plain:gsub("\\", "/")
  local shorter = plain:match "^[^/]+/(.+)$"
  while shorter do
    if files.is_file(files.join(self.root, shorter)) then return shorter end
    shorter = shorter:match "^[^/]+/(.+)$"
  end
  self.by_name = self.by_name or walk(self)
  local paths = narrow(self.by_name[files.base(plain)] or {}, plain)
  if #paths > 1 then return nil, paths end
  if #paths == 0 then return plain end
  if files.directory(paths[1]) ~= files.directory(plain) then self.elsewhere = self.elsewhere + 1 end
  return paths[1]
end

return file_index
