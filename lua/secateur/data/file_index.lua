--- Finds the files that a table names: as written, or without their ending, or by their name alone in some folder.
-- @module secateur.data.file_index
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local layout = require "secateur.data.layout"
local names = require "secateur.data.names"
local outside = require "secateur.data.outside"
local visible = require "secateur.util.visible"

local file_index = {}

local Index = {}
Index.__index = Index

--- An index of a folder. It is walked through when a file is first missed.
-- @string root
-- @bool[opt] anywhere whether files outside of the folder are found too, where they are written
-- @treturn table with `find`, `is_contested`, `is_outside` and `note`
function file_index.new(root, anywhere)
  return setmetatable({ root = root, anywhere = anywhere, link = outside.links(root), claims = {}, how = {} }, Index)
end

-- The last folder of a path and its name, "b/c.png" of "a/b/c.png", or nil where it has none.
local function last_two(path) return path:match "([^/]+/[^/]+)$" end

-- All files, by their name with and without its ending, and by that with the folder before it: key -> list of paths.
local function walk(self)
  local by_name = {}
  local function add(key, path)
    if not key then return end
    by_name[key] = by_name[key] or {}
    table.insert(by_name[key], path)
  end
  for _, path in ipairs(errors.check(files.walk(self.root, { leave = layout.is_litter, names = true }))) do
    local base = files.base(path)
    local stem = base:match "^(.+)%.[^.]*$"
    add(base, path)
    add(last_two(path), path)
    if stem and stem ~= base then
      add(stem, path)
      add(last_two(path:sub(1, #path - #base + #stem)), path)
    end
  end
  return by_name
end

-- The paths of a name that end with the folders that were written before it, or all where none do; and whether nothing
-- speaks against them.
local function narrow(by_name, written)
  local paths, narrowed = by_name[files.base(written)] or {}, {}
  local folder = written:match "^(.*/)[^/]*$"
  if not folder then return paths, true end
  for _, path in ipairs(by_name[last_two(written)] or {}) do
    local own = "/" .. (path:match "^(.*/)[^/]*$" or "")
    if own:sub(-#folder - 1) == "/" .. folder then narrowed[#narrowed + 1] = path end
  end
  if #narrowed > 0 then return narrowed, true end
  return paths, false
end

-- Whether folders that a list writes before its paths are the last ones of the root.
local function names_root(self, folders)
  return ("/" .. self.root:gsub("/+$", "") .. "/"):sub(-#folders - 1) == "/" .. folders
end

-- Takes note of what was found for a text, and how: "here" (where it says), "elsewhere" (in other folders) or "name"
-- (in other folders than it says, by nothing but its name).
local function found(self, path, written, how)
  local claims = self.claims[path] or { count = 0 }
  if not claims[written] then claims[written], claims.count = true, claims.count + 1 end
  self.claims[path], self.how[written] = claims, how
  return path
end

-- Whether a path leads out of the root, where that is not wanted.
local function leads_out(self, path)
  local _, leaves = files.normal(path)
  return leaves and not self.anywhere
end

-- A file below the root that is written with folders above it, or nil.
local function find_shorter(self, plain, written)
  local shorter = plain:match "^/(.+)$" or plain:match "^[^/]+/(.+)$"
  while shorter and (leads_out(self, shorter) or not layout.has_file(files.join(self.root, shorter))) do
    shorter = shorter:match "^[^/]+/(.+)$"
  end
  if not shorter then return nil end
  local own = names_root(self, plain:sub(1, -#shorter - 1))
  return found(self, shorter, written, own and "here" or shorter:find("/", 1, true) and "elsewhere" or "name")
end

--- Whether a path that `find` gave leads to something outside of the root, by its text or by links, where that is not
-- wanted.
-- @string path
-- @treturn boolean
function Index:is_outside(path)
  if self.anywhere then return false end
  local whole = files.join(self.root, path)
  return files.mode(whole) ~= nil and (leads_out(self, path) or self.link(whole) ~= nil)
end

--- The path of a file, relative to the root and in one form (see `files.normal`). Tried in turn: as written; with
-- slashes for backslashes; without leading folders (a list's paths often begin with the name of the folder itself); any
-- file of that name, or of that name and some ending, in the folder or those in it.
-- @string written as the table has it
-- @treturn[1] string path; as written where there is no such file
-- @treturn[2] nil where several files are meant
-- @treturn[2] table these
function Index:find(written)
  local plain = written
  for _, candidate in ipairs { written, (written:gsub("\\", "/")), names.from_latin1(written) } do
    plain = files.normal(candidate)
    if not leads_out(self, plain) and layout.has_file(files.join(self.root, plain)) then
      return found(self, plain, written, "here")
    end
  end
  plain = files.normal((plain:gsub("\\", "/")))
  local shorter = find_shorter(self, plain, written)
  if shorter then return shorter end
  self.by_name = self.by_name or walk(self)
  local paths, narrowed = narrow(self.by_name, plain)
  if #paths > 1 then return nil, paths end
  if #paths == 0 then return plain end
  local here = files.directory(paths[1]) == files.directory(plain)
  return found(self, paths[1], written, here and "here" or narrowed and "elsewhere" or "name")
end

--- Whether a file that was found by nothing but its name is one that another text means too: `a/image1.png` where only
-- `b/image1.png` is there. To be asked when all are found.
-- @string written
-- @string path what `find` gave for it
-- @treturn boolean
function Index:is_contested(written, path)
  return self.how[written] == "name" and self.claims[path].count > 1
end

--- What there is to say of files that were found in other folders; nil where there are none.
-- @tab samples with `written` and `name`
-- @treturn ?string
function Index:note(samples)
  local count, first = 0, nil
  for _, sample in ipairs(samples) do
    local how = self.how[sample.written]
    if (how == "elsewhere" or how == "name") and sample.name ~= sample.written then
      count, first = count + 1, first or sample
    end
  end
  return first and ("files found by their names in other folders than written: %d ('%s' is '%s')"):format(count,
    visible(first.written), visible(first.name)) or nil
end

return file_index
