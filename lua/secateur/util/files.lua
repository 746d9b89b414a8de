--- Files and folders: what Lua's own library lacks, on top of lua-filesystem. The world's failures (no such file, no
-- right to write) come back as `nil, message`, so that the caller can say what it wanted the file for.
-- @module secateur.util.files
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local lfs = require "lfs"

local files = {}

-- Deeper trees than this are a mistake (or made to be one).
local MAX_DEPTH = 64
-- How much of a file is read at a time, where it must not be longer than a limit.
local PIECE = 64 * 1024

--- Joins path components with single slashes; an absolute component starts over.
-- @string first
-- @string ... further components
-- @treturn string
function files.join(first, ...)
  local path = first
  for _, part in ipairs { ... } do
    if part:sub(1, 1) == "/" or path == "" then
      path = part
    elseif part ~= "" then
      path = path:sub(-1) == "/" and path .. part or path .. "/" .. part
    end
  end
  return path
end

--- The last component of a path, trailing slashes aside.
-- @string path
-- @treturn string
function files.base(path)
  return path:match("([^/]+)/*$") or path
end

--- A path in one form, by its text alone: without ".", without "name/..", with single slashes. (A link in the place
-- of "name" would lead elsewhere; the form is for names that must not.)
-- @string path
-- @treturn string "." for the folder itself
-- @treturn boolean whether it is absolute or begins with "..", and so leads out of the folder that it is relative to
function files.normal(path)
  local parts, root = {}, path:sub(1, 1) == "/" and "/" or ""
  for part in path:gmatch "[^/]+" do
    if part == ".." and #parts > 0 and parts[#parts] ~= ".." then
      parts[#parts] = nil
    elseif part ~= "." and not (part == ".." and root == "/") then
      parts[#parts + 1] = part
    end
  end
  local normal = root .. table.concat(parts, "/")
  return normal == "" and "." or normal, root == "/" or parts[1] == ".."
end

--- The folder that a path lies in: "." for a bare name.
-- @string path
-- @treturn string
function files.directory(path)
  local parent = path:match("^(.-)/+[^/]+/*$")
  if not parent then return path:sub(1, 1) == "/" and "/" or "." end
  return parent == "" and "/" or parent
end

--- The extension of a path in lower case, without its dot; "" where there is none (as in ".hidden").
-- @string path
-- @treturn string
function files.extension(path)
  return (files.base(path):match("[^.]%.([^.]+)$") or ""):lower()
end

--- Whether a folder of this name exists (or a link to one).
-- @string path
-- @treturn boolean
function files.is_dir(path)
  return lfs.attributes(path, "mode") == "directory"
end

--- Whether a regular file of this name exists (or a link to one).
-- @string path
-- @treturn boolean
function files.is_file(path)
  return lfs.attributes(path, "mode") == "file"
end

-- What the system says of a path that leads nowhere: no such entry, something above it is no folder, links in a circle,
-- a name that is too long (numbers of Linux and, where they differ, of macOS).
local NOWHERE = { [2] = true, [20] = true, [40] = true, [62] = true, [36] = true, [63] = true }

-- What there is at a path, links followed: its attributes; nil where there is nothing; nil and a message where that
-- cannot be told.
local function attributes(path)
  local found, message, number = lfs.attributes(path)
  if found or NOWHERE[number] then return found end
  return nil, message
end

--- What there is at a path, links followed. Unlike `is_file` and `is_dir` it tells what is not there from what the
-- system does not let us see, for want of rights, memory or a working disk.
-- @string path
-- @treturn[1] string "file", "directory", "named pipe" and so on; nil where there is nothing
-- @return[2] nil
-- @treturn[2] string why that cannot be told, naming the path
function files.mode(path)
  local found, message = attributes(path)
  return found and found.mode, message
end

-- A text for a file or folder, equal for two paths that lead to the same one; nil where the file system has no numbers
-- for them. Size and time guard against systems whose numbers are not unique.
local function identity_of(found)
  if found.ino == 0 then return nil end
  if found.mode == "directory" then return ("%d:%d"):format(found.dev, found.ino) end
  return ("%d:%d:%d:%d"):format(found.dev, found.ino, found.size, found.change)
end

--- A text for a file, equal for two paths that lead to the same one, by links of either kind.
-- @string path
-- @treturn ?string nil where that cannot be told
function files.identity(path)
  local found = attributes(path)
  return found and identity_of(found)
end

--- A path without links, from the root on.
-- @string path
-- @treturn ?string nil where there is nothing
function files.real(path) return (core.file_real(path)) end

--- Whether a path is a link, wherever it leads.
-- @string path
-- @treturn boolean
function files.is_link(path) return lfs.symlinkattributes(path, "mode") == "link" end

local function less_by_bytes(a, b)
  local shorter = math.min(#a, #b)
  for i = 1, shorter do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

--- Sorts a list of strings by their bytes, in place. (`<` follows the locale, and an order that decides which image
-- falls into which split must be the same everywhere.)
-- @tab list
-- @treturn table the same list
function files.sort(list)
  local collation = os.setlocale(nil, "collate")
  if collation == "C" or collation == "POSIX" then
    table.sort(list)
  else
    table.sort(list, less_by_bytes)
  end
  return list
end

-- A name as pieces: text, number, text, ... Numbers are texts too, without their leading zeros: they may be longer than
-- any integer.
local function pieces(text)
  local list = {}
  for letters, digits in text:gmatch "(%D*)(%d*)" do
    list[#list + 1], list[#list + 2] = letters, digits:gsub("^0+(%d)", "%1")
  end
  return list
end

local function less_natural(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = a[i], b[i]
    if i % 2 == 0 and #x ~= #y then return #x < #y end
    if x ~= y then return less_by_bytes(x, y) end
  end
  return #a < #b
end

--- Sorts a list of strings in natural order, in place: by bytes, but numbers in them as numbers, so that "grade2" comes
-- before "grade10". Of equal ones, as 1 and 01, the shorter comes first.
-- @tab list
-- @treturn table the same list
function files.sort_natural(list)
  local split = {}
  for _, text in ipairs(list) do split[text] = pieces(text) end
  table.sort(list, function(a, b)
    if less_natural(split[a], split[b]) then return true end
    if a == b or less_natural(split[b], split[a]) then return false end
    if #a ~= #b then return #a < #b end
    return less_by_bytes(a, b)
  end)
  return list
end

--- The names in a folder in byte order, without "." and "..".
-- @string path
-- @tab[opt] opts `hidden = true` includes names that start with a dot
-- @treturn[1] table list of names
-- @return[2] nil
-- @treturn[2] string what went wrong, naming the folder
function files.list(path, opts)
  local ok, all = errors.try(core.folder_names, path)
  if not ok then return nil, ("%s: %s"):format(path, files.without_path(all, path)) end
  local names = {}
  for _, name in ipairs(all) do
    if name:sub(1, 1) ~= "." or opts and opts.hidden then names[#names + 1] = name end
  end
  return files.sort(names)
end

--- What an entry of a folder is that is neither a file nor a folder.
-- @string path
-- @treturn string as "a broken link to 'there'"
function files.describe(path)
  local mode = lfs.attributes(path, "mode")
  if mode then return ("a %s, not a file"):format(mode) end
  local target = lfs.symlinkattributes(path, "target")
  return target and ("a broken link to '%s'"):format(target) or "cannot be looked at"
end

local function depth_of(path)
  local _, count = path:gsub("/", "")
  return path == "" and 0 or count + 1
end

-- A walk: `files` and `folders` hold the path by which each was met first.
local Walk = {}
Walk.__index = Walk

-- Adds a file, unless it was met before.
function Walk:add_file(path, found, linked)
  local opts, identity = self.opts, identity_of(found)
  if opts.extensions and not opts.extensions[files.extension(path)] then return end
  local first = identity and self.files[identity]
  if first and not opts.names then
    if opts.again then opts.again(path, first, "file") end
    return
  end
  self.found[#self.found + 1] = path
  self.about[path] = { identity = identity, linked = linked }
  if identity then self.files[identity] = first or path end
end

-- Whether a folder was met before, which is said.
function Walk:is_known(path, identity)
  local first, opts = self.folders[identity], self.opts
  if not first then return false end
  if first == "" or path:sub(1, #first + 1) == first .. "/" then
    if opts.other then opts.other(path, "a link to a folder that it lies in") end
  elseif opts.again then
    opts.again(path, first, "folder")
  end
  return true
end

-- Adds what lies in a folder, unless it was met before.
function Walk:add_folder(path, found, linked)
  local whole, identity = files.join(self.root, path), identity_of(found)
  if identity and self:is_known(path, identity) then return true end
  if depth_of(path) > MAX_DEPTH then return nil, ("%s: folders nested more than %d deep"):format(whole, MAX_DEPTH) end
  local names, message = files.list(whole, self.opts)
  if not names then return nil, message end
  if identity then self.folders[identity] = path end
  for _, name in ipairs(names) do
    local ok, problem = self:add_entry(files.join(path, name), name, linked)
    if not ok then return nil, problem end
  end
  return true
end

-- Adds what an entry is; links come after all that is none.
function Walk:add_entry(path, name, linked)
  local whole, opts = files.join(self.root, path), self.opts
  local found, message = attributes(whole)
  if message then return nil, message end
  if opts.leave and opts.leave(name, path, found and found.mode) then return true end
  if not found or found.mode ~= "directory" and found.mode ~= "file" then
    if opts.other then opts.other(path, files.describe(whole)) end
  elseif files.is_link(whole) then
    self.links[#self.links + 1] = { path = path, found = found }
  else
    return self:add(path, found, linked)
  end
  return true
end

-- Adds a file or a folder; true, or nil and a message.
function Walk:add(path, found, linked)
  if found.mode == "directory" then return self:add_folder(path, found, linked) end
  self:add_file(path, found, linked)
  return true
end

--- All files below a folder, as paths relative to it, in byte order of the whole path. Links are followed, but each
-- file and each folder is met once, whatever links there are between them: by its own name where it has one below
-- `root`, else by that with the fewest links. What the system does not let us see ends the walk.
-- @string root
-- @tab[opt] opts `hidden = true` includes files and folders that start with a dot; `extensions`, a set of lower-case
-- extensions (`{ png = true }`), leaves out all others; `leave`, a function of (name, path, mode), says with true what
-- to pass over; `other`, a function of (path, what it is), gets what is neither a file nor a folder, as broken links;
-- `again`, a function of (path, path by which it was met, "file" or "folder"), gets what was met before; `names = true`
-- gives every name of a file in the folders that are met
-- @treturn[1] table list of paths
-- @treturn[1] table path -> `{identity=, linked=}`: see `files.identity`; whether the path goes through links
-- @return[2] nil
-- @treturn[2] string what went wrong, naming the folder
function files.walk(root, opts)
  local walk = setmetatable({ root = root, opts = opts or {}, found = {}, about = {}, files = {}, folders = {},
    links = {} }, Walk)
  local found, message = attributes(root)
  if not found then return nil, message or ("%s: no such folder"):format(root) end
  local ok, problem = walk:add_folder("", found, false)
  local next_link = 1
  while ok and walk.links[next_link] do
    local link = walk.links[next_link]
    ok, problem = walk:add(link.path, link.found, true)
    next_link = next_link + 1
  end
  if not ok then return nil, problem end
  return files.sort(walk.found), walk.about
end

--- Makes a folder and those above it, where they are missing.
-- @string path
-- @treturn[1] boolean true
-- @return[2] nil
-- @treturn[2] string what went wrong, naming the folder
function files.mkdir_p(path)
  if path == "" then return nil, "expected a folder's path, got an empty one" end
  if path:find("\0", 1, true) then return nil, "expected a folder's path, got a text with a zero byte" end
  if files.is_dir(path) then return true end
  local parent = files.directory(path)
  if parent ~= path and not files.is_dir(parent) then
    local ok, message = files.mkdir_p(parent)
    if not ok then return nil, message end
  end
  local ok, message = lfs.mkdir(path)
  -- Someone else may have made it in between.
  if ok or files.is_dir(path) then return true end
  return nil, ("%s: %s"):format(path, message)
end

--- Opens a regular file for reading. Opening a pipe would wait for who writes to it, and a device may never end.
-- @string path
-- @treturn[1] file
-- @return[2] nil
-- @treturn[2] string what went wrong, naming the file
function files.open(path)
  if path:find("\0", 1, true) then return nil, "expected a path, got a text with a zero byte" end
  local mode = lfs.attributes(path, "mode")
  if mode and mode ~= "file" then
    return nil, ("%s: expected a file, got a %s"):format(path, mode == "directory" and "folder" or mode)
  end
  return io.open(path, "rb")
end

--- A file's whole content.
-- @string path
-- @int[opt] limit refuse files of more bytes than this
-- @treturn[1] string
-- @return[2] nil
-- @treturn[2] string what went wrong, naming the file
function files.read_all(path, limit)
  local file <close>, message = files.open(path)
  if not file then return nil, message end
  local read, total = {}, 0
  repeat
    local piece, problem = file:read(limit and PIECE or "a")
    if problem then return nil, ("%s: %s"):format(path, problem) end
    read[#read + 1], total = piece, total + #(piece or "")
    if limit and total > limit then return nil, ("%s: larger than %d bytes"):format(path, limit) end
  until not piece or not limit
  return table.concat(read)
end

--- Writes a file whole or not at all: into a temporary file beside it, which takes its name once it is on disk. The
-- folder must be there. A link of that name is replaced, not followed; Ctrl-C leaves the old file.
-- @string path
-- @string content
-- @treturn[1] boolean true
-- @return[2] nil
-- @treturn[2] string what went wrong, naming the file
function files.write_all(path, content)
  local ok, message = errors.try(core.file_write, path, content)
  if ok then return true end
  return nil, ("%s: %s"):format(path, files.without_path(message, path))
end

--- Removes a file, or a folder with all that is in it; links are removed, not followed.
-- @string path
-- @treturn[1] boolean true (also where there was nothing)
-- @return[2] nil
-- @treturn[2] string what went wrong, naming the file
function files.remove(path)
  local mode, reason, number = lfs.symlinkattributes(path, "mode")
  if not mode and NOWHERE[number] then return true end
  if not mode then return nil, reason end
  if mode ~= "directory" then
    local ok, message = os.remove(path)
    if not ok then return nil, message end
    return true
  end
  local names, problem = files.list(path, { hidden = true })
  if not names then return nil, problem end
  for _, name in ipairs(names) do
    local ok, message = files.remove(files.join(path, name))
    if not ok then return nil, message end
  end
  local ok, message = lfs.rmdir(path)
  if not ok then return nil, ("%s: %s"):format(path, message) end
  return true
end

--- A message about a file without the path that it may begin with (`'path': `), for those who name the file themselves.
-- @string message
-- @string path
-- @treturn string
function files.without_path(message, path)
  local lead = "'" .. path .. "': "
  return message:sub(1, #lead) == lead and message:sub(#lead + 1) or message
end

return files
