--- Any data set by one word, for command lines.
-- @module secateur.data.open
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local options = require "secateur.util.options"
local path_options = require "secateur.util.path_options"

-- The constructors that read from a path.
local KINDS = { "folder", "csv", "medmnist", "cpn", "fetal", "kvasir", "mura" }

local is_kind = {}
for _, kind in ipairs(KINDS) do is_kind[kind] = true end

-- Which constructor a text means, and the path in it.
local function resolve(text)
  local kind, rest = text:match "^(%l+):(.+)$"
  if kind and is_kind[kind] then return kind, rest end
  if files.is_dir(text) then return "folder", text end
  local by_ending = { npz = "medmnist", csv = "csv", tsv = "csv" }
  local ending = files.extension(text)
  if by_ending[ending] then return by_ending[ending], text end
  if kind and not files.is_file(text) then
    errors.raise("path: unknown kind '%s', expected one of %s, as in kvasir:%s", kind, table.concat(KINDS, ", "), rest)
  end
  errors.raise("path: expected a folder, a .npz, a .csv or kind:path (kinds: %s), got '%s' (%s)",
    table.concat(KINDS, ", "), text, files.is_file(text) and "a file" or "there is none")
end

-- Options whose values are names, of which there may be several.
local NAMES = { classes = "list", label = "names", only = "names", skip = "names" }

-- The options for a kind. A seed decides how images are dealt over splits: nothing, where a set brings its own, and a
-- program that passes one on need not know which do.
local function for_kind(kind, opts)
  if kind ~= "medmnist" or type(opts) ~= "table" or opts.seed == nil then return opts end
  local kept = {}
  for key, value in pairs(opts) do kept[key] = value end
  kept.seed = nil
  return kept
end

local open = {}

--- Makes `sc.data.open`.
-- @tab constructors kind -> function of (path, opts)
-- @treturn function (path, opts) -> Dataset
function open.constructor(constructors)
  return function(path, opts)
    options.value("open", "path", path, { type = "string", required = true })
    local plain, given = errors.within("open", path_options.take, path, NAMES)
    local kind, rest = errors.within("open", resolve, plain)
    local result = errors.within("open", constructors[kind], rest, for_kind(kind, path_options.merge(given, opts)))
    return result
  end
end

return open
