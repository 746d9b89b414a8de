--- Files of equal bytes among many, without reading most of them: sizes first, then a piece of the middle, then all.
-- @module secateur.data.equal_files
local files = require "secateur.util.files"
local lfs = require "lfs"

local equal_files = {}

local PIECE = 4096

-- Sorts into lists of two or more by what a function says of each; nil leaves one out.
local function sort_by(list, key_of)
  local by_key, keys = {}, {}
  for _, item in ipairs(list) do
    local key = key_of(item)
    if key and not by_key[key] then by_key[key], keys[#keys + 1] = {}, key end
    if key then table.insert(by_key[key], item) end
  end
  local found = {}
  for _, key in ipairs(keys) do
    if #by_key[key] > 1 then found[#found + 1] = by_key[key] end
  end
  return found
end

-- Some bytes of the middle: beginnings are alike in files of one machine.
local function piece_of(path)
  local file <close> = io.open(path, "rb")
  if not file then return nil end
  local size = file:seek "end"
  return size and file:seek("set", math.max(size // 2 - PIECE // 2, 0)) and file:read(PIECE) or nil
end

--- The size of all files together; those that are not there count nothing.
-- @tparam {string,...} paths
-- @treturn int bytes
function equal_files.total(paths)
  local total = 0
  for _, path in ipairs(paths) do total = total + (lfs.attributes(path, "size") or 0) end
  return total
end

--- Numbers the sets of equal files.
-- @tparam {string,...} paths
-- @treturn table path -> number of its set; files that are like no other are left out
function equal_files.sets(paths)
  local number, count = {}, 0
  for _, same_size in ipairs(sort_by(paths, function(path) return lfs.attributes(path, "size") end)) do
    for _, alike in ipairs(sort_by(same_size, piece_of)) do
      for _, equal in ipairs(sort_by(alike, function(path) return (files.read_all(path)) end)) do
        count = count + 1
        for _, path in ipairs(equal) do number[path] = count end
      end
    end
  end
  return number
end

return equal_files
