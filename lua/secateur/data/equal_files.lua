--- Files of equal bytes among many, without reading most of them: sizes first, then a piece of the middle, then all.
-- @module secateur.data.equal_files
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local lfs = require "lfs"

local equal_files = {}

local PIECE = 4096

-- Sorts into lists of two or more by what a function says of each.
local function sort_by(list, key_of)
  local by_key, keys = {}, {}
  for _, item in ipairs(list) do
    local key = key_of(item)
    if not by_key[key] then by_key[key], keys[#keys + 1] = {}, key end
    table.insert(by_key[key], item)
  end
  local found = {}
  for _, key in ipairs(keys) do
    if #by_key[key] > 1 then found[#found + 1] = by_key[key] end
  end
  return found
end

-- The files were there when the set was scanned: what cannot be read of them now is no reason to call them different.
local function check(path, value, message)
  if not value and not message:find(path, 1, true) then message = ("%s: %s"):format(path, message) end
  return errors.check(value, message)
end

local function size_of(path) return check(path, lfs.attributes(path, "size")) end

local function content_of(path) return check(path, files.read_all(path)) end

-- Some bytes of the middle: beginnings are alike in files of one machine.
local function piece_of(path)
  local file <close> = check(path, io.open(path, "rb"))
  check(path, file:seek("set", math.max(check(path, file:seek "end") // 2 - PIECE // 2, 0)))
  local piece, message = file:read(PIECE)
  return check(path, piece or not message and "", message)
end

--- The size of all files together.
-- @tparam {string,...} paths
-- @treturn int bytes
-- @raise where one is not there, or cannot be looked at
function equal_files.total(paths)
  local total = 0
  for _, path in ipairs(paths) do total = total + size_of(path) end
  return total
end

--- Numbers the sets of equal files.
-- @tparam {string,...} paths
-- @treturn table path -> number of its set; files that are like no other are left out
-- @raise where one cannot be read
function equal_files.sets(paths)
  local number, count = {}, 0
  for _, same_size in ipairs(sort_by(paths, size_of)) do
    for _, alike in ipairs(sort_by(same_size, piece_of)) do
      for _, equal in ipairs(sort_by(alike, content_of)) do
        count = count + 1
        for _, path in ipairs(equal) do number[path] = count end
      end
    end
  end
  return number
end

return equal_files
