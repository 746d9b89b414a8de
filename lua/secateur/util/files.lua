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
  local ok, iterate, state, _, closing = pcall(lfs.dir, path)
  if not ok then return nil, (tostring(iterate):gsub("^cannot open ", "")) end
  local names = {}
  for name in iterate, state, nil, closing do
    if name ~= "." and name ~= ".." and (name:sub(1, 1) ~= "." or opts and opts.hidden) then
      names[#names + 1] = name
    end
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

-- Adds the files below `prefix` (relative to root); `above` holds the folders on the way, against links in circles.
local function walk_into(found, root, prefix, above, opts, depth)
  local folder = files.join(root, prefix)
  local where = lfs.attributes(folder)
  if not where then return nil, ("%s: no such folder"):format(folder) end
  local identity = ("%s:%s"):format(where.dev, where.ino)
  if above[identity] then
    if opts.other then opts.other(prefix, "a link to a folder that it lies in") end
    return true
  end
  if depth > MAX_DEPTH then return nil, ("%s: folders nested more than %d deep"):format(folder, MAX_DEPTH) end
  local names, message = files.list(folder, opts)
  if not names then return nil, message end
  above[identity] = true
  for _, name in ipairs(names) do
    local path = files.join(prefix, name)
    local mode = lfs.attributes(files.join(root, path), "mode")
    if opts.leave and opts.leave(name, path, mode) then mode = "left" end
    if mode == "directory" then
      local ok, problem = walk_into(found, root, path, above, opts, depth + 1)
      if not ok then return nil, problem end
    elseif mode == "file" then
      if not opts.extensions or opts.extensions[files.extension(name)] then found[#found + 1] = path end
    elseif mode ~= "left" and opts.other then
      opts.other(path, files.describe(files.join(root, path)))
    end
  end
  above[identity] = nil
  return true
end

--- All files below a folder, links followed, as paths relative to it, in byte order of the whole path.
-- @string root
-- @tab[opt] opts `hidden = true` includes files and folders that start with a dot; `extensions`, a set of lower-case
-- extensions (`{ png = true }`), leaves out all others; `leave`, a function of (name, path, mode), says with true what
-- to pass over; `other`, a function of (path, what it is), gets what is neither a file nor a folder, as broken links
-- @treturn[1] table list of paths
-- @return[2] nil
-- @treturn[2] string what went wrong, naming the folder
function files.walk(root, opts)
  local found = {}
  local ok, message = walk_into(found, root, "", {}, opts or {}, 0)
  if not ok then return nil, message end
  return files.sort(found)
end

--- Makes a folder and those above it, where they are missing.
-- @string path
-- @treturn[1] boolean true
-- @return[2] nil
-- @treturn[2] string what went wrong, naming the folder
function files.mkdir_p(path)
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
  local mode = lfs.symlinkattributes(path, "mode")
  if not mode then return true end
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
