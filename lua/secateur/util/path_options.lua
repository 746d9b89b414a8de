--- Options behind a path, as a user of a command line types them: "chest.csv?label=Finding&label_separator=|".
-- @module secateur.util.path_options
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"

local path_options = {}

local words = { ["true"] = true, ["false"] = false }

local function number(text) return math.tointeger(tonumber(text)) or tonumber(text) end

-- What has commas is a list where the option takes names, or where all of it are numbers.
local function read_value(kind, text)
  if words[text] ~= nil then return words[text] end
  if (kind == nil or kind == "counted") and number(text) then return number(text) end
  local list, numbers = {}, {}
  for word in text:gmatch "[^,]+" do
    list[#list + 1] = word
    numbers[#numbers + 1] = number(word)
  end
  if kind == "names" and #list == 1 then return text end
  if kind then return list end
  return #numbers > 1 and #numbers == #list and numbers or text
end

--- A text such as "xrays?classes=normal,covid&size=64" without its options, and these. A folder or file of just that
-- name has none.
-- @string text
-- @tab kinds option -> how its value is read: "names" is one name or a list of several, "list" always a list, "counted"
--   a number or a list of names; any other is a boolean, a number, a list of numbers, or a text
-- @treturn string the path
-- @treturn table the options, not yet checked
-- @raise where an option is not key=value
function path_options.take(text, kinds)
  local path, query = text:match "^(.-)%?([%w_]+=.*)$"
  if not path or files.is_dir(text) or files.is_file(text) then return text, {} end
  local given = {}
  for part in query:gmatch "[^&]+" do
    local key, value = part:match "^([%w_]+)=(.+)$"
    if not key then errors.raise("path: expected options as key=value with & between them, got '%s'", part) end
    given[key] = read_value(kinds[key], value)
  end
  return path, given
end

--- Options that are written with a path, and those of the program, before which they count.
-- @tab given of the path
-- @tab[opt] opts of the program; whatever is no table is left to who checks it
-- @return table, or `opts` where there is nothing to add
function path_options.merge(given, opts)
  if next(given) == nil or opts ~= nil and type(opts) ~= "table" then return opts end
  local merged = {}
  for key, value in pairs(opts or {}) do merged[key] = value end
  for key, value in pairs(given) do merged[key] = value end
  return merged
end

return path_options
