--- Folders in which something is made before it takes its place, so that what fails leaves nothing half done. A stage
-- is held by a lock while its process lives: what a killed one left is removed by the next of the same name.
-- @module secateur.util.staging
local files = require "secateur.util.files"
local lfs = require "lfs"

local staging = {}

-- More stages of one name than this are not a matter of other processes at work.
local MOST = 1000

-- A folder being made.
local Stage = {}
Stage.__index = Stage

-- The lock of a stage, or nothing where its process lives (or the file system has no locks).
local function take_lock(path, mode)
  local file = io.open(files.join(path, "lock"), mode)
  if not file then return nil end
  if lfs.lock(file, "w") then return file end
  file:close()
end

local function remove_left(folder, prefix)
  for _, name in ipairs(files.list(folder, { hidden = true }) or {}) do
    local path = files.join(folder, name)
    if name:sub(1, #prefix) == prefix and name:find("^%d+%.part$", #prefix + 1)
      and lfs.symlinkattributes(path, "mode") == "directory" then
      local lock = take_lock(path, "r+b")
      if lock then
        files.remove(path)
        lock:close()
      end
    end
  end
end

--- Makes a stage inside a folder, under a hidden name of its own.
-- @string folder must be there
-- @string name of what is made, of letters that may stand in a file's name
-- @treturn[1] Stage with `path`, `name` (relative to the folder) and `folder`
-- @return[2] nil
-- @treturn[2] string what went wrong, naming the folder
function staging.create(folder, name)
  local prefix = (".%s."):format(name)
  remove_left(folder, prefix)
  for number = 1, MOST do
    local self = setmetatable({ folder = folder, name = ("%s%d.part"):format(prefix, number) }, Stage)
    self.path = files.join(folder, self.name)
    local made, message = lfs.mkdir(self.path) -- fails where the name is taken: nobody else's folder is ever used
    if made then
      self.lock = take_lock(self.path, "wb")
      return self
    end
    if not lfs.symlinkattributes(self.path, "mode") then return nil, ("%s: %s"):format(folder, message) end
  end
  return nil, ("%s: %d folders %s…part are there"):format(folder, MOST, prefix)
end

--- Removes the stage with what is still in it.
function Stage:remove()
  files.remove(self.path)
  if self.lock then self.lock:close() end
  self.lock = nil
end

--- A message in which the stage's files have the names that they were to get.
-- @string message
-- @treturn string
function Stage:reword(message)
  local parts, from = {}, 1
  while true do
    local at, to = message:find(self.path, from, true)
    if not at then break end
    parts[#parts + 1] = message:sub(from, at - 1) .. self.folder
    from = to + 1
  end
  return table.concat(parts) .. message:sub(from)
end

-- What is to be moved: files, each folder's after it.
local function list_files(root)
  local found, message = files.walk(root, { hidden = true })
  if not found then return nil, message end
  local list = {}
  for _, path in ipairs(found) do
    if path ~= "lock" then list[#list + 1] = path end
  end
  return list
end

--- Moves all files to the folder, over those of the same names. What can be seen to be in the way is seen before the
-- first one moves.
-- @string[opt] last the file that comes last, which tells that all are there
-- @treturn[1] boolean true
-- @return[2] nil
-- @treturn[2] string what went wrong, naming the file
function Stage:publish(last)
  local list, message = list_files(self.path)
  if not list then return nil, message end
  for _, path in ipairs(list) do
    local target = files.join(self.folder, path)
    if files.is_dir(target) then return nil, ("%s: expected a file to write, got a folder"):format(target) end
    local made, problem = files.mkdir_p(files.directory(target))
    if not made then return nil, problem end
  end
  table.sort(list, function(a, b)
    if (a == last) ~= (b == last) then return b == last end
    return a < b
  end)
  -- Moving needs no memory any more, the lack of which would leave some files moved and others not.
  local sources, targets = {}, {}
  for i, path in ipairs(list) do
    sources[i], targets[i] = files.join(self.path, path), files.join(self.folder, path)
  end
  for i = 1, #sources do
    local ok, problem = os.rename(sources[i], targets[i])
    if not ok then return nil, self:reword(problem) end
  end
  return true
end

return staging
